"""One behaviour suite for every bus: what is published is delivered, retried, parked and heard, as the port says."""

from collections import Counter
from collections.abc import Sequence

from hansa.kernel.errors import StorageBusy
from hansa.kernel.event import LARGEST_BODY, Envelope
from hansa.platform.messaging.port import Bus, Permanent
from tests.platform.messaging.brokers import (
    Broker,
    Counted,
    Hearing,
    Recorder,
    Skipped,
    counted,
    number_of,
    skipped,
    until,
)


async def started(broker: Broker, **consumers: Recorder) -> Bus:
    """A process with consumers of `Counted`, by what comes after `tally.` in their names."""
    bus = broker.bus()
    for name, recorder in consumers.items():
        bus.subscribe(consumer=f"tally.{name}", type=Counted.type, subscriber=recorder)
    await bus.start()
    return bus


async def test_every_consumer_of_a_type_gets_every_event_of_it_and_no_others(broker: Broker):
    first, second, other = Recorder(), Recorder(), Recorder()
    bus = broker.bus()
    bus.subscribe(consumer="tally.first", type=Counted.type, subscriber=first)
    bus.subscribe(consumer="ledger.second", type=Counted.type, subscriber=second)
    bus.subscribe(consumer="tally.other", type=Skipped.type, subscriber=other)
    await bus.start()

    await bus.publish([counted(1), skipped(2), counted(3)])

    await until(lambda: len(first.got) == len(second.got) == 2 and len(other.got) == 1)
    assert first.numbers == second.numbers == [1, 3]
    assert other.numbers == [2]


async def test_an_event_arrives_as_it_was_sent(broker: Broker):
    recorder = Recorder()
    bus = await started(broker, all=recorder)
    sent = [counted(1), counted(2, filling='quotes " and 汉字 \N{SNOWMAN}'), counted(3, slot=4095)]

    await bus.publish(sent[:1])
    await bus.publish(sent)

    await until(lambda: len(recorder.got) >= 4)
    assert recorder.got[0] == sent[0]
    assert {envelope.id: envelope for envelope in recorder.got} == {envelope.id: envelope for envelope in sent}


async def test_what_a_process_publishes_of_one_aggregate_arrives_in_that_order(broker: Broker):
    recorder = Recorder()
    bus = await started(broker, all=recorder)

    for number in range(0, 300, 10):
        await bus.publish([counted(each, aggregate="7") for each in range(number, number + 10)])

    await until(lambda: len(recorder.got) == 300)
    assert recorder.numbers == list(range(300))


async def test_many_events_at_once_all_arrive(broker: Broker):
    recorder = Recorder()
    bus = await started(broker, all=recorder)

    await bus.publish([counted(number, slot=number % 4096) for number in range(3000)])

    await until(lambda: len(recorder.got) >= 3000)
    assert sorted(recorder.numbers) == list(range(3000))


async def test_the_largest_event_that_can_be_emitted_arrives(broker: Broker):
    recorder = Recorder()
    bus = await started(broker, all=recorder)
    filling = "x" * (LARGEST_BODY - 100)

    await bus.publish([counted(1, filling=filling), counted(2)])

    await until(lambda: len(recorder.got) == 2)
    assert sorted(recorder.numbers) == [1, 2]


async def test_nothing_is_published_in_no_time(broker: Broker):
    bus = await started(broker, all=Recorder())

    await bus.publish([])


async def test_what_nobody_subscribes_to_is_published_to_nobody(broker: Broker):
    recorder = Recorder()
    bus = await started(broker, all=recorder)

    await bus.publish([skipped(1), counted(2)])

    await until(lambda: recorder.numbers == [2])


async def test_what_fails_for_a_while_is_delivered_again_until_it_is_digested(broker: Broker):
    recorder = Recorder()
    failures = Counter({2: 2})

    def fail(envelope: Envelope) -> Exception | None:
        if failures[number_of(envelope)] > 0:
            failures[number_of(envelope)] -= 1
            return ConnectionError("not now")
        return None

    recorder.fail = fail
    bus = await started(broker, all=recorder)

    await bus.publish([counted(1), counted(2), counted(3)])

    await until(lambda: set(recorder.numbers) == {1, 2, 3})
    assert recorder.parked == []


async def test_what_can_never_be_digested_is_parked_at_once_and_hurts_no_neighbour(broker: Broker):
    recorder = Recorder()
    recorder.fail = lambda envelope: Permanent("too odd") if number_of(envelope) == 2 else None
    bus = await started(broker, all=recorder)

    await bus.publish([counted(1), counted(2), counted(3)])

    await until(lambda: set(recorder.numbers) == {1, 3} and len(recorder.parked) == 1)
    envelope, error, attempts = recorder.parked[0]
    assert (number_of(envelope), attempts) == (2, 1)
    assert error == "Permanent: too odd"


async def test_what_fails_every_time_is_parked_after_the_last_attempt_and_blocks_nobody(broker: Broker):
    recorder = Recorder()
    tries = Counter[int]()

    def fail(envelope: Envelope) -> Exception | None:
        tries[number_of(envelope)] += 1
        return ValueError("never") if number_of(envelope) == 1 else None

    recorder.fail = fail
    bus = await started(broker, all=recorder)

    await bus.publish([counted(1)])
    await bus.publish([counted(2)])

    await until(lambda: recorder.numbers == [2] and len(recorder.parked) == 1)
    envelope, error, attempts = recorder.parked[0]
    assert (number_of(envelope), error, attempts) == (1, "ValueError: never", 3)
    assert tries[1] in (3, 4), "once with its batch, and then by itself, counted"


