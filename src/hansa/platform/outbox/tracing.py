"""What became of one event, from its commit to its effects: read from the notes that every service keeps."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec
from sqlalchemy import bindparam, or_, select

from hansa.kernel.clock import Clock, from_micros
from hansa.kernel.contract import query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.event import Envelope
from hansa.kernel.ids import Id, moment_of, slot_of
from hansa.platform.database.platform_tables import AUDIT, DEAD_LETTERS, INBOX, OUTBOX, PUBLISHED
from hansa.platform.database.port import Database, Row
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import ID, SLOT, TEXT
from hansa.platform.messaging.port import Consumer, service_of
from hansa.platform.telemetry.privacy import Privacy

DISCARDED = "dead_letters.discard"
REPLAYED = "dead_letters.replay"
"""Actions in the audit trail."""

Publication = Literal["unsent", "confirmed", "delivered", "unknown"]
"""`unsent` as long as the event lies in the outbox; `confirmed` by a broker, which notes the moment; `delivered` where
there is no broker and the outbox has let go of it; `unknown` where neither is noted."""
State = Literal["handled", "replayed", "parked", "discarded", "waiting", "quiet"]
"""What a consumer's database says: `handled`, with its effect; `parked`, and then `replayed` or `discarded` by staff.
Without any note it is `waiting`, or `quiet` where that is no surprise: the event may not concern the consumer, or was
delivered within the process before there was such a consumer."""


class NoSuchEvent(BusinessError, code="messages.not_found", kind=Kind.NOT_FOUND):
    """Nothing is noted of such an event in any database."""

    event_id: str
    made_at: datetime
    """As far as its id tells."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one consumer has made of the event; `at` is None as long as it has made nothing of it."""

    service: str
    consumer: str
    state: State
    at: datetime | None = None
    attempts: int = 0
    error: str = ""
    """Why it was parked, with what is personal masked."""
    actor: str = ""
    """Who of the staff replayed or discarded it."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """An event's way. `type` is empty as long as nobody who has handled it tells; `may_be` are then those that its
    source can say."""

    event_id: Id
    type: str
    may_be: tuple[str, ...] = ()
    source: str
    slot: int
    aggregate: str = ""
    """Known as long as the event itself is kept: unsent, or parked."""
    correlation: str = ""
    committed_at: datetime
    """When it was said, within the transaction: the commit follows in milliseconds."""
    publication: Publication
    published_at: datetime | None = None
    steps: tuple[Step, ...] = ()
    """Of all who hear such events: those that are done in the order of their moments, then the others."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to happen by itself, and nothing to be looked after."""
        return self.publication != "unsent" and all(step.state not in ("waiting", "parked") for step in self.steps)


class Traces(Protocol):
    """Where events are."""

    @query(errors=(NoSuchEvent,), timeout_ms=30_000)
    async def trace(self, *, event_id: Id) -> Trace:
        """Raises NoSuchEvent, also for an event of more than 30 days ago: notes are kept no longer."""
        ...


def _statement(table: Any, *columns: str) -> Statement:
    return Statement(
        select(*(table.c[name] for name in columns)).where(
            table.c.event_id == bindparam("of_event", type_=ID), table.c.slot == bindparam("of_slot", type_=SLOT)
        )
    )


UNSENT = _statement(OUTBOX, "envelope", "written_at")
CONFIRMED = _statement(PUBLISHED, "published_at")
HANDLED = _statement(INBOX, "consumer", "handled_at")
PARKED = _statement(DEAD_LETTERS, "consumer", "envelope", "error", "attempts", "parked_at")
DECIDED = Statement(
    select(AUDIT.c.at, AUDIT.c.actor, AUDIT.c.action, AUDIT.c.detail)
    .where(
        AUDIT.c.slot == bindparam("of_slot", type_=SLOT),
        AUDIT.c.target == bindparam("of_target", type_=TEXT),
        or_(AUDIT.c.action == REPLAYED, AUDIT.c.action == DISCARDED),
    )
    .order_by(AUDIT.c.at)
)


