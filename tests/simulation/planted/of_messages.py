"""Planted in the platform and in read models: events that are lost, skipped or carried out twice."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete

from hansa.kernel.clock import to_micros
from hansa.kernel.event import Envelope
from hansa.kernel.ids import SEQUENCES
from hansa.platform.database.platform_tables import ADD_EVENTS, CLAIM_EVENTS, OUTBOX, REMOVE_EVENTS, UNSENT_EVENTS
from hansa.platform.database.port import Database, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.messaging.port import decode_event
from hansa.platform.outbox import relay
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from hansa.services.home.service import HomeService
from hansa.services.home.store import cards
from hansa.services.products.contract import ProductRecord
from tests.simulation.loop import WHOSE
from tests.simulation.planted.patching import replaced
from tests.simulation.world import BLOCKS, World

_DECODER = msgspec.json.Decoder(Envelope)
_REMOVE_UP_TO = Statement(delete(OUTBOX).where(OUTBOX.c.event_id <= bindparam("last")))


@contextmanager
def sent_before_published() -> Iterator[None]:
    async def send(self: Any, events: Sequence[Envelope]) -> None:
        try:
            sent = [(event.slot, int(event.id)) for event in events]
            async with self._database.write(*{slot for slot, _ in sent}) as tx:
                await tx.run(REMOVE_EVENTS, rows=sent)
            await self._bus.publish(events)
        except Exception:
            self._failed += 1
        finally:
            self._under_way.difference_update(int(event.id) for event in events)

    with replaced(Relay, _send=send):
        yield


@contextmanager
def no_inbox() -> Iterator[None]:
    async def take(self: Any, batch: Sequence[Envelope], along: Callable[[Transaction], Awaitable[None]]) -> None:
        received = {int(envelope.id): decode_event(envelope, self._consumer.hears) for envelope in batch}
        rows = sorted({(envelope.slot, int(envelope.id)) for envelope in batch})
        async with self._database.write(*{slot for slot, _ in rows}) as tx:
            now = to_micros(self._clock.now())
            await tx.all(CLAIM_EVENTS, rows=rows, consumer=self._consumer.name, now=now)
            await self._consumer.handle(tx, [received[event_id] for _, event_id in rows])
            await along(tx)
        if self._consumer.afterwards is not None:
            await self._consumer.afterwards()

    with replaced(Inbox, _take=take):
        yield


@contextmanager
def relay_clears_up() -> Iterator[None]:
    async def send(self: Any, events: Sequence[Envelope]) -> None:
        try:
            await self._bus.publish(events)
            async with self._database.write(*{event.slot for event in events}) as tx:
                await tx.run(_REMOVE_UP_TO, last=max(int(event.id) for event in events))
        except Exception:
            self._failed += 1
        finally:
            self._under_way.difference_update(int(event.id) for event in events)

    with replaced(Relay, _send=send, _tell=_look_soon):
        yield


def _look_soon(self: Any, events: Sequence[Envelope]) -> None:
    """Of a relay that does not send what it is told, but looks for it."""
    self._is_look_due = True
    self._wake.set()


@contextmanager
def relay_remembers() -> Iterator[None]:
    async def send_found(self: Any) -> int:
        last = getattr(self, "_last", 0)
        rows = await self._database.all(UNSENT_EVENTS, limit=relay.WINDOW)
        fresh = [row for row in rows if row["event_id"] > last][: relay.BATCH]
        if fresh:
            self._last = fresh[-1]["event_id"]
            self._under_way.update(row["event_id"] for row in fresh)
            self._begin([_DECODER.decode(row["envelope"]) for row in fresh])
        return len(fresh)

    with replaced(Relay, _send_found=send_found, _tell=_look_soon):
        yield


@contextmanager
def event_after_the_commit() -> Iterator[None]:
    async def flush(self: Any) -> None: ...

    def committed(self: Any, transaction: Transaction) -> None:
        if transaction.events:
            context = Context()
            context.run(WHOSE.set, WHOSE.get())
            asyncio.get_running_loop().create_task(say(self, transaction), context=context)

    async def say(database: Any, transaction: Transaction) -> None:
        async with database.write(*{event.slot for event in transaction.events}) as tx:
            now = to_micros(database._clock.now())
            rows = [(e.slot, int(e.id), msgspec.json.encode(e).decode(), now) for e in transaction.events]
            await tx.run(ADD_EVENTS, rows=rows)
        database._notify(transaction.events)

    with replaced(Transaction, flush=flush), replaced(Database, _committed=committed):
        yield


@contextmanager
def read_model_skips() -> Iterator[None]:
    hear_products = HomeService.hear_products

    async def hear_the_next(self: Any, tx: Transaction, *, records: Sequence[ProductRecord]) -> None:
        held = await cards.hold(tx, product_ids={record.id for record in records})
        following = [record for record in records if record.version == held[record.id].version + 1]
        await hear_products(self, tx, records=following)

    with replaced(HomeService, hear_products=hear_the_next):
        yield


@contextmanager
def shared_worker_number() -> Iterator[None]:
    with replaced(World, lease_block=lambda self: range(SEQUENCES // BLOCKS)):
        yield
