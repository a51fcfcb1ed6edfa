"""What becomes of a batch: done, put off and counted, put off and not counted, or parked."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.errors import DeadlineExceeded, StorageBusy, StorageFull
from hansa.kernel.event import Envelope
from hansa.platform.messaging.digesting import Delivery, Patience, digest
from hansa.platform.messaging.port import Permanent
from tests.clocks import ManualClock
from tests.platform.messaging.brokers import Recorder, counted, number_of

PATIENCE = Patience(delays_s=(1, 10, 60), attempts=3, stalls_s=())


async def digested(recorder: Recorder, *deliveries: Delivery, patience: Patience = PATIENCE) -> list[Delivery]:
    return await digest("tally.all", recorder, deliveries, patience=patience, clock=ManualClock())


def fresh(*numbers: int) -> list[Delivery]:
    return [Delivery(envelope=counted(number)) for number in numbers]


async def test_what_is_digested_is_over():
    recorder = Recorder()

    assert await digested(recorder, *fresh(1, 2)) == []
    assert recorder.numbers == [1, 2]


async def test_only_what_fails_is_put_off():
    recorder = Recorder()
    recorder.fail = lambda envelope: ValueError("odd") if number_of(envelope) == 2 else None

    later = await digested(recorder, *fresh(1, 2, 3))

    assert [(number_of(each.envelope), each.attempts, each.put_off) for each in later] == [(2, 1, 1)]
    assert recorder.numbers == [1, 3]


@pytest.mark.parametrize("trouble", [StorageBusy(), StorageFull(), DeadlineExceeded()])
async def test_trouble_of_the_database_puts_off_and_does_not_count(trouble: Exception):
    recorder = Recorder()
    recorder.fail = lambda envelope: trouble

    (later,) = await digested(recorder, Delivery(envelope=counted(1), attempts=2, put_off=5))

    assert (later.attempts, later.put_off) == (2, 6)
    assert recorder.parked == []


async def test_where_the_database_is_in_trouble_the_rest_of_a_batch_is_not_even_tried():
    recorder = Recorder()
    tried = 0

    def fail(envelope: Envelope) -> Exception | None:
        nonlocal tried
        tried += 1
        return StorageBusy()

    recorder.fail = fail

    later = await digested(recorder, *fresh(*range(20)))

    assert [(number_of(each.envelope), each.attempts, each.put_off) for each in later] == [
        (number, 0, 1) for number in range(20)
    ]
    assert tried <= 1 + PATIENCE.troubles


async def test_an_event_that_is_always_too_much_for_its_database_is_parked_in_the_end():
    recorder = Recorder()
    recorder.fail = lambda envelope: StorageBusy()
    deliveries = [Delivery(envelope=counted(1))]

    for _ in range(PATIENCE.longest_trouble + PATIENCE.attempts):
        deliveries = await digested(recorder, *deliveries)

    assert deliveries == []
    assert len(recorder.parked) == 1


async def test_a_batch_waits_in_place_for_its_database_for_a_while():
    clock, recorder = ManualClock(), Recorder()
    left = 2

    def fail(envelope: Envelope) -> Exception | None:
        nonlocal left
        left -= 1
        return StorageBusy() if left >= 0 else None

    recorder.fail = fail
    patience = Patience(stalls_s=(0, 0, 0))

    assert await digest("tally.all", recorder, fresh(1, 2), patience=patience, clock=clock) == []
    assert recorder.numbers == [1, 2]


async def test_what_can_never_be_digested_is_parked_with_its_first_attempt():
    recorder = Recorder()
    recorder.fail = lambda envelope: Permanent("odd")

    assert await digested(recorder, *fresh(1)) == []
    assert [(error, attempts) for _, error, attempts in recorder.parked] == [("Permanent: odd", 1)]


async def test_the_last_attempt_parks():
    recorder = Recorder()
    recorder.fail = lambda envelope: ValueError("odd")

    deliveries = fresh(1)
    for _ in range(PATIENCE.attempts):
        assert recorder.parked == []
        deliveries = await digested(recorder, *deliveries)

    assert deliveries == []
    assert [(error, attempts) for _, error, attempts in recorder.parked] == [("ValueError: odd", 3)]


async def test_what_cannot_even_be_parked_is_put_off():
    class Full(Recorder):
        async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
            raise StorageFull

    recorder = Full()
    recorder.fail = lambda envelope: Permanent("odd")

    (later,) = await digested(recorder, *fresh(1))

    assert later.put_off == 1


@given(
    fates=st.lists(st.sampled_from(["fine", "odd", "never", "busy"]), min_size=1, max_size=8),
    attempts=st.integers(0, 2),
)
async def test_nothing_is_lost_and_nothing_is_done_twice(fates: Sequence[str], attempts: int):
    errors = {"fine": None, "odd": ValueError("odd"), "never": Permanent("never"), "busy": StorageBusy()}
    recorder = Recorder()
    recorder.fail = lambda envelope: errors[fates[number_of(envelope)]]
    batch = [Delivery(envelope=counted(number), attempts=attempts) for number in range(len(fates))]

    later = [number_of(each.envelope) for each in await digested(recorder, *batch)]

    parked = [number_of(envelope) for envelope, _, _ in recorder.parked]
    assert sorted([*recorder.numbers, *parked, *later]) == list(range(len(fates)))
    assert recorder.numbers == [number for number, fate in enumerate(fates) if fate == "fine"]
    expected = {"never"} | ({"odd"} if attempts + 1 >= PATIENCE.attempts else set())
    assert parked == [number for number, fate in enumerate(fates) if fate in expected]


def test_delays_grow_and_the_last_one_is_repeated():
    patience = Patience(delays_s=(1, 10, 60, 600))

    delays = [patience.delay_of(Delivery(envelope=counted(1), put_off=times)) for times in range(1, 7)]

    assert delays == [0, 1, 2, 3, 3, 3]
