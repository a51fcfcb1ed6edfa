"""Orders with their lines, fulfilments and refunds: read, added in sets, and saved under their row's lock."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, and_, bindparam, select, update

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.errors import Fault
from hansa.kernel.ids import order_number, slot_of
from hansa.kernel.money import Money
from hansa.platform.database.port import Reader, Row, Transaction
from hansa.platform.database.rows import insert_rows, row_of
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, FLAG, ID, SLOT, TEXT
from hansa.services.orders.contract import (
    Adjustment,
    Contact,
    Delivery,
    Fulfilment,
    FulfilmentLine,
    Order,
    OrderLine,
    OrderPayment,
    OrderRefund,
    Parcel,
)
from hansa.services.orders.tables import FULFILMENTS, ORDER_LINES, ORDER_REFUNDS, ORDERS


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it is kept: what may be shown of it, without personal data, and what is nobody's business.

    `member` is None for guests. `contact` and `token` are sealed under `person`; the token goes once the order is no
    longer pending. `answer` is what whoever placed the order was told first, and `told` the same unencoded, if that was
    just now; `resume_at` (microseconds) is set as long as the order is pending. `correlation` and `traceparent` are of
    the request that places it, and not kept.
    """

    order: Order
    member: str | None
    cart_id: str | None
    person: str
    contact: str
    token: str
    answer: str | None
    attempts: int
    resume_at: int | None
    told: Order | None = None
    correlation: str = ""
    traceparent: str = ""

    @property
    def slot(self) -> int:
        return slot_of(self.order.id)

    @property
    def slots(self) -> frozenset[int]:
        """Where the order and its claim of a cart lie: a member may have ordered what was a guest's cart."""
        return frozenset({self.slot} if self.cart_id is None else {self.slot, slot_of(self.cart_id)})


_OF_ORDER = {"slot": bindparam("of_slot", type_=SLOT), "order_id": bindparam("of_order", type_=ID)}


def _of(table: Any, clause: Select[Any]) -> Select[Any]:
    return clause.where(*(table.c[name] == parameter for name, parameter in _OF_ORDER.items()))


_order = _of(ORDERS, select(ORDERS))
GET_ORDER = Statement(_order)
LOCK_ORDER = Statement(_order.with_for_update())
GET_LINES = Statement(_of(ORDER_LINES, select(ORDER_LINES)).order_by(ORDER_LINES.c.position))
GET_FULFILMENTS = Statement(_of(FULFILMENTS, select(FULFILMENTS)).order_by(FULFILMENTS.c.fulfilment_id))
GET_REFUNDS = Statement(_of(ORDER_REFUNDS, select(ORDER_REFUNDS)).order_by(ORDER_REFUNDS.c.refund_id))

_NAMED = rows_parameter("named", slot=SLOT, order_id=ID)
GET_STANDING = Statement(
    select(
        ORDERS.c.order_id, ORDERS.c.status, ORDERS.c.captured, ORDERS.c.answer.is_not(None), ORDERS.c.created_at
    ).select_from(ORDERS.join(_NAMED, and_(ORDERS.c.slot == _NAMED.c.slot, ORDERS.c.order_id == _NAMED.c.order_id)))
)
ADD_ORDERS = Statement(insert_rows(ORDERS))
ADD_LINES = Statement(insert_rows(ORDER_LINES))
ADD_FULFILMENTS = Statement(insert_rows(FULFILMENTS))

_CHANGING = (
    *("status", "reason", "payment_state", "authorized", "captured", "answer", "payment_token"),
    *("version", "attempts", "resume_at", "updated_at"),
)
_OF_THE_UNDONE = ("reason", "resume_at")
"""What an order that is placed has none of."""
SAVE_ORDER = Statement(
    update(ORDERS)
    .where(
        *(ORDERS.c[name] == parameter for name, parameter in _OF_ORDER.items()),
        ORDERS.c.version == bindparam("since", type_=COUNT),
    )
    .values({name: bindparam(f"new_{name}", type_=ORDERS.c[name].type) for name in _CHANGING})
    .returning(ORDERS.c.version)
)
_PLACED = rows_parameter(
    "placed",
    slot=SLOT,
    order_id=ID,
    since=COUNT,
    is_told=FLAG,
    **{name: ORDERS.c[name].type for name in _CHANGING if name not in _OF_THE_UNDONE},
)
_AS_READ = (
    select(_PLACED)
    .join(
        ORDERS,
        and_(
            ORDERS.c.slot == _PLACED.c.slot,
            ORDERS.c.order_id == _PLACED.c.order_id,
            ORDERS.c.version == _PLACED.c.since,
            ORDERS.c.answer.is_not(None) == _PLACED.c.is_told,
        ),
    )
    # An UPDATE alone would lock in whatever order the plan has.
    .order_by(ORDERS.c.slot, ORDERS.c.order_id)
    .with_for_update(of=ORDERS)
    .subquery("as_read")
)
PLACE_ORDERS = Statement(
    update(ORDERS)
    .where(ORDERS.c.slot == _AS_READ.c.slot, ORDERS.c.order_id == _AS_READ.c.order_id)
    .values({name: _AS_READ.c[name] for name in _CHANGING if name not in _OF_THE_UNDONE} | {"resume_at": None})
    .returning(ORDERS.c.order_id)
)
_COUNTED = rows_parameter(
    "lines", slot=SLOT, order_id=ID, sku=TEXT, now_fulfilled=COUNT, now_returned=COUNT, now_cancelled=COUNT
)
COUNT_LINES = Statement(
    update(ORDER_LINES)
    .where(
        ORDER_LINES.c.slot == _COUNTED.c.slot,
        ORDER_LINES.c.order_id == _COUNTED.c.order_id,
        ORDER_LINES.c.sku == _COUNTED.c.sku,
    )
    .values(fulfilled=_COUNTED.c.now_fulfilled, returned=_COUNTED.c.now_returned, cancelled=_COUNTED.c.now_cancelled)
)


