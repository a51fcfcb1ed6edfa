"""One run: processes that read and write through a cache, and everything that can happen to the store that they share.

Faults follow from a seed. During each of them reads must go on; at the end everybody has to see what is true.
"""

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.chaos.cache.child import Report as ChildReport
from tests.chaos.cache.child import Task
from tests.chaos.cache.stores import STORES, Burning
from tests.chaos.cache.truth import Truth
from tests.servers import end_with_parent

PROCESSES = 3
CALM_S = (0.2, 1.0)
LAST_S = 3.0
"""After the last fault: what that has emptied is filled again, and changes, before it is judged."""
REST_S = 60.0
"""How long it may take until everybody sees what is true, once nothing hinders it any more."""
LOOK_S = 0.1
GOOD_S = 600.0
GOOD_AFTER_FAILOVER_S = 4.0
"""A failover may bring back what was dropped; that lasts until it is good no more."""


@dataclass(kw_only=True)
class Report:
    """What was done, and what was found."""

    faults: Counter[str] = field(default_factory=Counter)
    rest_s: float = 0.0
    reads: int = 0
    writes: int = 0
    loads: int = 0
    trouble: int = 0
    violations: list[str] = field(default_factory=list)

    def text(self) -> str:
        faults = ", ".join(f"{count} x {what}" for what, count in sorted(self.faults.items()))
        figures = f"{self.reads} reads, {self.writes} writes, {self.loads} loads, {self.trouble} times trouble"
        return f"faults: {faults}\n{figures}; all was seen after {self.rest_s:.1f} s of rest"


async def run(kind: str, *, seed: int, rounds: int) -> Report:
    """Every fault so many times. Raises ServerMissing."""
    chance = random.Random(seed)
    store = STORES[kind](chance)
    report, truth = Report(), Truth(chance=chance)
    try:
        await asyncio.to_thread(store.start)
        async with truth.served(), _children(store, truth, seed) as children:
            for _ in range(rounds):
                for what in chance.sample(sorted(store.acts), k=len(store.acts)):
                    await asyncio.sleep(chance.uniform(*CALM_S))
                    before = await _reads(children)
                    await store.acts[what]()
                    report.faults[what] += 1
                    if any(now <= then for now, then in zip(await _reads(children), before, strict=True)):
                        report.violations.append(f"nobody read anything in a process during {what}")
            await asyncio.sleep(LAST_S)
            await _rest(children, truth, report)
    finally:
        store.stop()
    return report


async def _rest(children: list["Served"], truth: Truth, report: Report) -> None:
    began = time.monotonic()
    await asyncio.gather(*(child.ask("stop") for child in children))
    await truth.told()
    while True:
        seen = await asyncio.gather(*(child.ask("look") for child in children))
        said = [await child.report() for child in children]
        is_quiet = not any(each.pending or each.is_deaf for each in said)
        wrong = [each for each in seen if any(each[key] != version for key, version in truth.versions.items())]
        report.rest_s = time.monotonic() - began
        if (is_quiet and not wrong) or report.rest_s > REST_S:
            break
        await asyncio.sleep(LOOK_S)
    if wrong or not is_quiet:
        report.violations.append(f"at rest {len(wrong)} processes see {wrong[:1]}, not {truth.versions}")
    for each in said:
        report.violations += each.violations
        report.reads += each.reads
        report.writes += each.writes
        report.loads += each.loads
        report.trouble += each.trouble


async def _reads(children: list["Served"]) -> list[int]:
    return [(await child.report()).reads for child in children]


class Served:
    """A child, and how to talk to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ask(self, what: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what.encode() + b"\n")
        await self.process.stdin.drain()
        return msgspec.json.decode(await self.process.stdout.readline())

    async def report(self) -> ChildReport:
        return msgspec.convert(await self.ask("report"), ChildReport)


@asynccontextmanager
async def _children(store: Burning, truth: Truth, seed: int) -> AsyncIterator[list[Served]]:
    children: list[Served] = []
    try:
        for number in range(PROCESSES):
            task = Task(
                store=store.address,
                truth_port=truth.port,
                seed=seed * PROCESSES + number,
                good_s=GOOD_AFTER_FAILOVER_S if store.is_forgetful else GOOD_S,
                is_forgetful=store.is_forgetful,
            )
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.cache.child", msgspec.json.encode(task).decode()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                preexec_fn=end_with_parent(signal.SIGKILL),
            )
            children.append(Served(process))
        while any([(await child.report()).is_deaf for child in children]):
            await asyncio.sleep(LOOK_S)
        yield children
    finally:
        for child in children:
            if child.process.returncode is None:
                child.process.kill()
            await child.process.wait()
