"""The payments that one transaction has locked: what it decides of them, says of them, and writes in the end."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

import msgspec

from hansa.kernel.errors import Fault, StorageBusy
from hansa.kernel.event import Event
from hansa.kernel.ids import Ids, slot_of
from hansa.platform.database.port import Transaction
from hansa.services.payments import rules, store
from hansa.services.payments.rules import Intent, RefundRow
from hansa.services.payments.service.rows import intent_of, intent_values, place_of, refund_values

Revision = Callable[[Intent], Intent]

CLOSING_REASON = "the order came to nothing"


class Sheet:
    """Made by `lock`; nothing is kept before `write`. `now` is the moment of all that happens on it."""

    def __init__(self, tx: Transaction, *, intents: dict[str, Intent], ids: Ids, now: datetime) -> None:
        self.now = now
        self._tx = tx
        self._ids = ids
        self._before = intents
        self._after = dict(intents)
        self._refunds: list[RefundRow] = []

    @classmethod
    async def lock(cls, tx: Transaction, *, order_ids: Iterable[str], ids: Ids, now: datetime) -> "Sheet":
        """The intents of these orders, as far as there are any; nobody else changes them until the transaction ends."""
        rows = await store.lock_intents(tx, places=map(place_of, order_ids))
        intents = [intent_of(row) for row in rows]
        return cls(tx, intents={intent.order_id: intent for intent in intents}, ids=ids, now=now)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._after

    def __getitem__(self, order_id: str) -> Intent:
        return self._after[order_id]

    def get(self, order_id: str) -> Intent | None:
        return self._after.get(order_id)

    @property
    def intents(self) -> dict[str, Intent]:
        """All of them by order, as they now are."""
        return dict(self._after)

    @property
    def changed(self) -> list[Intent]:
        return [intent for order_id, intent in self._after.items() if intent is not self._before[order_id]]

    def revise(self, order_id: str, revision: Revision) -> None:
        """Apply a decision of the rules, tell what it means to others, and owe what it makes the shop owe."""
        before = self._after[order_id]
        after = revision(before)
        if after is before:
            return
        self._after[order_id] = after = msgspec.structs.replace(after, version=before.version + 1)
        if (fact := rules.fact(before, after)) is not None:
            self.emit(order_id, fact)
        if rules.owes_all(before, after):
            key = rules.closing_key(order_id)
            self.owe(order_id, key=key, amount=after.left, reason=CLOSING_REASON, try_at=self.now)

    def owe(
        self, order_id: str, *, key: str, amount: int, reason: str, try_at: datetime, attempts: int = 0
    ) -> RefundRow:
        """Promise a refund, to be tried from `try_at` on until it ends; `attempts` were made under other keys."""
        refund = RefundRow(
            order_id=order_id,
            refund_id=self._ids.new(slot=slot_of(order_id)),
            key=key,
            amount=amount,
            reason=reason,
            attempts=attempts,
            next_look_at=try_at,
            created_at=self.now,
        )
        self._refunds.append(refund)
        self.revise(order_id, partial(rules.promised, amount=amount))
        return refund

    def emit(self, order_id: str, event: Event) -> None:
        version = self._after[order_id].version
        self._tx.emit(event, slot=slot_of(order_id), aggregate=order_id, version=version)

    async def write(self) -> None:
        """Write what has changed. Raises StorageBusy or a Fault, and then nothing may be kept."""
        if changed := self.changed:
            values = [intent_values(intent) | {"since": self._before[intent.order_id].version} for intent in changed]
            if len(await store.change_intents(self._tx, intents=values)) != len(changed):
                raise StorageBusy("a payment was changed by somebody who did not lock it")
        if self._refunds:
            added = await store.add_refunds(self._tx, refunds=[refund_values(refund) for refund in self._refunds])
            if len(added) != len(self._refunds):
                raise Fault("a refund was owed twice under one key")
