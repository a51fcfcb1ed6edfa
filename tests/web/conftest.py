"""A shop with its pages, and visitors who look at them without a browser."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.shops import OpenedShop, opened_shop


@dataclass(frozen=True)
class Answer:
    """What came back for a page."""

    status: int
    text: str
    headers: "dict[str, str]"
    cookies: "dict[str, str]"

    @property
    def location(self) -> str:
        return self.headers.get("location", "")


@dataclass
class Visitor:
    """Somebody with a cookie jar, who follows no redirect by themselves."""

    session: aiohttp.ClientSession
    origin: str
    cookies: "dict[str, str]" = field(default_factory=dict)

    async def open(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, None, headers)

    async def send(self, path: str, form: "dict[str, str] | list[tuple[str, str]]", **headers: str) -> Answer:
        """A form as a browser sends it from one of the shop's own pages, unless the headers say otherwise."""
        return await self._ask("POST", path, form, {"Origin": self.origin, **headers})

    async def _ask(
        self, verb: str, path: str, form: "dict[str, str] | list[tuple[str, str]] | None", headers: "dict[str, str]"
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items() if value}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.session.request(verb, path, data=form, headers=sent, allow_redirects=False) as response:
            text = (await response.read()).decode("utf-8")
            given = {name: morsel.value for name, morsel in response.cookies.items()}
            for name, value in given.items():
                if value and response.cookies[name]["max-age"] != "0":
                    self.cookies[name] = value
                else:
                    self.cookies.pop(name, None)
            return Answer(response.status, text, {k.lower(): v for k, v in response.headers.items()}, given)


@dataclass
class Pages:
    """A shop with everything at work."""

    shop: OpenedShop
    session: aiohttp.ClientSession

    def visitor(self) -> Visitor:
        return Visitor(self.session, self.shop.shop.settings.public_address)


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Pages]:
    async with (
        opened_shop(folder=tmp_path / "shop") as shop,
        aiohttp.ClientSession(
            shop.shop.settings.public_address,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=30),
        ) as session,
    ):
        yield Pages(shop, session)
