"""One run of processes that read and write what a store is between, while everything happens to them.

All of it follows from a seed: time is virtual, and so is the order in which things happen. What was seen is judged at
once; at the end the world comes to rest, and then everybody has to see what is true.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hansa.platform.cache.families import SPREAD, Family, Loaded
from tests.platform.cache.faulty_store import LATE_S, FaultyStore
from tests.platform.cache.local_store import LocalStore
from tests.platform.cache.processes import Process, Thing, Truth
from tests.simulation.loop import SimulatedLoop

START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = ("{1}", "{2}:en", "{3}")
UNKNOWN_AT_FIRST = "{3}"
PROCESSES = 3
READERS = 4
"""In each process."""
WRITERS = 3
MOST_LOADS = 2
SECONDS = 15.0
READS_S = 0.15
WRITES_S = 1.2
FAULTS_S = (0.5, 2.0, 5.0, 20.0)
"""Between two of a kind, on the average: often, sometimes, or hardly ever."""
REST_S = 20.0
"""Longer than leases, pauses of breakers, and what comes late."""
FAMILY = Family(name="tests.things", type=Thing, fresh_s=0.7, good_s=60.0, absent_s=0.4)
LONGEST_LOAD_S = 0.4
LONGEST_NEWS_S = 4.0
"""Until an event has reached a process."""
SKEWS_S = (-3.0, -0.5, 0.0, 0.0, 0.5, 3.0)
RESTORED = 4
"""One seed of so many has a store that goes back to an older state."""
SILENT = 5
"""One seed of so many has a store that tells nobody what was dropped: only events do."""
ALONE = 6
"""One seed of so many has one process without a store."""


class TruthAway(Exception):
    """The truth could not be read, which is nobody's fault here."""


@dataclass(kw_only=True)
class Report:
    """What was seen, done and found."""

    violations: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)


class SkewedClock:
    """The loop's time; the wall clock is wrong by so much."""

    def __init__(self) -> None:
        self.skew_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time() + self.skew_s)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SlowTruth(Truth):
    """What is true at some moment while it is read; for one process, which has its own way to it."""

    def __init__(self, versions: dict[str, int], *, clock: SkewedClock, chance: random.Random) -> None:
        super().__init__()
        self.versions = versions
        self.failing = 0.03
        self.ending = 0.3
        """How likely a value is known to be another one soon."""
        self._clock = clock
        self._chance = chance

    async def load(self, key: str) -> Loaded[Thing]:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await self._take_time()
            version = self.versions.get(key)
            await self._take_time()
            if self._chance.random() < self.failing:
                raise TruthAway
        finally:
            self.inside -= 1
        if version is None:
            return Loaded(value=None)
        good_until = None
        if self._chance.random() < self.ending:
            ends = self._clock.now() + timedelta(seconds=self._chance.random())
            good_until = round(ends.timestamp() * 1_000_000)
        return Loaded(value=Thing(version, text=text(key, version)), version=version, good_until=good_until)

    async def _take_time(self) -> None:
        await asyncio.sleep(self._chance.random() ** 3 * LONGEST_LOAD_S)


def text(key: str, version: int) -> str:
    return f"{key} in its version {version}"


class Life:
    """A process from a start to its end, and what its readers may rely on."""

    def __init__(self, number: int, world: "World") -> None:
        self.number = number
        self.clock = SkewedClock()
        seed = world.chance.getrandbits(32)
        self.truth = SlowTruth(world.versions, clock=self.clock, chance=random.Random(seed + 1))
        self.store = FaultyStore(
            world.store, chance=random.Random(seed + 2), faults=world.report.happened, marks=world.marks
        )
        self.store.tells = not world.is_silent
        self.process = Process(
            self.truth,
            clock=self.clock,
            store=None if world.is_alone else self.store,
            seed=seed,
            is_alone=world.is_alone,
            most_loads=MOST_LOADS,
            family=FAMILY,
        )
        self.is_over = False
        self.seen: defaultdict[str, int] = defaultdict(int)
        """The latest version that a reader who has returned has seen, by key."""
        self.told: defaultdict[str, int] = defaultdict(int)
        """The latest version that was told in this process, by key."""

    def heard(self, key: str) -> int:
        """What was true when the key was dropped, as far as that was heard of."""
        return self.store.heard.get(self.process.shelf.name(key), 0) if self.store.tells else 0

    def tell(self, keys: list[str], *, cause: str) -> None:
        self.process.cache.tell([self.process.shelf.name(key) for key in keys], cause=cause)


