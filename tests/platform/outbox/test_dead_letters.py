"""Dead letters: seen over all services, delivered again with one effect, discarded, and told page by page."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.schema import Table

from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids, slot_of
from hansa.kernel.page import CursorInvalid
from hansa.platform.database.platform_tables import AUDIT, service_metadata
from hansa.platform.database.port import Database, Row, Transaction
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import COUNT, field, key, slot
from hansa.platform.messaging.local import LocalBus, Retries
from hansa.platform.messaging.port import Consumer, Received
from hansa.platform.outbox.dead_letter_office import DeadLetterOffice
from hansa.platform.outbox.dead_letters import (
    EVERY,
    ConsumerGone,
    DeadLetter,
    DeadLetters,
    Hearing,
    NoSuchDeadLetter,
    Order,
    Wanted,
)
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from hansa.platform.outbox.replaying import Tally, choose, replay_all
from hansa.platform.rpc.local import twice
from hansa.platform.security.sealing import Box
from tests import databases
from tests.clocks import ManualClock

METADATA = service_metadata()
SEEN = Table("seen", METADATA, slot(), key("number", COUNT), field("times", COUNT))
ADD = Statement(
    insert(SEEN)
    .values(slot=0, number=bindparam("number"), times=1)
    .on_conflict_do_update(index_elements=["slot", "number"], set_={"times": SEEN.c.times + 1})
)
ALL = Statement(select(SEEN.c.number, SEEN.c.times).order_by(SEEN.c.number))
AUDITED = Statement(select(AUDIT).order_by(AUDIT.c.audit_id))
NAMES = ("carts", "mails", "stock")
ONCE = Retries(attempts=1)


class Counted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "test.counted.v1"
    number: int
    contact: str = ""


class Counter:
    """A consumer that counts, once it is mended."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.is_broken = True
        self.error = "not mended yet"
        self.followed_up = 0
        consumer = Consumer(
            name=f"{database.name}.count", hears=Counted, handle=self.handle, afterwards=self.afterwards
        )
        self.inbox = Inbox(database=database, consumer=consumer, clock=clock)

    async def handle(self, tx: Transaction, batch: Sequence[Received[Counted]]) -> None:
        for received in batch:
            await tx.run(ADD, number=received.event.number)
        if self.is_broken:
            raise LookupError(self.error)

    async def afterwards(self) -> None:
        self.followed_up += 1


class House:
    """Three services, each with a counter that hears what the first one says."""

    def __init__(self, opened: dict[str, Database], clock: ManualClock, ids: Ids) -> None:
        self.databases = opened
        self.clock = clock
        self.ids = ids
        self.keys = 0
        self.counters = {name: Counter(database, clock) for name, database in opened.items()}
        inboxes = {(name, f"{name}.count"): counter.inbox for name, counter in self.counters.items()}
        office = DeadLetterOffice(databases=opened, inboxes=inboxes, clock=clock, ids=ids)
        self.letters: DeadLetters = twice(DeadLetters, office)

    async def say(self, *events: Event, hearers: Sequence[str] = NAMES) -> None:
        """Let something happen, a second after what happened before, and hearers hear of it."""
        self.clock.advance(1)
        bus = LocalBus(clock=self.clock, chance=random.Random(1), retries=ONCE)
        for name in hearers:
            bus.subscribe(consumer=f"{name}.count", type=Counted.type, subscriber=self.counters[name].inbox)
        async with self.databases["carts"].write(7) as tx:
            for event in events:
                tx.emit(event, slot=7, aggregate="17", version=3, subject="99", correlation="abc")
        await Relay(database=self.databases["carts"], bus=bus, clock=self.clock).drain()

    def key(self) -> str:
        """A fresh one."""
        self.keys += 1
        return f"key {self.keys}"

    async def everything(
        self, *, limit: int = 100, order: Order = "latest", wanted: Wanted = EVERY
    ) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        cursor = None
        while True:
            page = await self.letters.list(limit=limit, cursor=cursor, order=order, wanted=wanted)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def only(self) -> DeadLetter:
        [letter] = await self.everything()
        return letter

    async def counted(self, name: str) -> dict[int, int]:
        return {row[0]: row[1] for row in await self.databases[name].all(ALL)}

    async def audited(self, name: str) -> Sequence[Row]:
        return await self.databases[name].all(AUDITED)


