"""What other programs print, and what the operating system says of them."""

import os
import time
from pathlib import Path

import pytest

from bench.load import Stoppable
from bench.machine import cpu_ticks, folder_bytes, memory, usage
from bench.pgbench import PgbenchFailed, parse_pgbench
from bench.queries import different_queries
from bench.servers import nginx_settings
from bench.wrk import WrkFailed, parse_wrk

WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.01ms  211.11us   6.53ms   86.31%
    Req/Sec    31.81k     1.86k   35.06k    81.82%
  34811 requests in 1.10s, 47.34MB read
Requests/sec:  31650.11
Transfer/sec:     43.04MB
"""
PGBENCH = """transaction type: <builtin: TPC-B (sort of)>
number of transactions actually processed: 14978
number of failed transactions: 0 (0.000%)
latency average = 21.074 ms
initial connection time = 242.361 ms
tps = 1518.469713 (without initial connection time)
"""


def test_wrk_is_understood():
    found = parse_wrk(WRK)

    assert (found.requests, found.rate) == (34811, 31650.11)


@pytest.mark.parametrize(
    "trouble",
    ["  Non-2xx or 3xx responses: 7\n", "  Socket errors: connect 0, read 3, write 0, timeout 0\n"],
)
def test_a_run_of_wrk_with_wrong_answers_is_refused(trouble: str):
    with pytest.raises(WrkFailed):
        parse_wrk(WRK.replace("Requests/sec", f"{trouble}Requests/sec"))


def test_pgbench_is_understood():
    assert parse_pgbench(PGBENCH) == 1518.469713


@pytest.mark.parametrize("text", ["", PGBENCH.replace("transactions: 0", "transactions: 4")])
def test_a_run_of_pgbench_with_failures_is_refused(text: str):
    with pytest.raises(PgbenchFailed):
        parse_pgbench(text)


def test_cpu_time_is_read_behind_whatever_name_a_process_has():
    stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 5 6 7"

    assert cpu_ticks(stat) == 11 + 22 + 33 + 44


def test_ones_own_use_grows_with_what_one_does():
    before = usage(os.getpid())
    ends_at = time.process_time() + 0.1
    while time.process_time() < ends_at:
        pass

    assert usage(os.getpid()).since(before).cpu_s >= 0.05
    assert memory(os.getpid()).resident_mb >= memory(os.getpid()).proportional_mb > 1


def test_a_process_that_is_gone_has_used_nothing():
    assert usage(2**22 - 3).cpu_s == 0


def test_the_size_of_folders_counts_what_lies_in_them(tmp_path: Path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 100_000)

    assert folder_bytes([tmp_path]) >= 100_000


def test_nginx_writes_nowhere_but_into_its_folder(tmp_path: Path):
    settings = nginx_settings(folder=tmp_path, port=1234, user="")

    named = [word.rstrip(";") for word in settings.split() if word.startswith("/")]
    assert named
    assert all(Path(each).is_relative_to(tmp_path) for each in named)
    assert "listen 127.0.0.1:1234;" in settings
    assert settings.count("{") == settings.count("}")


def test_a_load_that_is_stopped_asks_nothing_more():
    requests = Stoppable(iter([b"1", b"2", b"3"]))

    assert next(requests) == b"1"
    requests.stop()
    assert list(requests) == []


def test_queries_never_repeat_so_that_no_cache_answers():
    makers, things = ("northern", "southern", "eastern", "western"), ("kettle", "lantern", "saucer", "blanket")
    names = [f"{maker} {thing} model {number}" for maker in makers for thing in things for number in range(60)]

    queries = different_queries(names, count=500, seed=1)

    assert len(set(queries)) == 500
