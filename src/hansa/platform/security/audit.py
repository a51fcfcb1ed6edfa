"""The audit trail: who of the staff did what to which thing, written in the same commit as the deed."""

from datetime import datetime
from typing import Any

import msgspec

from hansa.kernel.clock import to_micros
from hansa.platform.database import platform_tables
from hansa.platform.database.port import Transaction


async def record(
    tx: Transaction,
    *,
    slot: int,
    audit_id: str,
    at: datetime,
    actor: str,
    action: str,
    target: str,
    detail: dict[str, Any],
) -> None:
    """Leave a row in the transaction that does the deed; a repeated command leaves one row, by its `audit_id`.

    `actor` is the id of the member of staff, `action` such as "products.archive", `target` the id of the thing, and
    `detail` what changed. Personal data belongs in it only sealed.
    """
    await tx.run(
        platform_tables.ADD_AUDIT,
        slot=slot,
        audit_id=int(audit_id),
        at=to_micros(at),
        actor=actor,
        action=action,
        target=target,
        detail=msgspec.json.encode(detail).decode(),
    )