class Tracer:
    """See `Traces`. Consumers are known by service and name; `emits` says which types each service can say."""

    def __init__(
        self,
        *,
        databases: Mapping[str, Database],
        consumers: Mapping[tuple[str, str], Consumer[Any]],
        emits: Mapping[str, Sequence[str]],
        has_broker: bool,
        clock: Clock,
    ) -> None:
        self._databases = databases
        self._consumers = consumers
        self._emits = emits
        self._has_broker = has_broker
        self._privacy = Privacy(clock=clock)

    async def trace(self, *, event_id: Id) -> Trace:
        found = _Found(event_id, self._privacy)
        # What has left the outbox by now has its effects already, if they are made in this process.
        for name, database in self._databases.items():
            await found.look_for_it(name, database)
        for name, database in self._databases.items():
            await found.look_for_effects(name, database)
        if not found.is_anything:
            raise NoSuchEvent(event_id=event_id, made_at=moment_of(event_id))
        types = {found.envelope.type} if found.envelope else self._types_of(found.steps)
        source = found.source or next((service_of(type_) for type_ in types), "")
        expected = [who for who, consumer in self._consumers.items() if consumer.hears.type in types]
        silent = sorted(set(expected) - {(step.service, step.consumer) for step in found.steps})
        publication = found.publication(has_broker=self._has_broker)
        envelope = found.envelope
        return Trace(
            event_id=event_id,
            type=next(iter(types), ""),
            may_be=() if types else tuple(self._emits.get(source, ())),
            source=source,
            slot=slot_of(event_id),
            aggregate=envelope.aggregate if envelope else "",
            correlation=envelope.correlation if envelope else "",
            committed_at=found.written_at or (envelope.time if envelope else moment_of(event_id)),
            publication=publication,
            published_at=found.published_at,
            steps=(
                *sorted(found.steps, key=lambda step: (step.at, step.service, step.consumer)),
                *(self._silent(*who, publication) for who in silent),
            ),
        )

    def _types_of(self, steps: Sequence[Step]) -> set[str]:
        """A consumer hears one type."""
        consumers = (self._consumers.get((step.service, step.consumer)) for step in steps)
        return {consumer.hears.type for consumer in consumers if consumer is not None}

    def _silent(self, service: str, name: str, publication: Publication) -> Step:
        is_no_surprise = self._consumers[service, name].concerns is not None or publication == "delivered"
        state: State = "quiet" if is_no_surprise and publication != "unsent" else "waiting"
        return Step(service=service, consumer=name, state=state)


class _Found:
    """What the databases say of one event."""

    def __init__(self, event_id: str, privacy: Privacy) -> None:
        self._parameters = {"of_event": int(event_id), "of_slot": slot_of(event_id)}
        self._target = {"of_slot": slot_of(event_id), "of_target": event_id}
        self._privacy = privacy
        self.envelope: Envelope | None = None
        self.source = ""
        self.written_at: datetime | None = None
        self.published_at: datetime | None = None
        self.steps: list[Step] = []

    @property
    def is_anything(self) -> bool:
        return bool(self.steps or self.written_at or self.published_at)

    def publication(self, *, has_broker: bool) -> Publication:
        if self.published_at is not None:
            return "confirmed"
        if self.written_at is not None:
            return "unsent"
        return "unknown" if has_broker else "delivered"

    async def look_for_it(self, name: str, database: Database) -> None:
        """Sent and unsent are told in one commit, so whoever asks in this order does not miss both."""
        if unsent := await database.one(UNSENT, **self._parameters):
            self.source, self.envelope, self.written_at = name, _envelope(unsent), from_micros(unsent["written_at"])
        if confirmed := await database.one(CONFIRMED, **self._parameters):
            self.source, self.published_at = name, from_micros(confirmed["published_at"])

    async def look_for_effects(self, name: str, database: Database) -> None:
        for row in await database.all(HANDLED, **self._parameters):
            self.steps.append(
                Step(service=name, consumer=row["consumer"], state="handled", at=from_micros(row["handled_at"]))
            )
        for row in await database.all(PARKED, **self._parameters):
            self.envelope = _envelope(row)
            self.steps.append(self._parked(name, row))
        self.steps += self._decided(name, await database.all(DECIDED, **self._target))

    def _parked(self, name: str, row: Row) -> Step:
        return Step(
            service=name,
            consumer=row["consumer"],
            state="parked",
            at=from_micros(row["parked_at"]),
            attempts=row["attempts"],
            error=self._privacy.of_text(row["error"]),
        )

    def _decided(self, name: str, rows: Sequence[Row]) -> Iterator[Step]:
        for row in rows:
            detail = msgspec.json.decode(row["detail"])
            yield Step(
                service=name,
                consumer=detail["consumer"],
                state="replayed" if row["action"] == REPLAYED else "discarded",
                at=from_micros(row["at"]),
                attempts=detail["attempts"],
                actor=row["actor"],
            )


def _envelope(row: Row) -> Envelope:
    return msgspec.json.decode(row["envelope"], type=Envelope)