@pytest.fixture(params=databases.ENGINES)
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == databases.POSTGRES else None
    clock = ManualClock()
    ids = Ids(clock=clock)
    async with AsyncExitStack() as stack:
        opened = {
            name: await stack.enter_async_context(
                databases.opened(
                    engine=request.param,
                    name=name,
                    metadata=METADATA,
                    folder=tmp_path,
                    dsn=dsn,
                    clock=clock,
                    ids=ids,
                )
            )
            for name in NAMES
        }
        yield House(opened, clock, ids)


def named(letter: DeadLetter) -> dict[str, str]:
    return {"service": letter.service, "consumer": letter.consumer, "event_id": letter.event_id}


async def test_a_letter_tells_what_happened_to_whom_and_why_it_is_dead(house: House) -> None:
    house.counters["mails"].error = "mail to ada@example.com bounced"
    await house.say(Counted(number=5), hearers=["mails"])

    letter = await house.only()

    assert (letter.service, letter.consumer, letter.source) == ("mails", "mails.count", "carts")
    assert (letter.type, letter.aggregate, letter.version) == ("test.counted.v1", "17", 3)
    assert (letter.subject, letter.correlation, letter.attempts) == ("99", "abc", 1)
    assert letter.parked_at == letter.time == house.clock.now()
    assert msgspec.json.decode(letter.body) == {"number": 5, "contact": ""}
    assert letter.error == "LookupError: mail to [masked] bounced"
    assert await house.letters.get(**named(letter)) == letter


async def test_what_is_sealed_in_a_body_is_shown_as_sealed(house: House) -> None:
    sealed = Box(person="99", data_key=bytes(32)).seal({"email": "ada@example.com"}, context="orders.contact")
    await house.say(Counted(number=5, contact=sealed), hearers=["mails"])

    assert msgspec.json.decode((await house.only()).body) == {"number": 5, "contact": "(sealed)"}


async def test_a_consumer_that_was_mended_digests_a_letter_once_however_often_it_is_replayed(house: House) -> None:
    await house.say(Counted(number=5), hearers=["mails"])
    letter = await house.only()
    house.counters["mails"].is_broken = False

    outcomes = await asyncio.gather(
        *(house.letters.replay(key=house.key(), **named(letter), actor="user:1") for _ in range(4)),
        return_exceptions=True,
    )

    assert None in outcomes
    assert all(outcome is None or isinstance(outcome, NoSuchDeadLetter) for outcome in outcomes)
    with pytest.raises(NoSuchDeadLetter):
        await house.letters.replay(key=house.key(), **named(letter), actor="user:1")
    assert await house.counted("mails") == {5: 1}
    assert await house.everything() == []
    assert house.counters["mails"].followed_up == 1
    [row] = await house.audited("mails")
    assert (row["actor"], row["action"], row["target"]) == ("user:1", "dead_letters.replay", letter.event_id)


async def test_what_took_effect_before_it_was_parked_has_no_second_effect(house: House) -> None:
    await house.say(Counted(number=5), hearers=["mails"])
    letter = await house.only()
    house.counters["mails"].is_broken = False
    parked = await house.databases["mails"].one(Statement(select(METADATA.tables["dead_letters"])))
    assert parked is not None
    await house.counters["mails"].inbox.deliver([msgspec.json.decode(parked["envelope"], type=Envelope)])

    assert await house.letters.replay(key=house.key(), **named(letter), actor="user:1") is None

    assert await house.counted("mails") == {5: 1}
    assert await house.everything() == []


async def test_a_letter_that_fails_again_stays_with_its_new_error_and_no_effect(house: House) -> None:
    await house.say(Counted(number=5), hearers=["mails"])
    letter = await house.only()
    house.counters["mails"].error = "still not mended"

    again = await house.letters.replay(key=house.key(), **named(letter), actor="user:1")

    assert again == await house.only()
    assert again == msgspec.structs.replace(letter, attempts=2, error="LookupError: still not mended")
    assert await house.counted("mails") == {}
    assert await house.audited("mails") == []


async def test_a_body_that_no_version_reads_stays_whatever_is_done(house: House) -> None:
    class Misread(Event, frozen=True, kw_only=True):
        type: ClassVar[str] = "test.counted.v1"
        word: str

    await house.say(Misread(word="five"), hearers=["mails"])
    house.counters["mails"].is_broken = False

    again = await house.letters.replay(key=house.key(), **named(await house.only()), actor="user:1")

    assert again is not None
    assert (again.attempts, again.error.partition(":")[0]) == (2, "Permanent")


