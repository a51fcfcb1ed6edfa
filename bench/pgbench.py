"""pgbench, and what it prints: the mark that orders are held against."""

import re
import subprocess

from bench.servers import Postgres, find_program

DATABASE = "pgbench"
CLIENTS = 32
SCALE = 32
"""Not below the clients, or they wait for each other's branches, says its manual."""
_RATE = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)


class PgbenchFailed(Exception):
    """It did not run, or transactions failed."""


def prepare_pgbench(server: Postgres, *, scale: int = SCALE) -> None:
    """Its four tables, in a database of their own."""
    _run("--quiet", "--initialize", "--scale", str(scale), server.create_database(DATABASE))


def run_pgbench(server: Postgres, *, seconds: float, clients: int = CLIENTS) -> float:
    """Transactions a second of its TPC-B-like script, with its defaults."""
    arguments = ("--client", str(clients), "--jobs", "1", "--time", str(max(1, round(seconds))))
    return parse_pgbench(_run(*arguments, server.dsn_of(name=DATABASE)))


def parse_pgbench(text: str) -> float:
    """Raises PgbenchFailed if anything went wrong."""
    rate, failed = _RATE.search(text), _FAILED.search(text)
    if rate is None or (failed is not None and int(failed[1])):
        raise PgbenchFailed(f"pgbench said: {text}")
    return float(rate[1])


def _run(*arguments: str) -> str:
    done = subprocess.run([find_program("pgbench"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PgbenchFailed(done.stdout + done.stderr)
    return done.stdout
