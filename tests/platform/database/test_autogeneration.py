"""Generated migrations: clean source, the declared tables on both engines, and rows that survive the next step."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    false,
    select,
    text,
    true,
)

from hansa.platform.database.autogeneration import difference, generate
from hansa.platform.database.migrations import migrate
from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.statement import Statement
from hansa.platform.database.tables import (
    COUNT,
    DOCUMENT,
    FLAG,
    ID,
    MOMENT,
    TEXT,
    field,
    key,
    optional,
    personal,
    slot,
)
from tests import databases

ROOT = Path(__file__).parents[3]


def shelves(metadata: MetaData, *more: Any) -> Table:
    return Table(
        "shelves",
        metadata,
        slot(),
        key("id"),
        field("name", TEXT),
        field("is_open", FLAG, server_default=true()),
        field("is_hidden", FLAG, server_default=false()),
        field("size", COUNT, server_default="12"),
        field("kind", TEXT, server_default="plain"),
        field("made_at", MOMENT),
        optional("settings", DOCUMENT),
        personal("keeper", purpose="to call", retention="a year"),
        UniqueConstraint("slot", "name"),
        CheckConstraint("size >= 0", name="size"),
        Index(None, "made_at"),
        *more,
    )


def boxes(metadata: MetaData, *more: Any) -> Table:
    return Table(
        "boxes",
        metadata,
        slot(),
        key("shelf_id"),
        key("sku", TEXT),
        field("pieces", COUNT),
        ForeignKeyConstraint(["slot", "shelf_id"], ["shelves.slot", "shelves.id"]),
        Index(
            "boxes_filled_index",
            "slot",
            "shelf_id",
            sqlite_where=text("pieces > 0"),
            postgresql_where=text("pieces > 0"),
        ),
        *more,
    )


def first() -> MetaData:
    metadata = service_metadata()
    shelves(metadata)
    boxes(metadata)
    return metadata


def with_additions() -> MetaData:
    metadata = service_metadata()
    shelves(metadata, field("is_cold", FLAG, server_default=false()), optional("note", TEXT))
    boxes(metadata, Index(None, "sku"))
    Table("labels", metadata, slot(), key("name", TEXT), field("owner_id", ID))
    return metadata


def with_changes() -> MetaData:
    """What SQLite can only do by copying the table."""
    metadata = service_metadata()
    shelves(metadata, CheckConstraint("made_at > 0", name="made_at"), UniqueConstraint("slot", "keeper"))
    boxes(metadata)
    Table("labels", metadata, slot(), key("name", TEXT), field("owner_id", ID))
    return metadata


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)  # where it would stand, these settings would hold
    return tmp_path / "migrations"


def written(folder: Path, metadata: MetaData, words: str) -> Path:
    path = generate(name="things", folder=folder, metadata=metadata, words=words)
    assert path is not None
    return path


def test_the_first_migration_is_numbered_and_named_and_makes_all_there_is(folder: Path) -> None:
    assert difference(folder=folder, metadata=first())
    path = written(folder, first(), "The first tables, of all")
    assert path == folder / "0001_the_first_tables_of_all.py"
    assert (folder / "__init__.py").exists()
    assert difference(folder=folder, metadata=first()) == []
    assert generate(name="things", folder=folder, metadata=first(), words="nothing") is None
    assert len(list(folder.glob("0*.py"))) == 1


def test_the_difference_says_what_is_missing(folder: Path) -> None:
    written(folder, first(), "first tables")
    assert any("is_cold" in line for line in difference(folder=folder, metadata=with_additions()))


@pytest.mark.parametrize(
    "more",
    [
        CheckConstraint("size < 100", name="largest_size"),
        UniqueConstraint("slot", "kind"),
        Index(None, "kind"),
        Column("mark", TEXT),
    ],
    ids=["check", "unique", "index", "column"],
)
def test_the_difference_sees_every_kind_of_thing(folder: Path, more: Any) -> None:
    written(folder, first(), "first tables")
    metadata = service_metadata()
    shelves(metadata, more)
    boxes(metadata)
    assert difference(folder=folder, metadata=metadata)


def test_the_difference_sees_another_type_default_and_nullability(folder: Path) -> None:
    written(folder, first(), "first tables")
    for change in ("type", "default", "nullable"):
        metadata = service_metadata()
        columns = shelves(metadata).columns
        boxes(metadata)
        assert difference(folder=folder, metadata=metadata) == []
        if change == "type":
            columns["kind"].type = COUNT
        elif change == "default":
            columns["size"].server_default.arg = "13"  # type: ignore[union-attr]
        else:
            columns["settings"].nullable = False
        assert difference(folder=folder, metadata=metadata), change


def test_what_is_written_passes_the_checks_of_the_repository(folder: Path) -> None:
    written(folder, first(), "first tables")
    written(folder, with_additions(), "additions")
    written(folder, with_changes(), "changes")
    ruff = [str(Path(sys.executable).parent / "ruff")]
    for command in ([*ruff, "format", "--check", str(folder)], [*ruff, "check", str(folder)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    strict = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder.parent / "mypy")]
    done = subprocess.run([*strict, *map(str, folder.glob("*.py"))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_additions_are_plain_and_changes_are_batches(folder: Path) -> None:
    written(folder, first(), "first tables")
    additions = written(folder, with_additions(), "additions").read_text()
    assert "op.add_column(" in additions
    assert "batch" not in additions
    assert "batch_alter_table" in written(folder, with_changes(), "changes").read_text()


SOME_ROWS: Sequence[Statement] = [
    Statement(text("INSERT INTO shelves (slot, id, name, made_at, keeper) VALUES (7, 1, 'left', 100, 'Ada')")),
    Statement(text("INSERT INTO boxes (slot, shelf_id, sku, pieces) VALUES (7, 1, 'hat', 3)")),
]


async def test_rows_survive_every_step_and_defaults_fill_the_new_columns(
    engine: str, dsn: str | None, tmp_path: Path, folder: Path
) -> None:
    steps = [(first(), "first tables"), (with_additions(), "additions"), (with_changes(), "changes")]
    for number, (metadata, words) in enumerate(steps):
        written(folder, metadata, words)
        async with databases.opened(
            engine=engine, name="things", metadata=metadata, folder=tmp_path, dsn=dsn, service_migrations=folder
        ) as database:
            if number == 0:
                async with database.write(7) as tx:
                    for statement in SOME_ROWS:
                        await tx.run(statement)
            row = await database.one(Statement(select(metadata.tables["shelves"])))
            assert row is not None
            assert (row["id"], row["name"], row["keeper"], row["size"]) == (1, "left", "Ada", 12)
            assert (bool(row["is_open"]), bool(row["is_hidden"]), row["settings"]) == (True, False, None)
            if number == 1:
                assert bool(row["is_cold"]) is False
            box = await database.one(Statement(select(metadata.tables["boxes"])))
            assert box is not None
            assert (box["shelf_id"], box["pieces"]) == (1, 3)
            for forbidden in (
                "INSERT INTO shelves (slot, id, name, size, made_at, keeper) VALUES (7, 2, 'right', -1, 100, 'Bob')",
                "INSERT INTO boxes (slot, shelf_id, sku, pieces) VALUES (7, 99, 'hat', 3)",
                "INSERT INTO shelves (slot, id, name, made_at, keeper) VALUES (7, 2, 'left', 100, 'Bob')",
            ):
                with pytest.raises(Exception, match=r"(?i)constraint|unique"):
                    async with database.write(7) as tx:
                        await tx.run(Statement(text(forbidden)))


STRUCTURE = """
SELECT table_name, 'column ' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
       || coalesce(column_default, '') FROM information_schema.columns WHERE table_schema = $1
UNION ALL
SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(pg_constraint.oid)
FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace WHERE nspname = $1
UNION ALL
SELECT tablename, replace(indexdef, schemaname || '.', '') FROM pg_indexes WHERE schemaname = $1
ORDER BY 1, 2
"""


async def test_postgresql_gets_by_migrating_what_it_gets_from_the_declaration(
    postgres_dsn: str, tmp_path: Path, folder: Path
) -> None:
    for metadata, words in [(first(), "first tables"), (with_additions(), "additions"), (with_changes(), "changes")]:
        written(folder, metadata, words)
        await migrate(target=postgres_dsn, name="migrated", folder=folder)
    async with databases.opened(
        engine=databases.POSTGRES, name="declared", metadata=with_changes(), folder=tmp_path, dsn=postgres_dsn
    ):
        migrated, declared = [await structure(postgres_dsn, name) for name in ("migrated", "declared")]
    assert "shelves" in {table for table, _ in declared}
    assert migrated == declared


async def structure(dsn: str, name: str) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": name})
    try:
        found = [tuple(row) for row in await connection.fetch(STRUCTURE, name)]
    finally:
        await connection.close()
    return [(table, line) for table, line in found if "schema_version" not in table]
