"""What is true of orders, whatever the numbers."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hansa.kernel.ids import slot_of, slot_of_value
from hansa.kernel.money import Money
from hansa.services.carts.contract import Basket
from hansa.services.inventory import contract as inventory
from hansa.services.orders.contract import (
    PLACE_ERRORS,
    Contact,
    Delivery,
    FulfilmentDraft,
    FulfilmentLine,
    LineDraft,
    Order,
    OrderConflict,
    OrderLine,
    OrderPayment,
    OutOfStock,
    PaymentDeclined,
    TooMany,
)
from hansa.services.orders.rules import answers, drafts, states
from hansa.services.payments import contract as payments
from tests.services.orders.shop import ADDRESS, MEMBER, draft

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER_ID = "264905529753678848"
quantities = st.dictionaries(st.sampled_from("ABCDE"), st.integers(1, 9), min_size=1)


def order_of(pieces: dict[str, int], *, status: str = "placed") -> Order:
    nobody = Contact.erased(order=ORDER_ID, country="GB")
    lines = tuple(
        OrderLine(
            sku=sku,
            product_id="1",
            name=sku,
            options={},
            quantity=quantity,
            unit_price=Money(100, "EUR"),
            total=Money(100 * quantity, "EUR"),
            tax_class="standard",
            seller_id="shop",
        )
        for sku, quantity in pieces.items()
    )
    total = Money(100 * sum(pieces.values()), "EUR")
    state = "captured" if status in ("placed", "completed") else "pending"
    taken = total.amount if state == "captured" else 0
    payment = OrderPayment(provider="sandbox", state=state, amount=total, authorized=taken, captured=taken, refunded=0)
    return Order(
        id=ORDER_ID,
        number="N",
        status=status,  # type: ignore[arg-type]
        lines=lines,
        subtotal=total,
        adjustments=(),
        total=total,
        fulfilments=(),
        payments=(payment,),
        refunds=(),
        currency="EUR",
        locale="en",
        channel="main",
        email=nobody.email,
        shipping_address=nobody.shipping_address,
        billing_address=None,
        delivery=Delivery(method="parcel"),
        reason=None,
        review="",
        next_action=None,
        version=1,
        created_at=NOW,
        updated_at=NOW,
    )


@given(lines=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 50)), min_size=1, max_size=20))
def test_merged_lines_have_as_many_pieces_and_each_sku_once(lines: list[tuple[str, int]]):
    wanted = replace(draft(), lines=tuple(LineDraft(sku=sku, quantity=quantity) for sku, quantity in lines))

    merged = drafts.lines_of(wanted) or ()

    assert len({line.sku for line in merged}) == len(merged)
    for sku, _ in lines:
        assert sum(line.quantity for line in merged if line.sku == sku) == sum(n for name, n in lines if name == sku)


def test_an_order_lies_with_the_member_else_the_cart_else_the_key():
    basket = Basket(cart_id="1", member=None, lines=(), currency="EUR", slot=9)

    assert drafts.slot_for_order(key="k", member=MEMBER, basket=basket) == slot_of(MEMBER)
    assert drafts.slot_for_order(key="k", member=None, basket=basket) == 9
    assert drafts.slot_for_order(key="k", member=None, basket=None) == slot_of_value("k")


@given(pieces=quantities, parcels=st.lists(quantities, max_size=8))
def test_no_sequence_of_fulfilments_sends_more_than_was_ordered(pieces: dict[str, int], parcels: list[dict[str, int]]):
    order = order_of(pieces)
    for number, parcel in enumerate(parcels):
        lines = tuple(FulfilmentLine(sku=sku, quantity=quantity) for sku, quantity in parcel.items())
        before = order
        try:
            order = states.fulfilled(order, draft=FulfilmentDraft(lines=lines), fulfilment_id=str(number + 1), at=NOW)
        except (TooMany, OrderConflict):
            assert order == before
        for line in order.lines:
            sent = sum(each.quantity for one in order.fulfilments for each in one.lines if each.sku == line.sku)
            assert line.fulfilled == sent <= line.quantity
    assert (order.status == "completed") == all(line.fulfilled == line.quantity for line in order.lines)


@given(pieces=quantities)
def test_sending_all_that_is_left_completes_the_order(pieces: dict[str, int]):
    order = states.fulfilled(order_of(pieces), draft=FulfilmentDraft(), fulfilment_id="1", at=NOW)

    assert order.status == "completed"
    assert {line.sku: line.quantity for line in order.fulfilments[0].lines} == pieces
    with pytest.raises(OrderConflict):
        states.cancelled(order, by="buyer", at=NOW)


@given(pieces=quantities, back=quantities)
def test_what_did_not_come_back_after_all_is_as_it_was(pieces: dict[str, int], back: dict[str, int]):
    sent = states.fulfilled(order_of(pieces), draft=FulfilmentDraft(), fulfilment_id="1", at=NOW)
    restock = tuple(FulfilmentLine(sku=sku, quantity=quantity) for sku, quantity in back.items())
    if any(quantity > pieces.get(sku, 0) for sku, quantity in back.items()):
        with pytest.raises(TooMany):
            states.returned(sent, restock=restock, at=NOW)
        return
    returned = states.returned(sent, restock=restock, at=NOW)
    assert states.not_returned(returned, restock=restock, at=NOW).lines == sent.lines


@given(news=st.permutations(["pending", "authorized", "captured", "failed"]))
def test_news_of_a_payment_in_any_order_never_untake_money(news: list[str]):
    order = order_of({"A": 2}, status="pending")
    for state in news:
        taken = 200 if state == "captured" else 0
        payment = replace(order.payments[0], state=state, authorized=taken, captured=taken)
        order = states.paid(order, payment=payment, at=NOW)

    assert (order.payments[0].state, order.payments[0].captured) == ("captured", 200)


@given(attempts=st.integers(0, 10_000))
def test_a_pending_order_is_looked_after_again_before_long(attempts: int):
    delay = states.next_look(attempts=attempts, at=NOW) - NOW
    assert timedelta(0) < delay <= timedelta(seconds=states.LONGEST_WAIT_S)


def test_a_late_payment_still_finds_its_pieces():
    assert states.PAYMENT_LIMIT < states.RESERVATION_TTL


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (inventory.OutOfStock(sku="A", left=1), OutOfStock),
        (payments.PaymentDeclined(reason="no"), PaymentDeclined),
        (payments.PaymentConflict(state="closed"), OrderConflict),
        (inventory.ReservationGone(order_id="1"), OrderConflict),
        (answers.Overdue(), OrderConflict),
    ],
)
def test_a_refusal_is_kept_and_told_again_in_declared_words(error, told):
    refusal = answers.refusal(error, order_id="7")
    contact = Contact(order="7-secret", email="a@b.co", shipping_address=ADDRESS)

    assert refusal.reason == error.code
    with pytest.raises(told) as again:
        answers.replayed(answers.kept(refusal.error), contact=contact, declared=PLACE_ERRORS)
    if told is PaymentDeclined:
        assert again.value.order_id == "7-secret"


def test_an_answer_comes_back_as_it_was_given():
    order = order_of({"A": 1})
    contact = Contact(order=f"{ORDER_ID}-s", email="a@b.co", shipping_address=ADDRESS)

    again = answers.replayed(answers.kept(order), contact=contact)

    assert again == answers.shown(order, contact=contact)
    assert b"a@b.co" not in answers.kept(order).encode()
