"""RabbitMQ that is killed, cut off, silent, short of memory, or not there yet: nothing published is lost."""

import asyncio
import gc
import random
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise

import pamqp.encode
import pytest
import structlog

from hansa.kernel.event import Envelope
from hansa.platform.messaging.port import Bus, BusUnusable, NotPublished
from hansa.platform.messaging.rabbitmq import bus as bus_module
from hansa.platform.messaging.rabbitmq import connecting, publishing, topology
from hansa.platform.messaging.rabbitmq.connecting import Unreachable
from hansa.platform.messaging.rabbitmq.messages import message_of
from tests.chaos.proxy import FAIR, Proxy, Weather
from tests.platform.messaging.brokers import Counted, Hearing, Recorder, counted, until
from tests.platform.messaging.rabbitmq_broker import RabbitBroker, opened
from tests.rabbitmq_server import MEMORY_HIGH_WATERMARK, RabbitServer

PATIENCE_S = 60.0


@pytest.fixture
async def broker(rabbitmq_server: RabbitServer, caplog: pytest.LogCaptureFixture) -> AsyncIterator[RabbitBroker]:
    async with opened(rabbitmq_server) as broker:
        yield broker
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"], "no error goes unheeded"


@pytest.fixture
async def proxy(rabbitmq_server: RabbitServer) -> AsyncIterator[Proxy]:
    """A line to the server."""
    proxy = Proxy(port=rabbitmq_server.port, chance=random.Random(1))
    await proxy.start()
    yield proxy
    await proxy.close()


@pytest.fixture(autouse=True)
def _quick_to_connect_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "SHORTEST_PAUSE_S", 0.2)
    monkeypatch.setattr(bus_module, "LONGEST_PAUSE_S", 0.5)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "CONFIRM_S", 1.0)
    monkeypatch.setattr(publishing, "BLOCKED_S", 0.1)
    monkeypatch.setattr(connecting, "CONNECT_S", 1.0)


def subscribed(broker: RabbitBroker, recorder: Recorder, *, url: str = "", hearing: Hearing | None = None) -> Bus:
    bus = broker.bus(url=url)
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    if hearing is not None:
        bus.listen(type=Counted.type, listener=hearing)
    return bus


async def insist(bus: Bus, number: int) -> int:
    """Publish until it is safe, as the relay does; how often that failed."""
    for failures in range(10_000):
        try:
            await bus.publish([counted(number)])
        except (NotPublished, Unreachable):
            await asyncio.sleep(0.01)
        else:
            return failures
    raise TimeoutError


@asynccontextmanager
async def publishing_all_the_time(bus: Bus) -> AsyncIterator[list[int]]:
    """One event after the other; the list is of those that are safe."""
    published: list[int] = []

    async def publish() -> None:
        for number in range(1_000_000):
            await insist(bus, number)
            published.append(number)

    task = asyncio.create_task(publish())
    try:
        yield published
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_broker_that_is_killed_and_comes_back_has_lost_nothing(broker: RabbitBroker):
    recorder, hearing = Recorder(), Hearing()
    bus = subscribed(broker, recorder, hearing=hearing)
    await bus.start()

    async with publishing_all_the_time(bus) as published:
        await until(lambda: len(recorder.got) > 50)
        broker.server.kill()
        safe_before = len(published)
        broker.server.launch()
        await until(lambda: len(published) > safe_before + 50, patience_s=PATIENCE_S)

    await until(lambda: set(recorder.numbers) >= set(published), patience_s=PATIENCE_S)
    await until(lambda: hearing.missed_times == 1)
    await insist(bus, 2_000_000)
    await until(lambda: hearing.got[-1].version == 2_000_001)
    assert recorder.parked == []


async def test_a_line_that_is_cut_again_and_again_loses_nothing(broker: RabbitBroker, proxy: Proxy):
    recorder, hearing = Recorder(), Hearing()
    bus = subscribed(broker, recorder, url=broker.server.url_of(port=proxy.port), hearing=hearing)
    await bus.start()

    async with publishing_all_the_time(bus) as published:
        for times in range(1, 4):
            safe_before = len(published)
            proxy.cut_all()
            await until(lambda times=times: hearing.missed_times == times)  # type: ignore[misc]
            await until(lambda before=safe_before: len(published) > before + 20)  # type: ignore[misc]

    await until(lambda: set(recorder.numbers) >= set(published), patience_s=PATIENCE_S)
    assert recorder.parked == []


@pytest.mark.usefixtures("_impatient")
async def test_a_broker_that_falls_silent_is_an_error_in_bounded_time(broker: RabbitBroker, proxy: Proxy):
    recorder = Recorder()
    bus = subscribed(broker, recorder, url=broker.server.url_of(port=proxy.port))
    await bus.publish([counted(1)])
    proxy.weather = Weather(is_hole=True)

    with pytest.raises(NotPublished, match="no confirmation"):
        await bus.publish([counted(2)])
    with pytest.raises(Unreachable, match="took too long"):
        await asyncio.gather(*(bus.publish([counted(number)]) for number in range(3, 20)))

    proxy.weather = FAIR
    await insist(bus, 20)
    await bus.start()
    await until(lambda: 20 in recorder.numbers)


