"""Two acts on one PostgreSQL, statement by statement: every order in which they may meet is tried, not left to luck.

Each act is a call of a service of its own, whose database is `Stepped`: it stops before every statement and before
every commit until the stage gives it its turn. An act that waits for a row of another is seen in the server's own table
of locks, and the other goes on. `explore` plays the acts again and again on fresh rows, each time in another order.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import func, select

from hansa.kernel.errors import BusinessError, Fault
from hansa.kernel.event import Envelope
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import POSTGRESQL, Statement

LOOK_S = 0.002
"""After so long without a word it is asked whether an act waits for a lock."""
COMMIT = "COMMIT"
STUCK_S = 20.0
MOST_RUNS = 2_000
DEADLOCK_MS = 60
"""After so long the server breaks a ring of waiting transactions; its usual second is long for a test."""

_WHO_AM_I = Statement(select(func.pg_backend_pid()))
_WHO_WAITS = "SELECT pid FROM unnest($1::int[]) AS asked(pid) WHERE cardinality(pg_blocking_pids(pid)) > 0"

Act = Callable[[], Awaitable[Any]]


@dataclass
class Actor:
    """One of those on the stage, and what it is about to do."""

    name: str
    gates: deque[tuple[str, asyncio.Future[None]]] = field(default_factory=deque)
    is_done: bool = False
    is_blocked: bool = False
    backends: set[int] = field(default_factory=set)

    @property
    def rests(self) -> bool:
        return self.is_done or self.is_blocked or bool(self.gates)

    @property
    def may_go(self) -> bool:
        return not self.is_done and not self.is_blocked and bool(self.gates)


class Stage:
    """Where actors wait for their turns. `watcher` is a connection that looks at the server's locks."""

    def __init__(self, watcher: "asyncpg.Connection[asyncpg.Record]", *, names: Sequence[str] = ("A", "B")) -> None:
        self.actors = [Actor(name) for name in names]
        self._watcher = watcher
        self._news = asyncio.Event()
        self._is_on = False

    async def gate(self, actor: Actor, what: str) -> None:
        """Wait for one's turn; between two plays nobody waits."""
        if not self._is_on:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        actor.gates.append((what, turn))
        self._news.set()
        await turn

    def ended(self, actor: Actor, backend: int) -> None:
        """A transaction is over and its locks are gone: who waits for them may go on."""
        actor.backends.discard(backend)
        for other in self.actors:
            other.is_blocked = False

    async def play(self, acts: Sequence[Act], *, plan: Sequence[int]) -> "Play":
        """Let the acts meet in the planned order, and after the plan's end each until it is done or blocked."""
        for actor in self.actors:
            actor.gates.clear()
            actor.is_done = actor.is_blocked = False
        self._is_on = True
        play = Play()
        tasks = [asyncio.create_task(self._act(*pair)) for pair in zip(self.actors, acts, strict=True)]
        try:
            await self._settle()
            while able := frozenset(number for number, actor in enumerate(self.actors) if actor.may_go):
                number = self._next(able, play, plan)
                actor = self.actors[number]
                what, turn = actor.gates.popleft()
                stopped = frozenset(each for each, waiting in enumerate(self.actors) if waiting.is_blocked)
                play.note(number, f"{actor.name}: {what}", able=able, stopped=stopped)
                turn.set_result(None)
                await self._settle()
                play.waits += sum(each.is_blocked for each in self.actors)
        finally:
            self._is_on = False
            for actor in self.actors:
                for _, turn in actor.gates:  # of what an act left behind, which now goes on by itself
                    turn.set_result(None)
        play.outcomes = await asyncio.gather(*tasks)
        return play

    def _next(self, able: frozenset[int], play: "Play", plan: Sequence[int]) -> int:
        position = len(play.taken)
        if position < len(plan):
            assert plan[position] in able, f"the same order led elsewhere this time: {play.trace}"
            return plan[position]
        return play.taken[-1] if play.taken and play.taken[-1] in able else min(able)

    async def _act(self, actor: Actor, act: Act) -> Any:
        try:
            return await act()
        except (BusinessError, Fault) as error:
            return error
        finally:
            actor.is_done = True
            self._news.set()

    async def _settle(self) -> None:
        """Wait until everybody is done, before a gate, or waits for a lock that somebody else before a gate has."""
        async with asyncio.timeout(STUCK_S):
            while restless := [actor for actor in self.actors if not actor.rests]:
                self._news.clear()
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()
                except TimeoutError:
                    await self._look(restless)

    async def _look(self, restless: Sequence[Actor]) -> None:
        pids = [pid for actor in restless for pid in actor.backends]
        waiting = {row["pid"] for row in await self._watcher.fetch(_WHO_WAITS, pids)}
        blocked = [actor for actor in restless if not actor.rests and actor.backends & waiting]
        # In a ring nobody would ever go on: then it is the server that breaks it, and until then nobody rests.
        if any(actor.may_go for actor in self.actors):
            for actor in blocked:
                actor.is_blocked = True


