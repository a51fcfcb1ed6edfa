"""Events are in the outbox if, and only if, their transaction has committed."""

from collections.abc import Sequence

import msgspec
import pytest

from hansa.kernel.event import Envelope
from hansa.platform.database.port import Database
from tests.platform.database.things import ADD, TAKE, ThingTaken, add, available, envelopes


class Changed(Exception):
    """The caller changed its mind."""


async def test_an_event_commits_with_the_rows(database: Database) -> None:
    await add(database, (7, "hat", 3))
    async with database.write(7) as tx:
        await tx.run(TAKE, lines=[(7, "hat", 1)])
        tx.emit(ThingTaken(sku="hat", quantity=1), slot=7, aggregate="41", version=2, channel="web")
    assert await available(database, sku="hat") == 2
    [text] = await envelopes(database)
    envelope = msgspec.json.decode(text, type=Envelope)
    assert (envelope.type, envelope.source, envelope.slot) == ("thing.taken.v1", "things", 7)
    assert (envelope.aggregate, envelope.version, envelope.channel) == ("41", 2, "web")
    assert msgspec.json.decode(envelope.body, type=ThingTaken) == ThingTaken(sku="hat", quantity=1)


async def test_events_keep_their_order(database: Database) -> None:
    async with database.write(7) as tx:
        for number in range(50):
            tx.emit(ThingTaken(sku=f"sku-{number}", quantity=1), slot=7, aggregate="41")
    bodies = [msgspec.json.decode(msgspec.json.decode(text, type=Envelope).body) for text in await envelopes(database)]
    assert [body["sku"] for body in bodies] == [f"sku-{number}" for number in range(50)]


async def test_a_rollback_takes_the_event_with_it(database: Database) -> None:
    with pytest.raises(Changed):
        await _emit_and_fail(database)
    assert await envelopes(database) == []


async def test_the_relay_is_told_after_the_commit_and_only_then(database: Database) -> None:
    told = 0

    def notify(events: Sequence[Envelope]) -> None:
        nonlocal told
        told += len(events)

    database.on_commit_of_events(notify)
    await add(database, (7, "hat", 3))
    assert told == 0, "no event, no news"
    async with database.write(7) as tx:
        tx.emit(ThingTaken(sku="hat", quantity=1), slot=7, aggregate="41")
        assert told == 0, "not yet committed"
    assert told == 1
    with pytest.raises(Changed):
        await _emit_and_fail(database)
    assert told == 1


async def _emit_and_fail(database: Database) -> None:
    async with database.write(7) as tx:
        await tx.run(ADD, lines=[(7, "shoe", 3)])
        tx.emit(ThingTaken(sku="shoe", quantity=1), slot=7, aggregate="41")
        raise Changed
