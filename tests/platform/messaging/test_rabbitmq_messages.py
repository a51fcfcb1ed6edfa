"""Events as messages of RabbitMQ: what shares one, what it says of itself, and what is read out of odd ones."""

from datetime import UTC, datetime
from typing import cast

import msgspec
import pytest
from aio_pika import Message
from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage
from hypothesis import given
from hypothesis import strategies as st
from pamqp.header import ContentHeader

from hansa.kernel.event import Envelope
from hansa.platform.messaging.digesting import Delivery
from hansa.platform.messaging.rabbitmq.address import address_of
from hansa.platform.messaging.rabbitmq.messages import (
    LARGEST_MESSAGE,
    MOST_BYTES,
    MOST_EVENTS,
    delayed,
    message_of,
    packed,
    read,
)
from hansa.platform.messaging.rabbitmq.topology import spoken

TYPES = ("orders.order_placed.v1", "orders.order_paid.v1", "users.user_joined.v1")


def event(number: int, *, type_: str = TYPES[0], size: int = 0) -> Envelope:
    return Envelope(
        id=str(number + 1),
        type=type_,
        source=type_.partition(".")[0],
        time=datetime(2026, 11, 23, 8, tzinfo=UTC),
        slot=7,
        aggregate=str(number + 1),
        body=msgspec.Raw(b'{"filling":"' + b"x" * size + b'"}'),
    )


def as_received(message: Message) -> DeliveredMessage:
    return DeliveredMessage(
        delivery=spec.Basic.Deliver(delivery_tag=1),
        header=ContentHeader(properties=message.properties, body_size=len(message.body)),
        body=message.body,
        channel=cast(AbstractChannel, None),
    )


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from((0, 400, 9_000, 300_000))), max_size=300))
def test_messages_hold_all_events_once_of_one_type_each_in_order_and_within_bounds(made: list[tuple[str, int]]):
    events = [event(number, type_=type_, size=size) for number, (type_, size) in enumerate(made)]

    parcels = list(packed(events))

    for type_ in TYPES:
        in_parcels = [each for parcel in parcels for each in parcel if each.type == type_]
        assert in_parcels == [each for each in events if each.type == type_]
    for parcel in parcels:
        assert len({each.type for each in parcel}) == 1
        assert 1 <= len(parcel) <= MOST_EVENTS
        assert len(parcel) == 1 or len(message_of(parcel).body) <= MOST_BYTES


def test_small_events_fill_a_message():
    assert [len(parcel) for parcel in packed([event(number) for number in range(130)])] == [64, 64, 2]


@pytest.mark.parametrize("count", [1, 2, MOST_EVENTS])
def test_what_is_written_can_be_read(count: int):
    events = [event(number, size=number) for number in range(count)]

    incoming = read(as_received(message_of(events)))

    assert [delivery.envelope for delivery in incoming.deliveries] == events
    assert not incoming.unreadable


def test_one_event_travels_with_its_attributes_as_headers_and_its_own_json_as_body():
    message = message_of([event(1)])

    assert message.headers["cloudEvents:type"] == "orders.order_placed.v1"
    assert message.headers["cloudEvents:id"] == message.message_id == "2"
    assert message.content_type == "application/json"
    assert message.body == b'{"filling":""}'
    assert message.delivery_mode == 2


def test_what_is_put_off_keeps_its_counts():
    delivery = Delivery(envelope=event(1), attempts=3, put_off=5)

    incoming = read(as_received(delayed(delivery, expiration_s=1)))

    assert incoming.deliveries == (delivery,)


@pytest.mark.parametrize("separator", [":", "_"])
def test_both_ways_in_which_others_write_attributes_are_read(separator: str):
    sent = message_of([event(1)])
    sent.headers = {name.replace(":", separator): value for name, value in sent.headers.items()}

    [delivery] = read(as_received(sent)).deliveries

    assert delivery.envelope == event(1)


@pytest.mark.parametrize(
    "odd",
    [
        Message(b""),
        Message(b"{}"),
        Message(b"[" * 300_000, content_type="application/cloudevents-batch+json"),
        Message(b"[" * 300_000, headers=message_of([event(1)]).headers),
        Message(b"\xff", headers=message_of([event(1)]).headers),
        Message(b" " * LARGEST_MESSAGE + b"{}", headers=message_of([event(1)]).headers),
        Message(b'[{"specversion":"1.0"}]', content_type="application/cloudevents-batch+json"),
        Message(b"{}", headers={"cloudEvents:id": 5, "cloudEvents:slot": {"a": [1]}}),
    ],
    ids=["empty", "bare", "deep batch", "deep", "no text", "large", "incomplete", "odd headers"],
)
def test_what_cannot_be_read_says_why_and_raises_nothing(odd: Message):
    incoming = read(as_received(odd))

    assert incoming.unreadable
    assert incoming.deliveries == ()


@pytest.mark.parametrize("count", [-1, "5", None, 10**12, b"x"])
def test_counts_that_are_none_count_nothing(count: object):
    sent = message_of([event(1)])
    sent.headers = {**sent.headers, "hansa-attempts": count}  # type: ignore[dict-item]

    [delivery] = read(as_received(sent)).deliveries

    assert delivery.attempts == 0


@pytest.mark.parametrize(("delay_s", "name"), [(1, "1s"), (10, "10s"), (60, "1m"), (600, "10m"), (0.2, "200ms")])
def test_delays_are_called_what_they_are(delay_s: float, name: str):
    assert spoken(delay_s) == name


def test_an_address_says_where_and_which_part_and_is_shown_without_secrets():
    address = address_of("amqp://ada:swordfish@broker/shop?namespace=eu&max_length=1000&cafile=a.pem")

    assert (address.namespace, address.most_messages) == ("eu", 1000)
    assert address.named("orders") == "eu.orders"
    assert dict(address.url.query) == {"cafile": "a.pem", "heartbeat": "15"}
    assert address.shown == "amqp://broker:5672/shop"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://broker/",
        "amqp://",
        "amqp://broker:99999/",
        "amqp://ada:swordfish@broker:x/",
        "amqp://broker/?namespace=a.b",
        "amqp://broker/?max_length=0",
        "amqp://broker/?max_length=many",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str):
    with pytest.raises(ValueError, match=r"^(is|must|has) ") as caught:
        address_of(url)

    assert "swordfish" not in str(caught.value)
