"""Migrations: applied once, whole or not at all, and never by a Hansa that is older than the data."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from hansa.platform.database.migrations import NewerData, migrate, version_of, versions_in
from tests import databases
from tests.platform.database.things import METADATA, add, skus

FIRST = """
op.create_table(
    "stock",
    sa.Column("slot", sa.Integer(), nullable=False),
    sa.Column("sku", sa.Text(), nullable=False),
    sa.Column("available", sa.BigInteger(), nullable=False),
    sa.Column("is_listed", sa.Boolean(), nullable=False),
    sa.Column("note", sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint("slot", "sku", name=op.f("stock_pk")),
)
"""
SECOND = 'op.add_column("stock", sa.Column("weight", sa.BigInteger(), nullable=False, server_default="5"))'
FAILING = """
op.create_table("half", sa.Column("id", sa.Integer(), nullable=False))
op.execute("UPDATE stock SET available = 0")
op.add_column("stock", sa.Column("doomed", sa.Integer()))
raise RuntimeError("the migration broke off")
"""


def write_migration(folder: Path, number: int, body: str) -> None:
    folder.mkdir(exist_ok=True)
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    previous = f'"{number - 1:04}"' if number > 1 else "None"
    (folder / f"{number:04}_step.py").write_text(
        f'"""A step."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        f'revision = "{number:04}"\ndown_revision = {previous}\n\n\ndef upgrade() -> None:\n{lines}\n'
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    write_migration(folder, 1, FIRST)
    return folder


@pytest.fixture
def target(engine: str, dsn: str | None, tmp_path: Path) -> Path | str:
    return dsn if dsn is not None else tmp_path / "a" / "new" / "folder" / "things.sqlite"


async def rows(target: Path | str, query: str) -> list[tuple[object, ...]]:
    if isinstance(target, Path):
        connection = sqlite3.connect(target)
        try:
            return [tuple(row) for row in connection.execute(query)]
        finally:
            connection.close()
    session = await asyncpg.connect(target, server_settings={"search_path": "things"})
    try:
        return [tuple(row) for row in await session.fetch(query)]
    finally:
        await session.close()


async def tables(target: Path | str) -> set[object]:
    if isinstance(target, Path):
        return {row[0] for row in await rows(target, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {row[0] for row in await rows(target, "SELECT tablename FROM pg_tables WHERE schemaname = 'things'")}


async def test_the_first_migration_makes_the_place_and_the_tables(target: Path | str, folder: Path) -> None:
    assert await version_of(target=target, name="things") is None
    await migrate(target=target, name="things", folder=folder)
    assert await version_of(target=target, name="things") == "0001"
    assert await tables(target) == {"stock", "schema_version"}


async def test_the_service_can_work_in_what_was_migrated(
    engine: str, dsn: str | None, tmp_path: Path, folder: Path
) -> None:
    for turn in range(2):
        async with databases.opened(
            engine=engine, name="things", metadata=METADATA, folder=tmp_path, dsn=dsn, service_migrations=folder
        ) as database:
            await add(database, (7, f"hat-{turn}", 3))
            assert await skus(database) == [f"hat-{number}" for number in range(turn + 1)]


async def test_migrating_again_changes_nothing_and_new_steps_are_added(target: Path | str, folder: Path) -> None:
    await migrate(target=target, name="things", folder=folder)
    await rows_written(target, "INSERT INTO stock VALUES (7, 'hat', 3, true, NULL)")
    await migrate(target=target, name="things", folder=folder)
    assert await version_of(target=target, name="things") == "0001"

    write_migration(folder, 2, SECOND)
    await migrate(target=target, name="things", folder=folder)
    await migrate(target=target, name="things", folder=folder)
    assert await version_of(target=target, name="things") == "0002"
    assert await rows(target, "SELECT sku, available, weight FROM stock") == [("hat", 3, 5)]
    assert await rows(target, "SELECT version_num FROM schema_version") == [("0002",)]


async def test_many_who_migrate_at_once_get_one_result(dsn: str | None, target: Path | str, folder: Path) -> None:
    write_migration(folder, 2, SECOND)
    await asyncio.gather(*(migrate(target=target, name="things", folder=folder) for _ in range(5)))
    assert await rows(target, "SELECT version_num FROM schema_version") == [("0002",)]


async def test_several_services_that_migrate_at_once_do_not_mix(target: Path | str, tmp_path: Path) -> None:
    names = ["carts", "orders", "users"]
    for name in names:
        folder = tmp_path / name
        write_migration(folder, 1, f'op.create_table("{name}_only", sa.Column("id", sa.Integer()))')

    def place(name: str) -> Path | str:
        return target.with_name(f"{name}.sqlite") if isinstance(target, Path) else target

    await asyncio.gather(*(migrate(target=place(name), name=name, folder=tmp_path / name) for name in names))
    for name in names:
        if isinstance(target, Path):
            assert await tables(place(name)) == {f"{name}_only", "schema_version"}
        else:
            found = await rows(target, f"SELECT tablename FROM pg_tables WHERE schemaname = '{name}'")
            assert {row[0] for row in found} == {f"{name}_only", "schema_version"}


async def test_several_processes_that_migrate_at_once_get_one_result(postgres_dsn: str, folder: Path) -> None:
    write_migration(folder, 2, "import time; time.sleep(0.3)\n" + SECOND)
    code = (
        "import asyncio, sys; from pathlib import Path; from hansa.platform.database.migrations import migrate;"
        "asyncio.run(migrate(target=sys.argv[1], name='things', folder=Path(sys.argv[2])))"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, postgres_dsn, str(folder)]) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert await rows(postgres_dsn, "SELECT version_num FROM schema_version") == [("0002",)]


async def test_a_failing_migration_leaves_nothing_of_itself(target: Path | str, folder: Path) -> None:
    await migrate(target=target, name="things", folder=folder)
    await rows_written(target, "INSERT INTO stock VALUES (7, 'hat', 3, true, NULL)")
    write_migration(folder, 2, SECOND)
    write_migration(folder, 3, FAILING)
    with pytest.raises(RuntimeError, match="broke off"):
        await migrate(target=target, name="things", folder=folder)
    assert await tables(target) == {"stock", "schema_version"}
    assert await version_of(target=target, name="things") == "0002", "what came before it stays"
    assert await rows(target, "SELECT * FROM stock") == [(7, "hat", 3, True, None, 5)]

    write_migration(folder, 3, 'op.create_table("half", sa.Column("id", sa.Integer(), nullable=False))')
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)  # the file changed within the same second
    await migrate(target=target, name="things", folder=folder)
    assert await version_of(target=target, name="things") == "0003"


async def test_a_failing_first_migration_leaves_no_table(target: Path | str, tmp_path: Path) -> None:
    folder = tmp_path / "failing"
    write_migration(folder, 1, FIRST + FAILING)
    with pytest.raises(RuntimeError, match="broke off"):
        await migrate(target=target, name="things", folder=folder)
    assert "stock" not in await tables(target)
    assert "half" not in await tables(target)
    assert await version_of(target=target, name="things") is None


async def test_data_of_a_newer_hansa_is_refused_and_untouched(target: Path | str, folder: Path) -> None:
    write_migration(folder, 2, SECOND)
    await migrate(target=target, name="things", folder=folder)
    (folder / "0002_step.py").unlink()
    before = target.read_bytes() if isinstance(target, Path) else b""
    with pytest.raises(NewerData, match=r"things is at version 0002.*it knows 0001") as raised:
        await migrate(target=target, name="things", folder=folder)
    assert (raised.value.name, raised.value.found, raised.value.known) == ("things", "0002", "0001")
    assert await version_of(target=target, name="things") == "0002"
    if isinstance(target, Path):
        assert target.read_bytes() == before


def test_two_migrations_of_one_number_are_an_error(folder: Path) -> None:
    (folder / "0001_another.py").write_text("")
    with pytest.raises(ValueError, match="same number"):
        versions_in(folder)


def test_other_files_are_no_migrations(folder: Path) -> None:
    (folder / "__init__.py").write_text("")
    (folder / "notes.py").write_text("")
    assert versions_in(folder) == ["0001"]


LIGHT = """
import asyncio, sys
from pathlib import Path
from hansa.platform.database.migrations import migrate
asyncio.run(migrate(target=Path(sys.argv[1]), name="things", folder=Path(sys.argv[2])))
heavy = {"alembic", "sqlalchemy", "asyncpg"} & set(sys.modules)
assert not heavy, heavy
"""


async def test_a_start_with_nothing_to_do_loads_neither_alembic_nor_sqlalchemy(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "things.sqlite"
    await migrate(target=target, name="things", folder=folder)
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(target), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def rows_written(target: Path | str, statement: str) -> None:
    if isinstance(target, Path):
        connection = sqlite3.connect(target)
        with connection:
            connection.execute(statement)
        connection.close()
    else:
        session = await asyncpg.connect(target, server_settings={"search_path": "things"})
        await session.execute(statement)
        await session.close()
