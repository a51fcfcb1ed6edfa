"""Writing the next migration from the difference between what the migrations make and what `tables.py` declares."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import DefaultClause, MetaData, create_engine, false, true

from hansa.platform.database.migrations import VERSION_TABLE, versions_in
from hansa.platform.database.upgrading import upgrade_sqlite

LARGEST_VERSION = 9999
_COMPARISONS = ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"]
_PLAIN = (ops.CreateTableOp, ops.DropTableOp, ops.AddColumnOp, ops.CreateIndexOp, ops.DropIndexOp)
"""What SQLite can do with a table as it stands; anything else copies it, which Alembic calls a batch."""


def difference(*, folder: Path, metadata: MetaData) -> list[str]:
    """What the next migration would do, line by line: empty if the migrations make the declared tables."""
    return _code(_operations(folder, metadata)).splitlines()


def generate(*, name: str, folder: Path, metadata: MetaData, words: str) -> Path | None:
    """Write the next migration of a service into its folder and name the file; None if nothing has changed.

    Read it before it is committed: a renamed column looks like one dropped and one added, and a new column that must
    be filled needs a `server_default` for the rows that are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    code = _code(_operations(folder, metadata))
    if not code:
        return None
    known = versions_in(folder)
    version = int(known[-1]) + 1 if known else 1
    if version > LARGEST_VERSION:
        raise ValueError(f"{name} has used up its {LARGEST_VERSION} migrations")
    package = folder / "__init__.py"
    if not package.exists():
        package.write_text(f'"""How the tables of {name} came to be, step by step."""\n')
    path = folder / f"{version:04}_{re.sub('[^a-z0-9]+', '_', words.lower()).strip('_')}.py"
    path.write_text(_formatted(_module(words, f"{version:04}", known[-1] if known else None, code), path))
    return path


def _module(words: str, version: str, previous: str | None, code: str) -> str:
    sentence = words.strip().rstrip(".")
    body = "\n".join(f"    {line}" if line else "" for line in code.splitlines())
    before = f'"{previous}"' if previous else "None"
    return (
        f'"""{sentence[:1].upper()}{sentence[1:]}."""\n\n'
        + ("import sqlalchemy as sa\n" if "sa." in code else "")
        + "from alembic import op\n\n"
        + f'revision = "{version}"\ndown_revision: str | None = {before}\n\n\n'
        + f"def upgrade() -> None:\n{body}\n"
    )


def _operations(folder: Path, metadata: MetaData) -> ops.UpgradeOps:
    """Migrate an empty file and compare it with the declared tables."""
    with tempfile.TemporaryDirectory(prefix="hansa-migrations-") as temporary:
        path = Path(temporary) / "migrated.sqlite"
        upgrade_sqlite(path, folder)
        engine = create_engine(f"sqlite:///{path}")
        try:
            with engine.connect() as connection:
                context = MigrationContext.configure(
                    connection=connection,
                    opts={
                        "version_table": VERSION_TABLE,
                        "target_metadata": metadata,
                        "compare_type": True,
                        "compare_server_default": True,
                        "autogenerate_plugins": _COMPARISONS,
                    },
                )
                operations = produce_migrations(context, metadata).upgrade_ops
        finally:
            engine.dispose()
    assert operations is not None
    return operations


def _code(operations: ops.UpgradeOps) -> str:
    """The operations as Python, not indented; empty if there are none."""
    if operations.is_empty():
        return ""
    rendered = render_python_code(
        operations, render_as_batch=not _all_plain(operations.ops), render_item=_render_default
    )
    lines = [line for line in rendered.splitlines() if not line.lstrip().startswith("# ###")]
    return "\n".join(line.removeprefix("    ") for line in lines).strip()


def _all_plain(operations: Sequence[ops.MigrateOperation]) -> bool:
    return all(
        _all_plain(operation.ops) if isinstance(operation, ops.ModifyTableOps) else isinstance(operation, _PLAIN)
        for operation in operations
    )


def _render_default(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Truth values as such: written for SQLite they would be numbers, which PostgreSQL refuses for a boolean."""
    if kind == "server_default" and isinstance(item, DefaultClause):
        for value, code in ((true(), "sa.true()"), (false(), "sa.false()")):
            if item.arg is value:
                return code
    return False


def _formatted(code: str, path: Path) -> str:
    """As `make format` would leave it; where ruff is not installed, as it stands."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        return code
    done = subprocess.run(
        [ruff, "format", "--stdin-filename", str(path), "-"], input=code, capture_output=True, text=True, check=True
    )
    return done.stdout