@dataclass
class Play:
    """One order in which the acts met."""

    taken: list[int] = field(default_factory=list)
    able: list[frozenset[int]] = field(default_factory=list)
    stopped: list[frozenset[int]] = field(default_factory=list)
    """Before each step: who could take it, and who waited for a lock."""
    trace: list[str] = field(default_factory=list)
    outcomes: list[Any] = field(default_factory=list)
    waits: int = 0

    def note(self, number: int, what: str, *, able: frozenset[int], stopped: frozenset[int]) -> None:
        self.taken.append(number)
        self.able.append(able)
        self.stopped.append(stopped)
        self.trace.append(what)

    def partings(self, *, since: int, switches: int) -> list[list[list[int]]]:
        """Plans that part from this one at some step, and leave an actor that could go on at most so often.

        Those that stop one actor within one of its transactions, for the same other one, stand together in order.
        """
        together: dict[tuple[int, int, int], list[list[int]]] = {}
        commits = 0
        for position, number in enumerate(self.taken):
            for other in sorted(self.able[position] - {number}) if position >= since else ():
                plan = [*self.taken[:position], other]
                if _switches(plan, self.able) <= switches:
                    together.setdefault((commits, number, other), []).append(plan)
            commits += self.trace[position].endswith(COMMIT)
        return list(together.values())

    def stopped_at(self, position: int) -> tuple[str, ...] | None:
        """What whoever came on at a step did until a lock stopped them; None if none did, or after a commit of theirs.

        Until then nobody can have seen anything of it. So if they are stopped in the same place whether they come early
        or late in a transaction of another, then also in between: each of the two that is to wait, waits in the early
        play or in the late one, and neither sees what is not committed.
        """
        number, end = self.taken[position], position
        while end < len(self.taken) and self.taken[end] == number:
            end += 1
        did = tuple(self.trace[position:end])
        is_stopped = end < len(self.taken) and number in self.stopped[end]
        return did if is_stopped and not any(what.endswith(COMMIT) for what in did) else None


def _switches(plan: Sequence[int], able: Sequence[frozenset[int]]) -> int:
    return sum(
        before != after and before in choice
        for before, after, choice in zip(plan[:-1], plan[1:], able[1 : len(plan)], strict=True)
    )


@dataclass
class Scene:
    """Two acts on fresh rows, and what must be so afterwards; `check` is told what each act came to."""

    acts: tuple[Act, Act]
    check: Callable[[Any, Any], Awaitable[None]]


@dataclass
class Explored:
    """What came of all plays together."""

    plays: int = 0
    waits: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, play: Play) -> None:
        self.plays += 1
        self.waits += play.waits
        first, second = (_kind(outcome) for outcome in play.outcomes)
        self.outcomes[first, second] += 1
        assert self.plays <= MOST_RUNS, "too many orders: allow fewer switches"


