"""Facts: what has happened, in an envelope after CloudEvents; bodies hold no personal data in the clear."""

from datetime import datetime
from typing import ClassVar

import msgspec

LARGEST_BODY = 1024 * 1024
"""Bytes of an event's body: what brokers take, with room to spare."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a fact. Subclasses are participles and state their public type: `type = "order.placed.v1"`."""

    type: ClassVar[str] = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """A fact on its way: what CloudEvents calls id, type, time and subject, and what every consumer may need.

    `aggregate` is the id of the thing it is about and `version` that thing's version; `subject` is a pseudonym of the
    person concerned (never a name), `correlation` ties together what one request caused, and `traceparent` (W3C Trace
    Context) does so across systems, where the request came with one. Whoever reads the body may leave the event beside
    it, for the next one who hears it.
    """

    id: str
    type: str
    source: str
    time: datetime
    slot: int
    aggregate: str
    version: int = 1
    channel: str = ""
    seller: str = ""
    location: str = ""
    subject: str = ""
    session: str = ""
    consent: str = ""
    correlation: str = ""
    traceparent: str = ""
    body: msgspec.Raw = msgspec.Raw(b"{}")
