"""The store in Memcached: one item for each key, changed by compare-and-set only.

An item is the line of `header.py`, a line feed, and the value, plain JSON; or a tab, and the value in Base64, if it is
bytes that the client could not take back (`can_hold`), which JSON never is. A loan stands in the line; so whoever puts
a value, or gives a loan back, does it to the very item whose token was read, or not at all, and `drop`, which deletes
the item, ends both.

Where a key is follows from the names of the servers (rendezvous hashing) and from nothing else. A server that does not
answer is not replaced by another one, whose items would be forgotten by nobody when the first is back: its keys are in
trouble until it is, those of the others go on. What it holds then may be older than a drop that it has missed. Whoever
could not drop a key tries again until it has succeeded, and reads that key elsewhere meanwhile; with this store every
process that hears of the change is such a one. Hence nothing is to be forgotten because a server was away, and of a
listener only the drops of others would be told, which is the message bus's to do: `missed` and `deaf` are never called.
What remains: if all processes that knew of a change end before the server is back, its old value is read until
`good_until`; and whoever changes the list of servers should empty those that come back.

Keys with the same part in braces are on the same server, so that one request asks for all of them.
"""

import asyncio
import random
import re
from base64 import b64decode, b64encode
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, TypeVar

import emcache
from emcache._cython import cyemcache  # type: ignore[attr-defined]  # it is compiled, and tells no types
from msgspec.structs import replace

from hansa.kernel.clock import Clock
from hansa.platform.cache import header
from hansa.platform.cache.header import About
from hansa.platform.cache.memcached.address import Address
from hansa.platform.cache.memcached.server import (
    MOST_CONNECTIONS,
    NoRoom,
    Server,
    add,
    can_hold,
    delete,
    exchange,
    fetch,
)
from hansa.platform.cache.port import LARGEST_VALUE, LONGEST_KEY, CacheTrouble, Entry, Listener, Loan

READ_S = 0.05
CHANGE_S = 0.1
MOST_ROUNDS = 3
"""After so many lost races for an item somebody else has it."""
MOST_AT_ONCE = 50
"""Keys in one request."""
CAUSE_S = 60
"""How long it is remembered for what a key was dropped. Who hears of it later drops it once more."""
LONGEST_S = 30 * 24 * 3600
"""Seconds that Memcached takes for a duration; more would be a moment."""
AT_ONCE = -1
"""The duration of an item that is gone as soon as it is there."""
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
_TOGETHER = re.compile(r"\{([^{}]+)\}")

Answer = TypeVar("Answer")


