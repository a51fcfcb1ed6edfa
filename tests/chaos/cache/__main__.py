"""`python -m tests.chaos.cache`: the cache under fire, seed after seed, over one store after the other."""

import argparse
import asyncio
import sys

from tests.chaos.cache.run import run
from tests.chaos.cache.stores import STORES
from tests.servers import ServerMissing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.cache", description=__doc__)
    parser.add_argument("--store", choices=[*STORES, "all"], default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="how many, from that one on")
    parser.add_argument("--rounds", type=int, default=10, help="in each of which everything happens once")
    options = parser.parse_args()
    has_failed = False
    for kind in STORES if options.store == "all" else (options.store,):
        for seed in range(options.seed, options.seed + options.seeds):
            try:
                report = asyncio.run(run(kind, seed=seed, rounds=options.rounds))
            except ServerMissing as missing:
                print(missing, file=sys.stderr)
                return 2
            print(f"{kind}, seed {seed}: {report.text()}", *report.violations, sep="\n", flush=True)
            has_failed |= bool(report.violations)
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
