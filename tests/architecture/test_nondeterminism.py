"""Time, chance and threads come into the house by doors that are listed here; services have none, so that the whole
shop runs in one seeded loop whose time is virtual."""

from collections import defaultdict
from pathlib import Path

import pytest

from tests.architecture.nondeterminism import BANNED, EXECUTOR, LOOP_TIME, UNSEEDED, uses

HOUSE = Path(__file__).resolve().parents[2] / "src" / "hansa"
SERVICES = HOUSE / "services"

THREAD = {"concurrent.futures", EXECUTOR}
DOORS: dict[str, set[str]] = {
    # Time.
    "kernel/clock.py": {"time", "asyncio.sleep"},
    "platform/memory.py": {"time"},
    # Chance. What the operating system draws is only the default, but for the names of draft files and what is made
    # once, when a process starts.
    "compose/__init__.py": {"random.SystemRandom"},
    "kernel/ids.py": {"random.SystemRandom"},
    "platform/security/sealing.py": {"random.SystemRandom"},
    "platform/security/key_file.py": {"secrets"},
    "platform/messaging/redis_streams/reading.py": {"secrets"},
    "platform/files/folder.py": {"asyncio.to_thread", "secrets"},
    "platform/mail/folder.py": {"asyncio.to_thread", "secrets"},
    # Threads, for disks, processors and others' libraries that would hold up the loop.
    "platform/security/passwords.py": {"random.SystemRandom", *THREAD},
    "platform/database/committer.py": {"threading"},
    "platform/database/migrations.py": {"asyncio.to_thread"},
    "platform/database/upgrading.py": {"threading"},
    "platform/database/upgrading_process.py": {"threading"},
    "platform/files/pictures.py": {"asyncio.to_thread", EXECUTOR},
    "platform/jobs/worker.py": THREAD,
    "platform/mail/smtp.py": THREAD,
    "platform/outgoing/names.py": {"concurrent.futures"},
    "platform/providers/sandbox_ledger.py": {"time", *THREAD},
    "imports/exporting.py": {"asyncio.to_thread"},
    "imports/importing.py": {"asyncio.to_thread"},
    "imports/transfer_files.py": {"asyncio.to_thread"},
    # The process itself, around the shop.
    "cli/caching.py": {"secrets"},
    "cli/letters.py": {"secrets"},
    "cli/opening.py": {"asyncio.sleep"},
    "cli/rebuilding.py": {"asyncio.sleep", "secrets"},
    "cli/serving.py": {"secrets"},
    "platform/database/autogeneration.py": {"subprocess"},
    "platform/http/serve.py": {"asyncio.sleep"},
}
"""What each file outside the services may use. A simulator gives its own in place of each, or does without."""


