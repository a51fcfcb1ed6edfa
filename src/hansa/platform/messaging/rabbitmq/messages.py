"""Events as messages of RabbitMQ, and back."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aio_pika import DeliveryMode, Message
from aiormq.abc import DeliveredMessage

from hansa.kernel.event import LARGEST_BODY, Envelope
from hansa.platform.messaging import cloudevents
from hansa.platform.messaging.digesting import Delivery

MOST_EVENTS = 64
MOST_BYTES = 256 * 1024
"""In a message of many; one event alone may be larger."""
SMALLEST_EVENT = 512
"""About what the attributes of an event add to its body."""
LARGEST_MESSAGE = 2 * LARGEST_BODY
"""Bytes that are read; what is larger cannot be ours."""

PREFIX = "cloudEvents:"
PREFIXES = (PREFIX, "cloudEvents_")
"""Both are in the standard's binding to AMQP; its names of attributes contain neither."""
ATTEMPTS = "hansa-attempts"
PUT_OFF = "hansa-put-off"
CONSUMER = "hansa-consumer"
"""Of a dead letter that could not be parked yet: whose it is."""
DELIVERY_COUNT = "x-delivery-count"
DIED_FIRST_IN = "x-first-death-queue"
LARGEST_COUNT = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message, where it goes, and the events that are in it."""

    exchange: str
    routing_key: str
    message: Message
    events: tuple[Envelope, ...] = ()
    is_mandatory: bool = True


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A message that has come, with what is in it, or with why that cannot be read."""

    message: DeliveredMessage
    headers: Mapping[str, Any]
    deliveries: tuple[Delivery, ...] = ()
    unreadable: str = ""

    @property
    def times_delivered(self) -> int:
        """Before this time, without an answer."""
        return _count(self.headers, DELIVERY_COUNT)

    @property
    def put_off(self) -> int:
        """How often the message has been put off as it is."""
        return _count(self.headers, PUT_OFF)


def packed(events: Sequence[Envelope]) -> Iterator[list[Envelope]]:
    """Events as they share messages: of one type, in their order."""
    by_type: dict[str, list[Envelope]] = defaultdict(list)
    for event in events:
        by_type[event.type].append(event)
    for of_type in by_type.values():
        parcel: list[Envelope] = []
        size = 0
        for event in of_type:
            own_size = len(bytes(event.body)) + SMALLEST_EVENT
            if parcel and (len(parcel) == MOST_EVENTS or size + own_size > MOST_BYTES):
                yield parcel
                parcel, size = [], 0
            parcel.append(event)
            size += own_size
        yield parcel


def message_of(events: Sequence[Envelope]) -> Message:
    """One event in binary mode, many as a batch."""
    if len(events) == 1:
        return _binary(events[0], {})
    return Message(
        cloudevents.write_batch(events),
        content_type=cloudevents.BATCH,
        message_id=events[0].id,
        delivery_mode=DeliveryMode.PERSISTENT,
    )


def delayed(delivery: Delivery, *, consumer: str = "", expiration_s: float) -> Message:
    """One event on its way back to the queue of its consumer."""
    headers: dict[str, Any] = {ATTEMPTS: delivery.attempts, PUT_OFF: delivery.put_off}
    if consumer:
        headers[CONSUMER] = consumer
    message = _binary(delivery.envelope, headers)
    message.expiration = expiration_s
    return message


def delayed_as_it_is(incoming: Incoming, *, consumer: str = "", expiration_s: float) -> Message:
    """Something unreadable on its way back."""
    headers = {name: value for name, value in incoming.headers.items() if not name.startswith("x-")}
    headers[PUT_OFF] = incoming.put_off + 1
    if consumer:
        headers[CONSUMER] = consumer
    return Message(
        incoming.message.body,
        headers=headers,
        content_type=incoming.message.header.properties.content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        expiration=expiration_s,
    )


def read(message: DeliveredMessage) -> Incoming:
    """Raises nothing: what cannot be read says why."""
    headers = message.header.properties.headers or {}
    try:
        envelopes = _envelopes(message, headers)
    except cloudevents.Unreadable as error:
        return Incoming(message=message, headers=headers, unreadable=str(error))
    except Exception as error:  # nested too deeply, for one; nobody else is to suffer from it
        return Incoming(message=message, headers=headers, unreadable=type(error).__name__)
    attempts, put_off = _count(headers, ATTEMPTS), _count(headers, PUT_OFF)
    return Incoming(
        message=message,
        headers=headers,
        deliveries=tuple(Delivery(envelope=each, attempts=attempts, put_off=put_off) for each in envelopes),
    )


def _envelopes(message: DeliveredMessage, headers: Mapping[str, Any]) -> list[Envelope]:
    if len(message.body) > LARGEST_MESSAGE:
        raise cloudevents.Unreadable(f"{len(message.body)} bytes are too many")
    if str(message.header.properties.content_type).startswith(cloudevents.BATCH):
        return cloudevents.read_batch(message.body)
    return [cloudevents.read_one(_attributes(headers), message.body)]


def _binary(event: Envelope, headers: dict[str, Any]) -> Message:
    attributes = {PREFIX + name: value for name, value in cloudevents.attributes_of(event).items()}
    return Message(
        bytes(event.body),
        headers={**attributes, **headers},
        content_type=cloudevents.JSON,
        message_id=event.id,
        delivery_mode=DeliveryMode.PERSISTENT,
    )


def _attributes(headers: Mapping[str, Any]) -> dict[str, str]:
    return {name[len(PREFIX) :]: str(value) for name, value in headers.items() if name.startswith(PREFIXES)}


def _count(headers: Mapping[str, Any], name: str) -> int:
    """A header may be anything, for anybody may have sent it."""
    value = headers.get(name)
    return value if isinstance(value, int) and 0 <= value <= LARGEST_COUNT else 0
