"""`python -m tests.chaos`: the real shop under fire, on the embedded parts, on PostgreSQL, or on both in turn."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from tests.chaos.plan import timeline
from tests.chaos.processes import FaketimeMissing, find_faketime
from tests.chaos.run import Order, run
from tests.servers import ServerMissing

ENGINES = {"sqlite": (False,), "postgres": (True,), "both": (False, True)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of fire, both engines together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=ENGINES, default="both")
    parser.add_argument("--shoppers", type=int, default=12, help="in each crowd")
    parser.add_argument("--history", type=Path, default=Path("build/chaos"), help="folder of the histories")
    parser.add_argument("--plan", action="store_true", help="print what would be done, and do nothing")
    options = parser.parse_args()
    engines = ENGINES[options.database]
    failed = False
    for has_database in engines:
        name = "postgres" if has_database else "sqlite"
        order = Order(
            seed=options.seed,
            seconds=options.seconds / len(engines),
            has_database=has_database,
            shoppers=options.shoppers,
            history=options.history / f"{name}-{options.seed}.jsonl",
        )
        if options.plan:
            print(*timeline(seed=order.seed, seconds=order.seconds, has_database=has_database), sep="\n")
            continue
        try:
            find_faketime()
            report = asyncio.run(run(order, say=_say))
        except (FaketimeMissing, ServerMissing) as missing:
            print(missing, file=sys.stderr)
            return 2
        print(f"\n{report.text()}\nhistory: {order.history}\n", flush=True)
        failed = failed or bool(report.violations)
    return 1 if failed else 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
