"""`make bench` and `make bench-quick`: all parts, one table; ends in error if anything is not right."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import docs, table
from bench.books import NotDrained
from bench.chart import svg
from bench.machine import Memory, machine, memory
from bench.parts import cache, flash, growth, ladder, messages, orders, reads, search
from bench.pgbench import PgbenchFailed
from bench.results import Results, read_results, write_results
from bench.servers import NotInstalled, NotStarted
from bench.stage import FULL, QUICK, LoadFailed, Stage
from bench.wrk import WrkFailed

BUILD = Path(__file__).resolve().parents[1] / "build" / "bench"
PARTS: Mapping[str, Callable[[Stage], Awaitable[None]]] = {
    "reads": reads.run,
    "search": search.run,
    "orders": orders.run,
    "ladder": ladder.run,
    "messages": messages.run,
    "cache": cache.run,
    "flash": flash.run,
    "growth": growth.run,
}
BROKEN_OFF = (LoadFailed, NotDrained, NotStarted, PgbenchFailed, WrkFailed, OSError)
"""After these the other parts still have something to say."""
USUAL = ("reads", "search", "orders", "ladder", "messages", "cache", "flash")
"""Growth takes long: --long."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    file = BUILD / f"{_mode(options)}.json"
    if options.write_docs:
        docs.write_docs(read_results(options.file or file))
        return 0
    results = Results(mode=_mode(options), at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(options, results, say))
        except NotInstalled as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
    results.elapsed_s = time.monotonic() - began
    write_results(results, file)
    file.with_suffix(".svg").write_text(svg(results))
    print(table.text(results))
    for note in results.notes:
        print(f"note: {note}")
    for each in results.wrong:
        print(f"WRONG: {each}")
    print(f"{len(results.wrong)} things wrong; {results.elapsed_s:.0f} s; build/bench/{file.name}, {file.stem}.svg")
    return 1 if results.wrong else 0


def _mode(options: argparse.Namespace) -> str:
    mode = "quick" if options.quick else "long" if options.long else "full"
    return f"{mode}-{'-'.join(options.only)}" if options.only else mode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Hansa beside nginx and PostgreSQL.")
    parser.add_argument("--quick", action="store_true", help="once and little of everything: about a minute")
    parser.add_argument("--long", action="store_true", help="growth: 200,000 orders, and a million stored ones")
    parser.add_argument("--only", type=_names, default=(), help=f"some parts: {','.join(PARTS)}")
    parser.add_argument("--write-docs", action="store_true", help="put the last full run into docs/performance.md")
    parser.add_argument("--file", type=Path, help="with --write-docs: the results of another run")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return names


async def _run(options: argparse.Namespace, results: Results, say: Callable[[str], None]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    stage = Stage(folder=folder, size=QUICK if options.quick else FULL, results=results, say=say)
    try:
        results.machine = machine(folder=folder)
        occupied: list[Memory] = []
        for name in options.only or (("growth",) if options.long else USUAL):
            if name == "flash":  # which kills the shop that did all the rest
                occupied += await _occupied(stage)
            try:
                await PARTS[name](stage)
            except BROKEN_OFF as error:
                results.wrong.append(f"{name} broke off: {type(error).__name__}: {error}")
                say(results.wrong[-1])
        occupied += await _occupied(stage)
        _note_memory(stage, occupied)
    finally:
        stage.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _occupied(stage: Stage) -> list[Memory]:
    """What the shop holds once it has been at rest for a while, and has given back what it does when it is quiet."""
    if "sqlite" not in stage.started:
        return []
    await stage.rest("sqlite")
    await asyncio.sleep(stage.size.quiet_s)
    found = memory(stage.shop("sqlite").process_id)
    stage.say(f"memory: {found.resident_mb:.0f} MB")
    return [found]


def _note_memory(stage: Stage, occupied: Sequence[Memory]) -> None:
    """The largest. Only with the large catalogue in it, the mark is one."""
    size = "memory" if stage.size.has_icecat else "memory_small"
    if occupied:
        stage.results.add(f"{size}.resident_mb", max(found.resident_mb for found in occupied))
        stage.results.add(f"{size}.proportional_mb", max(found.proportional_mb for found in occupied))


if __name__ == "__main__":
    sys.exit(main())
