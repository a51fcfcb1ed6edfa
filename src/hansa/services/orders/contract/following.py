"""How a buyer's browser or device hears of one order."""

from datetime import datetime

import msgspec


class FollowByMqtt(msgspec.Struct, frozen=True, kw_only=True):
    """For clients of MQTT 3.1.1, also over WebSocket; the password is the token."""

    url: str
    username: str
    client_id: str
    """This one and no other."""
    topic: str


class FollowByStomp(msgspec.Struct, frozen=True, kw_only=True):
    """For clients of STOMP 1.2, also over WebSocket; the passcode is the token."""

    url: str
    host: str
    login: str
    destination: str
    queue: str
    """For the header `x-queue-name` of SUBSCRIBE: this one and no other."""


class FollowPass(msgspec.Struct, frozen=True, kw_only=True):
    """What opens the topic of one order, to read it, to one device at a time: each device asks for its own.

    What comes are notices and no promises: whoever was not there asks for the order. `mqtt` or `stomp` is null where
    the shop does not offer it.
    """

    token: str
    """A secret, until it expires."""
    expires_at: datetime
    mqtt: FollowByMqtt | None
    stomp: FollowByStomp | None
