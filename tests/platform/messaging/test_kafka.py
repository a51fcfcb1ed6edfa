"""What the bus promises on Kafka in particular: keys, headers, topics, delays, dead letters, credentials."""

import contextlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from hansa.kernel.clock import SystemClock
from hansa.kernel.event import Envelope
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.kafka.bus import KafkaBus
from hansa.platform.messaging.kafka.servers import Servers
from hansa.platform.messaging.kafka.topics import Plan
from hansa.platform.messaging.port import BusUnusable, NotPublished
from tests.kafka_server import PASSWORD, USER, KafkaServer
from tests.platform.messaging import kafka_broker
from tests.platform.messaging.brokers import Counted, Hearing, Recorder, Skipped, counted, number_of, skipped, until
from tests.platform.messaging.kafka_broker import Kafka, admin_of
from tests.platform.messaging.kafka_timing import BRISK
from tests.ports import HOST


@pytest.fixture
async def kafka(kafka_server: KafkaServer):
    async with kafka_broker.opened(kafka_server) as opened:
        yield opened


async def started(kafka: Kafka, recorder: Recorder, *, patience: Patience | None = None) -> KafkaBus:
    bus = kafka.bus() if patience is None else kafka.bus(patience=patience)
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    await bus.start()
    return bus


async def test_an_event_is_a_cloudevent_as_others_read_it(kafka: Kafka):
    envelope = msgspec.structs.replace(counted(5, slot=4095), subject="p-1", seller="3")
    await kafka.bus().publish([envelope])

    record = (await kafka.records("counter", 1))[0]

    message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value)
    event = from_binary(message, JSONFormat())
    assert record.key == b"4095"
    assert event.get_id() == envelope.id
    assert event.get_type() == "counter.number_counted.v1"
    assert event.get_source() == "counter"
    assert event.get_subject() == envelope.aggregate
    assert event.get_time() == envelope.time
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == {"number": 5, "filling": ""}
    extensions = [event.get_extension(name) for name in ("slot", "aggregateversion", "person", "seller")]
    assert [str(value) for value in extensions] == ["4095", "6", "p-1", "3"]
    assert event.get_extension("location") is None, "empty attributes are left out"


async def test_events_lie_in_the_partitions_in_which_other_programs_would_put_them(kafka: Kafka):
    await kafka.bus(partitions=12).publish([counted(slot, slot=slot) for slot in range(100)])
    ours = {record.key: record.partition for record in await kafka.records("counter", 100)}

    producer = AIOKafkaProducer(bootstrap_servers=kafka.server.address)
    await producer.start()
    theirs = {key: (await producer.send_and_wait(kafka.topic("counter"), b"", key=key)).partition for key in ours}
    await producer.stop()

    assert ours == theirs
    assert len(set(ours.values())) == 12


async def test_a_topic_is_made_as_it_must_be(kafka: Kafka):
    await kafka.bus(partitions=5).publish([counted(1)])

    async with admin_of(kafka.server) as admin:
        topics = {topic["topic"]: topic for topic in await admin.describe_topics(None)}
        settings = await kafka.settings("counter")
    assert len(topics[kafka.topic("counter")]["partitions"]) == 5
    assert settings["cleanup.policy"] == "delete"
    assert int(settings["max.message.bytes"]) >= 2_000_000
    assert timedelta(milliseconds=int(settings["retention.ms"])) == timedelta(days=7)
    assert settings["retention.bytes"] == "-1"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cleanup.policy", "compact"),
        ("max.message.bytes", "1000000"),
        ("retention.ms", "3600000"),
        ("retention.ms", "-1"),
        ("retention.bytes", "1000000000"),
        ("min.insync.replicas", "2"),
        ("unclean.leader.election.enable", "true"),
    ],
)
async def test_a_topic_with_another_setting_is_said_and_left_as_it_is(kafka: Kafka, setting: str, value: str):
    async with admin_of(kafka.server) as admin:
        good = Plan(partitions=1).settings(copies=1)
        await admin.create_topics([NewTopic(kafka.topic("counter"), 2, 1, topic_configs=good | {setting: value})])

    with pytest.raises(BusUnusable) as caught:
        await started(kafka, Recorder())

    assert kafka.topic("counter") in str(caught.value)
    assert f"{setting} is {value} and must be" in str(caught.value)
    assert str(caught.value).count(" must be ") == 1
    assert (await kafka.settings("counter"))[setting] == value


