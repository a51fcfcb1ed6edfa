"""Migrating in a process of its own, which gives back all that Alembic takes (14 MB) when it ends.

What is to be done comes through its standard input, for an address of a database may hold a password, and command
lines can be read by everybody on the machine. The input stays open meanwhile: where it ends, whoever started the
process has gone, and with him the lock on the data folder.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hansa.kernel.errors import Fault


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """One database that has not yet what a folder's migrations make: a SQLite file, or a PostgreSQL address."""

    name: str
    folder: str
    file: str | None = None
    dsn: str | None = None


class NotUpgraded(Fault):
    """A migration failed; the text says why, and what was done before it stays."""


async def upgrade_apart(upgrades: Sequence[Upgrade]) -> None:
    """Apply what is missing to one database after the other. Raises NotUpgraded."""
    process = await asyncio.create_subprocess_exec(
        # It finds what this process finds, and nothing in the folder that somebody happens to stand in.
        *(sys.executable, "-P", "-m", __name__),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(upgrades) + b"\n")
        complaint = await process.stdout.read()
        status = await process.wait()
    except BaseException:
        # A migration is one transaction: what is broken off leaves nothing of itself.
        process.kill()
        await process.wait()
        raise
    finally:
        process.stdin.close()
    if status:
        raise NotUpgraded(complaint.decode(errors="replace").strip() or f"migrating ended with status {status}")


def main() -> int:
    """0, or 1 with a sentence on the standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the other one decides
    upgrades = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[Upgrade])
    threading.Thread(target=_end_with_input, daemon=True).start()
    from hansa.platform.database.upgrading import upgrade_postgres, upgrade_sqlite

    for upgrade in upgrades:
        folder = Path(upgrade.folder)
        try:
            if upgrade.file is not None:
                Path(upgrade.file).parent.mkdir(parents=True, exist_ok=True)
                upgrade_sqlite(Path(upgrade.file), folder)
            elif upgrade.dsn is not None:
                upgrade_postgres(upgrade.dsn, upgrade.name, folder)
        except (Fault, OSError, sqlite3.Error) as error:
            return _complain(str(error))
        except Exception as error:
            traceback.print_exc()
            return _complain(f"the data of {upgrade.name} cannot be brought up to this version: {error}")
    return 0


def _complain(text: str) -> int:
    print(text, flush=True)
    return 1


def _end_with_input() -> None:
    """End this process when the one that started it has let go of its input."""
    # Not by way of `sys.stdin`: an interpreter that ends would stumble over the lock of a thread that reads it.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
