"""`python -m tests.chaos.messages`: messages under fire, through one broker after the other."""

import argparse
import asyncio
import sys
import time

from tests.chaos.messages.brokers import BROKERS
from tests.chaos.messages.run import Order, outage, run
from tests.chaos.processes import FaketimeMissing
from tests.servers import ServerMissing, postgres_server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.messages", description=__doc__)
    parser.add_argument("--broker", choices=[*BROKERS, "all"], default="all")
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of fire, at least")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds for which the broker is gone")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    has_failed = False
    for name in BROKERS if options.broker == "all" else (options.broker,):
        order = Order(broker=name, seed=options.seed, orders=options.orders, seconds=options.seconds)
        try:
            with postgres_server() as server:
                report = asyncio.run(run(order, dsn=server.create_database("fire"), say=_say))
                quiet = asyncio.run(
                    outage(order, dsn=server.create_database("outage"), down_s=options.outage, say=_say)
                )
        except (FaketimeMissing, ServerMissing) as missing:
            print(missing, file=sys.stderr)
            return 2
        print(f"\n{name}, {order.orders} orders, seed {order.seed}\n{report.text()}", flush=True)
        print(f"\n{name}, down for {options.outage:.0f} s\n{quiet.text()}\n", flush=True)
        has_failed |= bool(report.violations or quiet.violations)
    return 1 if has_failed else 0


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