async def test_a_topic_of_other_size_and_with_longer_patience_will_do(kafka: Kafka):
    good = Plan(partitions=1, largest=5_000_000, kept=timedelta(days=14)).settings(copies=1)
    async with admin_of(kafka.server) as admin:
        await admin.create_topics([NewTopic(kafka.topic("counter"), 2, 1, topic_configs=good)])
    recorder = Recorder()

    bus = await started(kafka, recorder)
    await bus.publish([counted(number, slot=number) for number in range(10)])

    await until(lambda: sorted(recorder.numbers) == list(range(10)))


async def test_only_what_was_refused_is_named_as_not_published(kafka: Kafka):
    recorder = Recorder()
    bus = await started(kafka, recorder)
    await kafka.change("counter", {"max.message.bytes": "5000"})
    partitions = {slot: await kafka.partition_of("counter", slot) for slot in range(20)}
    other = next(slot for slot, partition in partitions.items() if partition != partitions[0])
    await bus.publish([counted(0, slot=other)])

    with pytest.raises(NotPublished) as caught:
        await bus.publish([counted(1, slot=0), counted(2, slot=other, filling="x" * 20_000)])
    await bus.publish([counted(3, slot=0), counted(4, slot=other)])

    assert [number_of(envelope) for envelope in caught.value.events] == [2]
    await until(lambda: sorted(recorder.numbers) == [0, 1, 3, 4])


