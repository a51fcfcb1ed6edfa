"""Acts under way: whoever asks for one that is being done already shares its end, and nobody who leaves ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Generic, TypeVar

from hansa.kernel.errors import CommandInFlight, Fault

T = TypeVar("T")


class Flights(Generic[T]):
    """At most one act of a name at a time in this process; as many as there are callers, whose number others bound."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    async def share(self, name: str, act: Callable[[], Awaitable[T]], *, patience_s: float | None = None) -> T:
        """What the act of this name answers or raises, begun now unless it is under way.

        Raises CommandInFlight when the caller's patience ends first; the act goes on. Raises Fault when the act is
        broken off by `close`.
        """
        loop = asyncio.get_running_loop()
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = _Flight()
            # A context of its own: the act belongs to no caller, so nobody's deadline applies to it.
            flight.task = loop.create_task(self._run(name, flight, act), name=name, context=Context())
        waiting: asyncio.Future[T] = loop.create_future()
        flight.waiting.append(waiting)
        if patience_s is None:
            return await waiting
        timer = loop.call_later(patience_s, _fail, waiting, CommandInFlight())
        try:
            return await waiting
        finally:
            timer.cancel()

    def is_under_way(self, name: str) -> bool:
        return name in self._flights

    async def close(self) -> None:
        """Break off what is under way, as if the process had died; return once it has ended."""
        flights, self._flights = self._flights, {}
        for flight in flights.values():
            flight.task.cancel()
        await asyncio.gather(*(flight.task for flight in flights.values()), return_exceptions=True)
        for name, flight in flights.items():
            flight.fail(_broken_off(name))  # one that had not begun yet tells nobody

    async def _run(self, name: str, flight: "_Flight[T]", act: Callable[[], Awaitable[T]]) -> None:
        try:
            answer = await act()
        except Exception as error:
            flight.fail(error)
        else:
            flight.answer(answer)
        finally:
            flight.fail(_broken_off(name))  # who has not been told yet: it was cancelled, or a library panicked
            if self._flights.get(name) is flight:
                del self._flights[name]


class _Flight(Generic[T]):
    """An act under way. Who waits is told in its last step, not a turn of the loop later."""

    __slots__ = ("task", "waiting")
    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[T]] = []

    def answer(self, answer: T) -> None:
        for waiting in self.waiting:
            if not waiting.done():
                waiting.set_result(answer)

    def fail(self, error: Exception) -> None:
        for waiting in self.waiting:
            _fail(waiting, error)


def _broken_off(name: str) -> Fault:
    return Fault(f"{name} was broken off")


def _fail(waiting: "asyncio.Future[T]", error: Exception) -> None:
    if not waiting.done():
        waiting.set_exception(error)
