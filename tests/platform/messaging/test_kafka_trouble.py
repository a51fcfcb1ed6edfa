"""Kafka in trouble: every effect happens once, whoever dies, halts, is handed over or comes late."""

import asyncio
import signal
import sys
from asyncio import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from hansa.kernel.clock import SystemClock
from hansa.kernel.event import Envelope
from hansa.platform.database.platform_tables import OUTBOX_AGE
from hansa.platform.database.port import Database
from hansa.platform.messaging.kafka.bus import KafkaBus
from hansa.platform.messaging.port import NotPublished
from hansa.platform.outbox.relay import Relay
from tests.kafka_server import KafkaServer
from tests.platform.messaging import kafka_broker
from tests.platform.messaging.brokers import Counted, Hearing, Recorder, counted, number_of, until
from tests.platform.messaging.kafka_broker import PARTITIONS, Kafka
from tests.platform.messaging.kafka_effects import Effects, counts, opened, until_counted
from tests.platform.messaging.kafka_timing import BRISK

REFUSED = (NotPublished, KafkaError, OSError, TimeoutError)


@pytest.fixture
async def kafka(kafka_server: KafkaServer):
    async with kafka_broker.opened(kafka_server) as opened_:
        yield opened_


@pytest.fixture
async def database(tmp_path: Path):
    async with opened(tmp_path) as database:
        yield database


async def started(bus: KafkaBus, recorder: Recorder) -> KafkaBus:
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    await bus.start()
    return bus


async def published(bus: KafkaBus, *numbers: int) -> None:
    """As a relay does: again and again."""
    while True:
        try:
            return await bus.publish([counted(number, slot=number) for number in numbers])
        except REFUSED:
            await asyncio.sleep(0.1)


async def until_all_are_sent(database: Database) -> None:
    async with asyncio.timeout(30):
        while (row := await database.one(OUTBOX_AGE)) is not None and row[0]:
            await asyncio.sleep(0.05)


async def test_a_batch_is_finished_before_its_partitions_are_handed_over(kafka: Kafka, database: Database):
    gate = asyncio.Event()
    effects = Effects(database, before=gate.wait)
    first = kafka.bus()
    effects.subscribe(first)
    await first.start()
    await first.publish([counted(number, slot=number) for number in range(50)])
    await until(lambda: len(effects.delivered) > 0)

    second_effects = Effects(database)
    second = kafka.bus()
    second_effects.subscribe(second)
    await second.start()
    await kafka.until_members("tally", 2)
    gate.set()

    await until_counted(database, range(50))
    await first.publish([counted(number, slot=number) for number in range(50, 100)])
    await until_counted(database, range(100))
    assert await counts(database) == dict.fromkeys(range(100), 1)
    deliveries = effects.delivered + second_effects.delivered
    assert set(deliveries.values()) == {1}, "what was finished was committed in time"


async def test_a_batch_that_takes_too_long_is_let_go_and_repeated_without_harm(kafka: Kafka, database: Database):
    gate = asyncio.Event()
    effects, second_effects = Effects(database, before=gate.wait), Effects(database)
    first = kafka.bus(timing=replace(BRISK, handover_s=0.3))
    effects.subscribe(first)
    await first.start()
    await first.publish([counted(number, slot=number) for number in range(50)])
    await until(lambda: len(effects.delivered) > 0)

    second = kafka.bus()
    second_effects.subscribe(second)
    await second.start()
    await until(lambda: len(second_effects.delivered) > 0)
    repeated = second_effects.delivered & effects.delivered
    gate.set()

    await until_counted(database, range(50))
    await first.publish([counted(number, slot=number) for number in range(50, 100)])
    await until_counted(database, range(100))
    assert repeated, "the second process took what the first one had not committed"
    assert await counts(database) == dict.fromkeys(range(100), 1)


