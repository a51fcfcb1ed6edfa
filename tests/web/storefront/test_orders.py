"""An order's own page: for whoever has its name, and for nobody else."""

import html
import re

import pytest

from hansa.kernel.ids import split_name
from hansa.services.orders.contract import FulfilmentDraft, FulfilmentLine, Orders, Parcel, RefundDraft
from hansa.services.products.contract import ProductPatch
from hansa.web.storefront.orders import name_in
from tests.web.conftest import Pages, Visitor
from tests.web.storefront.buying import (
    IS_SILENT,
    LONDON,
    add,
    alerts,
    bought,
    form,
    has_form,
    member,
    order,
    review,
    words,
)


def orders_of(pages: Pages) -> Orders:
    client: Orders = pages.shop.shop.client(Orders)
    return client


async def with_order(pages: Pages, visitor: Visitor | None = None, *, sku: str = "HAT") -> tuple[Visitor, str]:
    """Somebody who has ordered, and the order's name."""
    product = await pages.shop.put_product(sku, stock=9)
    assert product
    visitor = visitor or pages.visitor()
    path = await bought(visitor, sku)
    return visitor, path.rpartition("/")[2]


def order_id(name: str) -> str:
    parts = split_name(name)
    assert parts is not None
    return parts[0]


async def fulfil(pages: Pages, name: str, *lines: FulfilmentLine) -> None:
    draft = FulfilmentDraft(lines=lines, parcels=(Parcel(carrier="DHL", tracking_number="JD0146"),))
    await orders_of(pages).fulfil(key=pages.shop.key(), order_id=order_id(name), draft=draft, actor="user:1")


async def test_the_page_shows_the_order_and_is_kept_by_nobody(pages: Pages):
    visitor, name = await with_order(pages)
    page = await visitor.open(f"/en/orders/{name}")
    text = words(page)

    assert page.status == 200
    assert "Your order" in text
    assert "Thank you" not in text
    assert "Status Confirmed" in text
    assert "Order received" in text
    assert "Paid and confirmed" in text
    assert "Product HAT" in text
    assert "12 St James's Square" in text
    assert "ada@example.com" in text
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert '<meta name="robots" content="noindex">' in page.text
    assert 'rel="canonical"' not in page.text


async def test_whoever_has_the_name_of_a_guests_order_sees_it_and_whoever_has_a_part_of_it_does_not(pages: Pages):
    _, name = await with_order(pages)
    stranger = pages.visitor()
    number = (await stranger.open(f"/en/orders/{name}")).text
    shown = re.search(r'<dd class="numeric">([0-9A-Z*~$=-]+)</dd>', number)
    assert shown is not None

    for wrong in (f"{name[:-1]}z" if name[-1] != "z" else f"{name[:-1]}y", shown[1], "1-a", "x"):
        answer = await stranger.open(f"/en/orders/{wrong}")
        assert answer.status == 404
        assert "We cannot find that order." in words(answer)
        assert "Byron" not in answer.text


async def test_a_members_order_is_the_members_alone(pages: Pages):
    ada, name = await with_order(pages, await member(pages))
    eve = await member(pages, "eve@example.com")

    assert (await ada.open(f"/en/orders/{name}")).status == 200
    assert (await eve.open(f"/en/orders/{name}")).status == 404
    assert (await pages.visitor().open(f"/en/orders/{name}")).location == f"/en/sign-in?next=%2Fen%2Forders%2F{name}"


async def test_nobody_else_can_cancel_it(pages: Pages):
    _, name = await with_order(pages, await member(pages))
    eve = await member(pages, "eve@example.com")

    assert (await eve.open(f"/en/orders/{name}/cancel")).status == 404
    assert (await eve.send(f"/en/orders/{name}/cancel", {"key": "k"})).status == 404
    assert (await pages.visitor().send(f"/en/orders/{name}/cancel", {"key": "k"})).status == 404
    assert (await orders_of(pages).get_for_staff(order_id=name)).status == "placed"


async def test_it_is_cancelled_on_a_page_of_its_own_and_twice_is_once(pages: Pages):
    visitor, name = await with_order(pages)
    page = await visitor.open(f"/en/orders/{name}")
    assert f'href="/en/orders/{name}/cancel"' in page.text
    asked = await visitor.open(f"/en/orders/{name}/cancel")
    fields = form(asked, "cancel")

    assert "what was paid goes back the way it came" in words(asked)
    done = await visitor.send(f"/en/orders/{name}/cancel", fields)
    again = await visitor.send(f"/en/orders/{name}/cancel", fields)
    after = await visitor.open(done.location)
    assert done.location == again.location == f"/en/orders/{name}?cancelled=1"
    assert "The order is cancelled." in words(after)
    assert "Status Cancelled" in words(after)
    assert f"/en/orders/{name}/cancel" not in after.text
    assert (await visitor.open(f"/en/orders/{name}/cancel")).location == f"/en/orders/{name}"


async def test_what_was_sent_cannot_be_cancelled_and_is_followed_by_its_parcel(pages: Pages):
    visitor, name = await with_order(pages)
    asked = await visitor.open(f"/en/orders/{name}/cancel")
    await fulfil(pages, name)

    late = await visitor.send(f"/en/orders/{name}/cancel", form(asked, "cancel"))
    text = words(await visitor.open(f"/en/orders/{name}"))
    assert late.status == 409
    assert "This order cannot be cancelled any more." in alerts(late)
    assert "On its way" in text
    assert "1 × Product HAT" in text
    assert "DHL JD0146" in text
    assert "Everything was sent" in text
    assert "Status Sent" in text


