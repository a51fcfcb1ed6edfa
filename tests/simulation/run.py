"""One run of a plan: the cluster works, things go wrong, then all is quiet, and the checkers look at what is left."""

import asyncio
import atexit
import gc
import logging
import random
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hansa.compose.stored import STORED, migrate_all
from hansa.platform.outbox import relay
from hansa.platform.security.key_file import KEY_BYTES
from hansa.services.orders.rules import states
from hansa.services.users.contract import Users
from hansa.settings import Settings
from tests.simulation.history import told
from tests.simulation.invariants.every_check import judge
from tests.simulation.invariants.evidence import Violation
from tests.simulation.invariants.step import StepWatcher
from tests.simulation.loop import Exhausted, SimulatedLoop, Stalled
from tests.simulation.plan import Plan
from tests.simulation.rest import evidence_of, quiet
from tests.simulation.states import ReservationSight, reached
from tests.simulation.workload import crowd, scene
from tests.simulation.workload.door import History
from tests.simulation.world import DAY_BEFORE_S, World

DRAINED_WITHIN_S = 1800.0
"""After the last fault, everything has come to its end within so many (virtual) seconds: reservations live 15 minutes,
payments that nobody can tell of are waited for 10. To it comes as much as clocks were wrong: what was noted for a time
that is far ahead is done then."""
LOOK_EVERY_S = 5.0
COMING_BACK_WITHIN_S = 900.0
MOST_ASKED_AGAIN = 25
"""Answers that were given, and are asked for again with their keys when all is quiet."""
COLLECT_EVERY = 8
"""Runs between two collections of garbage."""