@pytest.mark.usefixtures("_impatient")
async def test_a_broker_short_of_memory_is_an_error_in_bounded_time_and_is_consumed_from(broker: RabbitBroker):
    recorder = Recorder()
    bus = subscribed(broker, recorder)
    published: list[int] = []

    async def publish_on() -> None:
        for number in range(1_000_000):
            await bus.publish([counted(number)])
            published.append(number)

    await bus.publish([counted(0)])
    broker.server.control("set_vm_memory_high_watermark", "0.00001")
    try:
        with pytest.raises(NotPublished, match="no confirmation"):
            await publish_on()
        with pytest.raises(Unreachable, match="short of memory"):
            await bus.publish([counted(2_000_000)])
        await bus.start()
        await until(lambda: set(recorder.numbers) == {0, *published})
    finally:
        broker.server.control("set_vm_memory_high_watermark", "absolute", MEMORY_HIGH_WATERMARK)

    await insist(bus, 3_000_000)

    await until(lambda: 3_000_000 in recorder.numbers)


async def test_a_broker_that_is_not_there_yet_is_waited_for(broker: RabbitBroker, caplog: pytest.LogCaptureFixture):
    broker.server.kill()
    recorder, hearing = Recorder(), Hearing()
    bus = subscribed(broker, recorder, hearing=hearing)

    with structlog.testing.capture_logs() as logs:
        await bus.start()
        with pytest.raises(Unreachable, match="does not answer"):
            await bus.publish([counted(1)])
        broker.server.launch()
        await until(lambda: hearing.missed_times == 1, patience_s=PATIENCE_S)

    await insist(bus, 2)
    await until(lambda: recorder.numbers == [2] and len(hearing.got) == 1)
    reasons = [line["reason"] for line in logs if line["event"] == "no connection to RabbitMQ, trying again"]
    assert reasons
    assert all(one != next_ for one, next_ in pairwise(reasons)), "not at each attempt"
    assert "guest" not in str(logs)
    assert not caplog.text


async def test_a_broker_that_comes_back_as_another_one_is_not_overwritten(broker: RabbitBroker, proxy: Proxy):
    """Somebody has put another queue in the place of one; when it is away, all goes on."""
    name = f"{broker.namespace}.tally.all"
    recorder = Recorder()
    bus = subscribed(broker, recorder, url=broker.server.url_of(port=proxy.port))
    await bus.start()
    async with broker.channel() as channel:
        await channel.queue_delete(name)
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
    proxy.cut_all()

    with pytest.raises(BusUnusable, match="not as it must be"):
        await bus.publish([counted(1)])
    async with broker.channel() as channel:
        await channel.queue_delete(name)

    await insist(bus, 2)
    await until(lambda: recorder.numbers == [2])


async def test_a_queue_that_is_deleted_is_made_anew(broker: RabbitBroker):
    recorder, hearing = Recorder(), Hearing()
    bus = subscribed(broker, recorder, hearing=hearing)
    await bus.start()

    async with broker.channel() as channel:
        await channel.queue_delete(f"{broker.namespace}.tally.all")

    await until(lambda: hearing.missed_times == 1)
    await insist(bus, 1)
    await until(lambda: recorder.numbers == [1])


async def test_what_the_client_library_cannot_read_is_left_to_people_in_the_end(
    broker: RabbitBroker, monkeypatch: pytest.MonkeyPatch
):
    """Such a message ends the connection of everybody who takes it."""
    monkeypatch.setattr(topology, "DELIVERY_LIMIT", 2)
    recorder = Recorder()
    bus = subscribed(broker, recorder)
    await bus.publish([counted(1)])
    year_of_many_digits = struct.pack(">Q", 10**17)
    with monkeypatch.context() as patched:
        patched.setitem(pamqp.encode.METHODS, "timestamp", lambda _: year_of_many_digits)
        message = message_of([counted(2)])
        message.timestamp = datetime(2026, 11, 23, tzinfo=UTC)
        await broker.send(message, consumer="tally.all")
    await bus.publish([counted(3)])

    await bus.start()

    await until(lambda: recorder.numbers == [1, 3])
    async with asyncio.timeout(PATIENCE_S):
        while not await broker.depth("tally.lost"):
            await asyncio.sleep(0.1)
    await insist(bus, 4)
    await until(lambda: recorder.numbers == [1, 3, 4])
    assert recorder.parked == []


async def test_a_consumer_whose_work_is_cancelled_from_within_gets_it_again(broker: RabbitBroker):
    class Cancelled(Recorder):
        times = 0

        async def deliver(self, batch: Sequence[Envelope]) -> None:
            self.times += 1
            if self.times == 1:
                raise asyncio.CancelledError
            await super().deliver(batch)

    recorder = Cancelled()
    bus = subscribed(broker, recorder)
    await bus.start()

    await insist(bus, 1)

    await until(lambda: recorder.numbers == [1])


async def test_those_who_publish_at_once_share_a_connection(broker: RabbitBroker, proxy: Proxy):
    bus = subscribed(broker, Recorder(), url=broker.server.url_of(port=proxy.port))

    await asyncio.gather(*(bus.publish([counted(number)]) for number in range(20)))

    assert proxy.counted["connections"] == 1


@pytest.mark.usefixtures("_impatient")
async def test_a_closed_bus_leaves_nothing_behind(broker: RabbitBroker, proxy: Proxy):
    before = asyncio.all_tasks()
    bus = subscribed(broker, Recorder(), url=broker.server.url_of(port=proxy.port), hearing=Hearing())
    await bus.start()
    await bus.publish([counted(number) for number in range(100)])
    cut_off = subscribed(broker, Recorder(), url=broker.server.url_of(port=proxy.port))
    nowhere = subscribed(broker, Recorder(), url="amqp://127.0.0.1:1/")
    await nowhere.start()
    await cut_off.start()
    proxy.cut_all()

    await asyncio.gather(bus.close(), cut_off.close(), nowhere.close())

    await until(lambda: not [task for task in asyncio.all_tasks() - before if "proxy" not in repr(task.get_coro())])