async def find(reader: Reader, *, order_id: str) -> Record | None:
    """The order, or None. Use within one snapshot."""
    return await _whole(reader, GET_ORDER, order_id)


async def standing(reader: Reader, *, order_ids: Sequence[str]) -> Sequence[Row]:
    """How some orders stand at this moment, without a lock: id, status, what was captured, whether their buyers have
    an answer, and when they were made."""
    return await reader.all(GET_STANDING, named=[(slot_of(order_id), int(order_id)) for order_id in order_ids])


async def lock(tx: Transaction, *, order_id: str) -> Record | None:
    """The order, or None; whoever has locked it alone changes it and its children until the commit."""
    return await _whole(tx, LOCK_ORDER, order_id)


async def add(tx: Transaction, records: Sequence[Record]) -> None:
    """Write new orders and their lines."""
    await tx.run(ADD_ORDERS, rows=[_row(record) for record in records])
    await tx.run(ADD_LINES, rows=[row for record in records for row in _line_rows(record.order)])


async def save(tx: Transaction, record: Record, *, since: Record) -> None:
    """Write what has changed of an order that this transaction has locked as `since`.

    Raises Fault if it is not as it was: then the lock was forgotten, and nothing is kept.
    """
    row = dict(zip(ORDERS.c.keys(), _row(record), strict=True))
    saved = await tx.one(
        SAVE_ORDER,
        of_slot=record.slot,
        of_order=int(record.order.id),
        since=since.order.version,
        **{f"new_{name}": row[name] for name in _CHANGING},
    )
    if saved is None:
        raise Fault(f"order {record.order.id} has changed since it was read")
    known = {fulfilment.id for fulfilment in since.order.fulfilments}
    if fresh := [fulfilment for fulfilment in record.order.fulfilments if fulfilment.id not in known]:
        await tx.run(ADD_FULFILMENTS, rows=[_fulfilment_row(record.order, fulfilment) for fulfilment in fresh])
    if record.order.lines != since.order.lines:
        counts = [
            (record.slot, int(record.order.id), line.sku, line.fulfilled, line.returned, line.cancelled)
            for line in record.order.lines
        ]
        await tx.run(COUNT_LINES, lines=counts)


async def place(tx: Transaction, changes: Sequence[tuple[Record, Record]]) -> set[str]:
    """Make pending orders placed, each as it was read and as it is to be; say which are, for those that have changed
    meanwhile are left alone: every other status has another version. They are locked here, in their order."""
    rows = []
    for before, after in sorted(changes, key=lambda change: (change[0].slot, int(change[0].order.id))):
        payment = after.order.payments[0]
        rows.append(
            (
                *(before.slot, int(before.order.id), before.order.version, before.answer is not None),
                *(after.order.status, payment.state, payment.authorized, payment.captured, after.answer, after.token),
                *(after.order.version, after.attempts, to_micros(after.order.updated_at)),
            )
        )
    return {str(row["order_id"]) for row in await tx.all(PLACE_ORDERS, placed=rows)}


async def _whole(reader: Reader, statement: Statement, order_id: str) -> Record | None:
    place = {"of_slot": slot_of(order_id), "of_order": int(order_id)}
    row = await reader.one(statement, **place)
    if row is None:
        return None
    lines = await reader.all(GET_LINES, **place)
    if row["status"] == "pending":  # nothing was sent and nothing given back
        return _record(row, lines, (), ())
    return _record(row, lines, await reader.all(GET_FULFILMENTS, **place), await reader.all(GET_REFUNDS, **place))


def _record(row: Row, lines: Sequence[Row], fulfilments: Sequence[Row], refunds: Sequence[Row]) -> Record:
    return Record(
        order=_shown(row, lines, fulfilments, refunds),
        member=_text(row["member"]),
        cart_id=_text(row["cart_id"]),
        person=row["person"],
        contact=row["contact"],
        token=row["payment_token"],
        answer=row["answer"],
        attempts=row["attempts"],
        resume_at=row["resume_at"],
    )


