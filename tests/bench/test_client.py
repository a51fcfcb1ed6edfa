"""The bare client: what it makes of bytes, and what it does when a connection ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bench.client import LOST, BadAnswer, Load, drive, parsed_answer
from bench.requests import listed, orders, request

WHOLE = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nx: y\r\n\r\nhello"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[int]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def read_request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def test_a_whole_answer_is_status_body_and_length():
    assert parsed_answer(WHOLE + b"HTTP/1.1") == (201, b"hello", len(WHOLE))


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_an_answer_that_is_not_whole_yet_is_none(cut: int):
    assert parsed_answer(WHOLE[:cut]) is None


def test_chunks_are_put_together():
    data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na;x=1\r\n0123456789\r\n0\r\n\r\n"

    assert parsed_answer(data) == (200, b"abc0123456789", len(data))
    assert parsed_answer(data[:-3]) is None


def test_an_answer_may_have_no_body():
    data = b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n"

    assert parsed_answer(data) == (304, b"", len(data))


@pytest.mark.parametrize("data", [b"SMTP ready\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_what_is_not_http_is_refused(data: bytes):
    with pytest.raises(BadAnswer):
        parsed_answer(data)


async def test_every_request_is_sent_once_and_counted():
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                seen.append(await read_request(reader))
            except asyncio.IncompleteReadError:
                break
            writer.write(WHOLE)
        writer.close()

    sent = [request(verb="GET", path=f"/{number}", host="shop") for number in range(30)]
    async with served(talk) as port:
        answers = await drive(Load(host="127.0.0.1", port=port, connections=4, requests=iter(sent)))

    assert sorted(seen) == sorted(sent)
    assert answers.statuses == {201: 30}
    assert len(answers.latencies_s) == 30


@pytest.mark.parametrize("repeats_lost", [True, False])
async def test_a_request_whose_connection_was_lost_is_sent_anew_if_wanted(repeats_lost: bool):
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                seen.append(await read_request(reader))
            except asyncio.IncompleteReadError:
                break
            if len(seen) == 2:
                break
            writer.write(WHOLE)
        writer.close()

    sent = [request(verb="GET", path=f"/{number}", host="shop") for number in range(3)]
    load = Load(host="127.0.0.1", port=0, connections=1, requests=iter(sent), repeats_lost=repeats_lost)
    async with served(talk) as port:
        answers = await drive(Load(**{**vars(load), "port": port}))

    assert answers.statuses == {LOST: 1, 201: 3 if repeats_lost else 2}
    assert seen == ([sent[0], sent[1], sent[1], sent[2]] if repeats_lost else sent)


async def test_whoever_must_wait_in_a_line_asks_again_with_the_same_request(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.client.REPEAT_S", 0.001)
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                seen.append(await read_request(reader))
            except asyncio.IncompleteReadError:
                break
            writer.write(b"HTTP/1.1 429 Wait\r\nContent-Length: 0\r\n\r\n" if len(seen) < 3 else WHOLE)
        writer.close()

    sent = [request(verb="GET", path="/", host="shop")]
    async with served(talk) as port:
        answers = await drive(
            Load(host="127.0.0.1", port=port, connections=1, requests=iter(sent), repeated=frozenset({429}))
        )

    assert seen == sent * 3
    assert answers.statuses == {429: 2, 201: 1}


async def test_at_an_even_pace_the_time_of_an_answer_counts_from_when_its_request_was_due():
    stall_s = 0.05

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(stall_s)
        for _ in range(3):
            await read_request(reader)
            writer.write(WHOLE)
        writer.close()

    sent = [request(verb="GET", path="/", host="shop")] * 3
    async with served(talk) as port:
        answers = await drive(Load(host="127.0.0.1", port=port, connections=1, requests=iter(sent), rate=1_000))

    assert min(answers.latencies_s) >= stall_s - 0.01


def test_orders_are_spread_evenly_and_have_keys_of_their_own():
    made = list(orders(host="shop", skus=["A", "B"], count=4, run="r"))

    assert [b'"sku":"A"' in each for each in made] == [True, False, True, False]
    assert len({each.split(b"Idempotency-Key: ")[1].split(b"\r\n")[0] for each in made}) == 4
    for each in made:
        head, _, body = each.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head


def test_requests_may_come_from_a_file():
    lines = [b'{"verb": "POST", "path": "/x", "headers": {"A": "b"}, "body": [1]}']

    assert list(listed(host="shop", lines=lines)) == [
        request(verb="POST", path="/x", host="shop", headers={"A": "b"}, body=[1])
    ]