async def explore(
    stage: Stage,
    prepare: Callable[[], Awaitable[Scene]],
    *,
    switches: int = 1,
    faults: tuple[type[Fault], ...] = (),
) -> Explored:
    """Play the scene in every order in which an act is left at most `switches` times though it could go on.

    One switch brings one act wholly in between any two statements of the other; two, any part of it in between any
    part. Orders that only differ in when somebody comes to wait for the same lock are tried once (`Play.stopped_at`).
    No act may come to a fault but one of `faults`: so a deadlock is a failure, unless it was expected.
    """
    explored = Explored()

    async def tried(plan: list[int]) -> Play:
        scene = await prepare()
        play = await stage.play(scene.acts, plan=plan)
        try:
            for outcome in play.outcomes:
                assert not isinstance(outcome, Fault) or isinstance(outcome, faults), f"broke: {outcome!r}"
            await scene.check(*play.outcomes)
        except BaseException as error:
            error.add_note("in this order:\n  " + "\n  ".join(play.trace) + f"\ncame: {play.outcomes}")
            raise
        explored.note(play)
        for plans in play.partings(since=len(plan), switches=switches):
            await among(plans)
        return play

    async def among(plans: list[list[int]]) -> None:
        plays = {number: await tried(plans[number]) for number in sorted({0, len(plans) - 1})}
        spans = [(0, len(plans) - 1)]
        while spans:
            first, last = spans.pop()
            middle = (first + last) // 2
            early, late = (plays[number].stopped_at(len(plans[number]) - 1) for number in (first, last))
            if first < middle and (early is None or early != late):
                plays[middle] = await tried(plans[middle])
                spans += [(first, middle), (middle, last)]

    await tried([])
    return explored


def _kind(outcome: Any) -> str:
    """Of a refusal its name, of anything else that it was done."""
    return type(outcome).__name__ if isinstance(outcome, Exception) else "done"


class Stepped(Database):
    """The database as one actor has it."""

    def __init__(self, database: Database, *, stage: Stage, actor: Actor) -> None:
        self.name = database.name
        self._database = database
        self._stage = stage
        self._actor = actor

    @asynccontextmanager
    async def write(self, *slots: int) -> AsyncIterator[Transaction]:
        async with self._noted() as backends, self._database.write(*slots) as tx:
            row = await tx.one(_WHO_AM_I)
            assert row is not None
            backends.append(row[0])
            self._actor.backends.add(row[0])
            yield _SteppedTransaction(tx, self._stage, self._actor)
            await self._stage.gate(self._actor, COMMIT)

    @asynccontextmanager
    async def _noted(self) -> AsyncIterator[list[int]]:
        """Outside the transaction: when this is left, it is over for the server too."""
        backends: list[int] = []
        try:
            yield backends
        finally:
            for backend in backends:
                self._stage.ended(self._actor, backend)

    @asynccontextmanager
    async def read(self, *slots: int) -> AsyncIterator[Reader]:
        async with self._database.read(*slots) as reader:
            yield _SteppedReader(reader, self._stage, self._actor)

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        await self._stage.gate(self._actor, _said(statement))
        return await self._database.all(statement, **parameters)

    async def one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        rows = await self.all(statement, **parameters)
        return rows[0] if rows else None

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class _SteppedReader(Reader):
    def __init__(self, inner: Reader, stage: Stage, actor: Actor) -> None:
        self._inner, self._stage, self._actor = inner, stage, actor

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        await self._stage.gate(self._actor, _said(statement))
        return await self._inner.all(statement, **parameters)


class _SteppedTransaction(Transaction):
    def __init__(self, inner: Transaction, stage: Stage, actor: Actor) -> None:
        self._inner, self._stage, self._actor = inner, stage, actor

    @property
    def events(self) -> Sequence[Envelope]:
        return self._inner.events

    def emit(self, *event: Any, **about: Any) -> None:
        self._inner.emit(*event, **about)

    async def all(self, statement: Statement, /, **parameters: Any) -> Sequence[Row]:
        await self._stage.gate(self._actor, _said(statement))
        return await self._inner.all(statement, **parameters)


def _said(statement: Statement) -> str:
    """The beginning of a statement, and what it locks, for who reads in which order things went wrong."""
    words = " ".join(statement.text(POSTGRESQL).split())
    table = words.partition(" FROM ")[2].split(" ")[0] if words.startswith("SELECT") else ""
    return " ".join([*words.split(" ")[:3], table, "FOR UPDATE" if "FOR UPDATE" in words else ""]).strip()
