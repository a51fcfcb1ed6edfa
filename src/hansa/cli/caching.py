"""`hansa cache`: how the cache does, what it has of a key, and to forget or to warm."""

import argparse
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from tqdm import tqdm

from hansa.cli.answers import Refusal, say
from hansa.cli.opening import clients
from hansa.kernel.clock import SystemClock
from hansa.platform.cache.desk import MOST_DROPPED, MOST_WARMED, CacheAway, CacheDesk, CacheFigures, Inspected
from hansa.platform.cache.hottest import RATE_PER_S
from hansa.platform.cache.port import LONGEST_KEY
from hansa.settings import Settings

EXAMPLE = "products.slug:{baker-boy-cap}"
MOST_MEANT = 10
MOST_ROUNDS = 10_000
"""Of dropping: by then more keys have come back than anybody can drop."""


def add_to(commands: Any) -> None:
    cache = commands.add_parser("cache", help="the cache: how it does, what it has")
    acts = cache.add_subparsers(required=True, metavar="ACT")
    stats = acts.add_parser("stats", help="what became of reads, by kind of value; memory, store, and the hottest keys")
    stats.add_argument("--json", action="store_true")
    stats.set_defaults(act=_stats)
    inspect = acts.add_parser("inspect", help="what memory and store have of a key")
    inspect.add_argument("name", type=_name, metavar="KEY", help=f"such as '{EXAMPLE}'")
    inspect.add_argument("--json", action="store_true")
    inspect.set_defaults(act=_inspect)
    drop = acts.add_parser("drop", help="forget all keys that begin so")
    drop.add_argument("prefix", type=_name, metavar="PREFIX", help="such as products.product: or a whole key")
    drop.set_defaults(act=_drop)
    warm = acts.add_parser("warm", help="read the keys that were read most often of late")
    warm.set_defaults(act=_warm)


def _name(text: str) -> str:
    if not (text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= LONGEST_KEY):
        raise argparse.ArgumentTypeError(f"must be ASCII without blanks, at most {LONGEST_KEY} characters")
    return text


async def _stats(settings: Settings, options: argparse.Namespace) -> int:
    async with clients(settings, only_asks=True) as client:
        figures = await client(CacheDesk).figures()
    say(msgspec.json.encode(figures).decode() if options.json else "\n".join(told(figures)))
    return 0


def told(figures: CacheFigures) -> Iterator[str]:
    """A line for each family, then those of the whole."""
    outcomes = ("memory", "store", "stale", "absent", "denied", "misses", "loads", "failures")
    yield f"{'kind of value':24}" + "".join(f"{name:>10}" for name in outcomes)
    if not figures.memory_keys and not any(each.counts.loads or each.counts.misses for each in figures.families):
        yield "(nothing was read yet by the shop that serves; if none does, this is what the command itself has read)"
    for each in figures.families:
        yield f"{each.family:24}" + "".join(f"{getattr(each.counts, name):>10,}" for name in outcomes)
    yield f"memory: {figures.memory_keys:,} keys, about {figures.memory_bytes / 1024 / 1024:.1f} MB" + (
        " (not in use: changes may pass unheard)" if figures.is_deaf else ""
    )
    if figures.breaker == "none":
        yield "store: none, this process has its memory only"
    else:
        said = ", ".join(f"{name} {value:,}" for name, value in figures.store.items()) or "does not answer"
        yield f"store: {said}"
        yield f"breaker {figures.breaker}; in trouble {figures.trouble:,} times; {figures.pending:,} changes to tell"
    yield f"loads: {figures.loads_now} now, {figures.loads_waiting} wait, at most {figures.most_loads} at once so far"
    if figures.hottest:
        yield "hottest, reads a second:"
    for hot in figures.hottest:
        yield f"{hot.reads_per_s:>10,.1f}  {hot.name}"


