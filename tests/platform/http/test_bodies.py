"""A body arrives whole, breaks off, or does not come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from hansa.platform.http import request as request_module
from hansa.platform.http.rsgi import LARGEST_AT_ONCE, Body, BrokenOff


class Line:
    """A server's connection of which a body is asked, once."""

    def __init__(self) -> None:
        self.body: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def __call__(self) -> "asyncio.Future[bytes]":
        return self.body


async def whole(line: Line, *, timeout_s: float = 10.0) -> bytes:
    return await Body(line, length="3").whole(timeout_s=timeout_s)


async def test_a_small_body_comes_whole() -> None:
    line = Line()
    line.body.set_result(b"tea")

    assert await whole(line) == b"tea"


async def test_a_body_that_does_not_come_is_not_waited_for_any_longer() -> None:
    line = Line()

    with pytest.raises(TimeoutError):
        await whole(line, timeout_s=0.01)

    assert line.body.cancelled()


async def test_a_body_that_breaks_off_is_told_apart_from_one_that_is_late() -> None:
    line = Line()
    line.body.set_exception(ConnectionResetError())

    with pytest.raises(BrokenOff):
        await whole(line)


async def test_who_gives_up_a_request_is_not_told_that_its_body_is_late() -> None:
    line = Line()
    waiting = asyncio.create_task(whole(line))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    ("length", "is_small"),
    [("0", True), (str(LARGEST_AT_ONCE), True), (str(LARGEST_AT_ONCE + 1), False), (None, False), ("-1", False)],
)
async def test_only_a_body_that_says_it_is_small_is_had_whole(length: str | None, is_small: bool) -> None:
    assert Body(Line(), length=length).is_small is is_small


@pytest.fixture
async def sent(tea: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Sends the beginning of a request over a connection of its own, and reads what comes back."""
    monkeypatch.setattr(request_module, "BODY_TIMEOUT_S", 0.05)
    base = tea._base_url
    assert base is not None
    reader, writer = await asyncio.open_connection(base.host, base.port)

    async def send(head: str, body: bytes) -> bytes:
        writer.write(f"{head}\r\nHost: tea\r\n\r\n".encode() + body)
        async with asyncio.timeout(10):
            return await reader.readuntil(b"}")

    yield send
    writer.close()


@pytest.mark.parametrize("length", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_server_does_not_wait_for_a_body_for_ever(sent: Any, length: str) -> None:
    answer = await sent(f"POST /api/v1/steam HTTP/1.1\r\n{length}", b"3\r\nabc\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"did not arrive in time" in answer