_uncollected = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run."""

    plan: Plan
    violations: tuple[str, ...]
    checks: tuple[str, ...]
    """The names of the checks that found something, each once."""
    subjects: tuple[str, ...]
    digest: str
    """Of everything that happened, and when."""
    states: dict[str, int]
    """Rare states that were reached."""
    injected: dict[str, int]
    met: dict[str, int]
    """Ends of requests, by what they were."""
    drawn: int
    seconds: float
    """Of virtual time."""
    rested_s: float
    """How long after the last fault all was at rest, looked at every few seconds."""
    steps: int
    history: tuple[str, ...] = ()
    """The notes about the subjects, where it was asked for."""


def simulated(plan: Plan, *, tells: bool = False) -> Outcome:
    """Run a plan, inside `at_work`; `tells` adds the history of what the violations are about."""
    images = _template()
    with _knobs(plan):
        outcome = _simulated(plan, images, tells=tells)
        _let_go()
    return outcome


def _simulated(plan: Plan, images: Mapping[str, bytes], *, tells: bool) -> Outcome:
    loop = SimulatedLoop(chance=random.Random(f"{plan.seed} schedule"), is_wild=plan.is_wild)
    world = World(plan, loop=loop, images=images, folder=_folder())
    try:
        return _run(world, tells=tells)
    finally:
        world.close()
        loop.close()
        loop.forget()


def _run(world: World, *, tells: bool) -> Outcome:
    history = History(world.loop.time)
    violations: list[Violation] = []
    watch(world, violations)
    journal = crowd.Journal()
    try:
        world.loop.run_until_complete(_day(world, history, journal, violations))
    except (Stalled, Exhausted) as error:
        violations.append(Violation(check="the run ends", subject="", text=str(error)))
    evidence = evidence_of(world, history.operations)
    violations += judge(evidence)
    violations += [
        Violation(check=complaint.check, subject=complaint.subject, text=f"{complaint.actor}: {complaint.text}")
        for complaint in journal.complaints
    ]
    violations += [
        Violation(check="no surprise", subject="", text=f"{what} ({count} times)")
        for what, count in world.surprises.items()
    ]
    subjects = tuple(dict.fromkeys(violation.subject for violation in violations if violation.subject))
    return Outcome(
        plan=world.plan,
        violations=tuple(str(violation) for violation in violations),
        checks=tuple(dict.fromkeys(violation.check for violation in violations)),
        subjects=subjects,
        digest=world.digest.hexdigest(),
        states=reached(world, evidence, journal.met),
        injected=dict(world.faults.injected),
        met=dict(journal.met),
        drawn=world.faults.drawn,
        seconds=world.loop.time(),
        rested_s=world.rested_s,
        steps=world.loop.steps,
        history=told(world, subjects[:3]) if tells else (),
    )


def watch(world: World, violations: list[Violation]) -> None:
    """Look at every commit, and stop looking after the first thing that is wrong."""
    watcher = StepWatcher()

    def look(store: Any, transaction: Any) -> None:
        if not violations:
            violations.extend(watcher.after_commit(store.name, store.query))

    world.watchers += [look, ReservationSight(world).look]


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _day(world: World, history: History, journal: crowd.Journal, violations: list[Violation]) -> None:
    def door_of(actor: str) -> Any:
        return history.door(world.door(actor), actor=actor)

    world.boot()
    while not world.up:
        await asyncio.sleep(0.01)
    visits = world.spawn(crowd.run(door_of, seed=world.plan.seed, size=world.plan.size, pause=_pause, journal=journal))
    await asyncio.wait([visits])
    visits.result()
    await asyncio.sleep(max(0.0, world.plan.faults_end_s - world.loop.time()) + 1.0)
    while len(world.up) < len(world.machines):
        await asyncio.sleep(0.1)
    await _rest(world, violations)
    world.rested_s = world.loop.time() - world.plan.faults_end_s
    async with asyncio.timeout(COMING_BACK_WITHIN_S):
        await crowd.come_back(door_of, journal=journal, pause=_pause, most=MOST_ASKED_AGAIN)
    await _rest(world, violations)


async def _rest(world: World, violations: list[Violation]) -> None:
    """Wait until nothing is under way any more."""
    bound = DRAINED_WITHIN_S + world.faults.most_wrong_s
    until = world.loop.time() + bound
    calm = 0
    while calm < 2:
        left = await quiet(world)
        calm = 0 if left else calm + 1
        if left and world.loop.time() > until:
            violations.append(Violation(check="drains", subject=left, text=f"after {bound:.0f} s: {left}"))
            return
        await asyncio.sleep(LOOK_EVERY_S)


# What all runs of this process share


@cache
def _folder() -> Path:
    base = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="hansa-simulation-", dir=base if base.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Always the same key: what is found by keyed hashes lies in the same slots in every process.
    key = folder / "master.key"
    key.touch(mode=0o600)
    key.write_text(f"{bytes(range(KEY_BYTES)).hex()}\n")
    return folder


@cache
def _template() -> Mapping[str, bytes]:
    """Every database with the scene in it; made once, by a cluster of one machine without faults."""
    folder = _folder()
    asyncio.run(migrate_all(Settings(data=str(folder), port=1)))
    empty = {stored.name: _image(folder / "databases" / f"{stored.name}.db") for stored in STORED}
    plan = Plan(seed=0, machines=1)
    images = _filled(plan, empty, folder)
    _let_go(now=True)
    gc.freeze()
    return images


def _filled(plan: Plan, empty: Mapping[str, bytes], folder: Path) -> Mapping[str, bytes]:
    loop = SimulatedLoop(chance=random.Random(0), is_wild=False)
    world = World(plan, loop=loop, images=empty, folder=folder, offset_s=DAY_BEFORE_S)

    async def fill() -> None:
        world.boot()
        while not world.up:
            await asyncio.sleep(0.01)
        users: Users = world.up[0].shop.client(Users)
        await users.put_staff(key="staff", email=scene.STAFF_LOGIN[0], password=scene.STAFF_LOGIN[1])
        login = {"email": scene.STAFF_LOGIN[0], "password": scene.STAFF_LOGIN[1]}
        door = world.door("scene")
        session = await door.request("POST", "/sessions", login, key="staff")
        await scene.set_scene(door, staff_token=session.body["token"], pause=_pause)
        while await quiet(world):
            await asyncio.sleep(LOOK_EVERY_S)

    loop.run_until_complete(fill())
    images = {name: store.connection.serialize() for name, store in world.stores.items()}
    world.close()
    loop.close()
    loop.forget()
    return images


def _image(path: Path) -> bytes:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        return connection.serialize()
    finally:
        connection.close()


@contextmanager
def at_work() -> Iterator[None]:
    """Around runs: no logs, no complaints of what dead processes left behind, no collector at moments of its own."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
            gc.collect()
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)
        structlog.reset_defaults()
        sys.unraisablehook = hook


@contextmanager
def _knobs(plan: Plan) -> Iterator[None]:
    """Constants of the shop as the plan has them."""
    knobs: list[tuple[Any, str, Any]] = [
        (relay, "LOOK_EVERY_S", plan.relay_every_s),
        (relay, "BATCH", plan.batch),
        (states, "RESERVATION_TTL", timedelta(seconds=plan.reservation_s)),
        (states, "PAYMENT_LIMIT", timedelta(seconds=plan.payment_limit_s)),
    ]
    before = [getattr(module, name) for module, name, _ in knobs]
    for module, name, value in knobs:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(knobs, before, strict=True):
            setattr(module, name, value)


def _let_go(*, now: bool = False) -> None:
    """Collect what dead processes left behind, now and then: their `finally` runs, and touches nothing any more."""
    global _uncollected
    _uncollected += 1
    if not now and _uncollected < COLLECT_EVERY:
        return
    _uncollected = 0
    gc.collect()