class MemcachedStore:
    """See the module. Raises ValueError for an address that is none."""

    tells = False

    def __init__(
        self,
        *,
        address: str,
        clock: Clock,
        chance: random.Random,
        read_s: float = READ_S,
        change_s: float = CHANGE_S,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        parsed = Address.of(address)
        self._namespace = parsed.namespace
        self._chance = chance
        self._read_s = read_s
        self._change_s = change_s
        self._servers = [Server(place=place, clock=clock, most_connections=most_connections) for place in parsed.places]
        self._ring = [cyemcache.RendezvousNode(str(server.place), server) for server in self._servers]

    async def start(self) -> None:
        for server in self._servers:
            await server.start()

    async def read(self, keys: Sequence[str]) -> list[Entry | None]:
        if len(keys) == 1:
            (key,) = keys
            name = self._name(key)
            item = await self._server(key).ask(lambda client: client.get(name), within_s=self._read_s)
            return [None if item is None else _entry(item.value)]
        names = [self._name(key) for key in keys]
        found: dict[bytes, emcache.Item] = {}
        for answer in await _all([self._read_some(*part) for part in self._parts(keys)]):
            found.update(answer)
        return [_entry(found[name].value) if name in found else None for name in names]

    async def lend(self, key: str, *, now: int, for_s: float) -> Loan:
        name = self._name(key)
        token = self._chance.getrandbits(63) or 1
        lent_until = now + round(for_s * 1_000_000)

        async def borrow(client: emcache.Client) -> Loan:
            first = About(token=token, lent_until=lent_until)
            for _ in range(MOST_ROUNDS):
                if await add(client, name, _item(first, b""), for_s=_lasts(first, since=now)):
                    return Loan(token=token)
                if (found := await fetch(client, name)) is None:
                    continue
                data, state = found
                line, value = _parted(data)
                if line.token and line.lent_until > now:
                    return Loan(token=None)
                line = replace(line, token=token, lent_until=lent_until)
                if await exchange(client, name, _item(line, value), state=state, for_s=_lasts(line, since=now)):
                    return Loan(token=token)
            return Loan(token=None)

        return await self._server(key).ask(borrow, within_s=self._change_s)

    async def put(self, key: str, entry: Entry, *, token: int) -> bool:
        if len(entry.value) > LARGEST_VALUE:
            await self.give_back(key, token=token)
            return False
        name = self._name(key)
        line = header.about(entry)
        item = _item(line, entry.value)

        async def fill(client: emcache.Client) -> bool:
            for _ in range(MOST_ROUNDS):
                if (found := await fetch(client, name)) is None:
                    return False
                there, value = _parted(found[0])
                if there.token != token or not token:
                    return False
                if there.checksum is not None and there.version > entry.version:
                    return not await _returned(client, name, there, value, state=found[1])
                if await exchange(client, name, item, state=found[1], for_s=_lasts(line, since=line.made_at)):
                    return True
            return False

        try:
            return await self._server(key).ask(fill, within_s=self._change_s)
        except NoRoom:
            await self.give_back(key, token=token)
            return False

    async def give_back(self, key: str, *, token: int) -> None:
        name = self._name(key)

        async def hand_over(client: emcache.Client) -> None:
            for _ in range(MOST_ROUNDS):
                if (found := await fetch(client, name)) is None:
                    return
                there, value = _parted(found[0])
                if there.token != token or not token or await _returned(client, name, there, value, state=found[1]):
                    return

        await self._server(key).ask(hand_over, within_s=self._change_s)

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        """Here nobody is told. What a `cause` is remembered for was deleted before."""
        digest = blake2b(cause.encode(), digest_size=8).hexdigest() if cause else ""
        await _all([self._drop_some(server, part, digest) for server, part in self._parts(keys)])

    async def names(self, prefix: str, *, limit: int) -> list[str]:
        raise CacheTrouble("Memcached does not say which keys it has")

    async def figures(self) -> dict[str, int]:
        """Of all servers together; of those that do not answer there is nothing in it."""
        answers = await asyncio.gather(
            *(server.figures(within_s=self._change_s) for server in self._servers), return_exceptions=True
        )
        said = [answer for answer in answers if not isinstance(answer, BaseException)]
        if not said:
            raise CacheTrouble("no server of Memcached says anything of itself")
        return {
            "keys": sum(figures["keys"] for figures in said),
            "memory_bytes": sum(figures["memory_bytes"] for figures in said),
            "servers": len(self._servers),
            "servers_that_answer": len(said),
        }

    def listen(self, listener: Listener) -> None:
        """It would hear nothing: see the module."""

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self._servers))

    async def _read_some(self, server: Server, keys: Sequence[str]) -> dict[bytes, emcache.Item]:
        names = [self._name(key) for key in keys]
        return await server.ask(lambda client: client.get_many(names), within_s=self._read_s)

    async def _drop_some(self, server: Server, keys: Sequence[str], digest: str) -> None:
        """First delete, then remember the cause: who finds it remembered may rely on the deletion."""
        marks: dict[str, bytes] = {}
        if digest:
            marks = {key: f"{self._namespace}~{digest}:{key}".encode() for key in keys}
            done = await server.ask(lambda client: client.get_many(list(marks.values())), within_s=self._read_s)
            keys = [key for key in keys if marks[key] not in done]

        async def forget(client: emcache.Client) -> None:
            await _all([delete(client, self._name(key)) for key in keys])

        async def remember(client: emcache.Client) -> None:
            await _all([add(client, marks[key], b"", for_s=CAUSE_S) for key in keys])

        await server.ask(forget, within_s=self._change_s)
        if digest and keys:
            with suppress(CacheTrouble):  # others drop it once more
                await server.ask(remember, within_s=self._change_s)

    def _name(self, key: str) -> bytes:
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"a key must be 1 to {LONGEST_KEY} printable signs of ASCII without blanks")
        return f"{self._namespace}:{key}".encode()

    def _server(self, key: str) -> Server:
        if len(self._servers) == 1:
            return self._servers[0]
        together = _TOGETHER.search(key)
        placed_by = key if together is None else together[1]
        server: Server = cyemcache.node_selection(placed_by.encode(), self._ring)
        return server

    def _parts(self, keys: Sequence[str]) -> list[tuple[Server, list[str]]]:
        """Each key once, with those of the same server, as many as one request takes."""
        at: dict[Server, list[str]] = {}
        for key in dict.fromkeys(keys):
            self._name(key)
            at.setdefault(self._server(key), []).append(key)
        return [
            (server, its[first : first + MOST_AT_ONCE])
            for server, its in at.items()
            for first in range(0, len(its), MOST_AT_ONCE)
        ]


def _item(line: About, value: bytes) -> bytes:
    if can_hold(value):
        return header.write(line) + b"\n" + value
    return header.write(line) + b"\t" + b64encode(value)


def _read(item: bytes) -> tuple[About | None, bytes]:
    first, line_feed, value = item.partition(b"\n")
    if not line_feed:
        first, _, encoded = item.partition(b"\t")
        try:
            value = b64decode(encoded, validate=True)
        except ValueError:
            return None, b""
    return header.read(first), value


def _parted(item: bytes) -> tuple[About, bytes]:
    """The line and the value; without a checksum and empty, if the value is damaged or there is none."""
    line, value = _read(item)
    if line is None:
        return About(), b""
    if line.entry(value) is None:
        return About(token=line.token, lent_until=line.lent_until), b""
    return line, value


def _entry(item: bytes) -> Entry | None:
    line, value = _read(item)
    return None if line is None else line.entry(value)


def _lasts(line: About, *, since: int) -> int:
    """Seconds, rounded up: the line decides what is good. One more, since Memcached's clock goes in steps."""
    micros = max(line.good_until, line.lent_until) - since
    return min(max(-(-micros // 1_000_000), 0) + 1, LONGEST_S)


async def _returned(client: emcache.Client, name: bytes, line: About, value: bytes, *, state: int) -> bool:
    """Take a loan out of an item; one without a value goes with it."""
    kept = replace(line, token=0, lent_until=0)
    for_s = AT_ONCE if line.checksum is None else _lasts(kept, since=kept.made_at)
    return await exchange(client, name, _item(kept, value), state=state, for_s=for_s)


async def _all(acts: Sequence[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Do them at once, all of them to their end; then raise the first error, if there was any."""
    if len(acts) == 1:
        return [await acts[0]]
    answers = await asyncio.gather(*acts, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]
