"""A shop as it is served, and a real browser to walk through it."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.served import Served

CHROMIUM = Path(os.environ.get("HANSA_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # the pages are our own, and the tests may run as root
]
WIDE, NARROW = 1280, 360


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo shop, served by a process of its own."""
    served = Served(tmp_path_factory.mktemp("browser") / "data")
    served.start()
    try:
        yield served
    finally:
        served.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: tests/install-servers says how to get it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Shopper:
    """Somebody with a browser window of their own. Whatever its pages complain of is noted."""

    def __init__(self, context: BrowserContext, page: Page, address: str) -> None:
        self.context = context
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self._heard("error", str(error)))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    async def open(self, path: str) -> int:
        response = await self.page.goto(f"{self.address}{path}", wait_until="load")
        return response.status if response else 0


@pytest_asyncio.fixture(loop_scope="session")
async def shoppers(browser: Browser, shop: Served) -> AsyncIterator["Shoppers"]:
    """Makes shoppers; their windows are closed after the test."""
    made = Shoppers(browser, shop.address)
    yield made
    await made.close()


class Shoppers:
    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self._contexts: list[BrowserContext] = []

    async def new(self, *, width: int = WIDE, scripts: bool = True, locale: str = "en-US") -> Shopper:
        context = await self._browser.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts, locale=locale
        )
        context.set_default_timeout(15_000)
        self._contexts.append(context)
        return Shopper(context, await context.new_page(), self._address)

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()
