"""Events become deliveries: which webhooks hear what is kept in mind, so that an event nobody wants costs nothing.

A process may keep the webhooks in mind for a lease from the moment on at which it began to read them. Whoever makes a
webhook, or lets one hear more, returns only when every lease is over that could have been read before: whatever is
committed after that is judged, in every process, by who has read the new webhook. No clock is compared with another's.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.security.sealing import looks_sealed
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.store import deliveries
from hansa.services.notifications.store import webhooks as store
from hansa.services.notifications.store.deliveries import Message
from hansa.services.notifications.store.webhooks import Hook

LEASE_S = 1.0
MARGIN = 0.1
"""Part of a lease that is waited longer, since clocks are not equally fast."""
DEEPEST = 50
"""How many objects and lists may lie in one another; of our own events none has more than a few."""
SEALED, SEALED_FOR = "contact", "person"
"""In events, what is sealed stands in the first of these fields, beside the pseudonym whose key opens it."""


class Roster:
    """The webhooks, as they were when this process last read them."""

    def __init__(self, *, database: Database, clock: Clock, lease_s: float) -> None:
        self._database = database
        self._clock = clock
        self._lease_s = lease_s
        self._hooks: Sequence[Hook] = ()
        self._read_at = float("-inf")

    @property
    def is_known(self) -> bool:
        return self._clock.monotonic() - self._read_at < self._lease_s

    def may_be_heard(self, type_: str) -> bool:
        """False only if it is certain that no webhook hears events of the type."""
        return not self.is_known or any(_hears(hook, type_) for hook in self._hooks)

    async def read(self, reader: Reader | None = None) -> Sequence[Hook]:
        began = self._clock.monotonic()
        hooks = await store.every(reader or self._database)
        if began >= self._read_at:
            self._hooks, self._read_at = hooks, began
        return hooks

    async def known_everywhere(self) -> None:
        """Return when no process goes by what it read before now."""
        await self.read()
        if self._lease_s:
            await self._clock.sleep(self._lease_s * (1 + MARGIN))


class Hearing:
    """See the module."""

    def __init__(self, *, roster: Roster, clock: Clock) -> None:
        self._roster = roster
        self._clock = clock
        self._stirred: dict[str, None] = {}

    def may_be_told(self, type_: str) -> bool:
        return self._roster.may_be_heard(type_)

    async def note(self, tx: Transaction, events: Sequence[Envelope]) -> None:
        hooks = await self._roster.read(tx)
        messages = []
        for event in events:
            webhooks = tuple(hook.id for hook in hooks if _hears(hook, event.type))
            if webhooks:
                data = without_sealed(msgspec.json.decode(event.body))
                body = rules.body(type_=event.type, at=event.time, data=data)
                messages.append(Message(event_id=event.id, type=event.type, body=body.decode(), webhooks=webhooks))
                self._stirred.update(dict.fromkeys(webhooks))
        if messages:
            await deliveries.add(tx, messages, at=self._clock.now())

    def stirred(self) -> Sequence[str]:
        """The webhooks for which something was noted since the last time, as far as it was committed."""
        stirred, self._stirred = self._stirred, {}
        return list(stirred)


def without_sealed(value: Any, *, depth: int = DEEPEST) -> Any:
    """A body without what is sealed in it: fields that are, and by precaution whatever looks as if it were, or lies
    deeper than is looked."""

    def stays(inner: Any) -> bool:
        return not _is_sealed(inner) and (depth > 1 or not isinstance(inner, dict | list))

    if isinstance(value, dict):
        return {
            name: without_sealed(inner, depth=depth - 1)
            for name, inner in value.items()
            if not (name == SEALED and SEALED_FOR in value) and stays(inner)
        }
    if isinstance(value, list):
        return [without_sealed(inner, depth=depth - 1) for inner in value if stays(inner)]
    return value


def _is_sealed(value: Any) -> bool:
    """Long names in one case look like it too, but what is sealed has letters of both cases and digits."""
    return (
        isinstance(value, str)
        and looks_sealed(value)
        and not (value.islower() or value.isupper())
        and any(character.isdigit() for character in value)
    )


def _hears(hook: Hook, type_: str) -> bool:
    return rules.hears(state=hook.state, types=hook.types, type_=type_)
