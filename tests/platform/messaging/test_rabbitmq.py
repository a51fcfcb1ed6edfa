"""What is particular to RabbitMQ: the topology, what is put off and where, dead letters, and what it refuses."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import aio_pika
import pytest
import structlog
from aio_pika import ExchangeType
from pamqp.common import FieldTable

from hansa.kernel.event import Envelope
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.port import BusUnusable, NotPublished, Permanent
from hansa.platform.messaging.rabbitmq import bus as bus_module
from hansa.platform.messaging.rabbitmq.messages import message_of
from hansa.platform.messaging.rabbitmq.topology import DELIVERY_LIMIT
from tests.platform.messaging.brokers import (
    PATIENCE_S,
    Counted,
    Hearing,
    Recorder,
    Skipped,
    counted,
    number_of,
    skipped,
    until,
)
from tests.platform.messaging.rabbitmq_broker import RabbitBroker, opened
from tests.rabbitmq_server import NOBODY, PASSWORD, RabbitServer

SLOW = Patience()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "LAST_BATCH_S", 0.05)


@pytest.fixture
async def broker(rabbitmq_server: RabbitServer) -> AsyncIterator[RabbitBroker]:
    async with opened(rabbitmq_server) as broker:
        yield broker


def subscribed(broker: RabbitBroker, recorder: Recorder, *, patience: Patience | None = None, url: str = ""):
    """A process with the consumer `tally.all`, which is not started."""
    bus = broker.bus(url=url, **({"patience": patience} if patience else {}))
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    return bus


async def test_the_topology_is_what_it_should_be(broker: RabbitBroker):
    bus = subscribed(broker, Recorder(), patience=SLOW)
    bus.listen(type=Skipped.type, listener=Hearing())
    await bus.start()

    space = f"{broker.namespace}."
    queues = {row["name"]: row for row in broker.server.listed("queues", "name", "durable", "type", "arguments")}
    bindings = {
        (row["source_name"], row["routing_key"], row["destination_name"])
        for row in broker.server.listed("bindings")
        if row["source_name"].startswith(space)
    }
    exchanges = {row["name"]: row for row in broker.server.listed("exchanges", "name", "type", "durable")}

    ours = {name: row for name, row in queues.items() if name.startswith(space)}
    names = ("tally.all", "tally.dead", "tally.lost", "retry.1s", "retry.10s", "retry.1m", "retry.10m")
    assert set(ours) == {space + name for name in names}
    assert all(row["durable"] and row["type"] == "quorum" for row in ours.values())
    safe = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
    dying = {**safe, "x-dead-letter-exchange": "", "x-dead-letter-strategy": "at-least-once"}
    for name, heir in (("tally.all", "tally.dead"), ("tally.dead", "tally.lost")):
        limited = {**dying, "x-delivery-limit": 16, "x-dead-letter-routing-key": space + heir}
        assert _arguments(ours[space + name]) == limited
    assert _arguments(ours[space + "tally.lost"]) == safe
    assert _arguments(ours[space + "retry.10m"]) == {**dying, "x-message-ttl": 600_000}
    assert (space + "counter", "number.counted.v1", space + "tally.all") in bindings
    assert (space + "retry.1s", "", space + "retry.1s") in bindings
    [(_, _, listens)] = [each for each in bindings if each[1] == "number.skipped.v1"]
    assert not queues[listens]["durable"], "it goes with the process"
    assert exchanges[space + "counter"]["type"] == "topic"
    assert exchanges[space + "retry.1s"]["type"] == "fanout"
    assert exchanges[space + "counter"]["durable"]


def _arguments(row) -> dict[str, object]:
    """Older servers list them as triples."""
    found = row["arguments"]
    return found if isinstance(found, dict) else {name: value for name, _, value in found}


@pytest.mark.parametrize("act", ["start", "publish"])
async def test_another_queue_of_the_name_is_said_and_left_as_it_is(broker: RabbitBroker, act: str):
    name = f"{broker.namespace}.tally.all"
    others: FieldTable = {"x-queue-type": "quorum", "x-delivery-limit": 5}
    async with broker.channel() as channel:
        await channel.declare_queue(name, durable=True, arguments=others)
    bus = subscribed(broker, Recorder())

    with pytest.raises(BusUnusable, match=rf"queue {name} .* left as it is: .*inequivalent arg .*delete_queue {name}"):
        await (bus.start() if act == "start" else bus.publish([counted(1)]))

    async with broker.channel() as channel:
        await channel.declare_queue(name, durable=True, arguments=others)


async def test_another_exchange_of_the_name_is_said(broker: RabbitBroker):
    async with broker.channel() as channel:
        await channel.declare_exchange(f"{broker.namespace}.counter", ExchangeType.DIRECT, durable=True)
    bus = subscribed(broker, Recorder())

    with pytest.raises(BusUnusable, match=r"exchange test\d+\.counter .*inequivalent arg 'type'"):
        await bus.start()


@pytest.mark.parametrize(
    ("user", "password", "host", "said"),
    [
        ("guest", "swordfish", "", "password is another"),
        ("stranger", "swordfish", "", "no such user"),
        ("guest", "guest", "elsewhere", "does not open the virtual host"),
        (NOBODY, PASSWORD, "", r"does not let the user declare, or bind, the exchange"),
    ],
    ids=["password", "user", "virtual host", "permissions"],
)
async def test_who_is_not_let_in_is_told_why_and_no_secret_is_shown(
    broker: RabbitBroker, caplog: pytest.LogCaptureFixture, user: str, password: str, host: str, said: str
):
    url = broker.server.url_of(user=user, password=password) + host
    bus = subscribed(broker, Recorder(), url=url)

    with structlog.testing.capture_logs() as logs:
        with pytest.raises(BusUnusable, match=said) as caught:
            await bus.start()
        with pytest.raises(BusUnusable, match=said):
            await bus.publish([counted(1)])

    assert "swordfish" not in f"{caught.value}{logs}{caplog.text}"


async def test_what_no_queue_takes_is_not_published_and_the_next_time_there_is_one(broker: RabbitBroker):
    recorder = Recorder()
    bus = subscribed(broker, recorder)
    await bus.publish([counted(1)])
    async with broker.channel() as channel:
        queue = await channel.get_queue(f"{broker.namespace}.tally.all", ensure=False)
        await queue.unbind(f"{broker.namespace}.counter", "number.counted.v1")
    lost, unheard = counted(2), skipped(3)

    with pytest.raises(NotPublished, match=r"no queue takes number\.counted\.v1") as caught:
        await bus.publish([lost, unheard])

    assert caught.value.events == [lost]
    await bus.publish([lost])
    await bus.start()
    await until(lambda: recorder.numbers == [1, 2])


async def test_a_process_that_hears_nothing_may_publish(broker: RabbitBroker):
    await broker.bus().publish([skipped(1)])

    async with broker.channel() as channel:
        await channel.exchange_delete(f"{broker.namespace}.counter")


async def test_a_full_queue_refuses_and_takes_more_when_there_is_room(broker: RabbitBroker):
    recorder = Recorder()
    bus = subscribed(broker, recorder, url=broker.server.url + "?max_length=5")
    published: list[int] = []

    async def fill_up() -> None:
        for number in range(100):
            await bus.publish([counted(number)])
            published.append(number)

    with pytest.raises(NotPublished, match="refuses") as caught:
        await fill_up()

    [refused] = caught.value.events
    assert 5 <= len(published) < 50, "it may take a few more before all have heard that it is full"
    await bus.start()
    await until(lambda: recorder.numbers == published)
    await bus.publish([refused])
    await until(lambda: recorder.numbers == [*published, number_of(refused)])


async def test_what_is_put_off_waits_in_the_queue_of_its_delay_and_a_little_shorter(broker: RabbitBroker):
    recorder = Recorder()
    recorder.fail = lambda envelope: ValueError("not yet")
    bus = subscribed(broker, recorder, patience=SLOW)
    await bus.start()
    counts = [each for put_off in (1, 2, 3, 9) for each in [put_off] * 20]

    messages = [message_of([counted(number)]) for number in range(len(counts))]
    for message, put_off in zip(messages, counts, strict=True):
        message.headers |= {"hansa-put-off": put_off, "hansa-attempts": 2}
    await broker.send(*messages, consumer="tally.all")

    for delay, ceiling_ms, expected in (("10s", 10_000, 20), ("1m", 60_000, 20), ("10m", 600_000, 40)):
        async with broker.channel() as channel:
            queue = await channel.get_queue(f"{broker.namespace}.retry.{delay}", ensure=False)
            waiting = [await _next(queue) for _ in range(expected)]
        expirations_ms = [float(str(each.expiration)) * 1000 for each in waiting]
        assert all(0.74 * ceiling_ms < each <= ceiling_ms for each in expirations_ms)
        assert max(expirations_ms) - min(expirations_ms) > 0.1 * ceiling_ms, "they do not return in step"
        assert {each.routing_key for each in waiting} == {f"{broker.namespace}.tally.all"}
        assert {each.headers["hansa-attempts"] for each in waiting} == {3}
        assert all(each.delivery_mode == 2 for each in waiting)


async def _next(queue: aio_pika.abc.AbstractQueue) -> aio_pika.abc.AbstractIncomingMessage:
    found: list[aio_pika.abc.AbstractIncomingMessage] = []

    async def get() -> None:
        message = await queue.get(fail=False)
        if message is not None:
            found.append(message)

    for _ in range(2000):
        await get()
        if found:
            return found[0]
    raise TimeoutError("nothing has come")


async def given_up(broker: RabbitBroker, times: int) -> None:
    """Processes that take what is there and end before they answer."""
    for _ in range(times):
        async with broker.channel() as channel:
            queue = await channel.get_queue(f"{broker.namespace}.tally.all", ensure=False)
            await _next(queue)


async def test_what_ends_every_process_that_takes_it_is_parked_after_so_many(broker: RabbitBroker):
    recorder = Recorder()
    bus = subscribed(broker, recorder)
    killers = [counted(1), counted(2)]
    await bus.publish(killers)

    await given_up(broker, DELIVERY_LIMIT + 1)
    await bus.publish([counted(3)])
    await bus.start()

    await until(lambda: recorder.numbers == [3] and len(recorder.parked) == 2)
    assert [envelope for envelope, _, _ in recorder.parked] == killers
    assert {(error.partition(":")[0], attempts) for _, error, attempts in recorder.parked} == {
        ("Undelivered", DELIVERY_LIMIT)
    }
    assert await broker.depth("tally.dead") == 0


async def test_what_ends_processes_is_found_alone_and_takes_no_others_with_it(broker: RabbitBroker):
    """Many processes take it, each with what else is there, and end: all but one event have their effect."""

    class Fatal(Recorder):
        async def deliver(self, batch: Sequence[Envelope]) -> None:
            if 5 in (number_of(envelope) for envelope in batch):
                ended.set()
                await until(lambda: False, patience_s=1000)
            await super().deliver(batch)

    ended = asyncio.Event()
    publisher = subscribed(broker, Recorder())
    for number in range(40):
        await publisher.publish([counted(number)])

    recorder = Recorder()
    for _ in range(DELIVERY_LIMIT + 1):
        bus = subscribed(broker, fatal := Fatal())
        await bus.start()
        await asyncio.wait_for(ended.wait(), PATIENCE_S)
        ended.clear()
        await bus.close()
        recorder.got += fatal.got
    last = subscribed(broker, recorder)
    await last.start()

    await until(lambda: len(recorder.parked) == 1 and len(set(recorder.numbers)) == 39)
    assert number_of(recorder.parked[0][0]) == 5


async def test_a_dead_letter_waits_for_a_process_that_has_its_consumer(broker: RabbitBroker):
    recorder, other = Recorder(), Recorder()
    absent = subscribed(broker, recorder)
    await absent.publish([counted(1)])
    await given_up(broker, DELIVERY_LIMIT + 1)
    there = broker.bus()
    there.subscribe(consumer="tally.other", type=Skipped.type, subscriber=other)
    await there.start()
    async with broker.channel() as channel:
        queue = await channel.get_queue(f"{broker.namespace}.retry.200ms", ensure=False)
        waiting = await _next(queue)
        assert waiting.routing_key == f"{broker.namespace}.tally.dead"

    await absent.start()

    await until(lambda: len(recorder.parked) == 1)
    assert recorder.parked[0][1].startswith("Undelivered: ")
    assert other.parked == []


@pytest.mark.parametrize("body", [b"{no json", b'{"number": 5}'], ids=["unreadable", "permanent"])
async def test_what_cannot_even_be_parked_comes_again(broker: RabbitBroker, body: bytes):
    class Hindered(Recorder):
        hindrances = 2

        async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
            self.hindrances -= 1
            if self.hindrances >= 0:
                raise ConnectionError("no database")
            await super().park(envelope, error=error, attempts=attempts)

    recorder = Hindered()
    recorder.fail = lambda envelope: Permanent("odd")
    bus = subscribed(broker, recorder)
    await bus.start()
    message = message_of([counted(1)])

    await broker.send(aio_pika.Message(body, headers=message.headers), consumer="tally.all")

    await until(lambda: len(recorder.parked) == 1)
    assert recorder.parked[0][1].partition(":")[0] == ("Unreadable" if body == b"{no json" else "Permanent")


async def test_a_batch_of_somebody_elses_may_hold_any_number(broker: RabbitBroker):
    sizes: Counter[int] = Counter()

    class Sized(Recorder):
        async def deliver(self, batch: Sequence[Envelope]) -> None:
            sizes[len(batch)] += 1
            await super().deliver(batch)

    recorder = Sized()
    bus = subscribed(broker, recorder)
    await bus.start()

    await broker.send(message_of([counted(number) for number in range(600)]), consumer="tally.all")

    await until(lambda: recorder.numbers == list(range(600)))
    assert max(sizes) == 256


async def test_shops_with_namespaces_of_their_own_do_not_hear_each_other(broker: RabbitBroker):
    ours, theirs = Recorder(), Recorder()
    bus = subscribed(broker, ours)
    other = subscribed(broker, theirs, url=broker.server.url + "?namespace=other")
    await bus.start()
    await other.start()

    for number in range(10):
        await (bus if number < 7 else other).publish([counted(number)])

    await until(lambda: len(ours.got) + len(theirs.got) == 10)
    assert (ours.numbers, theirs.numbers) == (list(range(7)), [7, 8, 9])


async def test_a_listener_that_stumbles_or_cannot_read_begins_anew_and_hears_on(broker: RabbitBroker):
    class Stumbling(Hearing):
        def hear(self, batch: Sequence[Envelope]) -> None:
            if number_of(batch[0]) == 1:
                raise ValueError("stumbled")
            super().hear(batch)

    stumbling, steady = Stumbling(), Hearing()
    bus = broker.bus()
    bus.listen(type=Counted.type, listener=stumbling)
    bus.listen(type=Counted.type, listener=steady)
    await bus.start()

    await bus.publish([counted(1)])
    async with broker.channel() as channel:
        exchange = await channel.get_exchange(f"{broker.namespace}.counter", ensure=False)
        await exchange.publish(aio_pika.Message(b"{no json"), "number.counted.v1")
    await bus.publish([counted(2)])

    await until(lambda: len(steady.got) == 2 and len(stumbling.got) == 1)
    assert (stumbling.missed_times, steady.missed_times) == (2, 1)
