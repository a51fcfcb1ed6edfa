"""`hansa settings`, `hansa events` and `hansa migration`: what is written from the code."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from hansa.cli.answers import Refusal, say
from hansa.compose.stored import STORED
from hansa.settings import Settings
from hansa.settings_reference import reference


def add_to(commands: Any) -> None:
    listing = commands.add_parser("settings", help="print what can be set, as Markdown (docs/configuration.md)")
    listing.set_defaults(act=_settings)
    events = commands.add_parser("events", help="print the public events (docs/events.md, docs/asyncapi.json)")
    events.add_argument("--format", choices=("asyncapi", "markdown"), default="asyncapi")
    events.add_argument(
        "--since", type=Path, default=None, metavar="FILE", help="instead, what breaks readers of this asyncapi.json"
    )
    events.set_defaults(act=_events)
    migration = commands.add_parser("migration", help="write the next migration of a service (for developers)")
    migration.add_argument("service")
    migration.add_argument("words", help="what it does, such as `add gift wrap`")
    migration.set_defaults(act=_migration)


async def _settings(settings: Settings, options: argparse.Namespace) -> int:
    print(reference(), end="")
    return 0


async def _events(settings: Settings, options: argparse.Namespace) -> int:
    """0, or 1 when something of an earlier release's events was broken."""
    # Reads the source of events, which no other command needs.
    from hansa.compose.events import events_document, events_json, events_markdown
    from hansa.platform.messaging.growth import breaking_changes

    if options.since is None:
        print(events_markdown() if options.format == "markdown" else events_json().decode(), end="")
        return 0
    try:
        before = json.loads(options.since.read_bytes())
        broken = breaking_changes(before=before, after=events_document())
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(f"{options.since} is not a document of `hansa events`: {error}") from None
    for line in broken:
        print(line, file=sys.stderr)
    say(f"{len(broken)} breaking changes" if broken else "Nothing that was promised has been broken.")
    return 1 if broken else 0


async def _migration(settings: Settings, options: argparse.Namespace) -> int:
    from hansa.platform.database.autogeneration import generate

    stored = {stored.name: stored for stored in STORED}.get(options.service)
    if stored is None:
        raise Refusal(f"there is no service {options.service}")
    written = generate(
        name=stored.name, folder=stored.folder / "migrations", metadata=stored.metadata, words=options.words
    )
    say(str(written) if written else "Tables and migrations agree: nothing to write.")
    return 0
