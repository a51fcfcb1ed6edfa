"""Every SQL statement of recommendations."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, delete, func, select

from hansa.kernel.clock import to_micros
from hansa.kernel.ids import slot_of_value
from hansa.platform.database.port import Transaction
from hansa.platform.database.rows import insert_rows, row_of
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, MOMENT
from hansa.services.recommendations.tables import BEHAVIOUR


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What a visitor did, as it is kept; `seen_at` is in microseconds."""

    visitor_hash: str
    batch: str
    number: int
    kind: str
    product_id: str | None
    slug: str | None
    sku: str | None
    query: str | None
    position: int | None
    page: str | None
    locale: str | None
    seen_at: int

    @property
    def slot(self) -> int:
        return slot_of_value(self.visitor_hash)


ADD = Statement(insert_rows(BEHAVIOUR).on_conflict_do_nothing())
_before = bindparam("before", type_=MOMENT)
_last = (
    select(BEHAVIOUR.c.seen_at)
    .where(BEHAVIOUR.c.seen_at < _before)
    .order_by(BEHAVIOUR.c.seen_at)
    .limit(1)
    .offset(bindparam("others", type_=COUNT))
    .scalar_subquery()
)
# Up to a moment rather than by a set of keys, with which SQLite goes through all of their slots.
DROP = Statement(
    delete(BEHAVIOUR)
    .where(BEHAVIOUR.c.seen_at < _before, BEHAVIOUR.c.seen_at <= func.coalesce(_last, _before))
    .returning(BEHAVIOUR.c.number)
)


async def add(tx: Transaction, deeds: Sequence[Deed]) -> None:
    """Write down what was done; what is there already stays as it is."""
    await tx.run(ADD, rows=sorted(_rows(deeds), key=lambda row: row[:4]))


async def drop(tx: Transaction, *, before: datetime, most: int) -> int:
    """Forget the oldest of what was done before a moment: `most`, and what was done at the same moment as the last of
    these. How much it was."""
    return len(await tx.all(DROP, before=to_micros(before), others=most - 1))


def _rows(deeds: Iterable[Deed]) -> list[tuple[object, ...]]:
    return [
        row_of(
            BEHAVIOUR,
            **msgspec.structs.asdict(deed)
            | {"slot": deed.slot, "product_id": None if deed.product_id is None else int(deed.product_id)},
        )
        for deed in deeds
    ]
