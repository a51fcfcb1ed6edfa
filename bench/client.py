"""A bare HTTP/1.1 client that costs less than the server it loads: ready bytes out, a status and a body back."""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import cast

LOST = 0
"""The status of a request whose connection ended before its answer."""
END_OF_HEAD = b"\r\n\r\n"
RECONNECT_S = 0.05
REPEAT_S = 0.5
MOST_REPEATS = 200
GIVE_UP_S = 60.0
"""How long a server may be away before a run is given up."""


class BadAnswer(Exception):
    """What came back is not HTTP as this client knows it."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked, and how. `rate` paces the requests of all connections together; without it, each connection sends
    its next request as soon as it has its answer. `repeats_lost` sends a request anew whose connection was lost."""

    host: str
    port: int
    connections: int
    requests: Iterator[bytes]
    rate: float | None = None
    repeats_lost: bool = False
    repeated: frozenset[int] = frozenset()
    """Statuses after which the same request is sent anew a little later, as whoever waits in a line does."""
    on_answer: Callable[[int, bytes, bytes], None] | None = None
    """Is told the status, the request and the body of every answer."""


@dataclass(kw_only=True)
class Answers:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: "array[float]" = field(default_factory=lambda: array("d"))
    windows: dict[int, tuple[float, float]] = field(default_factory=dict)
    """When the first and the last answer of each status came."""
    bytes_in: int = 0
    began_at: float = 0.0
    ended_at: float = 0.0
    """By the monotonic clock, which all processes of a machine share."""

    @property
    def elapsed_s(self) -> float:
        return self.ended_at - self.began_at


def parsed_answer(data: bytes) -> tuple[int, bytes, int] | None:
    """Status, body and length of the first answer in the bytes; None if it is not whole yet. Raises BadAnswer."""
    end = data.find(END_OF_HEAD)
    if end < 0:
        return None
    head = data[:end].lower()
    if not head.startswith(b"http/1.1 "):
        raise BadAnswer(repr(data[:80]))
    status = int(head[9:12])
    start = end + len(END_OF_HEAD)
    place = head.find(b"\r\ncontent-length:")
    if place >= 0:
        length = int(head[place + 17 :].split(b"\r\n", 1)[0])
        if len(data) < start + length:
            return None
        return status, data[start : start + length], start + length
    if b"\r\ntransfer-encoding: chunked" in head:
        return _chunked(status, data, start)
    if status in (204, 304):
        return status, b"", start
    raise BadAnswer("an answer without a length")


def _chunked(status: int, data: bytes, at: int) -> tuple[int, bytes, int] | None:
    parts: list[bytes] = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at:end].split(b";")[0], 16)
        after = end + 2 + size + 2
        if len(data) < after:
            return None
        if size == 0:
            return status, b"".join(parts), after
        parts.append(data[end + 2 : end + 2 + size])
        at = after


async def drive(load: Load) -> Answers:
    """Send all requests; return when the last one is answered."""
    answers = Answers()
    loop = asyncio.get_running_loop()
    pace = None if load.rate is None else _Pace(rate=load.rate, began_at=time.monotonic())
    shoppers = [_Connection(load=load, answers=answers, pace=pace) for _ in range(load.connections)]
    for shopper in shoppers:
        await loop.create_connection(partial(_same, shopper), load.host, load.port)
    answers.began_at = time.monotonic()
    if pace is not None:
        pace.began_at = answers.began_at
    for shopper in shoppers:
        shopper.begin()
    await asyncio.gather(*(shopper.done for shopper in shoppers))
    answers.ended_at = time.monotonic()
    return answers


def _same(connection: "_Connection") -> "_Connection":
    return connection


@dataclass(kw_only=True)
class _Pace:
    """When each request is due: latency counts from there, so a stall is not hidden by the requests it held up."""

    rate: float
    began_at: float
    sent: int = 0

    def next_at(self) -> float:
        self.sent += 1
        return self.began_at + (self.sent - 1) / self.rate


class _Connection(asyncio.Protocol):
    """One shopper: asks, reads, asks again."""

    def __init__(self, *, load: Load, answers: Answers, pace: _Pace | None) -> None:
        self._load = load
        self._answers = answers
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._request: bytes | None = None
        self._sent_at = 0.0
        self._is_counted = False
        self._repeats = 0
        self.done: asyncio.Future[None] = self._loop.create_future()

    def begin(self) -> None:
        self._is_counted = True
        self._next()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not descend from it

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        try:
            answer = parsed_answer(self._buffer)
        except BadAnswer as error:
            self._fail(error)
            return
        if answer is None:
            return
        status, body, length = answer
        self._buffer = self._buffer[length:]
        self._note(status, body)
        if status in self._load.repeated and self._repeats < MOST_REPEATS:
            self._repeats += 1
            self._loop.call_later(REPEAT_S, self._repeat)
        else:
            self._repeats = 0
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._buffer = b""
        if self.done.done() or not self._is_counted:
            return
        self._answers.statuses[LOST] += 1
        if not self._load.repeats_lost:
            self._request = None
        self._reconnecting = self._loop.create_task(self._reconnect())

    def _next(self) -> None:
        request = next(self._load.requests, None)
        if request is None:
            self._end()
            return
        if self._pace is None:
            self._send(request, due_at=time.monotonic())
            return
        due_at = self._pace.next_at()
        self._loop.call_later(max(0.0, due_at - time.monotonic()), lambda: self._send(request, due_at=due_at))

    def _send(self, request: bytes, *, due_at: float) -> None:
        self._request = request
        self._sent_at = due_at
        if self._transport is not None:
            self._transport.write(request)

    def _repeat(self) -> None:
        if self._request is not None:
            self._send(self._request, due_at=time.monotonic())

    def _note(self, status: int, body: bytes) -> None:
        answers = self._answers
        now = time.monotonic()
        answers.statuses[status] += 1
        answers.latencies_s.append(now - self._sent_at)
        answers.windows[status] = (answers.windows[status][0] if status in answers.windows else now, now)
        answers.bytes_in += len(body)
        if self._load.on_answer is not None:
            self._load.on_answer(status, self._request or b"", body)

    async def _reconnect(self) -> None:
        deadline = self._loop.time() + GIVE_UP_S
        while self._loop.time() < deadline:
            try:
                await self._loop.create_connection(partial(_same, self), self._load.host, self._load.port)
            except OSError:
                await asyncio.sleep(RECONNECT_S)
                continue
            if self._request is None:
                self._next()
            elif self._transport is not None:
                self._transport.write(self._request)
            return
        self._fail(ConnectionError(f"nobody answers at {self._load.host}:{self._load.port}"))

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        if self._transport is not None:
            self._transport.close()
