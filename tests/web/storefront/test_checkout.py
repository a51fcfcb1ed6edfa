"""The checkout: from a cart to one order, whatever is filled in, sent twice, or has changed meanwhile."""

import asyncio
import html
import re

import pytest

from hansa.kernel.address import Destination
from hansa.kernel.errors import Fault
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.contract import Orders
from hansa.services.products.contract import PriceDraft, ProductPatch, VariantDraft
from hansa.services.shipping.contract import NotDelivered
from hansa.services.users.contract import Users
from tests.web.conftest import Answer, Pages, Visitor
from tests.web.storefront.buying import (
    HANGZHOU,
    IS_DECLINED,
    IS_SILENT,
    LONDON,
    PASSWORD,
    PAYS,
    add,
    alerts,
    bought,
    form,
    id_of,
    lines,
    member,
    order,
    review,
    words,
)

LOS_ANGELES = {
    "country": "US",
    "name": "Ada Byron",
    "line1": "1 Main Street",
    "city": "Los Angeles",
    "region": "CA",
    "postal_code": "90001",
}


async def with_hat(pages: Pages, visitor: Visitor | None = None, *, stock: int = 9, quantity: int = 1) -> Visitor:
    """Somebody with a hat in the cart."""
    await pages.shop.put_product("HAT", stock=stock)
    visitor = visitor or pages.visitor()
    await add(visitor, "HAT", quantity)
    return visitor


async def orders_made(pages: Pages) -> int:
    orders: Orders = pages.shop.shop.client(Orders)
    return len((await orders.list_for_staff()).items)


async def set_price(pages: Pages, product_id: str, amount: int) -> None:
    variant = VariantDraft(sku="HAT", prices=(PriceDraft(amount=amount, currency="USD"),))
    await pages.shop.products.change(
        key=pages.shop.key(),
        product_id=product_id,
        patch=ProductPatch(variants=(variant,)),
        version=None,
        actor="test",
    )


async def set_stock(pages: Pages, on_hand: int) -> None:
    await pages.shop.inventory.set_on_hand(key=pages.shop.key(), sku="HAT", on_hand=on_hand, version=None, actor="test")


def keys(answer: Answer) -> str:
    return form(answer, "checkout/order")["key"]


# -- the way through ------------------------------------------------------------------------------------------------


async def test_without_anything_in_the_cart_one_is_led_to_it(pages: Pages):
    visitor = pages.visitor()
    for path in ("checkout", "checkout/review", "checkout/order"):
        assert (await visitor.open(f"/en/{path}")).location in ("/en/cart", "/en/checkout")
    for path in ("checkout", "checkout/review", "checkout/adjust"):
        assert (await visitor.send(f"/en/{path}", {})).location == "/en/cart"


async def test_a_guest_buys(pages: Pages):
    visitor = await with_hat(pages, quantity=2)

    shown = await review(visitor)
    placed = await order(visitor, shown)
    thanks = await visitor.open(placed.location)

    assert shown.status == 200
    assert "12 St James's Square" in html.unescape(shown.text)
    assert placed.status == 303
    assert re.match(r"^/en/orders/\d+-[0-9a-z]{16}\?placed=1$", placed.location)
    assert "Thank you for your order" in words(thanks)
    assert "ada@example.com" in words(thanks)
    assert await orders_made(pages) == 1


async def test_a_member_buys_without_being_asked_for_an_e_mail(pages: Pages):
    ada = await with_hat(pages, await member(pages))

    first = await ada.open("/en/checkout")
    placed = await order(ada, await review(ada, email="somebody@example.com"))

    assert 'name="email"' not in first.text
    assert "the confirmation goes to ada@example.com" in words(first)
    assert re.match(r"^/en/orders/\d+\?placed=1$", placed.location)
    assert "ada@example.com" in words(await ada.open(placed.location))


async def test_the_review_explains_every_cent(pages: Pages):
    visitor = await with_hat(pages, quantity=2)
    text = words(await review(visitor, LOS_ANGELES))

    assert "Subtotal $39.98" in text
    assert "Delivery: Standard delivery $5.99" in text
    assert "Sales tax (7.25%) $2.90" in text
    assert "Total $48.87" in text
    assert "Subtotal $39.98 + $5.99 + $2.90 = $48.87" in text
    assert "7.25% of $39.98. US-CA standard since 2024-01-01: California Department of Tax" in text
    assert "Place order and pay $48.87" in text


