"""What members of the staff did with webhooks, in the audit trail."""

from typing import Any

from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids
from hansa.platform.database.port import Transaction
from hansa.platform.security import audit
from hansa.services.notifications.store.webhooks import SLOT


class Deeds:
    """Written in the same commit as the deed."""

    def __init__(self, *, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def note(self, tx: Transaction, webhook_id: str, *, actor: str, action: str, detail: dict[str, Any]) -> None:
        await audit.record(
            tx,
            slot=SLOT,
            audit_id=self._ids.new(slot=SLOT),
            at=self._clock.now(),
            actor=actor,
            action=f"notifications.webhook_{action}",
            target=webhook_id,
            detail=detail,
        )
