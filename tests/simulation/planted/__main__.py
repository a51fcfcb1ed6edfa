"""`python -m tests.simulation.planted`: which seed finds each planted fault, and by which checks."""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.__main__ import HASH_SEED
from tests.simulation.planted.faults import PLANTED
from tests.simulation.planted.hunt import Found, hunted

TABLE = Path("build/planted.md")
MOST_TOLD = 12
"""Violations that are told of each fault."""
MOST_CHECKS = 6
"""Named in the table; the rest is counted."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many are tried for each fault, from 0")
    parser.add_argument("--workers", type=int, default=0, help="processes; as many as there are cores unless given")
    parser.add_argument(
        "--only", action="append", choices=list(PLANTED), help="this fault (may be given several times)"
    )
    parser.add_argument("--tell", action="store_true", help="say what was found, too")
    parser.add_argument("--known", action="store_true", help="print what the test of planted faults knows by heart")
    arguments = parser.parse_args()
    names = arguments.only or list(PLANTED)
    found: dict[str, Found] = {}
    workers = arguments.workers or os.cpu_count() or 1
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(hunted, name, range(arguments.seeds)) for name in names]):
            one = done.result()
            found[one.name] = one
            seed = "never" if one.seed is None else f"seed {one.seed}"
            print(f"{one.name}: {seed} {', '.join(one.checks)}", file=sys.stderr, flush=True)
            for text in one.violations[:MOST_TOLD] if arguments.tell else ():
                print(f"    {text[:300]}", file=sys.stderr, flush=True)
    text = table([found[name] for name in names], seeds=arguments.seeds)
    print(known([found[name] for name in names]) if arguments.known else text)
    if not arguments.only:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(text)
    return 1 if any(each.seed is None for each in found.values()) else 0


def known(found: list[Found]) -> str:
    """The dictionary of the test."""
    lines = [f'    "{each.name}": ({each.seed}, {list(each.checks)}),' for each in found]
    return "\n".join(("KNOWN: dict[str, tuple[int, list[str]]] = {", *lines, "}"))


def table(found: list[Found], *, seeds: int) -> str:
    lines = ["| planted fault | what it is | found after | by |", "|---|---|---|---|"]
    for each in found:
        after = f"not in {seeds} seeds" if each.seed is None else f"{each.seed + 1} seed{'s' * (each.seed > 0)}"
        checks = [f"`{check}`" for check in each.checks]
        by = ", ".join(checks[:MOST_CHECKS]) + (f" and {more} more" if (more := len(checks) - MOST_CHECKS) > 0 else "")
        lines.append(f"| {each.name} | {PLANTED[each.name].sentence} | {after} | {by} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation.planted", *sys.argv[1:]])
    sys.exit(main())
