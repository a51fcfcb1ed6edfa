"""`make simulate`: many seeds, or one seed with its history, or one made smaller."""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from tests.simulation.campaign import campaign, progress, report
from tests.simulation.plan import Plan, drawn
from tests.simulation.run import at_work, simulated
from tests.simulation.shrinking import shrunk
from tests.simulation.states import MARKED

HASH_SEED = "0"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="1000", help="how many (from 0), or FROM-TO")
    parser.add_argument("--workers", type=int, default=0, help="processes; as many as there are cores unless given")
    parser.add_argument("--seed", type=int, help="one seed, with the history of what went wrong")
    parser.add_argument("--plan", type=Path, help="one plan from a JSON file")
    parser.add_argument("--shrink", action="store_true", help="make what fails smaller, and print the plan")
    parser.add_argument("--all-states", action="store_true", help="fail if a marked state was never reached")
    arguments = parser.parse_args()
    if arguments.plan is not None or arguments.seed is not None:
        plan = msgspec.json.decode(arguments.plan.read_bytes(), type=Plan) if arguments.plan else drawn(arguments.seed)
        return one(plan, shrinks=arguments.shrink)
    first, _, last = arguments.seeds.rpartition("-")
    seeds = range(int(first or 0), int(last))
    summary = campaign(seeds, workers=arguments.workers, tell=progress(len(seeds)))
    print(report(summary))
    missing = sorted(set(MARKED) - summary.states.keys()) if arguments.all_states else []
    if missing:
        print(f"\nNever reached: {', '.join(missing)}")
    return 1 if summary.failures or summary.unlike or missing else 0


def one(plan: Plan, *, shrinks: bool) -> int:
    with at_work():
        outcome = simulated(plan)
        if outcome.violations and shrinks:
            plan = shrunk(outcome, tell=lambda text: print(text, file=sys.stderr, flush=True))
        outcome = simulated(plan, tells=True)
    print(msgspec.json.format(msgspec.json.encode(plan), indent=1).decode())
    for line in outcome.history:
        print(line)
    print(f"\ndigest {outcome.digest}, {outcome.steps} steps, {outcome.seconds:.1f} virtual seconds")
    for violation in outcome.violations:
        print(violation)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
