"""Many seeds in parallel: progress, and a summary of what was found, reached, injected and done."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.plan import drawn
from tests.simulation.run import Outcome, at_work, simulated

TWICE_EVERY = 20
"""One seed in so many is run twice, and must have the same history both times."""
CHUNK = 10
"""Seeds that a worker takes at once."""


@dataclass
class Summary:
    """What all runs of a campaign have come to."""

    runs: int = 0
    repeated: int = 0
    failures: dict[int, Outcome] = field(default_factory=dict)
    unlike: list[int] = field(default_factory=list)
    """Seeds whose second run was another one."""
    states: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    virtual_s: float = 0.0
    steps: int = 0
    longest_rest_s: float = 0.0
    took_s: float = 0.0

    def add(self, outcome: Outcome, *, is_alike: bool | None) -> None:
        self.runs += 1
        self.repeated += is_alike is not None
        if is_alike is False:
            self.unlike.append(outcome.plan.seed)
        if outcome.violations:
            self.failures[outcome.plan.seed] = outcome
        self.states.update(outcome.states)
        self.injected.update(outcome.injected)
        self.met.update(outcome.met)
        self.virtual_s += outcome.seconds
        self.steps += outcome.steps
        self.longest_rest_s = max(self.longest_rest_s, outcome.rested_s)

    @property
    def orders(self) -> int:
        return sum(count for what, count in self.met.items() if what.startswith("POST /orders 201"))


def campaign(seeds: Iterable[int], *, workers: int = 0, tell: Callable[[Summary], None] | None = None) -> Summary:
    """Run all seeds on so many processes (0: one a core); `tell` hears of progress."""
    summary = Summary()
    began = time.monotonic()
    for outcome, is_alike in _outcomes(list(seeds), workers or os.cpu_count() or 1):
        summary.add(outcome, is_alike=is_alike)
        summary.took_s = time.monotonic() - began
        if tell is not None:
            tell(summary)
    return summary


def _outcomes(seeds: list[int], workers: int) -> Iterator[tuple[Outcome, bool | None]]:
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    if workers == 1:
        for chunk in chunks:
            yield from _run_chunk(chunk)
        return
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for outcomes in pool.map(_run_chunk, chunks):
            yield from outcomes


def _run_chunk(seeds: list[int]) -> list[tuple[Outcome, bool | None]]:
    with at_work():
        return [_run_one(seed) for seed in seeds]


def _run_one(seed: int) -> tuple[Outcome, bool | None]:
    outcome = simulated(drawn(seed))
    if seed % TWICE_EVERY:
        return outcome, None
    return outcome, simulated(drawn(seed)).digest == outcome.digest


def report(summary: Summary) -> str:
    """The summary in words."""
    lines = [
        f"{summary.runs} seeds, {summary.repeated} of them twice; {summary.orders} orders, {summary.steps} steps,"
        f" {summary.virtual_s / 3600:.1f} virtual hours in {summary.took_s:.0f} s",
        f"at rest at the latest {summary.longest_rest_s:.0f} virtual seconds after the last fault",
    ]
    for title, counts in (("States reached", summary.states), ("Faults injected", summary.injected)):
        lines += ["", f"{title}:"] + [f"  {count:>9}  {what}" for what, count in sorted(counts.items())]
    if summary.unlike:
        lines += ["", f"NOT REPEATED: seeds {summary.unlike} had two histories"]
    lines += ["", f"Failed: {len(summary.failures)}"]
    by_check: dict[str, list[int]] = {}
    for seed, outcome in summary.failures.items():
        for check in outcome.checks:
            by_check.setdefault(check, []).append(seed)
    for check, seeds in sorted(by_check.items(), key=lambda item: -len(item[1])):
        first = next(text for text in summary.failures[seeds[0]].violations if text.startswith(check))
        lines += [f"  {check}: {len(seeds)} seeds, such as {seeds[:8]}", f"      {first[:300]}"]
    return "\n".join(lines)


def progress(total: int) -> Callable[[Summary], None]:
    """A bar on the terminal, or now and then a line where there is none."""
    is_terminal = sys.stderr.isatty()

    def tell(summary: Summary) -> None:
        if not is_terminal and summary.runs % max(1, total // 20):
            return
        share = summary.runs / total
        left = summary.took_s / share - summary.took_s if share else 0.0
        bar = "#" * int(share * 30)
        line = f"[{bar:<30}] {summary.runs}/{total}  {len(summary.failures)} failed  {left:.0f} s left"
        print(f"\r{line}" if is_terminal else line, end="" if is_terminal else "\n", file=sys.stderr, flush=True)
        if is_terminal and summary.runs == total:
            print(file=sys.stderr)

    return tell