async def test_one_services_letter_is_replayed_to_that_service_alone(house: House) -> None:
    await house.say(Counted(number=5))
    for counter in house.counters.values():
        counter.is_broken = False
    [letter] = (await house.letters.list(wanted=Wanted(service="stock"))).items

    await house.letters.replay(key=house.key(), **named(letter), actor="user:1")

    assert [await house.counted(name) for name in NAMES] == [{}, {}, {5: 1}]
    assert [letter.service for letter in await house.everything()] == ["carts", "mails"]


async def test_a_discarded_letter_never_has_its_effect_and_leaves_a_trace(house: House) -> None:
    await house.say(Counted(number=5), hearers=["mails"])
    letter = await house.only()

    await house.letters.discard(key=house.key(), **named(letter), actor="user:1")

    with pytest.raises(NoSuchDeadLetter):
        await house.letters.discard(key=house.key(), **named(letter), actor="user:2")
    with pytest.raises(NoSuchDeadLetter):
        await house.letters.replay(key=house.key(), **named(letter), actor="user:2")
    assert await house.counted("mails") == {}
    [row] = await house.audited("mails")
    assert (row["actor"], row["action"], row["target"]) == ("user:1", "dead_letters.discard", letter.event_id)
    assert msgspec.json.decode(row["detail"]) == {"consumer": "mails.count", "type": "test.counted.v1", "attempts": 1}


@pytest.mark.parametrize("event_id", ["", "0", "-1", "1", "17; DROP TABLE", "9" * 30])
@pytest.mark.parametrize("service", ["mails", "nobody"])
async def test_what_is_not_there_can_be_neither_seen_nor_replayed_nor_discarded(
    house: House, service: str, event_id: str
) -> None:
    for act in (house.letters.replay, house.letters.discard):
        with pytest.raises(NoSuchDeadLetter):
            await act(key=house.key(), service=service, consumer="mails.count", event_id=event_id, actor="user:1")
    with pytest.raises(NoSuchDeadLetter):
        await house.letters.get(service=service, consumer="mails.count", event_id=event_id)


async def test_a_letter_to_a_consumer_that_is_no_more_can_only_be_discarded(house: House) -> None:
    event_id = house.ids.new(slot=7)
    envelope = Envelope(
        id=event_id, type="test.counted.v1", source="carts", time=house.clock.now(), slot=7, aggregate="1"
    )
    gone = Consumer(name="mails.gone", hears=Counted, handle=house.counters["mails"].handle)
    inbox = Inbox(database=house.databases["mails"], consumer=gone, clock=house.clock)
    await inbox.park(envelope, error="LookupError: x", attempts=8)
    letter = await house.only()
    assert slot_of(letter.event_id) == 7

    with pytest.raises(ConsumerGone, match=r"mails\.gone"):
        await house.letters.replay(key=house.key(), **named(letter), actor="user:1")

    await house.letters.discard(key=house.key(), **named(letter), actor="user:1")
    assert await house.everything() == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
async def test_pages_hold_every_letter_of_all_services_once_the_latest_first(house: House, limit: int) -> None:
    for number in range(3):
        await house.say(Counted(number=number), Counted(number=10 + number))

    found = await house.everything(limit=limit)

    assert len({tuple(named(letter).values()) for letter in found}) == len(found) == 18
    moments = [letter.parked_at for letter in found]
    assert moments == sorted(moments, reverse=True)
    assert [letter.service for letter in found] == ["carts", "carts", "mails", "mails", "stock", "stock"] * 3


