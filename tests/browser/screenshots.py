"""Pictures of every page, wide and narrow, to be looked at; and the few of them that the README shows.

::

    python -m tests.browser.screenshots build/screenshots            # every place
    python -m tests.browser.screenshots build/screenshots --chosen docs/screenshots
"""

import argparse
import asyncio
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.conftest import NARROW, WIDE, launched
from tests.browser.looking import LOCALES, visitor
from tests.browser.places import PLACES, Place, Who
from tests.browser.stage import Stage, furnished
from tests.served import Served

CHOSEN = {
    "home": ("home", "en", WIDE, 1500),
    "search": ("search-found", "en", WIDE, 1300),
    "checkout": ("checkout-review-of-member", "en", WIDE, 1300),
    "staff": ("staff-products", "en", WIDE, 1000),
    "product-narrow": ("product", "zh", NARROW, 1500),
}
"""For the README: the place, its language and width, and how much of its height."""
LARGEST = 150_000
"""Bytes of one of these."""
SETTLE = """async () => {
  for (const bar of document.querySelectorAll(".save-bar")) bar.style.position = "static";
  for (const image of document.images) image.loading = "eager";
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
}"""


async def take(folder: Path, chosen: Path | None, only: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as data:
        shop = Served(Path(data) / "data")
        shop.start()
        try:
            stage = furnished(shop)
            async with async_playwright() as playwright:
                browser = await launched(playwright)
                for who in Who:
                    for locale in LOCALES:
                        await _as_one(browser, stage, who, locale, folder, only)
        finally:
            shop.stop()
    if chosen:
        chosen.mkdir(parents=True, exist_ok=True)
        for name, (place, locale, width, height) in CHOSEN.items():
            _keep(folder / f"{place}.{locale}.{width}.png", chosen / f"{name}.webp", height)


async def _as_one(browser: Browser, stage: Stage, who: Who, locale: str, folder: Path, only: Sequence[str]) -> None:
    async with visitor(browser, stage, who=who, locale=locale) as shopper:
        for place in _of(who, only):
            for width in (WIDE, NARROW):
                await shopper.page.set_viewport_size({"width": width, "height": 900 if width == WIDE else 740})
                if width == WIDE:
                    await place.way(shopper, stage)
                await _picture(shopper.page, folder / f"{place.name}.{locale}.{width}.png")


def _of(who: Who, only: Sequence[str]) -> list[Place]:
    return [place for place in PLACES if place.who is who and (not only or place.name in only)]


async def _picture(page: Page, path: Path) -> None:
    await page.evaluate(SETTLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=path, full_page=True)


def _keep(source: Path, target: Path, height: int) -> None:
    """The upper part of a picture, small enough to be kept with the source."""
    with Image.open(source) as image:
        part = image.convert("RGB").crop((0, 0, image.width, min(height, image.height)))
    for quality in range(90, 20, -5):
        packed = io.BytesIO()
        part.save(packed, "WEBP", quality=quality, method=6)
        if packed.tell() <= LARGEST:
            target.write_bytes(packed.getvalue())
            return
    raise AssertionError(f"{source} cannot be made small enough")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chosen", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    asyncio.run(take(arguments.folder, arguments.chosen, arguments.only))


if __name__ == "__main__":
    main()
