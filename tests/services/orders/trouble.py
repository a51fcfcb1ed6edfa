"""Ways for a process to die, or a neighbour to fail, at any step it takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from hansa.kernel.errors import Fault
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.rpc.local import client_of

C = TypeVar("C")


class Death(Exception):
    """The process ends here: nobody catches this."""


class Trouble:
    """Counts the steps that a process takes, and lets it die or fail at the one that a test has chosen."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.named: list[frozenset[int]] = []
        """The slots that were named for each transaction."""
        self._at: int | None = None
        self._failure: type[Exception] = Death
        self._gates: dict[str, asyncio.Event] = {}

    def plan(self, *, at: int | None, failure: type[Exception] = Death) -> None:
        self.steps = []
        self._at, self._failure = at, failure

    def hold(self, step: str) -> asyncio.Event:
        """Whoever comes to this step waits until the event is set."""
        return self._gates.setdefault(step, asyncio.Event())

    async def step(self, name: str) -> None:
        self.steps.append(name)
        if name in self._gates:
            await self._gates[name].wait()
        if self._at is not None and len(self.steps) == self._at:
            self._at = None
            raise self._failure(f"at {name}")


def troubled(contract: type[C], neighbour: object, trouble: Trouble) -> C:
    """A client of a neighbour that may fail before it does something, or after."""

    async def invoke(method: Any, arguments: dict[str, Any]) -> Any:
        name = f"{contract.__name__}.{method.name}"
        await trouble.step(f"before {name}")
        answer = await getattr(neighbour, method.name)(**arguments)
        await trouble.step(f"after {name}")
        return answer

    return client_of(contract, invoke)


class TroubledDatabase(Database):
    """A database whose user may die just before a commit, or just after."""

    def __init__(self, database: Database, trouble: Trouble) -> None:
        self.name = database.name
        self._database = database
        self._trouble = trouble

    @asynccontextmanager
    async def write(self, *slots: int) -> AsyncIterator[Transaction]:
        self._trouble.named.append(frozenset(slots))
        async with self._database.write(*slots) as tx:
            yield tx
            await self._trouble.step("before commit")
        await self._trouble.step("after commit")

    def read(self, *slots: int) -> AbstractAsyncContextManager[Reader]:
        return self._database.read(*slots)

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class Broken(Fault):
    """A neighbour, or the way to it, is broken."""
