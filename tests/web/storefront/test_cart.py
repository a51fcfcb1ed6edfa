"""The cart: what one puts into it is there, at the shop's prices, never more than there is, and nobody else's."""

import re

import pytest

from hansa.kernel.ids import slot_of
from hansa.services.carts.contract import CartLine
from hansa.services.products.contract import PriceDraft, ProductDraft, ProductPatch, Text, VariantDraft
from tests.web.conftest import Pages, Visitor
from tests.web.storefront.buying import add, alerts, bought, form, has_form, lines, member, words


async def archive(pages: Pages, product_id: str) -> None:
    await pages.shop.products.change(
        key=pages.shop.key(),
        product_id=product_id,
        patch=ProductPatch(status="archived"),
        version=None,
        actor="test",
    )


async def test_an_empty_cart_leads_back_to_shopping_and_leaves_no_cookie(pages: Pages):
    visitor = pages.visitor()
    answer = await visitor.open("/en/cart")

    assert answer.status == 200
    assert "Your cart is empty" in answer.text
    assert 'href="/en/"' in answer.text
    assert visitor.cookies == {}
    assert answer.headers["cache-control"] == "private, no-store"
    assert '<meta name="robots" content="noindex">' in answer.text


async def test_what_is_put_into_the_cart_is_in_it_and_the_page_says_so(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()

    added = await add(visitor, "HAT", 2)
    cart = await visitor.open(added.location)

    assert (added.status, added.location) == (303, "/en/cart?added=HAT")
    assert "Added to your cart: Product HAT." in cart.text
    assert "$39.98" in words(cart)
    assert "$19.99 each" in words(cart)
    assert 'href="/en/products/hat?variant=HAT"' in cart.text
    assert await lines(visitor) == {"HAT": 2}


async def test_adding_adds_to_what_is_there(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT", 2)
    await add(visitor, "HAT", 3)

    assert await lines(visitor) == {"HAT": 5}


async def test_a_reload_after_adding_adds_nothing(pages: Pages):
    """The answer is another page, so the browser has no form to send again."""
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    added = await add(visitor, "HAT")
    await visitor.open(added.location)
    await visitor.open(added.location)

    assert await lines(visitor) == {"HAT": 1}


async def test_no_more_can_be_added_than_there_is(pages: Pages):
    await pages.shop.put_product("HAT", stock=3)
    visitor = pages.visitor()

    first = await add(visitor, "HAT", 5)
    second = await add(visitor, "HAT")

    assert "only 3 left of Product HAT" in (await visitor.open(first.location)).text
    assert second.status == 409
    assert "all 3 that are left of Product HAT" in alerts(second)
    assert await lines(visitor) == {"HAT": 3}


async def test_what_is_sold_out_cannot_be_added_and_the_way_back_is_shown(pages: Pages):
    await pages.shop.put_product("HAT", stock=0)
    answer = await add(pages.visitor(), "HAT", back="/en/products/hat")

    assert answer.status == 409
    assert "Sold out just now: Product HAT." in alerts(answer)
    assert 'href="/en/products/hat"' in answer.text


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"])
async def test_the_way_back_leads_nowhere_else(pages: Pages, back: str):
    answer = await add(pages.visitor(), "NONE", back=back)
    assert answer.status == 409
    assert "evil.example" not in answer.text
    assert "javascript:" not in answer.text


@pytest.mark.parametrize("quantity", ["0", "-1", "abc", "", "1.5", "99999999999", "１"])
async def test_a_quantity_that_is_none_is_refused(pages: Pages, quantity: str):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    answer = await add(visitor, "HAT", quantity)

    assert answer.status == 422
    assert "Enter a quantity of 1 or more." in alerts(answer)
    assert await lines(visitor) == {}


async def test_a_huge_quantity_becomes_what_there_is(pages: Pages):
    await pages.shop.put_product("HAT", stock=20_000)
    visitor = pages.visitor()
    await add(visitor, "HAT", 99_999)

    assert await lines(visitor) == {"HAT": 10_000}


@pytest.mark.parametrize("sku", ["NONE", "<b>", "x" * 5000, "汉", "a/b?c#d"])
async def test_a_sku_that_is_unknown_is_refused_kindly(pages: Pages, sku: str):
    answer = await add(pages.visitor(), sku)
    assert answer.status == 409
    assert "This is not for sale" in alerts(answer)
    assert "<b>" not in answer.text


async def test_without_a_size_one_is_asked_to_choose(pages: Pages):
    answer = await pages.visitor().send("/en/cart/lines", {"quantity": "1"})
    assert answer.status == 422
    assert "Choose a size" in alerts(answer)


async def test_a_sku_with_signs_of_its_own_can_be_bought_and_removed(pages: Pages):
    sku = "A/B#1+2"
    draft = ProductDraft(
        slug="hat",
        texts={"en": Text(name="Hat")},
        variants=(VariantDraft(sku=sku, prices=(PriceDraft(amount=100, currency="USD"),)),),
    )
    await pages.shop.products.create(key="hat", draft=draft, actor="test")
    await pages.shop.inventory.set_on_hand(key="hat", sku=sku, on_hand=3, version=None, actor="test")
    visitor = pages.visitor()
    added = await add(visitor, sku)

    assert "Added to your cart" in (await visitor.open(added.location)).text
    assert await lines(visitor) == {sku: 1}
    await visitor.send("/en/cart/change", {"sku": sku, "remove": "1"})
    assert await lines(visitor) == {}


async def test_a_quantity_is_changed_and_a_line_removed(pages: Pages):
    for sku in ("HAT", "BAG"):
        await pages.shop.put_product(sku, stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    await add(visitor, "BAG")

    changed = await visitor.send("/en/cart/change", {"sku": "HAT", "quantity": "4"})
    await visitor.send("/en/cart/change", {"sku": "BAG", "quantity": "1", "remove": "1"})

    assert changed.location == "/en/cart?changed=1"
    assert "Your cart is up to date." in (await visitor.open(changed.location)).text
    assert await lines(visitor) == {"HAT": 4}


async def test_a_change_to_more_than_there_is_takes_what_there_is_and_says_so(pages: Pages):
    await pages.shop.put_product("HAT", stock=3)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    changed = await visitor.send("/en/cart/change", {"sku": "HAT", "quantity": "9"})

    assert "Your cart has all that we have." in (await visitor.open(changed.location)).text
    assert await lines(visitor) == {"HAT": 3}


@pytest.mark.parametrize("quantity", ["-1", "abc", ""])
async def test_a_change_to_no_quantity_changes_nothing(pages: Pages, quantity: str):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT", 2)
    answer = await visitor.send("/en/cart/change", {"sku": "HAT", "quantity": quantity})

    assert answer.status == 422
    assert await lines(visitor) == {"HAT": 2}


async def test_what_was_removed_in_another_tab_is_not_put_back_by_a_change(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    await visitor.send("/en/cart/change", {"sku": "HAT", "remove": "1"})
    answer = await visitor.send("/en/cart/change", {"sku": "HAT", "quantity": "2"})

    assert answer.status == 303
    assert await lines(visitor) == {}


async def test_a_shortage_is_said_at_its_line_and_keeps_from_checking_out(pages: Pages):
    await pages.shop.put_product("HAT", stock=5)
    visitor = pages.visitor()
    await add(visitor, "HAT", 4)
    await pages.shop.inventory.set_on_hand(key=pages.shop.key(), sku="HAT", on_hand=2, version=None, actor="test")

    cart = await visitor.open("/en/cart")
    assert "Only 2 left" in words(cart)
    assert 'href="/en/checkout"' not in cart.text
    assert (await visitor.open("/en/checkout")).location == "/en/cart?blocked=1"
    await visitor.send("/en/cart/change", {"sku": "HAT", "quantity": "2"})
    assert 'href="/en/checkout"' in (await visitor.open("/en/cart")).text


async def test_what_is_archived_meanwhile_is_named_and_can_be_removed(pages: Pages):
    product = await pages.shop.put_product("HAT", stock=9)
    await pages.shop.put_product("BAG", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    await add(visitor, "BAG")
    await archive(pages, product)

    cart = await visitor.open("/en/cart")
    assert "No longer available" in words(cart)
    assert "This is not sold any more." in words(cart)
    assert (await visitor.open("/en/checkout")).location == "/en/cart?blocked=1"
    await visitor.send("/en/cart/change", form(cart, "cart/change") | {"remove": "1"})
    assert await lines(visitor) == {"BAG": 1}
    assert (await visitor.open("/en/checkout")).status == 200


async def test_what_is_added_in_another_currency_takes_the_cart_along(pages: Pages):
    for sku in ("HAT", "BAG"):
        await pages.shop.put_product(sku, stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    await visitor.send("/en/cart/lines?currency=EUR", {"sku": "BAG", "quantity": "1"})

    cart = await visitor.open("/en/cart?currency=EUR")
    assert "€37.98" in words(cart)
    assert not has_form(cart, "cart/currency")


async def test_a_cart_in_another_currency_than_the_page_can_be_switched(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")

    before = await visitor.open("/en/cart?currency=EUR")
    switched = await visitor.send("/en/cart/currency?currency=EUR", form(before, "cart/currency"))
    after = await visitor.open(switched.location)

    assert "This cart is in USD." in words(before)
    assert "$19.99" in words(before)
    assert switched.location == "/en/cart?currency=EUR"
    assert "€18.99" in words(after)
    assert not has_form(after, "cart/currency")


async def test_what_has_no_price_in_the_new_currency_is_named_with_those_it_has(pages: Pages):
    await pages.shop.put_product("HAT", stock=9, USD=1999)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    await visitor.send("/en/cart/currency?currency=EUR", {})

    text = words(await visitor.open("/en/cart?currency=EUR"))
    assert "Product HAT This is not sold in EUR, but in USD." in text


async def test_what_has_no_price_in_the_currency_of_the_page_is_not_added_and_the_cart_stays_as_it_is(pages: Pages):
    await pages.shop.put_product("HAT", stock=9, USD=1999)
    await pages.shop.put_product("BAG", stock=9)
    visitor = pages.visitor()
    await add(visitor, "BAG")
    refused = await visitor.send("/en/cart/lines?currency=EUR", {"sku": "HAT", "quantity": "1"})

    assert refused.status == 409
    assert "$19.99" in words(await visitor.open("/en/cart"))


async def test_the_chinese_cart_speaks_chinese_and_counts_in_yuan(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    added = await add(visitor, "HAT", 2, locale="zh")
    cart = await visitor.open(added.location)

    assert "已加入购物车：商品 HAT。" in cart.text
    assert "¥258.00" in words(cart)
    assert '<html lang="zh">' in cart.text


async def test_where_scripts_run_a_fragment_answers_with_the_new_count(pages: Pages):
    await pages.shop.put_product("HAT", stock=1)
    visitor = pages.visitor()
    headers = {"HX_Request": "true"}
    added = await visitor.send("/en/cart/lines", {"sku": "HAT", "quantity": "1"}, **headers)
    refused = await visitor.send("/en/cart/lines", {"sku": "HAT", "quantity": "1"}, **headers)

    assert added.status == refused.status == 200
    assert "<html" not in added.text
    assert "Added to your cart: Product HAT." in added.text
    assert re.search(r'<a href="/en/cart" id="cart-link" (data-)?hx-swap-oob="true">', added.text)
    assert "Cart, 1 item" in added.text
    assert "the last one of Product HAT" in refused.text


async def test_a_guests_cart_is_nobody_elses(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    cart_id, _, secret = visitor.cookies["cart"].partition("-")
    for stolen in (cart_id, f"{cart_id}-{'a' * len(secret)}", f"{cart_id}-", "1", "junk", "x" * 400):
        thief = pages.visitor()
        thief.cookies["cart"] = stolen
        assert await lines(thief) == {}
        assert "cart" not in thief.cookies


async def test_the_cookies_of_a_cart_say_nothing_to_scripts_but_that_there_is_one(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    async with pages.session.post(
        "/en/cart/lines",
        data={"sku": "HAT", "quantity": "1"},
        headers={"Origin": pages.shop.shop.settings.public_address},
        allow_redirects=False,
    ) as response:
        cookies = response.cookies
    assert cookies["cart"]["httponly"]
    assert not cookies["known"]["httponly"]
    assert cookies["known"].value == "1"
    assert {cookies[name]["samesite"] for name in cookies} == {"lax"}


async def test_known_goes_when_neither_cart_nor_session_is_left(pages: Pages):
    visitor = await member(pages)
    assert "known" in visitor.cookies
    await visitor.send("/en/sign-out", {})
    assert visitor.cookies == {}


async def test_a_mark_without_anything_behind_it_is_taken_away(pages: Pages):
    visitor = pages.visitor()
    visitor.cookies["known"] = "1"
    await visitor.open("/en/fragments/visitor")
    assert visitor.cookies == {}


async def test_the_fragment_of_the_header_knows_who_is_looking_and_how_much_is_in_the_cart(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    guest, ada = pages.visitor(), await member(pages)
    await add(ada, "HAT", 3)

    for_guest = await guest.open("/en/fragments/visitor")
    for_ada = await ada.open("/en/fragments/visitor?currency=EUR")

    assert "Sign in" in for_guest.text
    assert 'class="count"' not in for_guest.text
    assert "Hello, Ada" in for_ada.text
    assert "Byron" not in for_ada.text
    assert "Cart, 3 items" in for_ada.text
    assert 'href="/en/cart?currency=EUR"' in for_ada.text
    assert for_ada.headers["cache-control"] == "private, no-store"


async def test_a_guests_cart_becomes_the_members(pages: Pages):
    """Also where signing in could not do it: the cookie is still there."""
    for sku in ("HAT", "BAG"):
        await pages.shop.put_product(sku, stock=9)
    guest, ada = pages.visitor(), await member(pages)
    await add(guest, "HAT", 2)
    await add(ada, "BAG")
    ada.cookies["cart"] = guest.cookies["cart"]

    assert await lines(ada) == {"BAG": 1, "HAT": 2}
    assert "cart" not in ada.cookies
    assert await lines(guest) == {}


async def test_after_an_order_the_cart_is_empty_and_the_next_thing_makes_a_new_one(pages: Pages):
    for sku in ("HAT", "BAG"):
        await pages.shop.put_product(sku, stock=9)
    visitor = pages.visitor()
    await bought(visitor, "HAT")
    await pages.shop.shop.settle()

    assert await lines(visitor) == {}
    await add(visitor, "BAG")
    assert await lines(visitor) == {"BAG": 1}


async def test_what_came_too_late_for_the_order_is_in_the_cart_that_goes_on(pages: Pages):
    for sku in ("HAT", "BAG"):
        await pages.shop.put_product(sku, stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    await add(visitor, "BAG")
    old = visitor.cookies["cart"]
    cart_id = old.partition("-")[0]
    async with pages.shop.shop.databases["carts"].write(slot_of(cart_id)) as tx:  # as an order of the hat would do
        await pages.shop.shop.services["carts"].close(tx, ordered={cart_id: (CartLine(sku="HAT", quantity=1),)})

    assert await lines(visitor) == {"BAG": 1}
    assert visitor.cookies["cart"] != old


async def test_a_form_from_elsewhere_changes_nothing(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    for act, fields in {"lines": {"quantity": "1"}, "change": {"remove": "1"}, "currency": {}}.items():
        answer = await visitor.send(f"/en/cart/{act}", {"sku": "HAT", **fields}, Origin="https://evil.example")
        assert answer.status == 403
    assert await lines(visitor) == {"HAT": 1}


async def test_what_an_act_answered_with_can_be_asked_for_in_another_language(pages: Pages):
    visitor: Visitor = pages.visitor()
    for act in ("lines", "change", "currency"):
        assert (await visitor.open(f"/zh/cart/{act}")).location == "/zh/cart"
    assert (await visitor.open("/zh/cart/nothing")).status == 404


async def test_names_are_shown_as_text(pages: Pages):
    cart = await pages.visitor().open("/en/cart?added=<script>alert(1)</script>&changed=<b>&limited=1")
    assert "<script>alert" not in cart.text
