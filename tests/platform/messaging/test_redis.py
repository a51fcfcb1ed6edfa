"""What only Redis Streams do: a weaker promise, kept as far as it goes, through kills, freezes and lost data."""

import random
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis

from hansa.kernel.clock import SystemClock
from hansa.platform.messaging.port import BusUnusable, NotPublished
from hansa.platform.messaging.redis_streams.bus import RedisBus
from tests.platform.messaging import redis_broker
from tests.platform.messaging.brokers import QUICK, Counted, Hearing, Recorder, counted, until
from tests.platform.messaging.redis_broker import RedisBroker
from tests.ports import free_port
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def own_server(redis_server: RedisServer) -> Iterator[RedisServer]:
    """One that may be killed: each write is on the disk before it is answered."""
    server = RedisServer("--appendfsync", "always")
    yield server
    server.stop()


@pytest.fixture
async def broker(own_server: RedisServer) -> AsyncIterator[RedisBroker]:
    async with redis_broker.opened(own_server) as opened:
        yield opened


async def subscribed(broker: RedisBroker, recorder: Recorder) -> RedisBus:
    bus = broker.bus()
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    await bus.start()
    assert isinstance(bus, RedisBus)
    return bus


async def test_an_entry_is_what_a_client_in_another_language_would_read(broker: RedisBroker):
    bus = await subscribed(broker, Recorder())
    sent = counted(5)

    await bus.publish([sent])

    entries = broker.server.ask(lambda client: client.xrange(f"{broker.namespace}:events:counter"))
    ((_, fields),) = entries
    assert fields[b"id"].decode() == sent.id
    assert fields[b"type"].decode() == Counted.type
    assert fields[b"specversion"] == b"1.0"
    assert fields[b"data"] == bytes(sent.body)


async def test_what_was_confirmed_outlives_a_kill_and_consumers_go_on(broker: RedisBroker):
    recorder = Recorder()
    bus = await subscribed(broker, recorder)
    await bus.publish([counted(number) for number in range(10)])
    await until(lambda: len(recorder.got) >= 10)
    publisher = broker.bus()
    publisher.subscribe(consumer="tally.all", type=Counted.type, subscriber=Recorder())
    await publisher.publish([counted(number) for number in range(10, 20)])

    broker.server.kill()
    with pytest.raises(Exception, match=r".*"):
        await publisher.publish([counted(20)])
    broker.server.start()
    await publisher.publish([counted(21)])

    await until(lambda: set(recorder.numbers) >= {*range(20), 21})


async def test_a_frozen_server_refuses_in_bounded_time_and_nothing_is_lost(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hansa.platform.messaging.redis_streams.bus.ANSWER_WITHIN_S", 0.5)
    recorder = Recorder()
    bus = await subscribed(broker, recorder)

    with broker.server.frozen(), pytest.raises(Exception, match=r".*"):
        await bus.publish([counted(1)])
    await bus.publish([counted(2)])

    await until(lambda: 2 in recorder.numbers)


async def test_after_everything_was_flushed_groups_are_made_anew(broker: RedisBroker):
    recorder, hearing = Recorder(), Hearing()
    bus = broker.bus()
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    bus.listen(type=Counted.type, listener=hearing)
    await bus.start()
    await bus.publish([counted(1)])
    await until(lambda: recorder.numbers == [1])

    broker.server.ask(lambda client: client.flushall())
    await until(lambda: bool(broker.server.ask(lambda client: client.exists(f"{broker.namespace}:again:tally"))))
    await bus.publish([counted(2)])

    await until(lambda: recorder.numbers == [1, 2])


async def test_a_server_without_room_refuses_by_name_and_takes_it_afterwards(broker: RedisBroker):
    recorder = Recorder()
    bus = await subscribed(broker, recorder)
    broker.server.ask(lambda client: client.config_set("maxmemory", "1"))
    try:
        with pytest.raises(NotPublished, match="maxmemory"):
            await bus.publish([counted(1)])
    finally:
        broker.server.ask(lambda client: client.config_set("maxmemory", "0"))

    await bus.publish([counted(1)])

    await until(lambda: recorder.numbers == [1])


async def test_what_was_acknowledged_by_all_is_let_go_of(broker: RedisBroker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hansa.platform.messaging.redis_streams.reading.TRIM_EVERY", 1)
    recorder = Recorder()
    bus = await subscribed(broker, recorder)
    stream = f"{broker.namespace}:events:counter"

    await bus.publish([counted(number) for number in range(1000)])
    await until(lambda: len(recorder.got) >= 1000)

    await until(lambda: broker.server.ask(lambda client: client.xlen(stream)) < 300)


async def test_what_kills_whoever_takes_it_is_parked_in_the_end(broker: RedisBroker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hansa.platform.messaging.redis_streams.bus.MOST_DELIVERIES", 2)
    bus = await subscribed(broker, Recorder())
    await bus.close()
    publisher = broker.bus()
    publisher.subscribe(consumer="tally.all", type=Counted.type, subscriber=Recorder())
    await publisher.publish([counted(1)])

    def taken_and_never_done(client: Redis) -> object:
        stream = f"{broker.namespace}:events:counter"
        for _ in range(3):
            client.xreadgroup("tally", "dead", {stream: ">"})
            client.xautoclaim(stream, "tally", "dead", 0)
        return None

    broker.server.ask(taken_and_never_done)
    recorder = Recorder()
    await subscribed(broker, recorder)

    await until(lambda: len(recorder.parked) == 1)
    assert recorder.parked[0][1].startswith("Undelivered: ")
    assert recorder.got == []


async def test_a_wrong_password_is_said(own_server: RedisServer):
    own_server.start()
    address = own_server.url.replace("redis://", "redis://somebody:secret@")
    bus = RedisBus(url=address, clock=SystemClock(), chance=random.Random(1), patience=QUICK)
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=Recorder())

    with pytest.raises(BusUnusable) as told:
        await bus.start()

    assert "secret" not in str(told.value)
    await bus.close()


async def test_a_shop_starts_without_its_redis_and_hears_when_that_comes(monkeypatch: pytest.MonkeyPatch):
    server = RedisServer()
    server.port = free_port()
    recorder = Recorder()
    bus = RedisBus(url=server.url, clock=SystemClock(), chance=random.Random(1), patience=QUICK)
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    try:
        await bus.start()
        with pytest.raises(Exception, match=r".*"):
            await bus.publish([counted(1)])
        server.start()
        await bus.publish([counted(2)])
        await until(lambda: recorder.numbers == [2])
    finally:
        await bus.close()
        server.stop()
