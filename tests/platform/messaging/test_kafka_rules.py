"""What the Kafka adapter decides without a broker: when something put off is due, how far a partition is done, which
topics will do."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.messaging.kafka.later import Later, Waiting
from hansa.platform.messaging.kafka.topics import Plan, fewest_in_sync


@dataclass(frozen=True)
class Record:
    """As much of one as matters here."""

    partition: int
    offset: int


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.integers(0, 2), st.lists(st.integers(0, 100), max_size=4)),
        st.tuples(st.just("take"), st.integers(0, 120), st.integers(1, 5)),
    ),
    max_size=30,
)


@given(STEPS)
def test_nothing_is_given_early_or_twice_and_nothing_that_waits_counts_as_done(steps):
    later = Later()
    ends = dict.fromkeys(range(3), 0)
    waiting: dict[Record, int] = {}
    for kind, first, second in steps:
        if kind == "hold" and first not in later.partitions:
            start = ends[first]
            ends[first] += len(second) + 1  # the last one read was another service's
            held = [Waiting(record=Record(first, start + place), due_ms=due) for place, due in enumerate(second)]
            later.hold(first, held, end=ends[first])
            waiting |= {each.record: each.due_ms for each in held}
        elif kind == "take":
            taken = later.take(now_ms=first, most=second)
            assert len(taken) <= second
            assert all(waiting.pop(each.record) <= first for each in taken)
        for partition, done in later.offsets().items():
            assert done == min(
                (each.offset for each in waiting if each.partition == partition), default=ends[partition]
            )
    assert later.partitions == {each.partition for each in waiting}


@given(st.integers(0, 100), st.lists(st.integers(0, 100), min_size=1, max_size=6))
def test_a_partition_moves_on_in_its_order(now, dues):
    later = Later()
    later.hold(0, [Waiting(record=Record(0, offset), due_ms=due) for offset, due in enumerate(dues)], end=len(dues))

    taken = later.take(now_ms=now, most=100)

    assert [each.record.offset for each in taken] == list(range(len(taken)))
    assert len(taken) == len(dues) or dues[len(taken)] > now
    assert later.next_due_ms == (dues[len(taken)] if len(taken) < len(dues) else None)


@given(st.integers(1, 5))
def test_what_is_made_will_do(copies: int):
    plan = Plan(partitions=12)

    assert plan.objections(plan.settings(copies=copies), copies=copies) == []


def test_one_broker_of_three_may_be_away():
    assert [fewest_in_sync(copies) for copies in (1, 2, 3)] == [1, 1, 2]


def test_a_setting_that_is_not_told_is_an_objection():
    assert len(Plan(partitions=1).objections({}, copies=3)) == 6
