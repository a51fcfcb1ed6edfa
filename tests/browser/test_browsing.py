"""Looking around: suggestions, filters, pages of results, languages and currencies, with scripts and without."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NARROW, Shoppers
from tests.browser.shopper import Shopper
from tests.browser.stage import CAP, TEE, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _names(shopper: Shopper) -> list[str]:
    """Of the products that are listed."""
    return await shopper.page.get_by_role("main").get_by_role("article").get_by_role("heading").all_inner_texts()


async def test_suggestions_come_while_one_types_and_are_gone_through_by_arrow_keys(
    shoppers: Shoppers, stage: Stage
) -> None:
    guest = await shoppers.new()
    await guest.open()
    search = guest.page.get_by_role("searchbox")

    await search.press_sequentially("leather b")
    suggestion = guest.page.get_by_role("link", name=stage.name(CAP), exact=True).first
    await expect(suggestion).to_be_in_viewport()
    await search.press("ArrowDown")
    first = guest.page.locator(":focus")
    await expect(first).to_have_role("link")
    await guest.page.keyboard.press("ArrowUp")
    await expect(search).to_be_focused()
    for _ in range(8):
        await guest.page.keyboard.press("ArrowDown")
        if await guest.page.locator(":focus").inner_text() == stage.name(CAP):
            break
    await guest.page.keyboard.press("Enter")

    await expect(guest.page.get_by_role("heading", name=stage.name(CAP), level=1)).to_be_visible()


async def test_escape_closes_suggestions_and_menus(shoppers: Shoppers, stage: Stage) -> None:
    guest = await shoppers.new()
    await guest.open(f"products/{TEE}")
    search = guest.page.get_by_role("searchbox")

    await search.press_sequentially("leather b")
    suggestion = guest.page.get_by_role("link", name=stage.name(CAP), exact=True)
    await expect(suggestion).to_be_visible()
    await search.press("Escape")
    await expect(suggestion).to_have_count(0)
    menu = guest.page.locator("summary", has_text=guest.say("common.currency"))
    await menu.click()
    other = guest.page.get_by_role("link", name=re.compile("^EUR"))
    await expect(other).to_be_visible()
    await guest.page.keyboard.press("Escape")

    await expect(other).to_be_hidden()
    await expect(menu).to_be_focused()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("locale", ["en", "zh"])
async def test_filters_narrow_the_list_and_are_taken_away_again(shoppers: Shoppers, locale: str, scripts: bool) -> None:
    guest = await shoppers.new(locale=locale, scripts=scripts)
    await guest.open("categories/tops")
    all_of_them = await _names(guest)

    await guest.page.get_by_role("checkbox", name=re.compile("^Sunday Club")).check()
    if not scripts:
        await guest.button("browse.apply").click()
    chosen = guest.page.get_by_role("list", name=guest.say("browse.chosen"))
    await expect(chosen).to_contain_text("Sunday Club")
    narrowed = await _names(guest)
    address = guest.page.url
    await chosen.get_by_role("link", name=re.compile("^Sunday Club")).click()
    await expect(chosen).to_have_count(0)

    assert 0 < len(narrowed) < len(all_of_them)
    assert set(narrowed) < set(all_of_them)
    assert "brand=Sunday" in address
    assert sorted(await _names(guest)) == sorted(all_of_them)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_a_list_is_sorted_by_price(shoppers: Shoppers, scripts: bool) -> None:
    guest = await shoppers.new(scripts=scripts)
    await guest.open("categories/shoes-and-hats")

    await guest.page.get_by_label(guest.say("browse.sort")).select_option("price_up")
    if not scripts:
        await guest.button("browse.sort_now").click()
    await expect(guest.page).to_have_url(re.compile("sort=price_up"))

    texts = await guest.page.get_by_role("main").get_by_role("article").all_inner_texts()
    prices = [float(found[1]) for text in texts if (found := re.search(r"\$([0-9.]+)", text))]
    assert len(prices) > 5
    assert prices == sorted(prices)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_page_by_page_everything_is_listed_once(shoppers: Shoppers, scripts: bool) -> None:
    guest = await shoppers.new(scripts=scripts)
    await guest.open("search")
    total = int(re.sub(r"\D", "", await guest.page.get_by_role("main").get_by_role("status").first.inner_text()))
    more = guest.link("browse.more")
    listed = await _names(guest)

    while await more.count():
        if scripts:
            address = await more.get_attribute("href")
            await more.click()
            await expect(guest.page.locator(f"a[href='{address}']")).to_have_count(0)
            listed = await _names(guest)
        else:
            async with guest.page.expect_navigation(wait_until="load"):
                await more.click()
            listed += await _names(guest)

    assert len(listed) == total > 24
    assert len(set(listed)) == total
    assert guest.complaints == []


async def test_on_a_small_screen_filters_are_folded_away(shoppers: Shoppers) -> None:
    guest = await shoppers.new(width=NARROW)
    await guest.open("categories/tops")
    brand = guest.page.get_by_role("checkbox", name=re.compile("^Sunday Club"))

    await expect(brand).to_be_hidden()
    await guest.page.locator("summary", has_text=guest.say("browse.filters")).click()

    await expect(brand).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_another_language_or_currency_is_the_same_page(shoppers: Shoppers, stage: Stage, scripts: bool) -> None:
    guest = await shoppers.new(scripts=scripts)
    await guest.open("search?q=leather&sort=price_down")

    await guest.page.locator("summary", has_text=guest.say("common.currency")).click()
    await guest.page.get_by_role("link", name=re.compile("^EUR")).click()
    await expect(guest.page.get_by_role("main")).to_contain_text("€")
    await guest.page.locator("summary", has_text=guest.say("common.language")).click()
    await guest.page.get_by_role("link", name="中文").click()

    await expect(guest.page.get_by_role("link", name=stage.name(CAP, "zh"), exact=True)).to_be_visible()
    await expect(guest.page.get_by_role("main")).to_contain_text("€")
    for part in ("/zh/search?", "q=leather", "sort=price_down", "currency=EUR"):
        assert part in guest.page.url


async def test_another_colour_is_shown_in_place_and_has_an_address_of_its_own(shoppers: Shoppers, stage: Stage) -> None:
    guest = await shoppers.new()
    await guest.open(f"products/{TEE}")
    await guest.page.evaluate("window.still = true")

    await guest.page.get_by_role("link", name="olive", exact=True).click()
    await expect(guest.page.get_by_role("link", name="olive", exact=True)).to_have_attribute("aria-current", "true")

    assert await guest.page.evaluate("window.still") is True
    assert "variant=" in guest.page.url
    await guest.page.reload()
    await expect(guest.page.get_by_role("link", name="olive", exact=True)).to_have_attribute("aria-current", "true")
    await guest.page.go_back()
    await expect(guest.page.get_by_role("link", name="rust", exact=True)).to_have_attribute("aria-current", "true")