def test_no_service_asks_time_or_chance_or_leaves_the_loop_by_itself() -> None:
    found = [
        f"{path.relative_to(HOUSE)}:{use.line} uses {use.name}"
        for path in sorted(SERVICES.rglob("*.py"))
        for use in uses(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_rest_of_the_house_does_so_at_its_doors_alone() -> None:
    assert [
        f"{file} uses {name}" for file, names in used().items() for name in sorted(names - DOORS.get(file, set()))
    ] == []


def test_a_door_that_nobody_uses_is_walled_up() -> None:
    seen = used()
    assert [
        f"{file} no longer uses {name}" for file, names in DOORS.items() for name in sorted(names - seen[file])
    ] == []


def used() -> dict[str, set[str]]:
    """By file outside the services: what of the banned it uses."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(HOUSE.rglob("*.py")):
        if not path.is_relative_to(SERVICES):
            for use in uses(path.read_text(encoding="utf-8")):
                found[path.relative_to(HOUSE).as_posix()].add(use.name)
    return found


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import uuid\nuuid.uuid4()", "uuid.uuid4"),
        ("from uuid import uuid1 as name\nname()", "uuid.uuid1"),
        ("import secrets\n", "secrets"),
        ("from secrets import token_urlsafe\n", "secrets"),
        ("import secrets as dice\ndice.token_hex(8)", "secrets"),
        ("import os\nos.urandom(16)", "os.urandom"),
        ("from os import urandom\n", "os.urandom"),
        ("from os import *\n", "os.urandom"),
        ("import random\nrandom.SystemRandom()", "random.SystemRandom"),
        ("from random import SystemRandom as Dice\nDice()", "random.SystemRandom"),
        ("import random\nrandom.gauss(0, 1)", "random.gauss"),
        ("import random\nrandom.seed(7)", "random.seed"),
        ("import random\nrandom.Random()", UNSEEDED),
        ("from random import Random\nRandom(None)", UNSEEDED),
        ("import threading\n", "threading"),
        ("from threading import Lock\n", "threading"),
        ("import concurrent.futures\n", "concurrent.futures"),
        ("from concurrent import futures\n", "concurrent.futures"),
        ("from concurrent.futures import ThreadPoolExecutor\n", "concurrent.futures"),
        ("import multiprocessing.pool\n", "multiprocessing"),
        ("import subprocess\n", "subprocess"),
        ("import asyncio\nasync def f(): await asyncio.to_thread(print)", "asyncio.to_thread"),
        ("from asyncio import to_thread\n", "asyncio.to_thread"),
        ("import asyncio as loops\nasync def f(): await loops.sleep(1)", "asyncio.sleep"),
        ("from asyncio import sleep as rest\n", "asyncio.sleep"),
        ("from asyncio.tasks import sleep\n", "asyncio.tasks"),
        ("import asyncio\nasync def f(): await asyncio.get_running_loop().run_in_executor(None, print)", EXECUTOR),
        ("def f(self): return self._loop.run_in_executor", EXECUTOR),
        ("import asyncio\nasync def f(): return asyncio.get_event_loop().time()", LOOP_TIME),
        ("from asyncio import get_running_loop as now\nasync def f(): return now().time()", LOOP_TIME),
        ("import asyncio\nasync def f():\n  here = asyncio.get_running_loop()\n  return here.time()", LOOP_TIME),
        ("def f(loop): return loop.time()", LOOP_TIME),
        ("class C:\n  def f(self): return self._loop.time()", LOOP_TIME),
        ("import time\ntime.monotonic()", "time"),
        ("from time import perf_counter\n", "time"),
        ("from time import sleep as wait\n", "time"),
        ("def f():\n  import time\n  time.sleep(1)", "time"),
    ],
)
def test_whoever_does_is_reported(source: str, name: str) -> None:
    assert name in {use.name for use in uses(source)}


@pytest.mark.parametrize(
    "source",
    [
        "import random\ndef f(chance: random.Random): return chance.random(), chance.randbytes(8)",
        "import random\nCHANCE = random.Random(7)",
        "import random\ndef f(seed: int): return random.Random(seed)",
        "async def f(clock): await clock.sleep(1)\ndef g(clock): return clock.monotonic(), clock.now()",
        "import asyncio\nasync def f():\n  async with asyncio.timeout(1): await asyncio.gather()",
        "import asyncio\ndef f(act): return asyncio.get_running_loop().create_task(act())",
        "import uuid\nuuid.uuid5(uuid.NAMESPACE_URL, 'x')",
        "import datetime\ndef f(moment: datetime.datetime): return moment.time(), datetime.time(12)",
        "import os\nos.fsync(1)",
        "def f(secrets, time): return secrets.token, time.sleep",
        "from hansa.kernel.clock import Clock\nfrom . import time",
    ],
)
def test_what_is_passed_in_or_decided_by_the_loop_is_not(source: str) -> None:
    assert uses(source) == []


def test_every_ban_bites() -> None:
    for name in sorted(BANNED):
        module, _, last = name.rpartition(".")
        source = f"from {module} import {last}\n" if module else f"import {name}\n"
        assert [use.name for use in uses(source)] == [name]
