"""A shopper buys: as guest and as member, in both languages, with scripts and without."""

import re

import pytest
from playwright.async_api import Locator, TimeoutError, expect

from tests.browser.conftest import Shoppers
from tests.browser.shopper import GUEST_EMAIL, HOMES, IS_DECLINED, IS_LATE, Shopper
from tests.browser.stage import CAP, SANDALS, SOLD_OUT, TEE, Stage, put_stock

pytestmark = pytest.mark.asyncio(loop_scope="session")
# What has the focus is within the window, which may take some scrolling, and has an outline; a radio button that is
# drawn as something else lends it to that.
IS_SEEN = """() => {
  const element = document.activeElement;
  if (element === document.body) return true;
  const style = getComputedStyle(element.matches(".option input") ? element.nextElementSibling : element);
  const box = element.getBoundingClientRect();
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
    && box.bottom > 0 && box.top < innerHeight && box.width > 1;
}"""
ORDER = re.compile(r"^orders/[0-9a-z-]+$")


async def _at_review(shopper: Shopper, stage: Stage, *, slug: str = CAP) -> None:
    """A guest who has filled in everything."""
    name = stage.name(slug, shopper.locale)
    await shopper.open(f"products/{slug}")
    await shopper.put_into_cart(name)
    await shopper.go_to_checkout()
    await shopper.go_to_review(HOMES[shopper.locale], email=GUEST_EMAIL)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("locale", ["en", "zh"])
async def test_a_guest_buys_follows_the_order_and_cancels_it(
    shoppers: Shoppers, stage: Stage, locale: str, scripts: bool
) -> None:
    guest = await shoppers.new(locale=locale, scripts=scripts)

    await guest.open()
    await guest.page.get_by_role("search").get_by_role("searchbox").fill(stage.name(TEE, locale))
    await guest.page.get_by_role("search").get_by_role("button").click()
    await guest.take(stage.name(TEE, locale), size="M")
    await guest.go_to_checkout()
    await guest.go_to_review(HOMES[locale], email=GUEST_EMAIL)
    order = await guest.place_order()

    assert ORDER.match(order)
    await expect(guest.status("order.confirmed")).to_be_visible()
    link = guest.page.url
    await guest.link("footer.track").click()
    await guest.page.get_by_label(guest.say("track.label")).fill(link)
    await guest.button("track.submit").click()
    await expect(guest.heading("order.heading")).to_be_visible()
    await expect(guest.text("order.status.placed")).to_be_visible()
    await guest.link("order.cancel.link").click()
    await guest.button("order.cancel.submit").click()
    await expect(guest.text("order.cancel.done")).to_be_visible()
    await expect(guest.text("order.status.cancelled")).to_be_visible()
    assert guest.complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("locale", ["en", "zh"])
async def test_a_member_buys_and_finds_the_order_in_the_account(
    shoppers: Shoppers, stage: Stage, locale: str, scripts: bool
) -> None:
    member = await shoppers.new(locale=locale, scripts=scripts)

    await member.sign_up(f"buyer-{locale}-{scripts}@example.com".lower())
    await member.link("account.to_shop").first.click()
    await member.page.get_by_role("search").get_by_role("searchbox").fill(stage.name(CAP, locale))
    await member.page.get_by_role("search").get_by_role("button").click()
    await member.take(stage.name(CAP, locale))
    await member.go_to_checkout()
    await member.go_to_review(HOMES[locale])
    order = await member.place_order()
    number = await member.page.get_by_role("definition").first.inner_text()
    await member.open("account")
    await member.page.get_by_role("link", name=number).click()

    assert member.page.url.endswith(order)
    await expect(member.heading("order.heading")).to_be_visible()
    await expect(member.page.get_by_text(HOMES[locale]["line1"])).to_be_visible()
    assert member.complaints == []


async def test_what_a_guest_has_put_into_the_cart_is_there_after_signing_in(shoppers: Shoppers, stage: Stage) -> None:
    shopper = await shoppers.new()

    await shopper.open(f"products/{CAP}")
    await shopper.put_into_cart(stage.name(CAP))
    await shopper.sign_up("carries-over@example.com")
    await shopper.open("cart")

    await expect(shopper.page.get_by_role("heading", name=stage.name(CAP), level=2)).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_after_a_declined_payment_another_one_buys(shoppers: Shoppers, stage: Stage, scripts: bool) -> None:
    guest = await shoppers.new(scripts=scripts)
    await _at_review(guest, stage)

    await guest.choose_payment(IS_DECLINED)
    await guest.place_button.click()
    await expect(guest.alert("checkout.wrong.declined")).to_be_visible()
    await guest.choose_payment("tok_success")
    await guest.place_order()

    await expect(guest.status("order.confirmed")).to_be_visible()


