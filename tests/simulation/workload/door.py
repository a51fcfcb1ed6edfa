"""The way into the shop, as its clients know it, and the history of what they asked and were told.

The same workload goes through two doors: the simulator's, and real HTTP to real processes.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """What the shop said: an HTTP status and the decoded JSON (None for an empty body)."""

    status: int
    body: Any = None


class NoReply(Exception):
    """Nobody knows what became of the request: no connection, a lost answer, a deadline."""


class Door(Protocol):
    """The shop's HTTP API, `/api/v1` left out of the paths."""

    async def request(
        self, verb: str, path: str, body: Any = None, *, token: str = "", key: str = "", version: int | None = None
    ) -> Reply:
        """One request, sent once; `version` is what If-Match names. Raises NoReply."""
        ...


class Pause(Protocol):
    """How actors let time pass: virtual under the simulator, real elsewhere."""

    async def __call__(self, seconds: float) -> None: ...


class Operation(msgspec.Struct, kw_only=True):
    """One request and its end. `status` None: no reply came (yet)."""

    number: int
    actor: str
    verb: str
    path: str
    body: Any
    key: str
    began: float
    """Seconds of the run, by the clients' clock."""
    ended: float | None = None
    status: int | None = None
    answer: Any = None
    is_signed_in: bool = False
    """A guest's key counts for nothing on routes that demand none (carts, accounts, sessions)."""
    version: int | None = None

    @property
    def is_certain(self) -> bool:
        """The shop has given its word: neither silence nor a fault (5xx), nor "still at it"."""
        if self.status is None or self.status >= 500:
            return False
        return not (isinstance(self.answer, dict) and self.answer.get("code") == "idempotency.in_flight")


class History:
    """Everything that clients asked, in the order in which they began."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.operations: list[Operation] = []
        self.heard: Callable[[Operation], None] | None = None
        """Told of each operation when it has ended."""

    def door(self, door: Door, *, actor: str) -> Door:
        """The same door, with everything that the actor does there written down."""
        return _Recorded(self, door, actor)

    async def carry_out(self, operation: Operation, act: Callable[[], Awaitable[Reply]]) -> Reply:
        self.operations.append(operation)
        try:
            reply = await act()
            operation.status, operation.answer = reply.status, reply.body
            return reply
        finally:
            operation.ended = self._now()
            if self.heard is not None:
                self.heard(operation)

    def begin(
        self,
        actor: str,
        verb: str,
        path: str,
        body: Any,
        key: str,
        *,
        is_signed_in: bool = False,
        version: int | None = None,
    ) -> Operation:
        return Operation(
            number=len(self.operations),
            actor=actor,
            verb=verb,
            path=path,
            body=body,
            key=key,
            began=self._now(),
            is_signed_in=is_signed_in,
            version=version,
        )


class _Recorded:
    def __init__(self, history: History, door: Door, actor: str) -> None:
        self._history = history
        self._door = door
        self._actor = actor

    async def request(
        self, verb: str, path: str, body: Any = None, *, token: str = "", key: str = "", version: int | None = None
    ) -> Reply:
        operation = self._history.begin(self._actor, verb, path, body, key, is_signed_in=bool(token), version=version)
        return await self._history.carry_out(
            operation, lambda: self._door.request(verb, path, body, token=token, key=key, version=version)
        )