async def test_what_is_put_off_waits_for_its_delay_less_the_jitter(kafka: Kafka):
    class Timed(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.at: list[datetime] = []

        async def deliver(self, batch: Sequence[Envelope]) -> None:
            self.at.append(datetime.now(UTC))
            if len(self.at) < 4:
                raise ConnectionError("not now")
            self.got += batch

    recorder = Timed()
    patience = Patience(delays_s=(0.4, 0.8), attempts=9, stalls_s=())
    bus = await started(kafka, recorder, patience=patience)

    await bus.publish([counted(1)])

    await until(lambda: recorder.numbers == [1])
    waits = [(later - earlier).total_seconds() for earlier, later in zip(recorder.at, recorder.at[1:], strict=False)]
    assert [wait >= shortest for wait, shortest in zip(waits, (0.3, 0.6, 0.6), strict=True)] == [True] * 3
    headers = dict((await kafka.records("retry.400ms", 1))[0].headers)
    assert (headers["hansa-consumer"], headers["hansa-attempts"], headers["hansa-put-off"]) == (
        b"tally.all",
        b"1",
        b"1",
    )


async def test_who_waits_holds_up_nobody_with_a_shorter_delay_nor_what_is_new(kafka: Kafka):
    recorder = Recorder()
    recorder.fail = lambda envelope: ConnectionError() if number_of(envelope) == 1 else None
    patience = Patience(delays_s=(1000.0,), attempts=9, stalls_s=())
    bus = await started(kafka, recorder, patience=patience)

    await bus.publish([counted(1)])
    await kafka.records("retry.1000s", 1)
    await bus.publish([counted(2)])

    await until(lambda: recorder.numbers == [2])


async def test_what_is_put_off_goes_to_the_consumer_that_is_named_and_to_no_other(kafka: Kafka):
    failing, sound, elsewhere = Recorder(), Recorder(), Recorder()
    failures = [ConnectionError(), ConnectionError()]
    failing.fail = lambda envelope: failures.pop() if failures else None
    bus = kafka.bus()
    for name, recorder in {"tally.a": failing, "tally.b": sound, "ledger.c": elsewhere}.items():
        bus.subscribe(consumer=name, type=Counted.type, subscriber=recorder)
    await bus.start()

    await bus.publish([counted(1)])
    await until(lambda: failing.numbers == [1])
    await bus.publish([counted(2)])

    await until(lambda: all(each.numbers == [1, 2] for each in (failing, sound, elsewhere)))


async def test_what_is_nobodys_goes_to_the_dead_letter_topic(kafka: Kafka):
    recorder = Recorder()
    bus = await started(kafka, recorder)

    await kafka.write("counter", b"what is this?", [("colour", b"blue")])
    await bus.publish([counted(1)])

    dead = (await kafka.records("dead", 1))[0]
    headers = dict(dead.headers)
    assert dead.value == b"what is this?"
    assert headers["colour"] == b"blue"
    assert headers["hansa-reason"] == b"it has no type and names no consumer"
    assert headers["hansa-topic"] == kafka.topic("counter").encode()
    await until(lambda: recorder.numbers == [1])
    assert recorder.parked == []


async def test_what_cannot_be_read_is_parked_with_everybody_who_hears_its_type(kafka: Kafka):
    first, second = Recorder(), Recorder()
    bus = kafka.bus()
    bus.subscribe(consumer="tally.first", type=Counted.type, subscriber=first)
    bus.subscribe(consumer="tally.second", type=Counted.type, subscriber=second)
    bus.subscribe(consumer="tally.other", type=Skipped.type, subscriber=Recorder())
    await bus.start()

    await kafka.write("counter", b"{", [("ce_type", Counted.type.encode())])

    await until(lambda: len(first.parked) == len(second.parked) == 1)
    assert first.parked[0][1].startswith("Unreadable: ")


async def test_what_is_for_a_consumer_that_only_another_process_knows_is_kept_for_it(kafka: Kafka):
    """As while a new version is rolled out: processes of both are in one group."""
    old, new = Recorder(), Recorder()
    await started(kafka, old)
    event = counted(1)
    attributes = {"specversion": "1.0", "id": event.id, "source": "counter", "type": Counted.type, "slot": "7"}
    attributes |= {"time": "2026-11-23T08:00:00Z", "subject": "1"}
    await kafka.smuggle(consumer="tally.new", type=Counted.type, body=b'{"number": 1}', attributes=attributes)
    await kafka.records("retry.400ms", 1)

    bus = kafka.bus()
    bus.subscribe(consumer="tally.new", type=Counted.type, subscriber=new)
    await bus.start()

    await until(lambda: new.numbers == [1])
    assert old.numbers == []


async def test_a_topic_that_somebody_has_removed_is_made_anew(kafka: Kafka):
    recorder = Recorder()
    bus = await started(kafka, recorder)
    await bus.publish([counted(1)])
    await until(lambda: recorder.numbers == [1])

    await kafka.remove("counter")
    with contextlib.suppress(NotPublished):
        await bus.publish([counted(2)])
    await bus.publish([counted(3)])

    await until(lambda: 3 in recorder.numbers, patience_s=90)
    assert (await kafka.settings("counter"))["retention.bytes"] == "-1"


async def listening(kafka: Kafka, hearing: Hearing) -> KafkaBus:
    bus = kafka.bus()
    bus.listen(type=Counted.type, listener=hearing)
    await bus.start()
    await bus.publish([counted(number) for number in range(10)])
    await until(lambda: len(hearing.got) == 10)
    assert hearing.missed_times == 0
    return bus


async def test_listeners_are_told_that_they_missed_something_when_the_topic_is_another_one(kafka: Kafka):
    hearing = Hearing()
    bus = await listening(kafka, hearing)

    await kafka.empty("counter")

    await until(lambda: hearing.missed_times > 0)
    await bus.publish([counted(10)])
    await until(lambda: number_of(hearing.got[-1]) == 10)


async def test_listeners_are_told_that_they_missed_something_when_the_broker_has_lost_its_end(kafka: Kafka):
    hearing = Hearing()
    bus = await listening(kafka, hearing)

    kafka.put_before_the_log(bus)

    await until(lambda: hearing.missed_times > 0)
    await bus.publish([counted(10)])
    await until(lambda: number_of(hearing.got[-1]) == 10)


async def test_what_a_listener_cannot_read_is_told_as_missed(kafka: Kafka):
    hearing = Hearing()
    await listening(kafka, hearing)

    await kafka.write("counter", b"{", [("ce_type", Counted.type.encode())])

    await until(lambda: hearing.missed_times > 0)


async def test_credentials_open_the_door_and_are_told_nobody(kafka_server: KafkaServer):
    kafka_server.start()
    recorder = Recorder()
    servers = Servers.of(f"kafka://{USER}:not%2Fso%3Asecret@{HOST}:{kafka_server.closed_port}?namespace=closed")
    bus = KafkaBus(servers=servers, clock=SystemClock(), chance=random.Random(1), timing=BRISK)
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    with structlog.testing.capture_logs() as logs:
        await bus.start()
        await bus.publish([counted(1), skipped(2)])
        await until(lambda: recorder.numbers == [1])
        await bus.close()

    assert PASSWORD not in repr(servers) + repr(logs)


async def test_a_door_that_stays_closed_is_said(kafka_server: KafkaServer):
    kafka_server.start()
    servers = Servers.of(f"kafka://{USER}:wrong@{HOST}:{kafka_server.closed_port}")
    bus = KafkaBus(servers=servers, clock=SystemClock(), chance=random.Random(1), timing=BRISK)

    with pytest.raises(BusUnusable, match="lets nobody in as shop") as caught:
        await bus.start()

    assert "wrong" not in str(caught.value)
    await bus.close()


async def test_a_sealed_line_carries_events_and_a_strangers_certificate_is_refused(
    kafka_server: KafkaServer, monkeypatch: pytest.MonkeyPatch
):
    kafka_server.start()
    servers = Servers.of(f"kafkas://{HOST}:{kafka_server.sealed_port}?namespace=sealed")
    stranger = KafkaBus(servers=servers, clock=SystemClock(), chance=random.Random(1), timing=BRISK)
    with pytest.raises(BusUnusable, match="no TLS connection"):
        await stranger.start()
    await stranger.close()
    recorder = Recorder()

    monkeypatch.setenv("SSL_CERT_FILE", str(kafka_server.certificate))
    bus = KafkaBus(servers=servers, clock=SystemClock(), chance=random.Random(1), timing=BRISK)
    bus.subscribe(consumer="tally.all", type=Counted.type, subscriber=recorder)
    await bus.start()
    await bus.publish([counted(1)])

    await until(lambda: recorder.numbers == [1])
    await bus.close()


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("kafka://one:9093", Servers(addresses=("one:9093",))),
        ("kafka://one,two:1,[::1]:2", Servers(addresses=("one:9092", "two:1", "[::1]:2"))),
        ("kafkas://one", Servers(addresses=("one:9092",), is_encrypted=True)),
        ("kafka://me:p%40ss@one", Servers(addresses=("one:9092",), username="me", password="p@ss")),
        ("kafka://one/?namespace=b", Servers(addresses=("one:9092",), namespace="b")),
    ],
)
def test_an_address_says_where_and_as_whom(url: str, servers: Servers):
    assert Servers.of(url) == servers


@pytest.mark.parametrize(
    "url", ["kafka://", "kafka://one/path", "redis://one", "kafka://one:port", "kafka://u:secret@"]
)
def test_other_addresses_are_refused_and_not_repeated(url: str):
    with pytest.raises(ValueError, match=r"^must be|^names a port") as caught:
        Servers.of(url)
    assert "secret" not in str(caught.value)