class World:
    """See the module."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.is_restored = seed % RESTORED == 0
        self.is_silent = seed % SILENT == 3
        self.is_alone = seed % ALONE == 1
        self.do_all_hear = self.is_silent or self.chance.random() < 0.5
        """All events, not only those of writers that died."""
        self.report = Report()
        self.store = LocalStore()
        self.marks: dict[str, int] = {}
        """The version that was true when a name was dropped from the store."""
        self.store.listen(self)
        self.versions = {key: 1 for key in KEYS if key != UNKNOWN_AT_FIRST}
        self.lives: list[Life] = [Life(number, self) for number in range(1 if self.is_alone else PROCESSES)]
        self.is_at_rest = False
        self._events = 0
        self._news: list[asyncio.Task[None]] = []

    async def live(self) -> None:
        faults = [self._jump]
        faults += [] if self.is_alone else [self._trouble, self._restart, self._flush]
        faults += [] if self.is_alone or self.is_silent else [self._break_line]
        faults += [self._restore] if self.is_restored else []
        paces = [(self._write, WRITES_S)] * WRITERS + [(self._evict, 1.0), (self._renew, 0.5)]
        paces += [(fault, self.chance.choice(FAULTS_S)) for fault in faults]
        tasks = [asyncio.create_task(self._again(act, every_s)) for act, every_s in paces]
        tasks += [
            asyncio.create_task(self._again(partial(self._read, number), READS_S))
            for number in range(len(self.lives))
            for _ in range(READERS)
        ]
        await asyncio.sleep(SECONDS)
        self.is_at_rest = True
        await asyncio.gather(*tasks)
        await self._rest()

    def dropped(self, keys: Sequence[str]) -> None:
        """What was loaded before is in the store no more, and will not come to be in it."""
        for name in keys:
            self.marks[name] = self.versions.get(name.removeprefix(f"{FAMILY.name}:"), 0)

    def missed(self) -> None: ...

    def deaf(self) -> None: ...

    async def _again(self, act: Callable[[], Coroutine[Any, Any, None]], every_s: float) -> None:
        while not self.is_at_rest:
            await asyncio.sleep(self.chance.expovariate(1 / every_s))
            await act()

    async def _read(self, number: int) -> None:
        await self._look(self.lives[number], self.chance.choice(KEYS))

    async def _look(self, life: Life, key: str) -> int:
        """A read, judged: by what had been seen, told and heard when it began, and by what was ever true."""
        floor = life.seen[key]
        if not self.is_restored:
            floor = max(floor, life.told[key], life.heard(key))
        began = asyncio.get_running_loop().time()
        try:
            found = await life.process.shelf.get(key)
        except TruthAway:
            return floor
        except Exception as error:
            if not life.is_over:
                self._violated(f"a reader was failed: {error!r}")
            return floor
        version = 0 if found is None else found.version
        if not life.is_over:
            if version < floor:
                self._violated(f"{key} in process {life.number}: {version} after {floor}")
            life.seen[key] = max(life.seen[key], version)
        if version > self.versions.get(key, 0) or (found is not None and found.text != text(key, version)):
            self._violated(f"{key}: {found} never was")
        self.report.happened["read at once" if asyncio.get_running_loop().time() == began else "read"] += 1
        return version

    async def _write(self) -> None:
        """Commit, and tell of it before answering; or die in between. Then the event reaches everybody in the end, and
        else at least the one who lives on."""
        life = self.chance.choice(self.lives)
        keys = self.chance.sample(KEYS, k=self.chance.choice((1, 1, 2)))
        self._events += 1
        event = f"event {self._events}"
        for key in keys:
            self.versions[key] = self.versions.get(key, 0) + 1
        committed = {key: self.versions[key] for key in keys}
        has_died = self.chance.random() < 0.3
        for number in range(len(self.lives) if has_died or self.do_all_hear else 1):
            self._news.append(asyncio.create_task(self._hear(number, keys, event)))
        if has_died:
            self.report.happened["a writer died"] += 1
            return
        if self.chance.random() < 0.5:
            await asyncio.sleep(self.chance.random() ** 3 * LONGEST_LOAD_S)
        if not life.is_over:
            life.tell(keys, cause=self.chance.choice((event, "")))
            for key in keys:
                life.told[key] = max(life.told[key], committed[key])

    async def _hear(self, number: int, keys: list[str], event: str) -> None:
        await asyncio.sleep(self.chance.random() ** 2 * LONGEST_NEWS_S)
        self.lives[number].tell(keys, cause=event)

    async def _trouble(self) -> None:
        """The whole store, or the way of one process to it, answers nobody for a while."""
        lives = self.chance.choice((self.lives, self.chance.sample(self.lives, k=1)))
        for life in lives:
            life.store.trouble = self.chance.choice((0.6, 1.0))
        await asyncio.sleep(self.chance.random() * 1.5)
        for life in lives:
            life.store.trouble = self.chance.choice((0.0, 0.1, 0.2))

    async def _break_line(self) -> None:
        store = self.chance.choice(self.lives).store
        store.is_cut = True
        await asyncio.sleep(self.chance.random() ** 3)
        store.notice()
        await asyncio.sleep(self.chance.random() * LONGEST_LOAD_S)
        store.mend()

    async def _restart(self) -> None:
        """Process 0 lives on: whoever has heard of an event must not die before the store has, or another one has."""
        old = self.lives[self.chance.randrange(1, PROCESSES)]
        old.is_over = True
        if self.chance.random() < 0.5:  # suddenly: it gives nothing back
            await old.store.close()
        await old.process.cache.close()
        self.lives[old.number] = Life(old.number, self)
        self.report.happened["a process restarted"] += 1
        self._judge_loads(old)

    async def _flush(self) -> None:
        self.store.entries.clear()
        self.store.loans.clear()
        self.store.causes.clear()

    async def _restore(self) -> None:
        """As by a failover to a copy that was behind: whoever listens notices."""
        copy = dict(self.store.entries), dict(self.store.loans), dict(self.store.causes)
        await asyncio.sleep(self.chance.random() * 2)
        self.store.entries, self.store.loans, self.store.causes = copy
        self.report.happened["an older copy"] += 1
        for life in self.lives:
            life.store.notice()
        await asyncio.sleep(self.chance.random() * 0.1)
        for life in self.lives:
            life.store.mend()

    async def _jump(self) -> None:
        self.chance.choice(self.lives).clock.skew_s = self.chance.choice(SKEWS_S)

    async def _evict(self) -> None:
        process = self.chance.choice(self.lives).process
        process.cache.memory.forget(process.shelf.name(self.chance.choice(KEYS)))

    async def _renew(self) -> None:
        """As for what is read often."""
        shelf = self.chance.choice(self.lives).process.shelf
        shelf.renew(self.chance.choice(KEYS), within_s=self.chance.choice((0.0, 0.3, 2.0)))

    async def _rest(self) -> None:
        """Nothing goes wrong any more, and everything on its way arrives; then a new process looks, too."""
        await asyncio.gather(*self._news)
        for life in self.lives:
            life.truth.failing = life.store.trouble = life.clock.skew_s = 0.0
        await asyncio.sleep(max(REST_S, LATE_S))
        for life in self.lives:
            shared = life.process.cache.shared
            if shared is not None and shared.pending:
                self._violated(f"process {life.number} still has to drop {shared.pending} keys")
        if self.is_restored:  # what came back is not told of: it is gone when it is good no more
            await asyncio.sleep(FAMILY.good_s * (1 + SPREAD) + max(SKEWS_S))
        newcomer = Life(PROCESSES, self)
        newcomer.truth.failing = newcomer.store.trouble = 0.0
        for life in (*self.lives, newcomer):
            for key in KEYS:
                for _ in range(2):
                    if (version := await self._look(life, key)) != self.versions.get(key, 0):
                        self._violated(f"at rest {key} is {version} in process {life.number}, not {self.versions[key]}")
        await newcomer.process.cache.close()
        for life in self.lives:
            await life.process.cache.close()
            self._judge_loads(life)
            counts = life.process.shelf.counts
            for name in counts.__struct_fields__:
                self.report.happened[name] += getattr(counts, name)

    def _judge_loads(self, life: Life) -> None:
        if life.truth.most_inside > MOST_LOADS:
            self._violated(f"{life.truth.most_inside} loads at once in process {life.number}")

    def _violated(self, what: str) -> None:
        at_s = asyncio.get_running_loop().time()
        self.report.violations.append(f"at {at_s:.4f} s: {what}")


def run(seed: int) -> Report:
    """The same seed makes the same run."""
    loop = SimulatedLoop(chance=random.Random(f"{seed} schedule"), is_wild=seed % 2 == 1)
    try:
        return loop.run_until_complete(_live(seed))
    finally:
        loop.forget()
        loop.close()


async def _live(seed: int) -> Report:
    world = World(seed)
    await world.live()
    return world.report
