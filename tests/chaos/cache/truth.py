"""What is true while the cache is under fire: versions by key, and events of their changes, which arrive late."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from tests.ports import HOST

LOAD_S = 0.02
"""The most that a question takes."""
NEWS_S = 1.5
"""The most that an event takes to a process."""


class Truth:
    """Answers `read KEY` with the version, `write KEY` with that and the id of its event, and `hear` with events."""

    def __init__(self, *, chance: random.Random) -> None:
        self.versions: dict[str, int] = {}
        self.port = 0
        self._chance = chance
        self._events = 0
        self._hearing: list[asyncio.StreamWriter] = []
        self._news: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._answer, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for each in self._news:
                each.cancel()

    async def told(self) -> None:
        """Return when every event has arrived."""
        while self._news:
            await asyncio.gather(*self._news)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        what, _, key = (await reader.readline()).decode().strip().partition(" ")
        if what == "hear":
            self._hearing.append(writer)
            return
        await asyncio.sleep(self._chance.random() * LOAD_S)
        if what == "write":
            self.versions[key] = self.versions.get(key, 0) + 1
            self._events += 1
            event = f"event-{self._events}"
            for each in self._hearing:
                news = asyncio.create_task(self._tell(each, key, event))
                self._news.add(news)
                news.add_done_callback(self._news.discard)
            answer: object = (self.versions[key], event)
        else:
            answer = self.versions.get(key, 0)
            await asyncio.sleep(self._chance.random() * LOAD_S)
        writer.write(msgspec.json.encode(answer) + b"\n")
        await writer.drain()
        writer.close()

    async def _tell(self, writer: asyncio.StreamWriter, key: str, event: str) -> None:
        await asyncio.sleep(self._chance.random() * NEWS_S)
        writer.write(msgspec.json.encode((key, event)) + b"\n")
        await writer.drain()


async def ask(port: int, question: str) -> bytes:
    """One question to it, from another process."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(question.encode() + b"\n")
        return await reader.readline()
    finally:
        writer.close()
