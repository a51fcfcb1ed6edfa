"""Events as records: CloudEvents in binary mode, keyed by slot; headers of our own say for whom one is and since when.

`hansa-consumer` names the one consumer that a record is for; without it, it is for all who hear its type. Anybody may
set it on a record in a service's own topic. `hansa-attempts`, `hansa-put-off` and `hansa-due` (milliseconds since 1970)
come with what is put off, `hansa-reason` and `hansa-topic` with what is dead.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hansa.kernel.event import Envelope
from hansa.platform.messaging.cloudevents import JSON, LARGEST_SHOWN, attributes_of
from hansa.platform.messaging.groups import LARGEST_MESSAGE, Entry, PutOff

PREFIX = "ce_"
TYPE = "ce_type"
CONSUMER = "hansa-consumer"
ATTEMPTS = "hansa-attempts"
PUT_OFF = "hansa-put-off"
DUE = "hansa-due"
REASON = "hansa-reason"
TOPIC = "hansa-topic"
_CONTENT_TYPE = ("content-type", JSON.encode())

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A record to be written."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


def event_record(envelope: Envelope, *, topic: str) -> Outgoing:
    headers = [(PREFIX + name, value.encode()) for name, value in attributes_of(envelope).items()]
    headers.append(_CONTENT_TYPE)
    return Outgoing(topic=topic, key=str(envelope.slot).encode(), value=bytes(envelope.body), headers=headers)


def retry_record(put_off: PutOff, *, topic: str, due_ms: int) -> Outgoing:
    delivery = put_off.delivery
    record = event_record(delivery.envelope, topic=topic)
    notes = _notes(put_off.consumer, delivery.attempts, delivery.put_off, due_ms)
    return Outgoing(topic=topic, key=record.key, value=record.value, headers=[*record.headers, *notes])


def kept_for_another(record: Any, entry: Entry, *, topic: str, due_ms: int) -> Outgoing:
    """The same once more, for a process that knows the consumer it is for. Its key changes each time, so that it
    wanders through the partitions until it meets one."""
    put_off = entry.put_off + 1
    rest = [(name, value) for name, value in record.headers if not name.startswith("hansa-")]
    notes = _notes(entry.consumer, entry.attempts, put_off, due_ms)
    return Outgoing(topic=topic, key=b"%d" % put_off, value=record.value or b"", headers=[*rest, *notes])


def dead_record(record: Any, *, topic: str, reason: str) -> Outgoing:
    """As it came, but for a value that is too large, of which the beginning is kept."""
    value = record.value or b""
    if len(value) > LARGEST_MESSAGE:
        value = value[:LARGEST_SHOWN]
    notes = [(REASON, reason.encode()), (TOPIC, record.topic.encode())]
    return Outgoing(topic=topic, key=record.key or b"", value=value, headers=[*record.headers, *notes])


def headers_of(record: Any) -> dict[str, bytes]:
    return {name: value or b"" for name, value in record.headers}


def read(record: Any, headers: dict[str, bytes]) -> Entry:
    """Whatever it is; what it lacks or cannot be is found when the event is read."""
    return Entry(
        attributes=dict(_attributes(headers.items())),
        body=record.value or b"",
        consumer=text(headers.get(CONSUMER)),
        attempts=number(headers.get(ATTEMPTS)),
        put_off=number(headers.get(PUT_OFF)),
    )


def text(value: bytes | None) -> str:
    return value.decode("utf-8", "replace") if value else ""


def number(value: bytes | None) -> int:
    return int(value) if value is not None and value.isdigit() and len(value) < 16 else 0


def _attributes(headers: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, str]]:
    start = len(PREFIX)
    return ((name[start:], value.decode("utf-8", "replace")) for name, value in headers if name.startswith(PREFIX))


def _notes(consumer: str, attempts: int, put_off: int, due_ms: int) -> Headers:
    return [
        (CONSUMER, consumer.encode()),
        (ATTEMPTS, b"%d" % attempts),
        (PUT_OFF, b"%d" % put_off),
        (DUE, b"%d" % due_ms),
    ]