async def test_a_consumer_that_fails_hurts_no_other_consumer(broker: Broker):
    bad, good = Recorder(), Recorder()
    bad.fail = lambda envelope: Permanent("no")
    bus = await started(broker, bad=bad, good=good)

    await bus.publish([counted(1), counted(2)])

    await until(lambda: good.numbers == [1, 2] and len(bad.parked) == 2)


async def test_trouble_of_the_database_is_not_counted_against_the_event(outside: Broker):
    recorder = Recorder()
    left = 12

    def fail(envelope: Envelope) -> Exception | None:
        nonlocal left
        left -= 1
        return StorageBusy() if left > 0 else None

    recorder.fail = fail
    bus = await started(outside, all=recorder)

    await bus.publish([counted(1)])

    await until(lambda: recorder.numbers == [1])
    assert recorder.parked == []


async def test_processes_of_one_consumer_share_its_events(outside: Broker):
    first, second = Recorder(), Recorder()
    bus = await started(outside, shared=first)
    await started(outside, shared=second)

    await bus.publish([counted(number, slot=number) for number in range(200)])

    await until(lambda: len(first.got) + len(second.got) >= 200)
    assert sorted(first.numbers + second.numbers) == list(range(200))


async def test_every_process_hears_what_is_broadcast(broker: Broker):
    hearings = [Hearing(), Hearing()]
    buses = [broker.bus() for _ in hearings]
    for bus, hearing in zip(buses, hearings, strict=True):
        bus.listen(type=Counted.type, listener=hearing)
    for bus in dict.fromkeys(buses):
        await bus.start()

    await buses[0].publish([counted(1), skipped(2), counted(3)])

    await until(lambda: all(len(hearing.got) == 2 for hearing in hearings))
    assert [[number_of(envelope) for envelope in hearing.got] for hearing in hearings] == [[1, 3], [1, 3]]


async def test_what_was_not_acknowledged_when_a_process_ended_goes_to_another(outside: Broker):
    class Stuck(Recorder):
        async def deliver(self, batch: Sequence[Envelope]) -> None:
            self.got += batch
            await until(lambda: False, patience_s=1000)

    stuck, second = Stuck(), Recorder()
    bus = await started(outside, shared=stuck)
    await bus.publish([counted(number) for number in range(20)])
    await until(lambda: bool(stuck.got))

    await bus.close()
    await started(outside, shared=second)

    await until(lambda: set(second.numbers) == set(range(20)))


async def test_what_was_published_while_nobody_listened_waits(outside: Broker):
    bus = await started(outside, shared=Recorder())
    await bus.close()
    publisher = outside.bus()
    publisher.subscribe(consumer="tally.shared", type=Counted.type, subscriber=Recorder())
    await publisher.publish([counted(1), counted(2)])
    await publisher.close()
    recorder = Recorder()

    await started(outside, shared=recorder)

    await until(lambda: sorted(recorder.numbers) == [1, 2])


async def test_a_message_that_cannot_be_read_is_parked_once_and_blocks_nobody(outside: Broker):
    recorder = Recorder()
    bus = await started(outside, all=recorder)
    attributes = {"specversion": "1.0", "id": "1", "source": "counter", "type": Counted.type, "slot": "1"}

    for _ in range(2):
        await outside.smuggle(consumer="tally.all", type=Counted.type, body=b"\xff{no json", attributes=attributes)
    await outside.smuggle(consumer="tally.all", type=Counted.type, body=b"x" * 10_000_000, attributes=attributes)
    await outside.smuggle(
        consumer="tally.all", type=Counted.type, body=b"[" * 5000 + b"]" * 5000, attributes=attributes
    )
    await bus.publish([counted(1)])

    await until(lambda: recorder.numbers == [1] and len(recorder.parked) == 4)
    assert len({envelope.id for envelope, _, _ in recorder.parked}) == 3, "the same bytes are the same dead letter"
    assert all(error.startswith("Unreadable: ") for _, error, _ in recorder.parked)
    assert max(len(bytes(envelope.body)) for envelope, _, _ in recorder.parked) < 100_000


async def test_events_of_another_shape_are_the_consumers_to_judge(outside: Broker):
    """A version or a body that it does not know reaches the consumer, which says that it can never be digested."""
    recorder = Recorder()
    recorder.fail = lambda envelope: Permanent("unknown") if envelope.type != Counted.type else None
    bus = await started(outside, all=recorder)
    sent = counted(1)
    attributes = {
        "specversion": "1.0",
        "id": sent.id,
        "source": "counter",
        "type": "counter.number_counted.v9",
        "time": "2026-11-23T08:00:00Z",
        "slot": str(sent.slot),
        "subject": "1",
    }

    await outside.smuggle(consumer="tally.all", type=Counted.type, body=b'{"number": 5}', attributes=attributes)
    await bus.publish([counted(2)])

    await until(lambda: recorder.numbers == [2] and len(recorder.parked) == 1)
    assert recorder.parked[0][0].type == "counter.number_counted.v9"
