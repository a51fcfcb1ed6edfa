"""Refunds: what staff have asked for, and what payments gave back."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, case, select, update
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, DOCUMENT, MOMENT, SLOT, TEXT
from hansa.services.orders.contract import FulfilmentLine, OrderRefund
from hansa.services.orders.tables import ORDER_REFUNDS, REFUND_REQUESTS


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that staff have asked for: `amount` in minor units, None for all that is left.

    `request` is the digest of what was asked with the key; `answer` is set once it is over.
    """

    key: str
    request: str
    order_id: str
    amount: int | None
    reason: str
    restock: tuple[FulfilmentLine, ...]
    answer: str | None
    attempts: int
    resume_at: int | None
    asked_at: datetime

    @property
    def slot(self) -> int:
        return slot_of(self.order_id)


_OF_KEY = (
    REFUND_REQUESTS.c.slot == bindparam("of_slot", type_=SLOT),
    REFUND_REQUESTS.c.key == bindparam("of_key", type_=TEXT),
)
ASK = Statement(
    insert(REFUND_REQUESTS)
    .values({name: bindparam(name) for name in REFUND_REQUESTS.c.keys()})
    .on_conflict_do_nothing()
    .returning(REFUND_REQUESTS.c.key)
)
FIND_REQUEST = Statement(select(REFUND_REQUESTS).where(*_OF_KEY))
ANSWER = Statement(
    update(REFUND_REQUESTS)
    .where(*_OF_KEY, REFUND_REQUESTS.c.answer.is_(None))
    .values(answer=bindparam("first", type_=DOCUMENT), resume_at=None)
)
DUE_REQUESTS = Statement(
    select(REFUND_REQUESTS)
    .where(REFUND_REQUESTS.c.resume_at <= bindparam("now", type_=MOMENT))
    .order_by(REFUND_REQUESTS.c.resume_at)
    .limit(bindparam("most", type_=COUNT))
)
POSTPONE_REQUEST = Statement(
    update(REFUND_REQUESTS)
    .where(*_OF_KEY, REFUND_REQUESTS.c.resume_at == bindparam("seen_at", type_=MOMENT))
    .values(resume_at=bindparam("next_at", type_=MOMENT), attempts=REFUND_REQUESTS.c.attempts + 1)
    .returning(REFUND_REQUESTS.c.key)
)

_told = insert(ORDER_REFUNDS).values({name: bindparam(name) for name in ORDER_REFUNDS.c.keys()})
TELL = Statement(
    _told.on_conflict_do_update(
        index_elements=["slot", "order_id", "refund_id"],
        set_={
            # Answers and events come in any order: what is given back is not on its way again.
            "state": case((ORDER_REFUNDS.c.state == "pending", _told.excluded.state), else_=ORDER_REFUNDS.c.state),
            "reason": case((_told.excluded.reason != "", _told.excluded.reason), else_=ORDER_REFUNDS.c.reason),
        },
    )
)


async def find(reader: Reader, *, slot: int, key: str) -> Request | None:
    row = await reader.one(FIND_REQUEST, of_slot=slot, of_key=key)
    return None if row is None else _request(row)


async def ask(tx: Transaction, request: Request) -> bool:
    """Write down what is asked; False if the key has been used. Waits for others who are just using it."""
    values = msgspec.structs.asdict(request) | {
        "order_id": int(request.order_id),
        "restock": msgspec.json.encode(request.restock).decode(),
        "asked_at": to_micros(request.asked_at),
    }
    return await tx.one(ASK, slot=request.slot, **values) is not None


async def answer(tx: Transaction, request: Request, *, first: str) -> None:
    """Keep the first answer and be done."""
    await tx.run(ANSWER, of_slot=request.slot, of_key=request.key, first=first)


async def due(reader: Reader | Database, *, at: datetime, limit: int) -> list[Request]:
    return [_request(row) for row in await reader.all(DUE_REQUESTS, now=to_micros(at), most=limit)]


async def postpone(tx: Transaction, request: Request, *, next_at: datetime) -> bool:
    """Say when to look after a request next; False if somebody else was faster."""
    parameters: dict[str, Any] = {"of_slot": request.slot, "of_key": request.key, "seen_at": request.resume_at}
    return await tx.one(POSTPONE_REQUEST, **parameters, next_at=to_micros(next_at)) is not None


async def tell(tx: Transaction, *, order_id: str, refund: OrderRefund) -> None:
    """Note what is known of a refund, under payments' id for it; news that are older than what is known do nothing."""
    await tx.run(
        TELL,
        slot=slot_of(order_id),
        order_id=int(order_id),
        refund_id=int(refund.id),
        amount=refund.amount.amount,
        state=refund.state,
        reason=refund.reason,
        created_at=to_micros(refund.created_at),
    )


def _request(row: Row) -> Request:
    return Request(
        key=row["key"],
        request=row["request"],
        order_id=str(row["order_id"]),
        amount=row["amount"],
        reason=row["reason"],
        restock=msgspec.json.decode(row["restock"], type=tuple[FulfilmentLine, ...]),
        answer=row["answer"],
        attempts=row["attempts"],
        resume_at=row["resume_at"],
        asked_at=from_micros(row["asked_at"]),
    )
