"""A bad line: a TCP proxy that delays, throttles, holds back and cuts what goes through it, as it is told."""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass

CHUNK = 16 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: a close becomes a reset, and what was under way is lost."""
PATIENCE_S = 5.0
"""How long the proxy waits for whoever it connects to."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What a line does to the bytes on it. TCP loses none, so loss is delay, a stall, or the end of a connection."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much more delay, chosen anew for each piece."""
    bytes_per_s: float = 0.0
    """Zero: as fast as it goes."""
    cut: float = 0.0
    """How probable it is that a piece never arrives and both ends hear a reset."""
    half_open: float = 0.0
    """How probable it is that a piece never arrives and only the far end hears a reset; the near end waits."""
    is_hole: bool = False
    """Nothing arrives until the weather changes; then everything does, late."""


FAIR = Weather()


class Proxy:
    """Listens on a free port and connects each caller to one address."""

    def __init__(self, *, host: str = "127.0.0.1", port: int, chance: random.Random) -> None:
        self.counted: Counter[str] = Counter()
        self._address = (host, port)
        self._chance = chance
        self._weather = FAIR
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def weather(self) -> Weather:
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        self._changed.set()
        self._changed = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)

    def cut_all(self) -> None:
        """Every connection there is ends with a reset at both ends."""
        for line in list(self._lines):
            self.counted["cut"] += 1
            line.reset()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [task for line in self._lines for task in line.tasks]
        self.cut_all()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counted["connections"] += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                far_reader, far_writer = await asyncio.open_connection(*self._address)
        except (OSError, TimeoutError):
            self.counted["nobody there"] += 1
            reset(writer)
            return
        line = _Line(writer, far_writer)
        self._lines.add(line)
        line.tasks = [
            asyncio.create_task(self._pump(line, reader, far_writer, is_near=True)),
            asyncio.create_task(self._pump(line, far_reader, writer, is_near=False)),
        ]
        try:
            await asyncio.gather(*line.tasks, return_exceptions=True)
        finally:
            self._lines.discard(line)
            line.reset()

    async def _pump(
        self, line: "_Line", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_near: bool
    ) -> None:
        """Carry one direction. Its end is the end of both: neither HTTP/1.1 nor PostgreSQL talks on half a line."""
        try:
            while piece := await reader.read(CHUNK):
                if line.is_half_open:
                    continue
                if await self._carry(line, piece) and not line.is_half_open:
                    writer.write(piece)
                    await writer.drain()
                    self.counted["bytes"] += len(piece)
            if is_near and line.is_half_open:
                line.reset()  # the near end has given up waiting
            elif not line.is_half_open:
                writer.close()
        except OSError:
            if is_near or not line.is_half_open:
                line.reset()

    async def _carry(self, line: "_Line", piece: bytes) -> bool:
        """Let the time pass that the piece is under way; whether it arrives."""
        while self._weather.is_hole:
            self.counted["held back"] += 1
            await self._changed.wait()
        weather = self._weather
        seconds = weather.delay_s + weather.jitter_s * self._chance.random()
        if weather.bytes_per_s:
            seconds += len(piece) / weather.bytes_per_s
        if seconds:
            self.counted["delayed"] += 1
            await asyncio.sleep(seconds)
        fate = self._chance.random()
        if fate < weather.cut:
            self.counted["cut"] += 1
            line.reset()
            return False
        if fate < weather.cut + weather.half_open and not line.is_half_open:
            self.counted["half open"] += 1
            line.is_half_open = True
            reset(line.far)
            return False
        return True


class _Line:
    """Two connections that are one to those at its ends."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near = near
        self.far = far
        self.tasks: list[asyncio.Task[None]] = []
        self.is_half_open = False

    def reset(self) -> None:
        reset(self.near)
        reset(self.far)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection at once and rudely."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
