"""Nobody asks the wall clock or a global source of chance: ruff, with the project's settings, sees who does."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "pyproject.toml"
RUFF = Path(sys.executable).with_name("ruff")
BANNED = ("TID251", "DTZ")
DOORS = {"src/hansa/kernel/clock.py", "src/hansa/kernel/ids.py"}
"""Where time and chance come into the house; everybody else is given them."""


def reported(*arguments: str, source: str = "") -> list[str]:
    """What ruff says of banned clocks and random sources, a line each."""
    done = subprocess.run(
        [RUFF, "check", "--no-cache", "--quiet", "--output-format=concise", f"--config={CONFIGURATION}", *arguments],
        cwd=ROOT,
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if any(f" {code}" in line for code in BANNED)]


def reported_in(source: str, *, file: str = "src/hansa/services/orders/service/wrong.py") -> list[str]:
    return reported("--ignore-noqa", f"--stdin-filename={file}", "-", source=source)


def test_nobody_asks_the_wall_clock_or_a_global_source_of_chance() -> None:
    assert reported("--ignore-noqa", "src") == []


def test_only_clock_and_ids_are_excepted() -> None:
    lint = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    excepted = {
        files
        for files, codes in lint["per-file-ignores"].items()
        if files.startswith("src") and any(code.startswith(("TID", "DTZ")) for code in codes)
    }
    assert excepted == DOORS
    assert not [code for code in lint["ignore"] if code.startswith(("TID", "DTZ"))]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import time\n\nAT = time.time()\n", "TID251"),
        ("import time\n\nAT = time.time_ns()\n", "TID251"),
        ("from time import time\n\nAT = time()\n", "TID251"),
        ("from datetime import UTC, datetime\n\nAT = datetime.now(UTC)\n", "TID251"),
        ("import datetime as calendar\n\nAT = calendar.datetime.now(calendar.UTC)\n", "TID251"),
        ("from datetime import datetime\n\nAT = datetime.now()\n", "DTZ005"),
        ("from datetime import datetime\n\nAT = datetime.utcnow()\n", "TID251"),
        ("from datetime import datetime\n\nAT = datetime.today()\n", "DTZ002"),
        ("from datetime import date\n\nAT = date.today()\n", "DTZ011"),
        ("from datetime import datetime\n\nAT = datetime(2026, 1, 1)\n", "DTZ001"),
        ("from datetime import datetime\n\nAT = datetime.fromtimestamp(0)\n", "DTZ006"),
        ("import random\n\nDRAWN = random.random()\n", "TID251"),
        ("from random import choice\n\nDRAWN = choice('ab')\n", "TID251"),
        ("import random\n\nDRAWN = random.randint(1, 6)\n", "TID251"),
        ("import random\n\nrandom.shuffle([1, 2])\n", "TID251"),
        ("import uuid\n\nNAME = uuid.uuid4()\n", "TID251"),
        ("from uuid import uuid4\n\nNAME = uuid4()\n", "TID251"),
        ("import time\n\nAT = time.time()  # noqa: TID251\n", "TID251"),
    ],
)
def test_whoever_does_is_reported(source: str, code: str) -> None:
    assert [line for line in reported_in(source) if f" {code} " in line]


@pytest.mark.parametrize(
    "file", ["src/hansa/platform/jobs/wrong.py", "src/hansa/compose/__init__.py", "src/hansa/web/wrong.py"]
)
def test_so_it_is_in_every_part_of_the_house(file: str) -> None:
    assert reported_in("import time\n\nAT = time.time()\n", file=file)


def test_what_is_passed_in_may_be_asked() -> None:
    source = (
        "import random\n\nfrom hansa.kernel.clock import Clock\n\n\n"
        "def draw(clock: Clock, chance: random.Random) -> tuple[object, float]:\n"
        "    return clock.now(), chance.random()\n"
    )
    assert reported_in(source) == []
