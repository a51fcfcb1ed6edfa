"""Events as they travel: CloudEvents 1.0, one with its attributes as headers, or many as a JSON batch.

A message of one event is in binary mode (the body is the event's own JSON, the attributes are headers), one of many in
the JSON batch format. The standard's names stand for what the envelope calls otherwise: `subject` is the aggregate,
`person` the pseudonym of whom it concerns. Empty attributes are left out, as the standard wants it.
See https://github.com/cloudevents/spec, core and JSON format.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hansa.kernel.event import Envelope
from hansa.kernel.ids import SLOTS, is_id, slot_of

JSON = "application/json"
BATCH = "application/cloudevents-batch+json"
SPECVERSION = "1.0"
LARGEST_SHOWN = 16 * 1024
"""Bytes kept of a message that cannot be read."""


class Unreadable(Exception):
    """What came is no event of the shop's; the text says why."""


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The attributes and data of one event, by the names of the standard."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    slot: int
    subject: str
    aggregateversion: str = "1"
    channel: str = ""
    seller: str = ""
    location: str = ""
    person: str = ""
    session: str = ""
    consent: str = ""
    correlation: str = ""
    traceparent: str = ""
    datacontenttype: str = JSON
    data: msgspec.Raw = msgspec.Raw(b"{}")


_BATCH = msgspec.json.Decoder(list[CloudEvent])
_DATA = msgspec.json.Decoder(msgspec.Raw)


def attributes_of(envelope: Envelope) -> dict[str, str]:
    """What goes into the headers of a message in binary mode, without the prefix of the protocol."""
    attributes = {
        "specversion": SPECVERSION,
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.time.isoformat().replace("+00:00", "Z"),
        "slot": str(envelope.slot),
        "subject": envelope.aggregate,
        "aggregateversion": str(envelope.version),
        "channel": envelope.channel,
        "seller": envelope.seller,
        "location": envelope.location,
        "person": envelope.subject,
        "session": envelope.session,
        "consent": envelope.consent,
        "correlation": envelope.correlation,
        "traceparent": envelope.traceparent,
    }
    return {name: value for name, value in attributes.items() if value}


def read_one(attributes: Mapping[str, str], body: bytes) -> Envelope:
    """A message in binary mode. Raises Unreadable."""
    try:
        data = _DATA.decode(body.decode())  # as text, for what is skipped here is not looked at otherwise
        event = msgspec.convert({**attributes, "data": data}, CloudEvent, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    return _envelope(event)


def write_batch(envelopes: Sequence[Envelope]) -> bytes:
    """The body of a message of many."""
    return msgspec.json.encode([_cloud_event(envelope) for envelope in envelopes])


def read_batch(body: bytes) -> list[Envelope]:
    """A body in the JSON batch format. Raises Unreadable, for one bad event of many too."""
    try:
        return [_envelope(event) for event in _BATCH.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def stand_in(body: bytes, *, type_: str, source: str, at: datetime) -> Envelope:
    """An envelope for what cannot be read, so that it can be kept as a dead letter and be looked at.

    The same bytes have the same id, so that it is kept once however often it comes.
    """
    digest = hashlib.sha256(body).digest()
    event_id = str(int.from_bytes(digest[:8], "big") >> 1)
    kept = {"bytes": len(body), "base64": base64.b64encode(body[:LARGEST_SHOWN]).decode()}
    return Envelope(
        id=event_id,
        type=type_,
        source=source,
        time=at,
        slot=slot_of(event_id),
        aggregate=event_id,
        body=msgspec.Raw(msgspec.json.encode(kept)),
    )


def _cloud_event(envelope: Envelope) -> CloudEvent:
    return CloudEvent(
        specversion=SPECVERSION,
        id=envelope.id,
        source=envelope.source,
        type=envelope.type,
        time=envelope.time,
        slot=envelope.slot,
        subject=envelope.aggregate,
        aggregateversion=str(envelope.version),
        channel=envelope.channel,
        seller=envelope.seller,
        location=envelope.location,
        person=envelope.subject,
        session=envelope.session,
        consent=envelope.consent,
        correlation=envelope.correlation,
        traceparent=envelope.traceparent,
        data=envelope.body,
    )


def _envelope(event: CloudEvent) -> Envelope:
    if event.specversion != SPECVERSION:
        raise Unreadable(f"CloudEvents {event.specversion} is not {SPECVERSION}")
    if not is_id(event.id) or not 0 <= event.slot < SLOTS:
        raise Unreadable("no id of the shop's, or no slot")
    version: Any = event.aggregateversion
    if not version.isascii() or not version.isdigit() or len(version) > 18:
        raise Unreadable("aggregateversion is no number")
    return Envelope(
        id=event.id,
        type=event.type,
        source=event.source,
        time=event.time,
        slot=event.slot,
        aggregate=event.subject,
        version=int(version),
        channel=event.channel,
        seller=event.seller,
        location=event.location,
        subject=event.person,
        session=event.session,
        consent=event.consent,
        correlation=event.correlation,
        traceparent=event.traceparent,
        body=event.data,
    )