async def test_refunds_are_told_and_who_of_the_staff_gave_them_is_not(pages: Pages):
    visitor, name = await with_order(pages)
    await fulfil(pages, name)
    draft = RefundDraft(amount=500, reason="a stain that only the staff should read of")
    await orders_of(pages).refund(key="refund", order_id=order_id(name), draft=draft, actor="user:4711")
    await pages.shop.shop.settle()

    text = words(await visitor.open(f"/en/orders/{name}"))
    assert "Refunded: $5.00" in text
    assert "4711" not in text
    assert "stain" not in text


async def test_a_pending_order_asks_again_by_itself_with_scripts_and_without(pages: Pages):
    await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    await add(visitor, "HAT")
    placed = await order(visitor, await review(visitor), IS_SILENT)
    page = await visitor.open(placed.location)

    assert re.search(r'<div id="order" (data-)?hx-get="[^"]+placed=1" (data-)?hx-trigger="every 3s"', page.text)
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.text
    assert "Status Waiting for the payment" in words(page)


async def test_a_settled_order_asks_no_more(pages: Pages):
    visitor, name = await with_order(pages)
    page = await visitor.open(f"/en/orders/{name}?placed=1")

    assert "every 3s" not in page.text
    assert 'http-equiv="refresh"' not in page.text
    assert "Thank you for your order" in words(page)


async def test_nobody_is_thanked_for_an_order_that_was_cancelled(pages: Pages):
    visitor, name = await with_order(pages)
    await orders_of(pages).cancel(key="cancel", order=name, member=None)
    assert "Thank you" not in words(await visitor.open(f"/en/orders/{name}?placed=1"))


async def test_an_order_stands_when_its_product_is_gone(pages: Pages):
    product = await pages.shop.put_product("HAT", stock=9)
    visitor = pages.visitor()
    path = await bought(visitor, "HAT")
    before = await visitor.open(path)
    await pages.shop.products.change(
        key="archive", product_id=product, patch=ProductPatch(status="archived"), version=None, actor="test"
    )
    after = await visitor.open(path)

    assert 'href="/en/products/hat?variant=HAT"' in before.text
    assert 'href="/en/products/hat' not in after.text
    assert "Product HAT" in words(after)


async def test_the_page_speaks_the_language_of_its_address(pages: Pages):
    visitor, name = await with_order(pages)
    text = words(await visitor.open(f"/zh/orders/{name}"))
    assert "订单详情" in text
    assert "已付款，订单确认" in text
    assert "US$" in text


@pytest.mark.parametrize(
    "around", ["{}", " {} ", "/en/orders/{}", "{origin}/zh/orders/{}", "{origin}/en/orders/{}?placed=1"]
)
async def test_an_order_is_found_by_its_name_or_by_the_link_from_the_mail(pages: Pages, around: str):
    _, name = await with_order(pages)
    sent = around.format(name, origin=pages.shop.shop.settings.public_address)
    answer = await pages.visitor().send("/en/track", {"order": sent})

    assert (answer.status, answer.location) == (303, f"/en/orders/{name}")


@pytest.mark.parametrize(
    "sent", ["nonsense", "0AM53-3SJXD-Z00W", "https://evil.example/orders/", "1-aaaa", "<script>x"]
)
async def test_what_is_no_orders_name_is_said_kindly_and_kept(pages: Pages, sent: str):
    answer = await pages.visitor().send("/en/track", {"order": sent})
    assert answer.status == 404
    assert "We cannot find that order." in alerts(answer)
    assert f'value="{html.escape(sent)}"' in answer.text


async def test_nothing_at_all_is_asked_for_again(pages: Pages):
    answer = await pages.visitor().send("/en/track", {})
    assert answer.status == 422
    assert "Paste the link from the mail." in alerts(answer)


async def test_a_members_order_is_looked_up_after_signing_in(pages: Pages):
    _, name = await with_order(pages, await member(pages))
    answer = await pages.visitor().send("/en/track", {"order": name})
    assert answer.location == f"/en/sign-in?next=%2Fen%2Forders%2F{name}"


async def test_the_form_to_track_an_order_is_the_same_for_everybody(pages: Pages):
    ada = await member(pages)
    for_guest, for_ada = await pages.visitor().open("/en/track"), await ada.open("/en/track")
    assert has_form(for_guest, "track")
    assert for_guest.text == for_ada.text
    assert for_ada.cookies == {}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("12-ab", "12-ab"),
        ("http://[::1/orders/12-ab", "12-ab"),
        ("/orders/12-ab/cancel#x", "12-ab"),
        ("%2Forders%2F12-ab", "12-ab"),
        ("orders", None),
        ("", None),
        ("٣", None),
    ],
)
def test_a_name_is_found_in_what_people_paste(text: str, name: str | None):
    assert name_in(text) == name


async def test_the_order_in_the_mail_is_found_by_its_link(pages: Pages):
    visitor, name = await with_order(pages)
    await pages.shop.shop.settle()
    mails = [file.read_bytes() for file in (pages.shop.shop.settings.folder / "mails").rglob("*.eml")]

    assert len(mails) == 1
    assert f"/en/orders/{name}".encode() in mails[0].replace(b"=\n", b"").replace(b"=\r\n", b"").replace(b"=3D", b"=")
    assert LONDON["name"] in words(await visitor.open(f"/en/orders/{name}"))
