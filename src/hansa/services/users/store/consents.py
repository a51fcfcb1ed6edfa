"""Consents: each word stays, and the last one counts."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.database.statement import Statement
from hansa.services.users.contract import Consent
from hansa.services.users.tables import CONSENTS

_latest = (
    select(CONSENTS.c.purpose, func.max(CONSENTS.c.number).label("number"))
    .where(CONSENTS.c.slot == bindparam("of_slot"), CONSENTS.c.user_id == bindparam("of_user"))
    .group_by(CONSENTS.c.purpose)
    .subquery()
)
LATEST_CONSENTS = Statement(
    select(CONSENTS)
    .join(_latest, and_(CONSENTS.c.purpose == _latest.c.purpose, CONSENTS.c.number == _latest.c.number))
    .where(CONSENTS.c.slot == bindparam("of_slot"), CONSENTS.c.user_id == bindparam("of_user"))
)
ADD_CONSENT = Statement(insert(CONSENTS).values({name: bindparam(name) for name in CONSENTS.c.keys()}))


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """The last that somebody said of a purpose, and how often they had said something by then."""

    consent: Consent
    number: int


async def latest(reader: Database | Reader, *, user_id: str) -> Mapping[str, Word]:
    """By purpose, what was said of it last."""
    rows = await reader.all(LATEST_CONSENTS, of_slot=slot_of(user_id), of_user=int(user_id))
    return {
        row["purpose"]: Word(
            consent=Consent(purpose=row["purpose"], given=bool(row["given"]), at=from_micros(row["at"])),
            number=row["number"],
        )
        for row in rows
    }


async def add(
    tx: Transaction, *, user_id: str, purpose: str, number: int, given: bool, source: str, at: datetime
) -> None:
    """Write a word down behind those that are there."""
    await tx.run(
        ADD_CONSENT,
        slot=slot_of(user_id),
        user_id=int(user_id),
        purpose=purpose,
        number=number,
        given=given,
        source=source,
        at=to_micros(at),
    )
