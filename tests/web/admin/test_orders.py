"""The room of orders: found by state, number and day; sent out, cancelled and refunded, and each of it once."""

import re
from typing import Any

import msgspec

from hansa.services.orders.contract import Order, Orders
from hansa.services.products.contract import ProductDraft, Text
from tests.services.products.drafts import category, variant
from tests.shops import ADDRESS, order_body
from tests.web.admin.conftest import Office, changed, form_of
from tests.web.conftest import Answer

EVIL = "<script>alert(1)</script>"


async def placed(office: Office, *, sku: str = "HAT", quantity: int = 2, **more: Any) -> str:
    """The id of a new order, as staff know it."""
    status, order = await office.shop.request("POST", "/orders", order_body(sku, quantity=quantity, **more))
    assert status == 201, order
    return str(order["id"]).partition("-")[0]


async def order_of(office: Office, order_id: str) -> Order:
    orders: Orders = office.shop.shop.client(Orders)
    return await orders.get_for_staff(order_id=order_id)


async def act(office: Office, order_id: str, what: str, text: str = "", **values: str) -> Answer:
    """Fill in a form of the order's page and send it."""
    path = f"/en/admin/orders/{order_id}"
    shown = form_of(text or (await office.staff.open(path)).text, f"{path}/{what}")
    return await office.staff.send(f"{path}/{what}", changed(shown, **values))


async def test_what_was_chosen_is_said_in_the_language_of_the_page(office: Office):
    red = msgspec.structs.replace(variant("HAT"), options={"size": "M", "colour": "red"})
    draft = ProductDraft(slug="hat", texts={"zh": Text(name="帽子")}, variants=(red,), category=category("shoes"))
    product = await office.shop.products.create(key="hat", draft=draft, actor="test")
    await office.shop.inventory.set_on_hand(key="hat", sku="HAT", on_hand=5, version=None, actor="test")

    order = await office.staff.open(f"/zh/admin/orders/{await placed(office)}")
    variants = await office.staff.open(f"/zh/admin/products/{product.id}/variants")

    for page in (order, variants):
        assert "尺码：M · 颜色：red" in page.text
        assert "： " not in page.text


async def test_orders_are_found_by_state_number_and_day(office: Office):
    await office.shop.put_product("HAT")
    first, second = await placed(office), await placed(office)
    await act(office, second, "cancel")
    number = (await order_of(office, first)).number

    async def found(query: str) -> list[str]:
        text = (await office.staff.open(f"/en/admin/orders?{query}")).text
        return re.findall(r'href="/en/admin/orders/(\d+)"', text)

    assert await found("") == [second, first]
    assert await found("order=oldest") == [first, second]
    assert await found("status=cancelled") == [second]
    assert await found(f"q={number.lower()}") == [first]
    assert await found("to=2001-01-01") == []
    assert await found("from=2001-01-01") == [second, first]
    assert await found("from=nonsense&status=nonsense") == [second, first]
    assert "Nothing found" in (await office.staff.open("/en/admin/orders?q=nonsense")).text


async def test_an_order_is_shown_with_its_sums_its_buyer_and_what_happened(office: Office):
    await office.shop.put_product("HAT", USD=1999)
    order_id = await placed(office, shipping_address={**ADDRESS, "name": EVIL})
    text = (await office.staff.open(f"/en/admin/orders/{order_id}")).text
    for said in (
        "Product HAT",
        "$39.98",
        "ada@example.com",
        "12 St James",
        "United Kingdom",
        "Ordered",
        "Order placed",
    ):
        assert said in text, said
    assert EVIL not in text
    assert "待发货" in (await office.staff.open(f"/zh/admin/orders/{order_id}")).text
    assert (await office.staff.open("/en/admin/orders/123456789")).status == 404
    assert (await office.staff.open("/en/admin/orders/nonsense")).status == 404


async def test_an_address_is_written_as_its_country_does(office: Office):
    await office.shop.put_product("HAT", USD=1999)
    place = {"line1": "1 Market St", "city": "San Francisco", "region": "CA", "postal_code": "94105", "country": "US"}
    order_id = await placed(office, shipping_address={**ADDRESS, **place})
    assert "<br>San Francisco, CA 94105<br>" in (await office.staff.open(f"/en/admin/orders/{order_id}")).text


