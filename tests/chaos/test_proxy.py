"""The bad line: what it is told to do to a connection happens, and nothing else."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.chaos.proxy import FAIR, Proxy, Weather

PATIENCE_S = 10.0


class Echo:
    """Says again what it hears, and knows how its connections ended."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(1024):
                self.heard += piece
                writer.write(piece)
        self.ended.set()
        writer.close()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Echo, Proxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    """An echo, a proxy before it, and a connection through it that has been used once."""
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    proxy = Proxy(port=server.sockets[0].getsockname()[1], chance=random.Random(1))
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            yield echo, proxy, reader, writer
    finally:
        writer.transport.abort()
        await proxy.close()
        server.close()


async def seconds_for(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.write(said)
    assert await reader.readexactly(len(said)) == said
    return loop.time() - began


async def test_a_slow_line_delays_each_way_and_lets_so_many_bytes_through_in_a_second() -> None:
    async with connected() as (_, proxy, reader, writer):
        proxy.weather = Weather(delay_s=0.05)
        assert await seconds_for(reader, writer, b"x") >= 0.1

        proxy.weather = Weather(bytes_per_s=5000)
        assert await seconds_for(reader, writer, b"x" * 1000) >= 0.4

        proxy.weather = FAIR
        assert await seconds_for(reader, writer, b"x") < 0.1


async def test_a_cut_is_a_reset_at_both_ends_and_what_was_said_is_lost() -> None:
    async with connected() as (echo, proxy, reader, writer):
        proxy.weather = Weather(cut=1.0)
        writer.write(b"lost")

        with pytest.raises(ConnectionResetError):
            await reader.readexactly(4)
        await echo.ended.wait()
        assert echo.heard == b"hello"
        assert proxy.counted["cut"] == 1


async def test_on_a_half_open_connection_the_near_end_waits_for_ever() -> None:
    async with connected() as (echo, proxy, reader, writer):
        proxy.weather = Weather(half_open=1.0)
        writer.write(b"lost")
        await echo.ended.wait()

        proxy.weather = FAIR
        writer.write(b"anybody there?")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        assert echo.heard == b"hello"
        assert proxy.counted["half open"] == 1


async def test_a_black_hole_gives_everything_back_when_it_is_over() -> None:
    async with connected() as (_, proxy, reader, writer):
        proxy.weather = Weather(is_hole=True)
        writer.write(b"late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)

        proxy.weather = FAIR
        assert await reader.readexactly(4) == b"late"


async def test_where_nobody_listens_the_caller_hears_a_reset() -> None:
    async with connected() as (_, proxy, _, _):
        proxy._address = ("127.0.0.1", 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)

        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