async def _inspect(settings: Settings, options: argparse.Namespace) -> int:
    """0, or 1 if there is nothing of the key."""
    async with clients(settings, only_asks=True) as client:
        try:
            found = await client(CacheDesk).inspect(name=options.name)
        except CacheAway as error:
            raise Refusal(f"the cache does not answer: {error.reason}") from None
        is_there = found.memory is not None or found.store is not None
        hint = "" if is_there or options.json else await _hint(client(CacheDesk), options.name)
    say(msgspec.json.encode(found).decode() if options.json else "\n".join(_inspected(found)))
    if hint:
        say(hint)
    return 0 if is_there else 1


async def _hint(desk: CacheDesk, name: str) -> str:
    """What somebody may have meant by a name that is not there."""
    figures = await desk.figures()
    families = [each.family for each in figures.families]
    if name.partition(":")[0] not in families:
        return f"Keys begin with {', '.join(f'`{family}:`' for family in families)}, as {EXAMPLE} does."
    known = [hot.name for hot in figures.hottest]
    with suppress(CacheAway):
        known += await desk.listed(prefix=name)
    meant = [each for each in dict.fromkeys(known) if each.startswith(name)]
    return "\n".join(["There are keys that begin so:", *meant[:MOST_MEANT]]) if meant else ""


def _inspected(found: Inspected) -> Iterator[str]:
    yield found.name
    if (held := found.memory) is not None:
        what = "that there is nothing" if held.is_absent else "a value"
        yield f"memory: {what}, fresh for {held.fresh_s:.1f} s, good for {held.good_s:.1f} s"
    else:
        yield "memory: nothing"
    if (kept := found.store) is not None:
        what = f"version {kept.version}" if kept.version else "a value"
        what = "that there is nothing" if kept.is_absent else what
        moments = f"made {_at(kept.made_at)}, fresh until {_at(kept.fresh_until)}, good until {_at(kept.good_until)}"
        yield f"store: {what}, {moments}"
        yield kept.value
    else:
        yield "store: nothing"
    if found.is_pending:
        yield "It has changed, and the store has not been told yet."


def _at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


async def _drop(settings: Settings, options: argparse.Namespace) -> int:
    count = 0
    async with clients(settings, makes_shop=False) as client:
        desk = client(CacheDesk)
        if (await desk.figures()).breaker == "none":
            await _drop_some(desk, (options.prefix,))
            say("The memory of the shop's process was emptied, of all keys; there is no store (`cache` is `memory:`).")
            return 0
        try:
            async for dropped in _all_dropped(desk, options.prefix):
                count += dropped
        except CacheAway as error:
            raise Refusal(f"the cache cannot do that: {error.reason}; {_keys(count)} dropped") from None
    say(f"{_keys(count)} dropped from the store; the memory of the shop's process was emptied.")
    return 0


async def _all_dropped(desk: CacheDesk, prefix: str) -> AsyncIterator[int]:
    """How many keys were dropped, again and again. Of a store that cannot list its keys, the one of that name."""
    before: tuple[str, ...] = ()
    for _ in range(MOST_ROUNDS):
        try:
            names = await desk.listed(prefix=prefix)
        except CacheAway:
            if "}" not in prefix:
                raise
            names = (prefix,)
        await _drop_some(desk, names or (prefix,))
        yield len(names)
        if len(names) < MOST_DROPPED or names == before:
            return
        before = names


async def _drop_some(desk: CacheDesk, names: tuple[str, ...]) -> None:
    await desk.drop(key=f"drop {secrets.token_hex(8)}", names=names)


def _keys(count: int) -> str:
    return "1 key was" if count == 1 else f"{count:,} keys were"


async def _warm(settings: Settings, options: argparse.Namespace) -> int:
    found = 0
    async with clients(settings, makes_shop=False) as client:
        desk = client(CacheDesk)
        names = await desk.hottest()
        if not names:
            say("There is nothing to warm: no key was read of late.")
            return 0
        with tqdm(total=len(names), unit=" keys", desc="Warming", disable=None) as bar:
            for first in range(0, len(names), MOST_WARMED):
                some = names[first : first + MOST_WARMED]
                found += await desk.warm(key=f"warm {secrets.token_hex(8)}", names=some)
                await SystemClock().sleep(len(some) / RATE_PER_S)
                bar.update(len(some))
    say(f"{_keys(len(names))} read; {found:,} had a value.")
    return 0
