"""The `hansa` command; each of its modules holds a group of commands."""

import argparse
import asyncio
import sqlite3
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

import uvloop

from hansa.cli import caching, describing, following, letters, messages, rebuilding, serving, transfers
from hansa.cli.answers import Refusal, complain
from hansa.kernel.errors import Fault, StorageFull
from hansa.platform.database.migrations import NewerData
from hansa.platform.http.serve import AddressInUse
from hansa.platform.leases.folder import FolderOwned
from hansa.platform.memory import use_few_heaps
from hansa.platform.messaging.port import BusUnusable
from hansa.platform.security.key_file import MasterKeyInvalid
from hansa.platform.telemetry import logs
from hansa.settings import SettingsInvalid, read_settings, unknown_variables
from hansa.web.wording import WordingInvalid

GROUPS = (serving, transfers, rebuilding, messages, letters, caching, following, describing)
"""In the order in which they are listed."""


def main(arguments: Sequence[str] | None = None) -> int:
    use_few_heaps()
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings()
        logs.configure(level=settings.log_level, as_json=settings.log_json)
        for name in unknown_variables():
            print(f"hansa: {name} is not a setting", file=sys.stderr, flush=True)
        return int(_run(options.act(settings, options)))
    except (SettingsInvalid, AddressInUse, FolderOwned, NewerData, MasterKeyInvalid, BusUnusable, Refusal) as error:
        return complain(str(error))
    except WordingInvalid as error:
        return complain(f"shop_texts (HANSA_SHOP_TEXTS) is wrong: {error}")
    except StorageFull as error:
        return complain(f"there is no room left for the shop's data ({error}); nothing was lost")
    except sqlite3.Error as error:
        return complain(f"a database in the data folder cannot be used: {error}")
    except (Fault, OSError) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hansa", description="An online shop, from a laptop to a cluster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_to(commands)
    return parser


def _run(act: Coroutine[Any, Any, int]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(act)
