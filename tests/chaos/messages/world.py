"""What happens under fire: orders are kept and told of by producers, and counted, each once, by consumers."""

from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.schema import Table

from hansa.kernel.event import Event
from hansa.kernel.ids import SLOTS
from hansa.platform.database.platform_tables import DEAD_LETTERS, OUTBOX, service_metadata
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, SLOT, field, key, slot
from hansa.platform.messaging.port import Consumer, Received

PRODUCER = "shop"
CONSUMER = "ledger"

PRODUCED = service_metadata()
ORDERS = Table("orders", PRODUCED, slot(), key("number", COUNT), field("is_paid", COUNT))
CONSUMED = service_metadata()
EFFECTS = Table(
    "effects",
    CONSUMED,
    slot(),
    key("number", COUNT),
    field("placed", COUNT),
    field("paid", COUNT),
    field("latest", COUNT),
    field("stale", COUNT),
)
"""How often each order's events had their effect; `latest` is the highest version seen, `stale` counts older ones that
came after a newer one, and changed nothing that compares versions."""

_ORDERS = rows_parameter("rows", slot=SLOT, number=COUNT)
KEEP = Statement(
    insert(ORDERS)
    .from_select(
        ["slot", "number", "is_paid"],
        select(_ORDERS.c.slot, _ORDERS.c.number, _ORDERS.c.number * 0).where(_ORDERS.c.slot >= 0),
    )
    .on_conflict_do_nothing()
    .returning(ORDERS.c.slot, ORDERS.c.number)
)
PAY = Statement(
    update(ORDERS)
    .where(ORDERS.c.slot == _ORDERS.c.slot, ORDERS.c.number == _ORDERS.c.number, ORDERS.c.is_paid == 0)
    .values(is_paid=1)
    .returning(ORDERS.c.slot, ORDERS.c.number)
)
_TOLD = rows_parameter("rows", slot=SLOT, number=COUNT, placed=COUNT, paid=COUNT, version=COUNT)
_EFFECT = insert(EFFECTS).from_select(
    ["slot", "number", "placed", "paid", "latest", "stale"],
    select(_TOLD.c.slot, _TOLD.c.number, _TOLD.c.placed, _TOLD.c.paid, _TOLD.c.version, _TOLD.c.number * 0).where(
        _TOLD.c.slot >= 0
    ),
)
COUNT_IT = Statement(
    _EFFECT.on_conflict_do_update(
        index_elements=["slot", "number"],
        set_={
            "placed": EFFECTS.c.placed + _EFFECT.excluded.placed,
            "paid": EFFECTS.c.paid + _EFFECT.excluded.paid,
            "latest": func.greatest(EFFECTS.c.latest, _EFFECT.excluded.latest),
            "stale": EFFECTS.c.stale + func.greatest(0, func.sign(EFFECTS.c.latest - _EFFECT.excluded.latest)),
        },
    )
)
TALLY = Statement(
    select(
        func.count(),
        func.coalesce(func.sum(EFFECTS.c.placed), 0),
        func.coalesce(func.sum(EFFECTS.c.paid), 0),
        func.coalesce(func.max(EFFECTS.c.placed), 0),
        func.coalesce(func.max(EFFECTS.c.paid), 0),
        func.coalesce(func.sum(EFFECTS.c.stale), 0),
    )
)
KEPT = Statement(select(func.count(), func.coalesce(func.sum(ORDERS.c.is_paid), 0)))
UNSENT = Statement(select(func.count()).select_from(OUTBOX))
DEAD = Statement(select(func.count(), func.min(DEAD_LETTERS.c.error)))
NEXT = Statement(
    select(func.coalesce(func.max(ORDERS.c.number) + 1, bindparam("first", type_=COUNT))).where(
        ORDERS.c.number >= bindparam("first", type_=COUNT), ORDERS.c.number < bindparam("last", type_=COUNT)
    )
)


class OrderAdvanced(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "shop.order_advanced.v1"
    number: int
    is_paid: bool


def slot_of_number(number: int) -> int:
    return number * 7919 % SLOTS


async def place(database: Database, numbers: Sequence[int]) -> None:
    """Keep orders and tell of them, once however often it is asked; then have them paid, likewise."""
    rows = sorted((slot_of_number(number), number) for number in numbers)
    for version, statement in enumerate((KEEP, PAY), start=1):
        async with database.write(*{slot for slot, _ in rows}) as tx:
            for row in await tx.all(statement, rows=rows):
                event = OrderAdvanced(number=row[1], is_paid=statement is PAY)
                tx.emit(event, slot=row[0], aggregate=str(row[1] + 1), version=version)


def consumer() -> Consumer[OrderAdvanced]:
    async def count(tx: Transaction, batch: Sequence[Received[OrderAdvanced]]) -> None:
        """Each effect by itself, in the order in which they came: `stale` shall tell of it."""
        for each in batch:
            is_paid, version = int(each.event.is_paid), each.envelope.version
            await tx.run(COUNT_IT, rows=[(each.envelope.slot, each.event.number, 1 - is_paid, is_paid, version)])

    return Consumer(name=f"{CONSUMER}.counted", hears=OrderAdvanced, handle=count)
