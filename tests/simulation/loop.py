"""An asyncio event loop with virtual time and seeded scheduling: the same seed, the same history.

Legal mode keeps asyncio's own order (first come, first served) and lets latencies alone decide who is first; wild mode
runs a random ready callback, which asks more of the code than any real loop. Time moves only when the loop says so.
"""

import asyncio
import heapq
import random
from asyncio import TimerHandle
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol

STEP_S = 0.000_02
"""What one callback takes of virtual time, so that clocks go on while there is work."""
SLOW_STEP_S = 0.002
"""In wild mode a step may take up to this long, so that time-outs meet work that is ready."""


class Stalled(RuntimeError):
    """Nothing is ready and nothing is due: everybody waits for what will never come."""


class Exhausted(RuntimeError):
    """The run took more steps than any run should: something goes round in circles."""


class Process(Protocol):
    """Whose callback it is: it counts its steps, and at one of them something befalls it."""

    is_dead: bool
    is_frozen: bool
    steps: int
    befallen_at: int

    def befall(self) -> None:
        """Have it die or freeze, just before its next callback."""
        ...

    def keep(self, handle: Any) -> None:
        """A callback that is to run when the process goes on."""
        ...


WHOSE: ContextVar["Process | None"] = ContextVar("simulated_process", default=None)
"""The process that a callback belongs to; None for the world outside."""


class _Task(asyncio.Task[Any]):
    """A task whose hash is its number: sets of tasks have the same order in every run."""

    def __init__(self, *arguments: Any, number: int, **more: Any) -> None:
        self._number = number
        super().__init__(*arguments, **more)

    def __hash__(self) -> int:
        return self._number


class Moment:
    """Something to await that is over at a given time: as `asyncio.sleep`, in one callback instead of two."""

    _asyncio_future_blocking = False

    def __init__(self, loop: "SimulatedLoop", seconds: float) -> None:
        self._loop = loop
        self._when = loop.time() + seconds
        self._timer: TimerHandle | None = None
        self._wake: tuple[Any, Context | None] | None = None
        self._is_cancelled = False

    def __await__(self) -> Generator["Moment", None, None]:
        self._asyncio_future_blocking = True
        yield self
        if self._is_cancelled:
            raise asyncio.CancelledError

    def get_loop(self) -> "SimulatedLoop":
        return self._loop

    def add_done_callback(self, callback: Any, *, context: Context | None = None) -> None:
        """The task's way of waiting: there is one that waits, and it waits once."""
        self._wake = callback, context
        self._timer = self._loop.call_at(self._when, callback, self, context=context)

    def cancel(self, msg: object = None) -> bool:
        if self._timer is None or self._wake is None or self._is_cancelled:
            return False
        self._is_cancelled = True
        self._timer.cancel()
        callback, context = self._wake
        self._loop.call_soon(callback, self, context=context)
        return True

    def result(self) -> None:
        if self._is_cancelled:
            raise asyncio.CancelledError


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module. What belongs to dead processes is never run again, and kept, so that no `finally` runs either."""

    def __init__(self, *, chance: random.Random, is_wild: bool, most_steps: int = 3_000_000) -> None:
        super().__init__()
        self._chance = chance
        self._is_wild = is_wild
        self._now = 0.0
        self._numbers = 0
        self._timers: list[tuple[float, int, TimerHandle]] = []
        self._most_steps = most_steps
        self.steps = 0
        self.graveyard: list[Any] = []
        self.tasks: list[asyncio.Task[Any]] = []
        """Every task ever made, so that none is collected while the run goes on."""

    def time(self) -> float:
        return self._now

    def _check_closed(self) -> None:
        """What is collected after the run may still call; nobody will carry it out, and nobody need complain."""

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        timer = TimerHandle(when, callback, args, self, context)
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, timer))
        return timer

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        if context is None:
            context = copy_context()
        elif WHOSE not in context:  # who wants a context without anybody's deadline still belongs to its process
            context.run(WHOSE.set, WHOSE.get())
        self._numbers += 1
        task = _Task(coro, loop=self, name=name, context=context, number=self._numbers)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.tasks.append(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """No threads here: the work is done at one stroke, a little later."""
        outcome = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:
                if not outcome.done():
                    outcome.set_exception(error)
            else:
                if not outcome.done():
                    outcome.set_result(result)

        self.call_later(self._chance.random() * 0.002, work)
        return outcome

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        return self.call_soon(callback, *args, context=context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Complaints of tasks that nobody looked at are no news here: checkers look at what the shop did."""

    def forget(self) -> None:
        """Let go of everything; to be called when the run is over."""
        self.tasks.clear()
        self.graveyard.clear()
        self._timers.clear()
        self._ready.clear()  # type: ignore[attr-defined]

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise Stalled(f"at {self._now:.3f} s nothing can happen any more")
            self._now = max(self._now, timers[0][0])
        self._due(ready)
        while ready and not self._stopping:  # type: ignore[attr-defined]
            self.steps += 1
            if self._is_wild:
                if len(ready) > 1:
                    ready.rotate(-int(self._chance.random() * len(ready)))
                self._now += self._chance.random() * SLOW_STEP_S if self.steps % 16 == 0 else STEP_S
            else:
                self._now += STEP_S
            self._carry_out(ready.popleft())
            if timers and timers[0][0] <= self._now:
                self._due(ready)
        if self.steps > self._most_steps:
            raise Exhausted(f"{self.steps} steps")

    def again(self, handles: "list[Any]") -> None:
        """Callbacks of a process that was frozen."""
        self._ready.extend(handles)  # type: ignore[attr-defined]

    def _due(self, ready: Any) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            if not timer._cancelled:
                ready.append(timer)

    def _carry_out(self, handle: Any) -> None:
        if handle._cancelled:
            return
        process = handle._context.get(WHOSE)
        if process is not None:
            if process.is_dead:
                self.graveyard.append(handle)
                return
            if process.is_frozen:
                process.keep(handle)
                return
            process.steps += 1
            if process.steps >= process.befallen_at:
                process.befall()
                self._carry_out(handle)
                return
        handle._run()