async def test_the_page_of_an_order_whose_payment_is_late_settles_by_itself(shoppers: Shoppers, stage: Stage) -> None:
    guest = await shoppers.new()
    await _at_review(guest, stage)

    await guest.choose_payment(IS_LATE)
    await guest.place_order()

    await expect(guest.text("order.status.pending")).to_be_visible()
    await expect(guest.text("order.status.placed")).to_be_visible(timeout=30_000)
    await expect(guest.status("order.confirmed")).to_be_visible()


async def test_what_is_sold_out_cannot_be_put_into_the_cart(shoppers: Shoppers, stage: Stage) -> None:
    guest = await shoppers.new()

    await guest.open(f"products/{SOLD_OUT}")

    await expect(guest.button("product.add")).to_be_disabled()
    await expect(guest.text("product.sold_out")).to_be_visible()
    for size in await guest.page.get_by_role("radio").all():
        await expect(size).to_be_disabled()


async def test_of_a_product_that_sells_out_meanwhile_the_cart_says_so(shoppers: Shoppers, stage: Stage) -> None:
    """The page still offers it; the stock is gone when the form arrives."""
    guest = await shoppers.new(scripts=False)
    await guest.open(f"products/{SANDALS}")
    await guest.page.get_by_role("radio", name="EU 44", exact=True).check()
    variants = stage.product(SANDALS)["variants"]
    sku = next(variant["sku"] for variant in variants if variant["options"]["size"] == "EU 44")
    put_stock(stage.shop, sku, 0, token=stage.staff_token)

    await guest.button("product.add").click()

    await expect(guest.alert("cart.refused.sold_out")).to_be_visible()
    await expect(guest.link("cart.back_to_product")).to_be_visible()


async def test_two_clicks_on_place_order_make_one_order(shoppers: Shoppers, stage: Stage) -> None:
    member = await shoppers.new()
    await member.sign_up("two-clicks@example.com")
    await member.open(f"products/{CAP}")
    await member.put_into_cart(stage.name(CAP))
    await member.go_to_checkout()
    await member.go_to_review(HOMES["en"])

    await member.place_button.dblclick()
    await expect(member.heading("order.thanks")).to_be_visible()

    await member.open("account/orders")
    await expect(_orders_listed(member)).to_have_count(1)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_going_back_after_ordering_and_ordering_again_does_not_order_twice(
    shoppers: Shoppers, stage: Stage, scripts: bool
) -> None:
    member = await shoppers.new(scripts=scripts)
    await member.sign_up(f"back-{scripts}@example.com".lower())
    await member.open(f"products/{CAP}")
    await member.put_into_cart(stage.name(CAP))
    await member.go_to_checkout()
    await member.go_to_review(HOMES["en"])
    form = await member.page.locator("form", has=member.place_button).evaluate(
        "form => [...new FormData(form)].map(([name, value]) => [name, String(value)])"
    )
    order = await member.place_order()

    await member.page.go_back()
    await member.place_button.click()
    await expect(member.heading("order.thanks")).to_be_visible()
    assert order in member.page.url
    # And by a browser that sends the form once more by itself.
    answer = await member.context.request.post(
        f"{member.address}/en/checkout/order", form=dict(form), headers={"Origin": member.address}
    )

    assert answer.url.partition("?")[0].endswith(order)
    await member.open("account/orders")
    await expect(_orders_listed(member)).to_have_count(1)


async def test_the_way_to_the_cart_can_be_gone_by_keyboard_alone(shoppers: Shoppers, stage: Stage) -> None:
    guest = await shoppers.new()
    await guest.open(f"search?q={stage.name(CAP)}")

    await _tab_to(guest, "link", stage.name(CAP))
    await guest.page.keyboard.press("Enter")
    await expect(guest.page.get_by_role("heading", name=stage.name(CAP), level=1)).to_be_visible()
    await _tab_to(guest, "button", guest.say("product.add"))
    await guest.page.keyboard.press("Enter")
    await expect(guest.text("cart.told.added", name=stage.name(CAP))).to_be_visible()
    await _tab_to(guest, "link", guest.say("cart.to_cart"))
    await guest.page.keyboard.press("Enter")
    await expect(guest.heading("cart.title")).to_be_visible()
    await _tab_to(guest, "link", guest.say("cart.checkout"))
    await guest.page.keyboard.press("Enter")

    await expect(guest.heading("checkout.title")).to_be_visible()


def _orders_listed(member: Shopper) -> Locator:
    return member.page.get_by_role("main").get_by_role("link", name=re.compile("^Order [0-9A-Z]"))


async def _tab_to(shopper: Shopper, role: str, name: str, *, most: int = 120) -> None:
    """Press Tab until it has the focus. Every stop on the way must be seen to have it."""
    goal = shopper.page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
    for _ in range(most):
        await shopper.page.keyboard.press("Tab")
        try:
            await shopper.page.wait_for_function(IS_SEEN)
        except TimeoutError as error:
            where = await shopper.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
            raise AssertionError(f"nobody sees that this has the focus: {where}") from error
        if await goal.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"no way by keyboard to {role} {name!r}")
