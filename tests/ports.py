"""Ports for what tests start: a range for each process, below those that the system hands out by itself.

A port that the system names as free may be anybody's before a server that takes a second to start has bound it, most
of all where several processes test at once; and one whose server was killed may be taken before that starts again.
"""

import itertools
import socket
from functools import cache

HOST = "127.0.0.1"
FIRST, LAST = 10_000, 32_000
SIZE = 500

_taken = itertools.count(1)


class NoPort(Exception):
    """Every range, or every port of one, is in use."""


def free_port() -> int:
    """A port that nothing listens on, and that no other process which asks here is given."""
    for number in itertools.islice(_taken, SIZE):
        port = _first_of_own_range() + 1 + number % (SIZE - 1)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that just ended are no hindrance
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise NoPort(f"all {SIZE} ports from {_first_of_own_range()} on are in use")


@cache
def _guard() -> socket.socket:
    """Whose process has bound the first port of a range has the range, until it ends."""
    for first in range(FIRST, LAST, SIZE):
        guard = socket.socket()
        try:
            guard.bind((HOST, first))
        except OSError:
            guard.close()
        else:
            return guard
    raise NoPort(f"all ranges from {FIRST} to {LAST} are in use")


def _first_of_own_range() -> int:
    port: int = _guard().getsockname()[1]
    return port
