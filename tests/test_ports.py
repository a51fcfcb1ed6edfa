"""The ports that tests are given are nobody else's."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.ports import FIRST, HOST, LAST, SIZE, free_port

ASKED = "from tests.ports import SIZE, free_port; print(*(free_port() for _ in range(SIZE)))"


def test_no_port_is_given_twice_before_all_others_were() -> None:
    ports = [free_port() for _ in range(SIZE // 2)]

    assert len(set(ports)) == len(ports)
    assert FIRST < min(ports) < max(ports) < LAST


def test_another_process_is_given_other_ports() -> None:
    own = {free_port() for _ in range(SIZE)}

    done = subprocess.run(
        [sys.executable, "-c", ASKED], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )

    assert own.isdisjoint(map(int, done.stdout.split()))


def test_a_port_that_somebody_listens_on_is_left_out() -> None:
    busy = free_port()
    with socket.create_server((HOST, busy)):
        given = {free_port() for _ in range(SIZE)}

    assert busy not in given
