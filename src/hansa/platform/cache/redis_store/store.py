"""The cache over Redis: a value is a string key with plain JSON, and a second key of its slot tells version and times.

    <namespace>:hansa:cache:products.get:{123}:en          {"name": …}
    <namespace>:hansa:cache:products.get:{123}:en:about    1 7 1700000000000000 …
    <namespace>:hansa:cache:products.get:{123}:en:cause    the event for which it was dropped last

Nothing is asked twice: what fails is the caller's to judge. Every answer comes within a set time, or CacheTrouble does.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import NoScriptError

from hansa.kernel.clock import Clock
from hansa.platform.cache import header
from hansa.platform.cache.port import LARGEST_VALUE, LONGEST_KEY, CacheTrouble, Entry, Listener, Loan
from hansa.platform.cache.redis_store import scripts
from hansa.platform.cache.redis_store.address import Address, parse
from hansa.platform.cache.redis_store.cluster import Cluster
from hansa.platform.cache.redis_store.listening import Listening
from hansa.platform.cache.redis_store.pool import MOST_CONNECTIONS
from hansa.platform.cache.redis_store.servers import MasterOfSentinels, OneServer, Servers
from hansa.platform.cache.redis_store.wire import TROUBLE, pack

READ_WITHIN_S = 0.05
ACT_WITHIN_S = 0.1
LOOK_WITHIN_S = 5.0
"""For what only operators ask."""
START_WITHIN_S = 1.0
MOST_AT_ONCE = 64
"""Keys of one script; it holds up the server for so long."""
MOST_SCRIPTS = 16
"""Which run side by side."""
LONGEST_KEPT_MS = 366 * 24 * 3_600_000
MOST_LOOKED_AT = 1_000_000
"""Keys of a server that `names` goes through."""
LOOK_STEP = 1_000
ABOUT = b":about"
CAUSE = b":cause"
LONGEST_CAUSE = 200


class RedisStore:
    """See the module, and `Store`."""

    tells = True

    def __init__(
        self,
        *,
        address: str,
        clock: Clock,
        chance: random.Random,
        read_within_s: float = READ_WITHIN_S,
        act_within_s: float = ACT_WITHIN_S,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        """`chance` makes tokens: no other process may draw the same ones. Raises ValueError for another address."""
        where = parse(address)
        self._servers = _servers(where, clock, most_connections)
        self._prefix = (f"{where.namespace}:" if where.namespace else "").encode() + b"hansa:cache:"
        self._channel = self._prefix + b"dropped"
        self._chance = chance
        self._read_within_s = read_within_s
        self._act_within_s = act_within_s
        self._listening = Listening(servers=self._servers, channel=self._channel, clock=clock, chance=chance)
        self._task: asyncio.Task[None] | None = None

    def listen(self, listener: Listener) -> None:
        self._listening.add(listener)

    async def start(self) -> None:
        """It listens even if nobody wants to hear: so it learns when another server has become the master."""
        self._task = asyncio.create_task(self._listening.run())
        try:
            async with asyncio.timeout(START_WITHIN_S):
                await self._listening.hears.wait()
        except TimeoutError:
            return  # it is tried on and on

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._servers.close()

    async def read(self, keys: Sequence[str]) -> list[Entry | None]:
        names: list[bytes] = []
        for key in keys:
            name = self._name(key)
            names += (name, _about(name))
        if not names:
            return []
        try:
            async with asyncio.timeout(self._read_within_s):
                found = await self._get(names)
        except TROUBLE as error:
            raise _trouble(error) from error
        return [_entry(found[at], found[at + 1]) for at in range(0, len(found), 2)]

    async def lend(self, key: str, *, now: int, for_s: float) -> Loan:
        token = self._chance.getrandbits(62) + 1
        loan_us = max(round(for_s * 1_000_000), 1_000)
        arguments = [b"%d" % now, b"%d" % token, b"%d" % (now + loan_us), b"%d" % (loan_us // 1_000)]
        name = self._name(key)
        is_lent = await self._act(scripts.LEND, self._servers.slot(name), [_about(name)], arguments)
        return Loan(token=token if is_lent else None)

    async def put(self, key: str, entry: Entry, *, token: int) -> bool:
        """It is kept for as long as it is good from the beginning of its loading: no clock is compared with another."""
        name = self._name(key)
        keep_ms = min((entry.good_until - entry.made_at) // 1_000, LONGEST_KEPT_MS)
        if len(entry.value) > LARGEST_VALUE or keep_ms <= 0 or entry.version < 0:
            await self.give_back(key, token=token)
            return False
        line = header.write(header.about(entry))
        arguments = [b"%d" % token, b"%d" % entry.version, line, entry.value, b"%d" % keep_ms]
        return bool(await self._act(scripts.PUT, self._servers.slot(name), [name, _about(name)], arguments))

    async def give_back(self, key: str, *, token: int) -> None:
        name = self._name(key)
        await self._act(scripts.GIVE_BACK, self._servers.slot(name), [_about(name)], [b"%d" % token])

    async def drop(self, keys: Sequence[str], *, cause: str = "") -> None:
        """Each script has its own time. Where one fails the others run all the same, and then it is trouble."""
        arguments = [self._channel, b"%d" % len(self._prefix), cause.encode()[:LONGEST_CAUSE]]
        trouble: BaseException | None = None
        for scripts_at_once in _portions(self._by_slot(dict.fromkeys(keys)), MOST_SCRIPTS):
            outcomes = await asyncio.gather(
                *(self._act(scripts.DROP, slot, names, arguments) for slot, names in scripts_at_once),
                return_exceptions=True,
            )
            trouble = next((outcome for outcome in outcomes if isinstance(outcome, BaseException)), trouble)
        if trouble is not None:
            raise trouble

    async def names(self, prefix: str, *, limit: int) -> list[str]:
        found: dict[bytes, None] = {}
        pattern = _literally(self._prefix + prefix.encode()) + b"*"
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                for pool in await self._servers.pools():
                    cursor = b"0"
                    for _ in range(MOST_LOOKED_AT // LOOK_STEP):
                        scan = pack(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % LOOK_STEP, b"TYPE", b"string")
                        cursor, names = await pool.ask(scan)
                        found.update(dict.fromkeys(name for name in names if not name.endswith((ABOUT, CAUSE))))
                        if cursor == b"0" or len(found) >= limit:
                            break
        except TROUBLE as error:
            raise _trouble(error) from error
        return sorted(name[len(self._prefix) :].decode("ascii", "replace") for name in found)[:limit]

    async def figures(self) -> dict[str, int]:
        """Sums over all servers; of keys each value has two, and others may have some there, too."""
        figures: dict[str, int] = defaultdict(int)
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                for pool in await self._servers.pools():
                    figures["keys"] += await pool.ask(pack(b"DBSIZE"))
                    for section in (b"memory", b"stats"):
                        for line in (await pool.ask(pack(b"INFO", section))).split(b"\r\n"):
                            said, _, number = line.partition(b":")
                            if (name := _FIGURES.get(said)) is not None:
                                figures[name] += int(number)
        except (*TROUBLE, ValueError) as error:
            raise _trouble(error) from error
        return dict(figures)

    async def _get(self, names: list[bytes]) -> list[bytes | None]:
        """One question, or one for each slot."""
        by_slot: dict[int, list[int]] = defaultdict(list)
        for at in range(0, len(names), 2):
            by_slot[self._servers.slot(names[at])] += (at, at + 1)
        if len(by_slot) == 1:
            answer: list[bytes | None] = await self._servers.ask(next(iter(by_slot)), pack(b"MGET", *names))
            return answer
        answers = await asyncio.gather(
            *(
                self._servers.ask(slot, pack(b"MGET", *[names[at] for at in places]))
                for slot, places in by_slot.items()
            ),
            return_exceptions=True,  # so that none goes on alone
        )
        found: list[bytes | None] = [None] * len(names)
        for places, values in zip(by_slot.values(), answers, strict=True):
            if isinstance(values, BaseException):
                raise values
            for at, value in zip(places, values, strict=True):
                found[at] = value
        return found

    async def _act(self, script: scripts.Script, slot: int, names: list[bytes], arguments: list[bytes]) -> int:
        try:
            async with asyncio.timeout(self._act_within_s):
                try:
                    done: int = await self._servers.ask(slot, script.by_hash(names, arguments))
                except NoScriptError:  # nothing has happened yet
                    done = await self._servers.ask(slot, script.by_text(names, arguments))
                return done
        except TROUBLE as error:
            raise _trouble(error) from error

    def _by_slot(self, keys: Iterable[str]) -> list[tuple[int, list[bytes]]]:
        """The names that scripts are given to drop keys, by slot."""
        by_slot: dict[int, list[bytes]] = defaultdict(list)
        for key in keys:
            name = self._name(key)
            by_slot[self._servers.slot(name)].append(name)
        return [
            (slot, [each for name in portion for each in (name, _about(name), _cause(name))])
            for slot, names in by_slot.items()
            for portion in _portions(names, MOST_AT_ONCE)
        ]

    def _name(self, key: str) -> bytes:
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError(f"a key is 1 to {LONGEST_KEY} printable ASCII characters without blanks")
        if key.endswith((":about", ":cause")):
            raise ValueError("no key ends with :about or :cause")
        if "}" in key and not _has_part(key):
            raise ValueError("a key has a part in braces, or no closing brace")
        return self._prefix + key.encode()


_FIGURES = {
    b"used_memory": "memory_bytes",
    b"maxmemory": "memory_limit_bytes",
    b"evicted_keys": "evicted_keys",
}


def _servers(address: Address, clock: Clock, most_connections: int) -> Servers:
    if address.is_cluster:
        return Cluster(address, clock=clock, most_connections=most_connections)
    if address.master:
        return MasterOfSentinels(address, most_connections=most_connections)
    return OneServer(address, most_connections=most_connections)


def _has_part(key: str) -> bool:
    """Whether a Cluster takes the slot from a part in braces."""
    _, brace, rest = key.partition("{")
    part, closing, _ = rest.partition("}")
    return bool(brace and closing and part)


def _beside(name: bytes, ending: bytes) -> bytes:
    """A second key of the same slot: that of the part in braces, or else of the whole name."""
    return name + ending if b"}" in name else b"{%b}%b" % (name, ending)


def _about(name: bytes) -> bytes:
    return _beside(name, ABOUT)


def _cause(name: bytes) -> bytes:
    return _beside(name, CAUSE)


def _entry(value: bytes | None, line: bytes | None) -> Entry | None:
    if value is None or line is None:
        return None
    about = header.read(line)
    return None if about is None else about.entry(value)


def _literally(text: bytes) -> bytes:
    """As a pattern of SCAN that means just that."""
    return b"".join(b"\\%c" % byte if byte in b"*?[]^\\" else b"%c" % byte for byte in text)


def _portions(sequence: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (sequence[at : at + size] for at in range(0, len(sequence), size))


def _trouble(error: BaseException) -> CacheTrouble:
    return CacheTrouble(f"Redis: {type(error).__name__}")