async def test_a_page_is_not_upset_by_letters_that_go_and_come_meanwhile(house: House) -> None:
    for number in range(4):
        await house.say(Counted(number=number), hearers=["mails", "stock"])
    first = await house.letters.list(limit=3)
    await house.letters.discard(key=house.key(), **named(first.items[-1]), actor="user:1")
    await house.say(Counted(number=9), hearers=["carts"])

    second = await house.letters.list(limit=100, cursor=first.next_cursor)

    assert len(second.items) == 5
    assert not {tuple(named(letter).values()) for letter in first.items} & {
        tuple(named(letter).values()) for letter in second.items
    }


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "é", "W10"])
async def test_a_forged_cursor_is_refused(house: House, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await house.letters.list(cursor=cursor)


async def test_a_service_without_letters_and_one_that_there_is_not_have_an_empty_page(house: House) -> None:
    await house.say(Counted(number=5), hearers=["mails"])

    assert (await house.letters.list(wanted=Wanted(service="stock"))).items == ()
    assert (await house.letters.list(wanted=Wanted(service="nobody"))).items == ()


# -- what is meant, and many at once ---------------------------------------------------------------------------------


async def test_a_letter_tells_its_original_route(house: House) -> None:
    await house.say(Counted(number=5), hearers=["mails"])

    letter = await house.only()

    assert (letter.source, letter.address, letter.routing_key) == ("carts", "test", "counted.v1")
    assert await house.letters.hearings() == tuple(
        Hearing(service=name, consumer=f"{name}.count", type="test.counted.v1") for name in NAMES
    )


@pytest.fixture
async def mixed(house: House) -> House:
    """Letters of three services and two types, with two errors, a second apart."""

    class Weighed(Event, frozen=True, kw_only=True):
        type: ClassVar[str] = "test.counted.v10"
        number: int
        type_: str = '","type":"test.counted.v1"'

    await house.say(Counted(number=1), hearers=["carts", "mails"])
    for counter in house.counters.values():
        counter.error = "100% of the Disk_is full for ada@example.com"
    await house.say(Counted(number=2), hearers=["mails", "stock"])
    envelope = Envelope(
        id=house.ids.new(slot=9),
        type=Weighed.type,
        source="carts",
        time=house.clock.now(),
        slot=9,
        aggregate="1",
        body=msgspec.Raw(msgspec.json.encode(Weighed(number=3))),
    )
    await house.counters["stock"].inbox.park(envelope, error="Permanent: x", attempts=1)
    return house


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(service="mails"), ["mails 2", "mails 1"]),
        (Wanted(consumer="stock.count"), ["stock 3", "stock 2"]),
        (Wanted(consumer="stock.coun_"), []),
        (Wanted(type="test.counted.v1"), ["mails 2", "stock 2", "carts 1", "mails 1"]),
        (Wanted(type="test.counted.v10"), ["stock 3"]),
        (Wanted(type="test_counted.v1"), []),
        (Wanted(error="DISK_IS"), ["mails 2", "stock 2"]),
        (Wanted(error="100%"), ["mails 2", "stock 2"]),
        (Wanted(error="disk%full"), []),
        (Wanted(error="diskxis"), []),
        (Wanted(error="\\"), []),
        (Wanted(error="not mended"), ["carts 1", "mails 1"]),
        (Wanted(error="ada@example.com"), []),
        (Wanted(error="\0", consumer="\0", type="\0"), []),
        (Wanted(service="mails", error="disk", type="test.counted.v1"), ["mails 2"]),
    ],
)
async def test_letters_are_found_by_what_one_knows_of_them(mixed: House, wanted: Wanted, found: list[str]) -> None:
    def names(letters: Sequence[DeadLetter]) -> list[str]:
        return [f"{letter.service} {msgspec.json.decode(letter.body)['number']}" for letter in letters]

    for limit in (1, 2, 100):
        assert sorted(names(await mixed.everything(wanted=wanted, limit=limit))) == sorted(found)
        oldest = await mixed.everything(wanted=wanted, limit=limit, order="oldest")
        assert [letter.parked_at for letter in oldest] == sorted(letter.parked_at for letter in oldest)
        assert sorted(names(oldest)) == sorted(found)


async def test_letters_are_found_by_the_time_they_were_parked(mixed: House) -> None:
    moments = sorted({letter.parked_at for letter in await mixed.everything()})

    since = await mixed.everything(wanted=Wanted(since=moments[1]))
    until = await mixed.everything(wanted=Wanted(until=moments[1]))

    assert {letter.parked_at for letter in since} == set(moments[1:])
    assert {letter.parked_at for letter in until} == {moments[0]}


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
async def test_the_oldest_come_first_where_that_is_asked_for(house: House, limit: int) -> None:
    for number in range(3):
        await house.say(Counted(number=number), Counted(number=10 + number))

    found = await house.everything(limit=limit, order="oldest")

    assert len({tuple(named(letter).values()) for letter in found}) == len(found) == 18
    assert [letter.service for letter in found] == ["carts", "carts", "mails", "mails", "stock", "stock"] * 3
    assert [letter.parked_at for letter in found] == sorted(letter.parked_at for letter in found)


