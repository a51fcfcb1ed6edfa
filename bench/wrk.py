"""wrk, and what it prints."""

import re
import subprocess
from dataclasses import dataclass

from bench.servers import find_program

CONNECTIONS = 32
_REQUESTS = re.compile(r"^\s*(\d+) requests in ([\d.]+)(ms|s|m),", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s*([\d.]+)", re.MULTILINE)
_BAD = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)
_SOCKET = re.compile(
    r"^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)",
    re.MULTILINE,
)


class WrkFailed(Exception):
    """It did not run, or not everything was answered as it should."""


@dataclass(frozen=True, kw_only=True)
class Reads:
    """What a run of wrk has done."""

    requests: int
    rate: float


def run_wrk(*, url: str, seconds: float, connections: int = CONNECTIONS) -> Reads:
    """Read one address over and over on many connections, from one thread. Raises WrkFailed."""
    command = [find_program("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrkFailed(done.stdout + done.stderr)
    return parse_wrk(done.stdout)


def parse_wrk(text: str) -> Reads:
    """Raises WrkFailed if anything went wrong."""
    requests, rate = _REQUESTS.search(text), _RATE.search(text)
    if requests is None or rate is None:
        raise WrkFailed(f"wrk said something else: {text}")
    if _BAD.search(text) or _SOCKET.search(text):
        raise WrkFailed(f"not everything was answered: {text}")
    return Reads(requests=int(requests[1]), rate=float(rate[1]))
