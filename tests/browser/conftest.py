"""A shop as it is served, and a real browser to walk through it."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Playwright, async_playwright, expect

from tests.browser.shopper import Shopper
from tests.browser.stage import Stage, furnished
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
HEIGHT = 900
PATIENCE_MS = 15_000
"""For a machine that does something else besides."""
ACCEPTED = {"en": "en-GB", "zh": "zh-CN"}

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo shop, served by a process of its own."""
    served = Served(tmp_path_factory.mktemp("browser") / "data")
    served.start()
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="session")
def stage(shop: Served) -> Stage:
    """The shop with customers and orders in every state."""
    return furnished(shop)


async def launched(playwright: Playwright) -> Browser:
    return await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: tests/install-servers says how to get it")
    async with async_playwright() as playwright:
        browser = await launched(playwright)
        try:
            yield browser
        finally:
            await browser.close()


class Shoppers:
    """Makes shoppers, each with a window of their own."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self._contexts: list[BrowserContext] = []

    async def new(self, *, locale: str = "en", width: int = WIDE, scripts: bool = True) -> Shopper:
        context = await self._browser.new_context(
            viewport={"width": width, "height": HEIGHT}, java_script_enabled=scripts, locale=ACCEPTED[locale]
        )
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        return Shopper(context, await context.new_page(), self._address, locale=locale, scripts=scripts)

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def shoppers(browser: Browser, shop: Served) -> AsyncIterator[Shoppers]:
    """Makes shoppers; their windows are closed after the test."""
    made = Shoppers(browser, shop.address)
    yield made
    await made.close()
