"""Going through all places as everybody who comes there, and noting what can be seen to be wrong."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Error

from tests.browser.conftest import ACCEPTED, HEIGHT, NARROW, PATIENCE_MS, WIDE
from tests.browser.places import PLACES, Place, Who
from tests.browser.shopper import Shopper
from tests.browser.stage import CAP, TEE, Stage

LOCALES = ("en", "zh")
WIDTHS = (WIDE, NARROW)
AT_ONCE = 3
"""Windows; more of them only wait for each other."""
# What the page shows outside of its window: nothing may, unless it lies in something that scrolls by itself.
OVERFLOWING = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const scrolls = (element) => {
    for (let each = element.parentElement; each && each !== root && each !== document.body; each = each.parentElement)
      if (getComputedStyle(each).overflowX !== "visible") return true;
    return false;
  };
  const wide = [...document.querySelectorAll("body *")].filter(
    (each) => each.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(each));
  return [`${root.scrollWidth} px`, ...wide.slice(-3).map((each) => each.outerHTML.slice(0, 100))];
}"""
# Bytes of the page, its styles and its scripts, as they are once unpacked.
WEIGHT = """() => {
  const kinds = ["script", "link", "css", "xmlhttprequest", "fetch"];
  return performance.getEntries()
    .filter((entry) => entry.entryType === "navigation" || kinds.includes(entry.initiatorType))
    .reduce((sum, entry) => sum + (entry.decodedBodySize ?? 0), 0);
}"""
TOO_SMALL = """() => [...document.querySelectorAll("a.button, button, select, input:not([type=hidden]), summary")]
  .filter((each) => each.checkVisibility() && !each.closest(".unseen"))
  .filter((each) => !["checkbox", "radio"].includes(each.type))
  .map((each) => [each, each.getBoundingClientRect()])
  .filter(([, box]) => box.width > 1 && box.height > 1 && box.height < 31)
  .map(([each, box]) => `${Math.round(box.height)} px: ${each.outerHTML.slice(0, 90)}`)"""


AXE = Axe().axe_script
RUN_AXE = "axe.run(document, {resultTypes: ['violations'], preload: false}).then((results) => results.violations)"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen of a place in a language at a width."""

    place: Place
    locale: str
    width: int
    status: int
    html: str
    headings: int
    overflowing: Sequence[str]
    too_small: Sequence[str]
    weight: int
    axe: Sequence[str]
    complaints: Sequence[str]
    elsewhere: Sequence[str]

    @property
    def name(self) -> str:
        return f"{self.place.name} {self.locale} {self.width}"


@dataclass(frozen=True, kw_only=True)
class Tour:
    """All that was seen, and why something was not."""

    looks: Sequence[Look]
    missed: Mapping[str, str]


async def tour(browser: Browser, stage: Stage) -> Tour:
    """Everything, as everybody."""
    door = asyncio.Semaphore(AT_ONCE)
    looks: list[Look] = []
    missed: dict[str, str] = {}

    async def as_one(who: Who) -> None:
        async with door:
            for locale in LOCALES:
                async with visitor(browser, stage, who=who, locale=locale) as shopper:
                    for place in (place for place in PLACES if place.who is who):
                        try:
                            looks.extend(await _look(shopper, stage, place))
                        except (AssertionError, Error) as error:
                            missed[f"{place.name} {locale}"] = str(error)[:600]

    await asyncio.gather(*map(as_one, Who))
    return Tour(looks=looks, missed=missed)


@asynccontextmanager
async def visitor(
    browser: Browser, stage: Stage, *, who: Who, locale: str, width: int = WIDE
) -> AsyncIterator[Shopper]:
    # Colours are looked at, so nothing may still be on its way from one to another.
    context = await browser.new_context(
        viewport={"width": width, "height": HEIGHT}, locale=ACCEPTED[locale], reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        shopper = Shopper(context, await context.new_page(), stage.shop.address, locale=locale, scripts=True)
        token = {Who.MEMBER: stage.member_token, Who.NEWCOMER: stage.newcomer_token, Who.STAFF: stage.staff_token}
        if who in token:
            await shopper.be(token[who])
        if who in (Who.GUEST, Who.MEMBER):
            await shopper.fill_cart(stage.sku(TEE), quantity=2)
            await shopper.fill_cart(stage.sku(CAP))
        yield shopper
    finally:
        await context.close()


async def _look(shopper: Shopper, stage: Stage, place: Place) -> list[Look]:
    page = shopper.page
    shopper.complaints.clear()
    shopper.elsewhere.clear()
    await page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    await place.way(shopper, stage)
    assert shopper.document is not None
    html, status = await shopper.document.text(), shopper.document.status
    await page.evaluate(AXE)
    found = []
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        found.append(
            Look(
                place=place,
                locale=shopper.locale,
                width=width,
                status=status,
                html=html,
                headings=await page.get_by_role("heading", level=1).count(),
                overflowing=await page.evaluate(OVERFLOWING),
                too_small=await page.evaluate(TOO_SMALL),
                weight=await page.evaluate(WEIGHT),
                axe=_violations(await page.evaluate(RUN_AXE)),
                complaints=tuple(shopper.complaints),
                elsewhere=tuple(shopper.elsewhere),
            )
        )
    return found


def _violations(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return [_violation(**violation) for violation in found]


def _violation(*, impact: str, id: str, nodes: Sequence[Mapping[str, Any]], **more: Any) -> str:
    return f"{impact}: {id}: {nodes[0]['html'][:160]} ({len(nodes)} times)"