async def test_the_same_key_does_it_once_and_says_the_same_again(house: House) -> None:
    await house.say(Counted(number=5), hearers=["mails", "stock"])
    mails, stock = sorted(await house.everything(), key=lambda letter: letter.service)

    first = await house.letters.replay(key="k", **named(mails), actor="user:1")
    house.counters["mails"].error = "another error"
    assert await house.letters.replay(key="k", **named(mails), actor="user:1") == first
    assert await house.letters.get(**named(mails)) == first

    house.counters["stock"].is_broken = False
    for _ in range(2):
        assert await house.letters.replay(key="k", **named(stock), actor="user:1") is None
        await house.letters.discard(key="k", **named(mails), actor="user:1")
    assert [len(await house.audited(name)) for name in NAMES] == [0, 1, 1]


class Hurried(ManualClock):
    """Time passes where somebody waits for it."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


async def told_of(
    house: House, wanted: Wanted = EVERY, *, most: int = 100, clock: Hurried | None = None, rate_per_s: float = 50
) -> Tally:
    chosen = await choose(house.letters, wanted=wanted, most=most)
    return await replay_all(
        house.letters,
        chosen.letters,
        key=house.key(),
        actor="user:1",
        clock=clock or Hurried(),
        rate_per_s=rate_per_s,
    )


async def test_all_that_match_are_replayed_and_what_fails_again_stays(house: House) -> None:
    for number in range(4):
        await house.say(Counted(number=number))
    house.counters["mails"].is_broken = house.counters["stock"].is_broken = False

    tally = await told_of(house, Wanted(consumer="mails.count"))
    rest = await told_of(house)
    again = await told_of(house)

    assert tally == Tally(replayed=4)
    assert rest == Tally(replayed=4, failed=4)
    assert again == Tally(failed=4)
    assert [await house.counted(name) for name in NAMES] == [{}, dict.fromkeys(range(4), 1), dict.fromkeys(range(4), 1)]
    assert {letter.attempts for letter in await house.everything()} == {3}


async def test_a_replay_is_bounded_and_takes_the_oldest(house: House) -> None:
    for number in range(5):
        await house.say(Counted(number=number), hearers=["mails"])
    house.counters["mails"].is_broken = False

    chosen = await choose(house.letters, wanted=EVERY, most=2)
    tally = await told_of(house, most=2)

    assert (len(chosen.letters), chosen.has_more) == (2, True)
    assert tally == Tally(replayed=2)
    assert await house.counted("mails") == {0: 1, 1: 1}
    assert not (await choose(house.letters, wanted=EVERY, most=3)).has_more


async def test_a_replay_is_not_faster_than_it_may_be(house: House) -> None:
    await house.say(*(Counted(number=number) for number in range(11)), hearers=["mails"])
    house.counters["mails"].is_broken = False
    clock = Hurried()

    tally = await told_of(house, rate_per_s=10, clock=clock)

    assert tally.replayed == 11
    assert 0.99 <= clock.monotonic() <= 1.01


async def test_two_who_replay_the_same_letters_at_once_do_no_harm(house: House) -> None:
    await house.say(*(Counted(number=number) for number in range(6)), hearers=["mails"])
    house.counters["mails"].is_broken = False
    chosen = (await choose(house.letters, wanted=EVERY)).letters

    tallies = await asyncio.gather(
        *(replay_all(house.letters, chosen, key=f"{who}", actor=who, clock=Hurried()) for who in ("user:1", "user:2"))
    )

    assert all(tally.failed == 0 and tally.done == 6 for tally in tallies)
    assert await house.counted("mails") == dict.fromkeys(range(6), 1)
    assert len(await house.audited("mails")) == 6


@pytest.mark.parametrize("depth", [60, 900])
async def test_a_letter_that_is_nested_too_deep_hides_no_other(house: House, depth: int) -> None:
    await house.say(Counted(number=1), hearers=["carts"])
    body = b'{"number":' + b"[" * depth + b"]" * depth + b"}"
    deep = Envelope(
        id=house.ids.new(slot=7),
        type=Counted.type,
        source="carts",
        time=house.clock.now(),
        slot=7,
        aggregate="17",
        body=msgspec.Raw(body),
    )
    await house.counters["carts"].inbox.park(deep, error="Permanent: odd", attempts=1)

    shown = {letter.event_id: letter.body for letter in await house.everything()}

    assert len(shown) == 2
    assert "too deep" in shown[deep.id] or "cannot be shown" in shown[deep.id]
    await house.letters.discard(
        key=house.key(), service="carts", consumer="carts.count", event_id=deep.id, actor="user:1"
    )
    assert len(await house.everything()) == 1