async def test_a_chinese_address_is_asked_for_from_large_to_small_and_its_tax_is_within(pages: Pages):
    visitor = pages.visitor()
    await pages.shop.put_product("HAT", stock=9)
    await add(visitor, "HAT", locale="zh")

    first = await visitor.open("/zh/checkout")
    shown = await review(visitor, HANGZHOU, locale="zh")
    placed = await order(visitor, shown, locale="zh")

    fields = [name for name in re.findall(r'<input id="(\w+)"', first.text) if name not in ("q", "email")]
    assert fields == ["name", "phone", "region", "city", "district", "line1", "line2", "postal_code"]
    assert '<option value="浙江省">' in first.text
    assert "浙江省杭州市西湖区" in words(shown)
    assert "商品小计 ¥129.00 运费：标准配送 免费 合计 ¥129.00 其中增值税（13%） ¥14.84" in words(shown)
    assert placed.location.startswith("/zh/orders/")


async def test_another_country_has_other_fields_and_deliveries_and_keeps_what_was_filled_in(pages: Pages):
    visitor = await with_hat(pages)
    before = await visitor.open("/en/checkout")
    after = await visitor.send(
        "/en/checkout", {**form(before, "checkout/review"), "country": "DE", "name": "Ada", "email": "a@example.com"}
    )

    assert after.status == 200
    assert 'id="region"' in before.text
    assert 'id="region"' not in after.text
    assert "Country: Germany" in words(after)
    assert form(after, "checkout/review") | {"name": "Ada", "email": "a@example.com", "country": "DE"} == form(
        after, "checkout/review"
    )
    assert alerts(after) == ""


@pytest.mark.parametrize(
    ("languages", "country"),
    [("en-GB,en;q=0.9", "GB"), ("de-DE,en;q=0.5", "DE"), ("zh-CN,en-GB;q=0.5", "GB"), ("en", "US"), ("xx-XX", "US")],
)
async def test_the_country_is_guessed_from_the_browsers_languages(pages: Pages, languages: str, country: str):
    visitor = await with_hat(pages)
    answer = await visitor.open("/en/checkout", Accept_Language=languages)
    assert form(answer, "checkout/review")["country"] == country


async def test_the_delivery_chosen_is_the_delivery_paid_for(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor, LOS_ANGELES, delivery="express")
    placed = await order(visitor, shown)

    assert "Delivery: Express delivery $14.99" in words(shown)
    assert "Delivery: Express delivery $14.99" in words(await visitor.open(placed.location))


async def test_what_was_reviewed_can_be_edited(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor, LOS_ANGELES, delivery="express")
    edited = await visitor.send("/en/checkout", form(shown, "checkout"))

    fields = form(edited, "checkout/review")
    assert fields | LOS_ANGELES | {"email": "ada@example.com", "delivery": "express"} == fields


async def test_the_browser_and_nobody_else_may_keep_the_steps_for_the_way_back(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor)
    for answer in (await visitor.open("/en/checkout"), shown, await order(visitor, shown, IS_DECLINED)):
        assert answer.headers["cache-control"] == "private, no-cache"


async def test_no_step_keeps_what_is_personal_in_an_address_or_a_cookie(pages: Pages):
    visitor = await with_hat(pages)
    placed = await order(visitor, await review(visitor))

    assert set(visitor.cookies) <= {"cart", "known"}
    for told in (placed.location, *visitor.cookies.values()):
        assert "ada" not in told.lower()
        assert "London" not in told


