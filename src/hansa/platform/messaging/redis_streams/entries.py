"""Events as entries of a stream: the attributes of CloudEvents are fields, and so is the event's own JSON, `data`."""

from collections.abc import Mapping

import msgspec

from hansa.kernel.event import Envelope
from hansa.platform.messaging.cloudevents import attributes_of
from hansa.platform.messaging.groups import Entry, PutOff

DATA = "data"
CONSUMER = "hansa-consumer"
ATTEMPTS = "hansa-attempts"
PUT_OFF = "hansa-put-off"
_OWN = (DATA, CONSUMER, ATTEMPTS, PUT_OFF)

Fields = dict[str, str | bytes]


def fields_of(envelope: Envelope) -> Fields:
    return {**attributes_of(envelope), DATA: bytes(envelope.body)}


def written(put_off: PutOff) -> bytes:
    """A member of the sorted set: a JSON list of names and values in turn."""
    delivery = put_off.delivery
    fields = fields_of(delivery.envelope) | {
        CONSUMER: put_off.consumer,
        ATTEMPTS: str(delivery.attempts),
        PUT_OFF: str(delivery.put_off),
    }
    flat = [part.decode() if isinstance(part, bytes) else part for pair in fields.items() for part in pair]
    return msgspec.json.encode(flat)


def read(fields: Mapping[bytes, bytes], *, deliveries: int = 1) -> Entry:
    """Whatever the fields are; what they lack or cannot be is found when the event is read."""
    texts = {name.decode("utf-8", "replace"): value for name, value in fields.items()}
    attributes = {name: value.decode("utf-8", "replace") for name, value in texts.items() if name not in _OWN}
    return Entry(
        attributes=attributes,
        body=texts.get(DATA, b""),
        consumer=texts.get(CONSUMER, b"").decode("utf-8", "replace"),
        attempts=_number(texts.get(ATTEMPTS)),
        put_off=_number(texts.get(PUT_OFF)),
        deliveries=deliveries,
    )


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) < 10 else 0
