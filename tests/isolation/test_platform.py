"""What all services stand on holds for two at once: outbox, inbox, idempotency keys, dead letters and persons' keys."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from hansa.kernel.event import Envelope
from hansa.kernel.ids import slot_of
from hansa.platform.database.idempotency import CommandInFlight, claim, claim_each, keep, keep_each
from hansa.platform.database.platform_tables import COUNT_DEAD, UNSENT_EVENTS
from hansa.platform.database.port import Database, Transaction
from hansa.platform.messaging.port import Consumer, Received
from hansa.platform.outbox.dead_letter_office import DeadLetterOffice
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from hansa.platform.security.sealing import Box, Keyring, PersonErased
from hansa.services.inventory.contract import ReservationGone
from hansa.services.inventory.events import ReservationExpired
from tests.isolation.ground import KEYRING, Ground, said_of
from tests.isolation.stepping import Scene, explore

SERVICE = "notifications"
"""Whose database these tests use: no other one here does, so that its outbox is theirs alone."""


class Bus:
    """Remembers what was published."""

    has_broker = True

    def __init__(self) -> None:
        self.published: Counter[str] = Counter()

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        self.published.update(envelope.aggregate for envelope in envelopes)


class Place:
    """A database as one has it who prepares, and as two have it who meet."""

    def __init__(self, ground: Ground, doors: Sequence[Database]) -> None:
        self.ground = ground
        self.one, self.two, self.three = doors

    def thing(self, *, slot: int = 3) -> str:
        return self.ground.ids.new(slot=slot)

    async def write(self, door: Database, *things: str) -> None:
        """Say something of each, in one transaction."""
        async with door.write(*map(slot_of, things)) as tx:
            for thing in things:
                tx.emit(ReservationExpired(order_id=thing), slot=slot_of(thing), aggregate=thing)

    def relay(self, door: Database, bus: Bus) -> Relay:
        return Relay(database=door, bus=bus, clock=self.ground.clock)  # type: ignore[arg-type]  # it only publishes

    async def unsent(self) -> list[str]:
        rows = await self.one.all(UNSENT_EVENTS, limit=1000)
        return [msgspec.json.decode(row["envelope"], type=Envelope).aggregate for row in rows]

    def heard(self, thing: str) -> Envelope:
        event = ReservationExpired(order_id=thing)
        return Envelope(
            id=self.thing(slot=slot_of(thing)),
            type=event.type,
            source="inventory",
            time=self.ground.clock.now(),
            slot=slot_of(thing),
            aggregate=thing,
            body=msgspec.Raw(msgspec.json.encode(event)),
        )

    def inbox(self, door: Database) -> Inbox:
        """Of a consumer whose effect is that it says something of the same thing."""

        async def repeat(tx: Transaction, batch: Sequence[Received[ReservationExpired]]) -> None:
            for received in batch:
                order_id = received.event.order_id
                tx.emit(ReservationExpired(order_id=order_id), slot=slot_of(order_id), aggregate=order_id)

        consumer = Consumer(name="tests.repeat", hears=ReservationExpired, handle=repeat)
        return Inbox(database=door, consumer=consumer, clock=self.ground.clock)

    def office(self, door: Database) -> DeadLetterOffice:
        return DeadLetterOffice(
            databases={SERVICE: door},
            inboxes={(SERVICE, "tests.repeat"): self.inbox(door)},
            clock=self.ground.clock,
            ids=self.ground.ids,
        )

    async def explore(self, prepare: Any, *, switches: int = 2, **terms: Any) -> Any:
        return await explore(self.ground.stage, prepare, switches=switches, **terms)


@pytest.fixture
async def place(ground: Ground) -> AsyncIterator[Place]:
    async with ground.database(SERVICE) as database:
        yield Place(ground, (database, *ground.stepped(database)))
        # So that the next test finds no events but its own.
        await Relay(database=database, bus=Bus(), clock=ground.clock).drain()  # type: ignore[arg-type]


@pytest.fixture
async def keyrings(ground: Ground) -> AsyncIterator[list[Keyring]]:
    async with ground.database(KEYRING) as database:
        doors = (database, *ground.stepped(database))
        yield [Keyring(database=door, master=bytes(32), clock=ground.clock, cache_size=0) for door in doors]


async def test_two_relays_at_once_publish_everything_and_leave_nothing(place: Place) -> None:
    async def prepare() -> Scene:
        bus, things = Bus(), [place.thing(slot=slot) for slot in (9, 4, 6)]
        await place.write(place.one, *things)

        async def check(*_: Any) -> None:
            assert set(bus.published) == set(things)
            assert max(bus.published.values()) <= 2, "twice at worst"
            assert await place.unsent() == []

        return Scene((place.relay(place.two, bus).drain, place.relay(place.three, bus).drain), check)

    await place.explore(prepare)


async def test_an_event_that_is_committed_late_is_published_though_its_id_is_smaller(place: Place) -> None:
    async def prepare() -> Scene:
        bus, early, late = Bus(), place.thing(), place.thing()
        relay = place.relay(place.three, bus)

        async def write_and_publish() -> None:
            await place.write(place.three, late)
            await relay.drain()

        async def check(*_: Any) -> None:
            await relay.drain()
            assert set(bus.published) == {early, late}
            assert await place.unsent() == []

        return Scene((lambda: place.write(place.two, early), write_and_publish), check)

    await place.explore(prepare)


async def test_an_event_written_while_another_is_published_is_not_lost(place: Place) -> None:
    async def prepare() -> Scene:
        bus, first, second = Bus(), place.thing(), place.thing()
        await place.write(place.one, first)
        relay = place.relay(place.two, bus)

        async def check(*_: Any) -> None:
            await relay.drain()
            assert bus.published == {first: 1, second: 1}

        return Scene((relay.drain, lambda: place.write(place.three, second)), check)

    await place.explore(prepare)


async def test_two_deliveries_of_the_same_events_have_each_effect_once(place: Place) -> None:
    async def prepare() -> Scene:
        things = [place.thing(slot=slot) for slot in (9, 4, 6)]
        envelopes = [place.heard(thing) for thing in things]

        async def check(*_: Any) -> None:
            assert [len(await said_of(place.one, thing)) for thing in things] == [1, 1, 1]

        return Scene(
            (
                lambda: place.inbox(place.two).deliver(envelopes[:2]),
                lambda: place.inbox(place.three).deliver(envelopes[:0:-1]),
            ),
            check,
        )

    explored = await place.explore(prepare)
    assert explored.waits > 0, "who comes second waits for what becomes of the first"


async def test_one_key_at_once_is_one_act(place: Place) -> None:
    async def prepare() -> Scene:
        thing = place.thing()

        async def act(door: Database) -> str:
            async with door.write(slot_of(thing)) as tx:
                kept = await claim(tx, slot=slot_of(thing), key=thing, request="r", now=place.ground.clock.now())
                if kept is None:
                    tx.emit(ReservationExpired(order_id=thing), slot=slot_of(thing), aggregate=thing)
                    await keep(tx, slot=slot_of(thing), key=thing, answer="done")
                return kept or '"done"'

        async def check(*outcomes: Any) -> None:
            assert outcomes == ('"done"', '"done"')
            assert len(await said_of(place.one, thing)) == 1

        return Scene((lambda: act(place.two), lambda: act(place.three)), check)

    explored = await place.explore(prepare, faults=(CommandInFlight,))
    assert set(explored.outcomes) == {("done", "done")}


async def test_a_key_whose_first_act_came_to_nothing_is_free(place: Place) -> None:
    async def prepare() -> Scene:
        thing = place.thing()

        async def act(door: Database, *, is_refused: bool) -> str | None:
            async with door.write(slot_of(thing)) as tx:
                kept = await claim(tx, slot=slot_of(thing), key=thing, request="r", now=place.ground.clock.now())
                if kept is None:
                    await keep(tx, slot=slot_of(thing), key=thing, answer="done")
                    if is_refused:
                        raise ReservationGone(order_id=thing)
                return kept

        async def check(refused: Any, done: Any) -> None:
            assert done is None, "nothing was kept by the one that was refused"
            assert isinstance(refused, ReservationGone) or refused == '"done"'

        return Scene((lambda: act(place.two, is_refused=True), lambda: act(place.three, is_refused=False)), check)

    explored = await place.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_many_keys_claimed_crosswise_are_claimed_once_each_and_in_no_ring(place: Place) -> None:
    async def prepare() -> Scene:
        things = [place.thing(slot=slot) for slot in (9, 4, 6)]

        async def act(door: Database, wanted: Sequence[str]) -> list[str]:
            names = [(slot_of(thing), thing) for thing in wanted]
            async with door.write(*map(slot_of, wanted)) as tx:
                kept = await claim_each(tx, names=names, now=place.ground.clock.now())
                await keep_each(tx, answers={name: "done" for name in names if kept[name[1]] is None})
                return [thing for thing in wanted if kept[thing] is None]

        async def check(first: Any, second: Any) -> None:
            assert sorted([*first, *second]) == sorted(things)

        return Scene((lambda: act(place.two, things), lambda: act(place.three, things[::-1])), check)

    await place.explore(prepare)


async def test_a_dead_letter_replayed_twice_at_once_takes_effect_once(place: Place) -> None:
    async def prepare() -> Scene:
        thing = place.thing()
        envelope = place.heard(thing)
        await place.inbox(place.one).park(envelope, error="ValueError: what?", attempts=5)

        async def check(*_: Any) -> None:
            assert len(await said_of(place.one, thing)) == 1
            assert (await place.one.all(COUNT_DEAD))[0][0] == 0

        def replay(door: Database) -> Any:
            return place.office(door).replay(
                key=f"replay-{door.name}",
                service=SERVICE,
                consumer="tests.repeat",
                event_id=envelope.id,
                actor="user:1",
            )

        return Scene((lambda: replay(place.two), lambda: replay(place.three)), check)

    await place.explore(prepare)


async def test_a_person_has_one_key_though_two_make_it(ground: Ground, keyrings: list[Keyring]) -> None:
    one, two, three = keyrings

    async def prepare() -> Scene:
        person = ground.ids.new(slot=3)

        async def check(first: Box, second: Box) -> None:
            sealed = first.seal("Ada", context="tests")
            assert second.open(sealed, str, context="tests") == "Ada"
            assert (await one.box(person=person)).open(sealed, str, context="tests") == "Ada"

        return Scene((lambda: two.box(person=person), lambda: three.box(person=person)), check)

    await explore(ground.stage, prepare, switches=2)


async def test_a_person_who_is_erased_while_a_key_is_made_has_none(ground: Ground, keyrings: list[Keyring]) -> None:
    one, two, three = keyrings

    async def prepare() -> Scene:
        person = ground.ids.new(slot=3)

        async def check(box: Any, _: Any) -> None:
            assert isinstance(box, (Box, PersonErased))
            with pytest.raises(PersonErased):
                await one.box(person=person)

        return Scene((lambda: two.box(person=person), lambda: three.erase(person=person)), check)

    explored = await explore(ground.stage, prepare, switches=2)
    assert len(explored.outcomes) == 2