def _shown(row: Row, lines: Sequence[Row], fulfilments: Sequence[Row], refunds: Sequence[Row]) -> Order:
    currency = row["currency"]
    order_id = str(row["order_id"])
    nobody = Contact.erased(order=order_id, country=row["country"])
    given_back = tuple(_refund(refund, currency) for refund in refunds)
    payment = OrderPayment(
        provider=row["provider"],
        state=row["payment_state"],
        amount=Money(row["total"], currency),
        authorized=row["authorized"],
        captured=row["captured"],
        refunded=sum(refund.amount.amount for refund in given_back if refund.state == "refunded"),
    )
    return Order(
        id=order_id,
        number=order_number(order_id),
        status=row["status"],
        lines=tuple(_line(line, currency) for line in lines),
        subtotal=Money(row["subtotal"], currency),
        adjustments=msgspec.json.decode(row["adjustments"], type=tuple[Adjustment, ...]),
        total=Money(row["total"], currency),
        fulfilments=tuple(_fulfilment(fulfilment) for fulfilment in fulfilments),
        payments=(payment,),
        refunds=given_back,
        currency=currency,
        locale=row["locale"],
        channel=row["channel"],
        email=nobody.email,
        shipping_address=nobody.shipping_address,
        billing_address=None,
        delivery=msgspec.json.decode(row["delivery"], type=Delivery),
        reason=row["reason"],
        review=row["review"],
        next_action=None,
        version=row["version"],
        created_at=from_micros(row["created_at"]),
        updated_at=from_micros(row["updated_at"]),
    )


def _line(row: Row, currency: str) -> OrderLine:
    return OrderLine(
        sku=row["sku"],
        product_id=str(row["product_id"]),
        name=row["name"],
        options=msgspec.json.decode(row["options"], type=dict[str, str]),
        quantity=row["quantity"],
        unit_price=Money(row["unit_price"], currency),
        total=Money(row["total"], currency),
        tax_class=row["tax_class"],
        seller_id=row["seller_id"],
        fulfilled=row["fulfilled"],
        returned=row["returned"],
        cancelled=row["cancelled"],
    )


def _fulfilment(row: Row) -> Fulfilment:
    return Fulfilment(
        id=str(row["fulfilment_id"]),
        location=row["location"],
        method=row["method"],
        state=row["state"],
        parcels=msgspec.json.decode(row["parcels"], type=tuple[Parcel, ...]),
        lines=msgspec.json.decode(row["lines"], type=tuple[FulfilmentLine, ...]),
        created_at=from_micros(row["created_at"]),
    )


def _refund(row: Row, currency: str) -> OrderRefund:
    return OrderRefund(
        id=str(row["refund_id"]),
        amount=Money(row["amount"], currency),
        state=row["state"],
        reason=row["reason"],
        created_at=from_micros(row["created_at"]),
    )


def _row(record: Record) -> tuple[Any, ...]:
    order, payment = record.order, record.order.payments[0]
    return row_of(
        ORDERS,
        slot=record.slot,
        order_id=int(order.id),
        member=_number(record.member),
        cart_id=_number(record.cart_id),
        status=order.status,
        reason=order.reason,
        review=order.review,
        channel=order.channel,
        locale=order.locale,
        currency=order.currency,
        subtotal=order.subtotal.amount,
        adjustments=_json(order.adjustments),
        total=order.total.amount,
        pieces=sum(line.quantity for line in order.lines),
        delivery=_json(order.delivery),
        country=order.shipping_address.country,
        person=record.person,
        contact=record.contact,
        payment_token=record.token,
        provider=payment.provider,
        payment_state=payment.state,
        authorized=payment.authorized,
        captured=payment.captured,
        answer=record.answer,
        version=order.version,
        attempts=record.attempts,
        resume_at=record.resume_at,
        created_at=to_micros(order.created_at),
        updated_at=to_micros(order.updated_at),
    )


def _line_rows(order: Order) -> list[tuple[Any, ...]]:
    return [
        row_of(
            ORDER_LINES,
            slot=slot_of(order.id),
            order_id=int(order.id),
            sku=line.sku,
            position=position,
            product_id=int(line.product_id),
            name=line.name,
            options=_json(line.options),
            quantity=line.quantity,
            unit_price=line.unit_price.amount,
            total=line.total.amount,
            tax_class=line.tax_class,
            seller_id=line.seller_id,
            fulfilled=line.fulfilled,
            returned=line.returned,
            cancelled=line.cancelled,
        )
        for position, line in enumerate(order.lines)
    ]


def _fulfilment_row(order: Order, fulfilment: Fulfilment) -> tuple[Any, ...]:
    return row_of(
        FULFILMENTS,
        slot=slot_of(order.id),
        order_id=int(order.id),
        fulfilment_id=int(fulfilment.id),
        location=fulfilment.location,
        method=fulfilment.method,
        state=fulfilment.state,
        parcels=_json(fulfilment.parcels),
        lines=_json(fulfilment.lines),
        created_at=to_micros(fulfilment.created_at),
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _number(identifier: str | None) -> int | None:
    return None if identifier is None else int(identifier)


def _text(identifier: int | None) -> str | None:
    return None if identifier is None else str(identifier)