async def test_pieces_are_sent_out_bit_by_bit_until_nothing_is_left(office: Office):
    await office.shop.put_product("HAT")
    order_id = await placed(office, quantity=3)

    assert (
        await act(office, order_id, "fulfilments", send__HAT="1", carrier="DHL", tracking_number="J1")
    ).status == 303
    half = await order_of(office, order_id)
    assert (half.status, half.lines[0].fulfilled, half.fulfilments[0].parcels[0].carrier) == ("placed", 1, "DHL")
    too_many = await act(office, order_id, "fulfilments", send__HAT="3", carrier="Kept")
    assert (too_many.status, "only 2 left" in too_many.text, 'value="Kept"' in too_many.text) == (409, True, True)
    nothing = await act(office, order_id, "fulfilments", send__HAT="0")
    assert (nothing.status, "Say how many" in nothing.text) == (422, True)
    assert (await act(office, order_id, "fulfilments", send__HAT="-1")).status == 422
    assert (await act(office, order_id, "fulfilments")).status == 303
    assert (await order_of(office, order_id)).status == "completed"
    text = (await office.staff.open(f"/en/admin/orders/{order_id}")).text
    assert "/fulfilments" not in text
    assert "DHL J1" in text


async def test_money_is_given_back_once_however_often_the_form_is_sent(office: Office):
    await office.shop.put_product("HAT", stock=10, USD=1999)
    order_id = await placed(office)
    await act(office, order_id, "fulfilments", send__HAT="1")
    path = f"/en/admin/orders/{order_id}"
    shown = form_of((await office.staff.open(path)).text, f"{path}/refunds")
    sent = changed([*shown, ("what", "amount")], amount="5.00", reason="a loose button", restock__HAT="1")

    assert [(await office.staff.send(f"{path}/refunds", sent)).status for _ in range(3)] == [303, 303, 303]
    await office.shop.shop.settle()
    order = await order_of(office, order_id)
    assert [(refund.amount.amount, refund.state) for refund in order.refunds] == [(500, "refunded")]
    assert order.lines[0].returned == 1
    assert "a loose button" in (await office.staff.open(path)).text

    other = await office.staff.send(f"{path}/refunds", changed(sent, amount="6.00"))
    assert (other.status, "sent already" in other.text) == (422, True)
    assert len((await order_of(office, order_id)).refunds) == 1


async def test_no_more_is_given_back_than_was_paid(office: Office):
    await office.shop.put_product("HAT", USD=1999)
    order_id = await placed(office)
    path = f"/en/admin/orders/{order_id}"
    shown = [*form_of((await office.staff.open(path)).text, f"{path}/refunds"), ("what", "amount")]

    for amount, status in (("99999", 409), ("0", 422), ("", 422), ("1.234", 422)):
        answer = await office.staff.send(f"{path}/refunds", changed(shown, amount=amount, key=f"k{amount}"))
        assert answer.status == status, amount
        assert 'class="confirm" open' in answer.text
    assert (await order_of(office, order_id)).refunds == ()
    assert (await act(office, order_id, "refunds")).status == 303
    await office.shop.shop.settle()
    order = await order_of(office, order_id)
    assert order.refunds[0].amount == order.total
    assert "/refunds" not in (await office.staff.open(path)).text


async def test_an_order_is_cancelled_once_and_not_after_it_was_sent(office: Office):
    await office.shop.put_product("HAT", stock=10)
    order_id = await placed(office)
    path = f"/en/admin/orders/{order_id}"
    before = (await office.staff.open(path)).text
    assert (await act(office, order_id, "cancel", before)).status == 303
    assert (await act(office, order_id, "cancel", before)).status == 303
    await office.shop.shop.settle()
    assert (await order_of(office, order_id)).status == "cancelled"
    assert (await office.shop.inventory.stock(sku="HAT")).available == 10

    sent_id = await placed(office)
    early = (await office.staff.open(f"/en/admin/orders/{sent_id}")).text
    await act(office, sent_id, "fulfilments")
    late = await act(office, sent_id, "cancel", early)
    assert (late.status, "“Sent” by now" in late.text) == (409, True)


async def test_the_first_room_says_what_waits(office: Office):
    await office.shop.put_product("HAT", USD=1999)
    assert "Nothing is waiting" in (await office.staff.open("/en/admin")).text
    order_id = await placed(office)

    text = (await office.staff.open("/en/admin")).text

    assert f"/en/admin/orders/{order_id}" in text
    order = await order_of(office, order_id)
    assert f"<strong>${order.total.amount / 100:.2f}</strong>" in text
