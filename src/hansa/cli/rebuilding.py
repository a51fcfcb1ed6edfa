"""`hansa search rebuild` and `hansa home rebuild`: what is kept of others' facts, made anew."""

import argparse
import asyncio
import secrets
import sys
from typing import Any

from tqdm import tqdm

from hansa.cli.answers import complain, say
from hansa.cli.opening import clients
from hansa.services.home.contract import Home
from hansa.services.search.contract import Search
from hansa.settings import Settings

REBUILD_LOOK_S = 0.2


def add_to(commands: Any) -> None:
    search = commands.add_parser("search", help="keep the search index")
    acts = search.add_subparsers(required=True, metavar="ACT")
    rebuild = acts.add_parser("rebuild", help="build the index anew from all products, also while the shop is serving")
    rebuild.set_defaults(act=_rebuild_search)
    home = commands.add_parser("home", help="keep the front page")
    acts = home.add_subparsers(required=True, metavar="ACT")
    rebuild = acts.add_parser("rebuild", help="build what it knows of products anew, also while the shop is serving")
    rebuild.set_defaults(act=_rebuild_home)


async def _rebuild_search(settings: Settings, options: argparse.Namespace) -> int:
    """Begin it, and watch it until it ends."""
    async with clients(settings) as client:
        search = client(Search)
        await search.rebuild(key=f"search rebuild {secrets.token_hex(8)}")
        with tqdm(unit=" products", desc="search index", file=sys.stderr, disable=None) as bar:
            while (building := await search.building()).is_running:
                bar.total = building.total or None
                bar.update(building.done - bar.n)
                await asyncio.sleep(REBUILD_LOOK_S)
    if building.failure:
        return complain(f"the search index was not rebuilt, the old one goes on: {building.failure}")
    say(f"The search index is rebuilt: {building.products:,} products can be found.")
    return 0


async def _rebuild_home(settings: Settings, options: argparse.Namespace) -> int:
    async with clients(settings) as client:
        say("Building the front page anew …")
        rebuilt = await client(Home).rebuild(key=f"home rebuild {secrets.token_hex(8)}")
    say(f"The front page knows {rebuilt.products:,} products.")
    return 0