async def test_what_was_let_go_is_never_committed_by_who_let_it_go(kafka: Kafka):
    class Gated(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.gate = asyncio.Event()
            self.batches = 0

        async def deliver(self, batch: Sequence[Envelope]) -> None:
            self.got += batch
            self.batches += 1
            await self.gate.wait()

    slow, slower = Gated(), Gated()
    first = await started(kafka.bus(timing=replace(BRISK, handover_s=0.1)), slow)
    await first.publish([counted(number, slot=number) for number in range(50)])
    await until(lambda: slow.batches == 1)
    await started(kafka.bus(), slower)
    await until(lambda: slower.batches == 1)

    slow.gate.set()
    await until(lambda: slow.batches > 1 or len(slower.got) == 50)

    committed = await kafka.committed("tally", "counter")
    others = {(murmur2(str(envelope.slot).encode()) & 0x7FFFFFFF) % PARTITIONS for envelope in slower.got}
    assert [committed.get(partition, -1) for partition in others] == [-1] * len(others)


async def test_an_effect_whose_process_died_before_it_told_kafka_happens_once(kafka: Kafka, tmp_path: Path):
    async with opened(tmp_path) as database:
        await database.all(OUTBOX_AGE)
    publisher = kafka.bus()
    await publisher.publish([counted(number, slot=number) for number in range(30)])
    arguments = [kafka.server.address, kafka.namespace, str(tmp_path)]
    process = await subprocess.create_subprocess_exec(
        *(sys.executable, "-m", "tests.platform.messaging.kafka_effects", *arguments), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"committed\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()

    async with opened(tmp_path) as database:
        before = await counts(database)
        effects = Effects(database)
        bus = kafka.bus()
        effects.subscribe(bus)
        await bus.start()
        await until_counted(database, range(30))
        await until(lambda: len(effects.delivered) == 30)

        assert before, "something had taken effect"
        assert await counts(database) == dict.fromkeys(range(30), 1)


async def test_a_broker_that_dies_and_returns_costs_no_event_and_doubles_none(kafka: Kafka, database: Database):
    effects = Effects(database)
    bus = kafka.bus()
    effects.subscribe(bus)
    await bus.start()
    relay = Relay(database=database, bus=bus, clock=SystemClock())
    relay.start()

    for number in range(120):
        async with database.write(number) as tx:
            tx.emit(Counted(number=number), slot=number, aggregate=str(number + 1))
        if number == 40:
            kafka.server.kill()
        if number == 80:
            await asyncio.to_thread(kafka.server.start)

    await until_counted(database, range(120), patience_s=60)
    await until_all_are_sent(database)
    await relay.close()
    assert await counts(database) == dict.fromkeys(range(120), 1)


async def test_while_the_broker_says_nothing_publishing_ends_and_afterwards_all_goes_on(kafka: Kafka):
    recorder, hearing = Recorder(), Hearing()
    bus = kafka.bus()
    bus.listen(type=Counted.type, listener=hearing)
    await started(bus, recorder)
    await bus.publish([counted(0)])
    await until(lambda: recorder.numbers == [0])

    kafka.server.halt()
    try:
        async with asyncio.timeout(4 * BRISK.publish_s):
            with pytest.raises(NotPublished) as caught:
                await bus.publish([counted(1)])
            with pytest.raises(REFUSED):
                await bus.publish([counted(2)])
    finally:
        kafka.server.resume()

    assert [number_of(envelope) for envelope in caught.value.events] == [1]
    await published(bus, 1, 2, 3)
    await until(lambda: {1, 2, 3} <= set(recorder.numbers))
    await until(lambda: {1, 2, 3} <= {number_of(envelope) for envelope in hearing.got})


async def test_without_a_broker_publishing_fails_at_once_and_says_so(kafka: Kafka):
    kafka.server.kill()
    bus = kafka.bus()

    with pytest.raises(KafkaError):
        await bus.publish([counted(1)])


async def test_who_starts_before_the_broker_gets_everything_once_it_is_there(kafka: Kafka):
    kafka.server.kill()
    recorder, hearing = Recorder(), Hearing()
    bus = kafka.bus()
    bus.listen(type=Counted.type, listener=hearing)
    with structlog.testing.capture_logs() as logs:
        await started(bus, recorder)
        await until(lambda: bool(logs))
        await asyncio.to_thread(kafka.server.start)

        await published(bus, 1, 2)
        await until(lambda: {1, 2} <= set(recorder.numbers))
    await until(lambda: hearing.missed_times > 0)

    assert [line["event"] for line in logs].count("Kafka does not answer; it is tried again") == 1
    assert "error" not in {line["log_level"] for line in logs}


@pytest.mark.parametrize("trouble", ["none", "halt", "kill"])
async def test_a_bus_closes_quickly_and_whole_whether_the_broker_is_there_or_not(kafka: Kafka, trouble: str):
    before = asyncio.all_tasks()
    recorder, bus = Recorder(), kafka.bus()
    bus.listen(type=Counted.type, listener=Hearing())
    await started(bus, recorder)
    await published(bus, 1)
    await until(lambda: recorder.numbers == [1])
    {"none": lambda: None, "halt": kafka.server.halt, "kill": kafka.server.kill}[trouble]()

    try:
        publishing = asyncio.create_task(published(bus, 2))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(15):
            publishing.cancel()
            await asyncio.wait([publishing])
            await bus.close()
    finally:
        kafka.server.resume()

    assert asyncio.all_tasks() == before
