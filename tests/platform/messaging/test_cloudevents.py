"""Events as CloudEvents: what is written is read, and what cannot be read says why."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.clock import from_micros
from hansa.kernel.event import Envelope
from hansa.kernel.ids import SLOTS, is_id
from hansa.platform.messaging.cloudevents import (
    Unreadable,
    attributes_of,
    read_batch,
    read_one,
    stand_in,
    write_batch,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
ENVELOPES = st.builds(
    Envelope,
    id=st.integers(1, 2**63 - 1).map(str),
    type=st.just("orders.order_placed.v1"),
    source=st.just("orders"),
    time=st.integers(0, 4 * 10**15).map(from_micros),
    slot=st.integers(0, SLOTS - 1),
    aggregate=st.integers(1, 2**63 - 1).map(str),
    version=st.integers(0, 10**15),
    channel=TEXT,
    seller=TEXT,
    location=TEXT,
    subject=TEXT,
    session=TEXT,
    consent=TEXT,
    correlation=TEXT,
    traceparent=TEXT,
    body=st.dictionaries(TEXT, TEXT | st.integers(0, 2**53)).map(lambda body: msgspec.Raw(msgspec.json.encode(body))),
)


@given(ENVELOPES)
def test_an_event_in_binary_mode_is_read_as_it_was(envelope: Envelope):
    assert read_one(attributes_of(envelope), bytes(envelope.body)) == envelope


@given(st.lists(ENVELOPES, max_size=4))
def test_a_batch_is_read_as_it_was(envelopes: list[Envelope]):
    assert read_batch(write_batch(envelopes)) == envelopes


@given(ENVELOPES)
def test_attributes_are_named_and_filled_as_the_standard_wants_it(envelope: Envelope):
    attributes = attributes_of(envelope)

    assert all(name.isalnum() and name.islower() and name.isascii() for name in attributes)
    assert all(attributes.values()), "no attribute may be empty"
    assert {"specversion", "id", "source", "type"} <= attributes.keys()
    assert attributes["specversion"] == "1.0"


def test_a_batch_is_what_the_json_format_says():
    event = Envelope(
        id="7",
        type="orders.order_placed.v1",
        source="orders",
        time=datetime(2026, 11, 23, tzinfo=UTC),
        slot=3,
        aggregate="12",
        version=2,
        subject="member:1",
        body=msgspec.Raw(b'{"total":5}'),
    )

    assert msgspec.json.decode(write_batch([event])) == [
        {
            "specversion": "1.0",
            "id": "7",
            "source": "orders",
            "type": "orders.order_placed.v1",
            "time": "2026-11-23T00:00:00Z",
            "slot": 3,
            "subject": "12",
            "aggregateversion": "2",
            "person": "member:1",
            "data": {"total": 5},
        }
    ]


GOOD = {
    "specversion": "1.0",
    "id": "7",
    "source": "orders",
    "type": "orders.order_placed.v1",
    "time": "2026-11-23T00:00:00Z",
    "slot": "3",
    "subject": "12",
}


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({}, b""),
        ({}, b"{"),
        ({}, b'{"a": 1} more'),
        ({}, b'{"a": "\xff"}'),
        ({"id": "x"}, b"{}"),
        ({"id": ""}, b"{}"),
        ({"id": str(2**63)}, b"{}"),
        ({"slot": "4096"}, b"{}"),
        ({"slot": "-1"}, b"{}"),
        ({"slot": "three"}, b"{}"),
        ({"time": "yesterday"}, b"{}"),
        ({"specversion": "0.3"}, b"{}"),
        ({"aggregateversion": "many"}, b"{}"),
        ({"aggregateversion": "9" * 30}, b"{}"),
    ],
)
def test_what_is_no_event_of_the_shops_is_unreadable(change: dict[str, str], body: bytes):
    assert read_one(GOOD, b"{}").id == "7"

    with pytest.raises(Unreadable):
        read_one(GOOD | change, body)


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_nothing_that_an_event_needs_may_be_missing(missing: str):
    with pytest.raises(Unreadable):
        read_one({name: value for name, value in GOOD.items() if name != missing}, b"{}")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_unreadable(body: bytes):
    for read in (lambda: read_batch(body), lambda: read_one(GOOD, body)):
        with suppress(Unreadable):
            read()


@given(st.binary(max_size=100))
def test_what_stands_in_for_the_unreadable_is_an_event_like_others(body: bytes):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    envelope = stand_in(body, type_="orders.order_placed.v1", source="orders", at=at)

    assert is_id(envelope.id)
    assert 0 <= envelope.slot < SLOTS
    again = stand_in(body, type_="orders.order_placed.v1", source="orders", at=at + timedelta(days=1))
    assert again.id == envelope.id
    assert msgspec.json.decode(msgspec.json.encode(envelope), type=Envelope) == envelope
