"""Migrating in a process of its own: the same outcome, nothing left in this one, and no secret on a command line."""

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hansa.kernel.errors import Fault
from hansa.platform.database.migrations import version_of
from hansa.platform.database.upgrading_process import NotUpgraded, Upgrade, upgrade_apart
from tests.platform.database.test_migrations import FAILING, FIRST, SECOND, tables, write_migration

WAITING = "import time; time.sleep(600)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    write_migration(folder, 1, FIRST)
    return folder


@pytest.fixture
def target(engine: str, dsn: str | None, tmp_path: Path) -> Path | str:
    return dsn if dsn is not None else tmp_path / "a" / "new" / "folder" / "things.sqlite"


def upgrade(target: Path | str, folder: Path) -> Upgrade:
    is_file = isinstance(target, Path)
    return Upgrade(
        name="things",
        folder=str(folder),
        file=str(target) if is_file else None,
        dsn=None if is_file else str(target),
    )


async def migrating_process() -> psutil.Process:
    """The process that migrates, once it runs and has been told what to do."""
    while True:
        for child in psutil.Process().children(recursive=True):
            if "upgrading_process" in " ".join(child.cmdline()):
                return child
        await asyncio.sleep(0.01)


async def test_what_is_missing_is_applied_by_another_process(target: Path | str, folder: Path) -> None:
    await upgrade_apart([upgrade(target, folder)])
    write_migration(folder, 2, SECOND)
    await upgrade_apart([upgrade(target, folder)])

    assert await version_of(target=target, name="things") == "0002"
    assert "stock" in await tables(target)


async def test_a_migration_that_fails_is_told_in_a_sentence_and_leaves_nothing_of_itself(
    target: Path | str, folder: Path
) -> None:
    write_migration(folder, 2, SECOND)
    write_migration(folder, 3, FAILING)

    with pytest.raises(NotUpgraded, match=r"the data of things cannot be brought up .*: the migration broke off"):
        await upgrade_apart([upgrade(target, folder)])

    assert await version_of(target=target, name="things") == "0002", "what came before it stays"
    assert "half" not in await tables(target)


async def test_a_server_that_is_not_there_is_a_fault_that_does_not_tell_the_password(folder: Path) -> None:
    gone = upgrade("postgresql://shop:secret@127.0.0.1:1/shop", folder)

    with pytest.raises(Fault, match="cannot be reached") as raised:
        await upgrade_apart([gone])

    assert "secret" not in str(raised.value)


async def test_the_command_line_names_no_database(tmp_path: Path, folder: Path) -> None:
    write_migration(folder, 2, WAITING)
    migrating = asyncio.create_task(upgrade_apart([upgrade(tmp_path / "hidden.sqlite", folder)]))
    process = await asyncio.wait_for(migrating_process(), 60)

    assert "hidden" not in " ".join(process.cmdline())

    migrating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await migrating
    assert not process.is_running(), "who gives up leaves nobody behind that migrates"


def test_it_ends_with_the_process_that_started_it(tmp_path: Path, folder: Path) -> None:
    write_migration(folder, 2, WAITING)
    code = (
        "import asyncio, sys; from hansa.platform.database.upgrading_process import Upgrade, upgrade_apart;"
        "asyncio.run(upgrade_apart([Upgrade(name='things', folder=sys.argv[1], file=sys.argv[2])]))"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(folder), str(tmp_path / "things.sqlite")])
    while not (children := psutil.Process(starter.pid).children()):
        assert starter.poll() is None
    starter.kill()
    starter.wait()

    gone, alive = psutil.wait_procs(children, timeout=60)

    assert (len(gone), alive) == (1, [])


LIGHT = """
import asyncio, sys
from hansa.platform.database.upgrading_process import Upgrade, upgrade_apart
asyncio.run(upgrade_apart([Upgrade(name="things", folder=sys.argv[1], file=sys.argv[2])]))
heavy = {"alembic", "mako", "sqlalchemy", "asyncpg"} & set(sys.modules)
assert not heavy, heavy
"""


def test_nothing_of_alembic_stays_in_the_process_that_had_it_done(tmp_path: Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(folder), str(tmp_path / "things.sqlite")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "things.sqlite").exists()


async def test_nothing_is_loaded_from_the_folder_one_stands_in(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("open('loaded', 'w').close()\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)

    await upgrade_apart([upgrade(tmp_path / "things.sqlite", folder)])

    assert not (tmp_path / "loaded").exists()
