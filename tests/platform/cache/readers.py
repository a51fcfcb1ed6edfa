"""Processes that read one thing through a cache over a real Redis, and the truth behind it, which this one keeps."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from types import TracebackType
from typing import Any, Self

import msgspec

from tests.platform.cache.reader import FRESH_S, Task
from tests.ports import HOST
from tests.servers import end_with_parent

LOAD_S = 0.05
"""How long the truth takes."""
LASTS = 0.5
"""Of the time for which a value is fresh: less than what is left of it by the jitter."""
LOOK_S = 0.005


class Readers:
    """See the module. The moments at which loads began, and until when what they brought lasts, are microseconds since
    1970; all processes go by the same clock."""

    def __init__(self, *, redis: str, processes: int) -> None:
        self._redis = redis
        self._count = processes
        self._children: list[asyncio.subprocess.Process] = []
        self._version = 0
        self._is_served_stale = True
        self._let = asyncio.Event()
        self._inside = 0
        self.most_inside = 0
        self.begun: list[int] = []
        self.last_until: list[int] = []

    @property
    def loads(self) -> int:
        return len(self.begun)

    async def __aenter__(self) -> Self:
        self._let.set()
        self._server = await asyncio.start_server(self._answer, HOST, 0)
        port = self._server.sockets[0].getsockname()[1]
        try:
            for number in range(self._count):
                task = Task(redis=self._redis, truth_port=port, seed=number)
                self._children.append(
                    await asyncio.create_subprocess_exec(
                        *(sys.executable, "-m", "tests.platform.cache.reader", msgspec.json.encode(task).decode()),
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE,
                        env=os.environ,
                        preexec_fn=end_with_parent(signal.SIGKILL),
                    )
                )
            await self._ask_all("hears")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            if child.returncode is None:
                child.kill()
            await child.wait()
        self._server.close()

    async def change(self, version: int) -> None:
        """Return when every process has heard of it."""
        self._version = version
        await self._ask(self._children[0], "tell")
        while any(await self._ask_all("holds")):
            await asyncio.sleep(LOOK_S)

    async def read_once(self, *, each: int) -> Counter[int]:
        """So many readers in each process begin before any load ends; the versions that they see."""
        self._let.clear()
        await self._ask_all("read", each)
        self._let.set()
        seen: Counter[int] = Counter()
        for versions in await self._ask_all("seen"):
            seen.update({int(version): count for version, count in versions.items()})
        return seen

    async def read_until(self, *, each: int, loads: int, is_served_stale: bool) -> None:
        """Have them read on and on, until the truth was asked so often; each value lasts for a moment only. Raises
        RuntimeError if a reader was failed."""
        self._is_served_stale = is_served_stale
        await self._ask_all("read on", each)
        while self.loads < loads:
            await asyncio.sleep(LOOK_S)
        if any(failed := await self._ask_all("stop")):
            raise RuntimeError(f"readers were failed: {failed}")

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        now = time.time_ns() // 1_000
        lasts_until = now + round(FRESH_S * LASTS * 1_000_000)
        good_until = None if self._is_served_stale else lasts_until
        self.begun.append(now)
        self.last_until.append(lasts_until)
        self._inside += 1
        self.most_inside = max(self.most_inside, self._inside)
        await self._let.wait()
        await asyncio.sleep(LOAD_S)
        self._inside -= 1
        writer.write(msgspec.json.encode((self._version, good_until)) + b"\n")
        await writer.drain()
        writer.close()

    async def _ask_all(self, what: str, number: int = 0) -> list[Any]:
        return list(await asyncio.gather(*(self._ask(child, what, number) for child in self._children)))

    async def _ask(self, child: asyncio.subprocess.Process, what: str, number: int = 0) -> Any:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(msgspec.json.encode((what, number)) + b"\n")
        await child.stdin.drain()
        return msgspec.json.decode(await child.stdout.readline())