# -- what is filled in wrongly --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name", "text"),
    [
        ({"email": "nobody"}, "email", "Enter your e-mail address"),
        ({"email": "a@b.c\nBcc: x@example.com"}, "email", "Enter your e-mail address"),
        ({"name": ""}, "name", "Full name: please fill in."),
        ({"name": "x" * 201}, "name", "Full name: please enter a valid value."),
        ({"postal_code": "12"}, "postal_code", "Postcode: please enter a valid value."),
        ({"country": "XX"}, "country", "Choose a country from the list."),
        ({"country": ""}, "country", "Choose a country from the list."),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_the_rest_is_kept(
    pages: Pages, fields: dict[str, str], name: str, text: str
):
    visitor = await with_hat(pages)
    home = {**LONDON, "email": "ada@example.com", **fields}
    answer = await review(visitor, home, email=home["email"])

    assert answer.status == 422
    assert text in alerts(answer)
    assert f'href="#{name}"' in answer.text
    assert re.search(rf'id="{name}"[^>]*aria-describedby="{name}-wrong[^>]*aria-invalid="true"', answer.text)
    kept = form(answer, "checkout/review")
    assert kept["city"] == "London"
    assert await orders_made(pages) == 0


async def test_an_address_sent_past_the_first_step_is_looked_at_again(pages: Pages):
    visitor = await with_hat(pages)
    answer = await order(visitor, await review(visitor), postal_code="nowhere")

    assert answer.status == 422
    assert "Postcode" in alerts(answer)
    assert await orders_made(pages) == 0


async def test_scripts_in_an_address_are_shown_as_text(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor, {**LONDON, "name": "<script>alert(1)</script>", "line2": '" onfocus="alert(1)'})

    assert shown.status == 200
    assert "<script>alert" not in shown.text
    assert '" onfocus="' not in shown.text


@pytest.mark.parametrize("payment", ["", "tok_made_up", "4111111111111111"])
async def test_a_payment_that_is_not_offered_is_asked_for_again(pages: Pages, payment: str):
    visitor = await with_hat(pages)
    answer = await order(visitor, await review(visitor), payment)

    assert answer.status == 422
    assert "Choose how you would like to pay." in alerts(answer)
    assert await orders_made(pages) == 0


@pytest.mark.parametrize(
    "fields", [{"quote": ""}, {"quote": "zz"}, {"key": ""}, {"key": "short"}, {"cart": ""}, {"delivery": "<b>"}]
)
async def test_a_form_that_lacks_what_the_review_put_into_it_orders_nothing(pages: Pages, fields: dict[str, str]):
    visitor = await with_hat(pages)
    answer = await order(visitor, await review(visitor), **fields)

    assert answer.status == 422
    assert "Nothing was ordered" in alerts(answer)
    assert await orders_made(pages) == 0


async def test_prices_in_the_form_are_nothing_that_counts(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor, LOS_ANGELES)
    placed = await order(visitor, shown, total="1", subtotal="1", price="1", amount="0")

    assert "Total $27.43" in words(await visitor.open(placed.location))


async def test_a_form_from_elsewhere_orders_nothing(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor)
    answer = await visitor.send(
        "/en/checkout/order", {**form(shown, "checkout/order"), "payment": PAYS}, Origin="https://evil.example"
    )
    assert answer.status == 403
    assert await orders_made(pages) == 0


# -- once, and only once --------------------------------------------------------------------------------------------


async def test_sent_twice_it_is_one_order(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor)
    first, second = await asyncio.gather(order(visitor, shown), order(visitor, shown))
    await pages.shop.shop.settle()
    later = await order(visitor, shown)

    assert first.location == second.location == later.location
    assert await orders_made(pages) == 1


async def test_the_same_form_after_the_cart_was_closed_leads_to_the_same_order(pages: Pages):
    """The back button and another click, when everything is long over."""
    ada = await with_hat(pages, await member(pages))
    shown = await review(ada)
    placed = await order(ada, shown)
    await pages.shop.shop.settle()
    await add(ada, "HAT")

    assert (await order(ada, shown)).location == placed.location
    assert await orders_made(pages) == 1


async def test_the_same_form_with_another_payment_does_not_order_again(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor)
    await order(visitor, shown)
    await pages.shop.shop.settle()
    again = await order(visitor, shown, "tok_twice")

    assert again.status == 409
    assert "This cart has been ordered already" in words(again)
    assert await orders_made(pages) == 1


async def test_two_tabs_order_once(pages: Pages):
    visitor = await with_hat(pages)
    one, other = await review(visitor), await review(visitor)
    assert keys(one) != keys(other)
    await order(visitor, one)
    again = await order(visitor, other)

    assert again.status == 409
    assert "This cart has been ordered already" in words(again)
    assert await orders_made(pages) == 1


async def test_after_a_declined_payment_another_one_buys(pages: Pages):
    """The last piece was held for the declined order a moment ago; that must not keep it from its buyer."""
    visitor = await with_hat(pages, stock=1)
    shown = await review(visitor)
    declined = await order(visitor, shown, IS_DECLINED)
    await pages.shop.shop.settle()
    placed = await order(visitor, declined)

    assert declined.status == 402
    assert "The payment was declined, and no money has moved." in alerts(declined)
    assert keys(declined) != keys(shown)
    assert "disabled" not in declined.text[declined.text.index('id="order"') :]
    assert placed.status == 303


async def test_when_nobody_answers_the_same_form_is_sent_again(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    visitor = await with_hat(pages, stock=1)
    shown = await review(visitor)

    async def silent(**asked: object) -> None:
        raise Fault("no answer")

    with monkeypatch.context() as broken:
        broken.setattr(pages.shop.shop.services["orders"], "place", silent)
        uncertain = await order(visitor, shown)

    assert uncertain.status == 503
    assert "placed and charged once only" in alerts(uncertain)
    assert keys(uncertain) == keys(shown)
    assert (await order(visitor, uncertain)).status == 303
    assert await orders_made(pages) == 1


async def test_when_the_answer_was_lost_it_is_said_that_the_cart_was_ordered(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
):
    visitor = await with_hat(pages, stock=1)
    shown = await review(visitor)
    place = pages.shop.shop.services["orders"].place

    async def place_and_fall_silent(**asked: object) -> None:
        await place(**asked)
        await pages.shop.shop.settle()
        raise Fault("no answer")

    with monkeypatch.context() as broken:
        broken.setattr(pages.shop.shop.services["orders"], "place", place_and_fall_silent)
        lost = await order(visitor, shown)

    assert "This cart has been ordered already" in words(lost)
    assert (await order(visitor, shown)).status == 303
    assert await orders_made(pages) == 1


async def test_a_late_payment_is_waited_for_on_the_page_of_the_order(pages: Pages):
    visitor = await with_hat(pages)
    placed = await order(visitor, await review(visitor), IS_SILENT)
    page = await visitor.open(placed.location)

    assert placed.status == 303
    assert "wait for the payment to be confirmed" in words(page)


# -- what has changed meanwhile -------------------------------------------------------------------------------------


async def test_a_price_that_changed_is_shown_before_anything_is_ordered(pages: Pages):
    product = await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    shown = await review(visitor, LOS_ANGELES)
    await set_price(pages, product, 2999)

    changed = await order(visitor, shown)
    assert changed.status == 409
    assert "The total is $38.15 now." in alerts(changed)
    assert "Place order and pay $38.15" in words(changed)
    assert await orders_made(pages) == 0
    assert (await order(visitor, changed)).status == 303


async def test_what_somebody_else_was_faster_with_is_named_and_what_is_left_offered(pages: Pages):
    visitor = await with_hat(pages, quantity=3)
    shown = await review(visitor)
    await set_stock(pages, 2)

    short = await order(visitor, shown)
    assert short.status == 409
    assert "Somebody was faster" in alerts(short)
    assert "Product HAT: Only 2 left" in words(short)
    adjusted = await visitor.send("/en/checkout/adjust", form(short, "checkout/adjust"))
    assert adjusted.status == 200
    assert "12 St James's Square" in html.unescape(adjusted.text)
    assert (await order(visitor, adjusted)).status == 303


async def test_what_sold_out_on_the_way_can_be_left_out(pages: Pages):
    visitor = await with_hat(pages)
    await pages.shop.put_product("BAG", stock=9)
    await add(visitor, "BAG")
    details = form(await visitor.open("/en/checkout"), "checkout/review")
    await set_stock(pages, 0)

    short = await visitor.send("/en/checkout/review", {**details, "email": "ada@example.com", **LONDON})
    assert "Product HAT: Sold out" in words(short)
    adjusted = await visitor.send("/en/checkout/adjust", form(short, "checkout/adjust"))

    assert (await order(visitor, adjusted)).status == 303
    assert await lines(visitor) == {}


async def test_what_was_archived_on_the_way_leads_to_the_cart(pages: Pages):
    product = await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    shown = await review(visitor)
    await pages.shop.products.change(
        key="archive", product_id=product, patch=ProductPatch(status="archived"), version=None, actor="test"
    )

    assert (await order(visitor, shown)).location == "/en/cart?blocked=1"
    assert (await visitor.send("/en/checkout/review", form(shown, "checkout"))).location == "/en/cart?blocked=1"
    assert await orders_made(pages) == 0


async def test_a_cart_emptied_in_another_tab_orders_nothing(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor)
    await visitor.send("/en/cart/change", {"sku": "HAT", "remove": "1"})

    assert (await order(visitor, shown)).location == "/en/cart"
    assert (await visitor.send("/en/checkout/review", form(shown, "checkout"))).location == "/en/cart"
    assert await orders_made(pages) == 0


async def test_a_cart_changed_in_another_tab_is_shown_again(pages: Pages):
    visitor = await with_hat(pages)
    shown = await review(visitor, LOS_ANGELES)
    await add(visitor, "HAT")
    changed = await order(visitor, shown)

    assert changed.status == 409
    assert "The total is" in alerts(changed)
    assert await orders_made(pages) == 0


async def test_whoever_signs_in_on_the_way_goes_on_with_the_merged_cart_and_the_address(pages: Pages):
    ada = await member(pages)
    await pages.shop.put_product("BAG", stock=9)
    await add(ada, "BAG")
    guest = await with_hat(pages)
    shown = await review(guest)
    await guest.send("/en/sign-in", {"email": "ada@example.com", "password": PASSWORD})

    merged = await order(guest, shown)
    assert merged.status == 409
    assert "Your cart has changed since you looked" in alerts(merged)
    assert "Product BAG" in words(merged)
    assert "12 St James's Square" in html.unescape(merged.text)
    placed = await order(guest, merged)
    assert re.match(r"^/en/orders/\d+\?placed=1$", placed.location)
    assert await orders_made(pages) == 1


async def test_what_is_not_delivered_there_is_said_at_the_country(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    visitor = await with_hat(pages)
    shipping = pages.shop.shop.services["shipping"]
    options = shipping.options

    async def not_to_germany(*, destination: Destination, **asked: object) -> object:
        if destination.country == "DE":
            raise NotDelivered(country="DE")
        return await options(destination=destination, **asked)

    monkeypatch.setattr(shipping, "options", not_to_germany)
    answer = await review(visitor, {**LONDON, "country": "DE", "postal_code": "10117"})

    assert answer.status == 422
    assert "We do not deliver to Germany for carts in USD." in alerts(answer)
    assert re.search(r'<select id="country"[^>]*aria-invalid="true"', answer.text)
    assert (await review(visitor)).status == 200


# -- members' addresses ---------------------------------------------------------------------------------------------


async def test_a_new_address_is_kept_if_the_member_wants_that(pages: Pages):
    ada = await with_hat(pages, await member(pages))
    users: Users = pages.shop.shop.client(Users)
    ada_id = await id_of(pages, ada)

    await order(ada, await review(ada))
    assert await users.addresses(user_id=ada_id) == ()
    await pages.shop.shop.settle()
    await add(ada, "HAT")
    await order(ada, await review(ada, keep="1"))
    assert [saved.address.city for saved in await users.addresses(user_id=ada_id)] == ["London"]


async def test_a_saved_address_is_chosen_with_one_click(pages: Pages):
    ada = await member(pages)
    await ada.send("/en/account/addresses", {**LONDON, "key": "1"})
    await ada.send("/en/account/addresses", {**LOS_ANGELES, "key": "2"})
    await with_hat(pages, ada)

    first = await ada.open("/en/checkout")
    ids = re.findall(r'name="saved" value="(\d+)"', first.text)
    other = await ada.send("/en/checkout", {"saved": ids[1]})
    shown = await ada.send("/en/checkout/review", form(other, "checkout/review"))
    placed = await order(ada, shown)

    assert form(first, "checkout/review")["saved"] == ids[0]
    assert 'name="line1"' not in first.text
    assert "Country: United Kingdom" in words(first)
    assert "Country: United States" in words(other)
    assert "1 Main Street" in words(shown)
    assert "1 Main Street" in words(await ada.open(placed.location))


async def test_somebody_elses_address_cannot_be_chosen(pages: Pages):
    eve, ada = await member(pages, "eve@example.com"), await member(pages)
    await eve.send("/en/account/addresses", {**LOS_ANGELES, "key": "1"})
    users: Users = pages.shop.shop.client(Users)
    eves = (await users.addresses(user_id=await id_of(pages, eve)))[0].id
    await with_hat(pages, ada)

    answer = await ada.send("/en/checkout/review", {"saved": eves})
    assert answer.status == 422
    assert "1 Main Street" not in answer.text


# -- a shop without payments ----------------------------------------------------------------------------------------


async def test_a_shop_that_takes_no_payments_says_so_and_offers_no_button(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
):
    visitor = await with_hat(pages)

    async def nothing(*, provider: str) -> bool:
        return False

    monkeypatch.setattr(pages.shop.shop.services["payments"], "check_provider", nothing)
    shown = await review(visitor)

    assert "The shop takes no payments at the moment" in words(shown)
    assert "tok_" not in shown.text
    assert re.search(r'<button class="button wide" type="submit" disabled>', shown.text)


async def test_when_the_stock_cannot_be_asked_the_order_tells(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    visitor = await with_hat(pages)

    async def silent(**asked: object) -> dict[str, int]:
        raise Fault("away")

    inventory: Inventory = pages.shop.shop.services["inventory"]
    with monkeypatch.context() as broken:
        broken.setattr(inventory, "available", silent)
        shown = await review(visitor)
        assert (await visitor.open("/en/cart")).status == 200

    assert (await order(visitor, shown)).status == 303


async def test_buying_again_after_an_order_is_another_order(pages: Pages):
    visitor = await with_hat(pages)
    first = await bought(visitor, "HAT")
    await pages.shop.shop.settle()
    second = await bought(visitor, "HAT")

    assert first != second
    assert await orders_made(pages) == 2
