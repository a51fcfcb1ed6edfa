"""Where a run takes place: servers that are started when they are first needed, and all end with the run."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench import catalogue
from bench.audit import audit
from bench.books import Books, books_of, drained_at, provider_entries
from bench.client import Load, drive
from bench.load import Outcome
from bench.machine import usage
from bench.results import Results
from bench.servers import Nginx, Postgres, Shop

DATABASE = "hansa"
REST_S = 600.0
LOAD_S = 600.0
TAKEN = "201"
CALM_S = 2.0
CALM_SHARE = 0.04
"""Of a core."""
MOST_CALM_LOOKS = 30


class LoadFailed(Exception):
    """The process that makes the load ended in error, or something was not answered as it should be."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of everything."""

    rounds: int
    read_s: float
    order_s: float
    """So long a run of orders should take: it is sized by the rate of the one before."""
    most_orders: int
    connections: int
    lone_orders: int
    searches: int
    rung_s: float
    rungs: Sequence[int]
    attempts: int
    members: int
    has_icecat: bool
    cached_reads: int
    """From each shared tier of the cache, a round."""
    events: int
    """From commit to effect, through each broker, a round."""
    quiet_s: float
    """At rest, before the shop's memory is read: it gives back what it can, every 10 seconds, when it is quiet."""


FULL = Size(
    rounds=3,
    read_s=4,
    order_s=5,
    most_orders=20_000,
    connections=256,
    lone_orders=300,
    searches=6_000,
    rung_s=2.5,
    rungs=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    attempts=20_000,
    members=2_000,
    has_icecat=True,
    cached_reads=20_000,
    events=20_000,
    quiet_s=30,
)
QUICK = Size(
    rounds=1,
    read_s=1,
    order_s=2,
    most_orders=5_000,
    connections=128,
    lone_orders=40,
    searches=500,
    rung_s=0.7,
    rungs=(1, 8, 16, 32, 64, 128),
    attempts=2_000,
    members=200,
    has_icecat=False,
    cached_reads=8_000,
    events=2_000,
    quiet_s=1,
)


@dataclass(kw_only=True)
class Stage:
    """The servers of a run, its folder, and what it has found so far."""

    folder: Path
    size: Size
    results: Results
    say: Callable[[str], None] = lambda _text: None
    acknowledged: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """What buyers were told, by engine: name and status of each order."""
    _stack: ExitStack = field(default_factory=ExitStack)
    _nginx: Nginx | None = None
    _postgres: Postgres | None = None
    _shops: dict[str, Shop] = field(default_factory=dict)

    def close(self) -> None:
        self._stack.close()

    def nginx(self) -> Nginx:
        if self._nginx is None:
            self._nginx = Nginx(self.folder / "nginx")
            self._stack.callback(self._nginx.stop)
            self._nginx.start()
        return self._nginx

    def postgres(self) -> Postgres:
        if self._postgres is None:
            self.say("PostgreSQL is set up")
            self._postgres = Postgres()
            self._stack.callback(self._postgres.stop)
            self._postgres.start()
            self._postgres.assert_durable()
            self.results.versions["postgresql"] = self._postgres.version
        return self._postgres

    def server_of(self, engine: str) -> Postgres | None:
        """The database server of an engine; None if it is embedded."""
        return self.postgres() if engine == "postgres" else None

    def shop(self, engine: str) -> Shop:
        """The shop on `sqlite` or `postgres`, with its catalogue."""
        if engine not in self._shops:
            database = "sqlite:" if engine == "sqlite" else self.postgres().create_database(DATABASE)
            has_icecat = self.size.has_icecat and engine == "sqlite"
            self.say(
                f"the shop on {engine} is set up" + (" with 19,406 products (half a minute)" if has_icecat else "")
            )
            shop = Shop(self.folder / engine, database=database)
            shop.folder.mkdir(mode=0o700)
            self._stack.callback(shop.stop)
            shop.start(command="demo")
            file = self.folder / "catalogue.jsonl"
            catalogue.write_catalogue(file)
            shop.import_products(file)
            if has_icecat:
                shop.import_products(catalogue.ICECAT, "--format", "icecat", "--stock", str(catalogue.PIECES))
            shop.stop()
            shop.start()
            self._shops[engine] = shop
            self.acknowledged[engine] = []
        return self._shops[engine]

    @property
    def started(self) -> Sequence[str]:
        """The engines that a shop has run on."""
        return list(self._shops)

    async def load(self, kind: str, shop: Shop, *arguments: str) -> Outcome:
        """Load a shop from another process. Raises LoadFailed."""
        started = await self.start_load(kind, shop, *arguments)
        return await finished(started)

    async def start_load(self, kind: str, shop: Shop, *arguments: str) -> asyncio.subprocess.Process:
        """Begin to; `finished` waits for its end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.load", kind, "--url", shop.address, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[1],
        )
        self._stack.callback(_end, process)
        return process

    async def orders(
        self,
        engine: str,
        *,
        count: int,
        connections: int,
        spread: int = catalogue.VARIANTS,
        options: Sequence[str] = (),
    ) -> Outcome:
        """Guests' orders; what was acknowledged is kept for the audit."""
        told = self.folder / f"told-{engine}-{time.monotonic_ns()}"
        outcome = await self.load(
            "orders",
            self.shop(engine),
            *("--orders", str(count), "--connections", str(connections), "--spread", str(spread)),
            *("--skus", str(self.skus_file()), "--acknowledged", str(told), *options),
        )
        self.note_told(engine, told)
        if not outcome.statuses.get(TAKEN):
            raise LoadFailed(f"no order was taken: {outcome.statuses}")
        if set(outcome.statuses) != {TAKEN}:
            self.results.notes.append(f"not every order on {engine} was taken: {outcome.statuses}")
        return outcome

    def skus_file(self) -> Path:
        """The variants made for orders, one a line."""
        file = self.folder / "skus"
        file.write_text("\n".join(catalogue.skus()))
        return file

    async def ask(
        self, engine: str, requests: Sequence[bytes], *, connections: int = 1
    ) -> list[tuple[int, dict[str, Any]]]:
        """Requests made from this process: status and body of each answer, in the order of the answers."""
        shop = self.shop(engine)
        said: list[tuple[int, dict[str, Any]]] = []

        def note(status: int, _request: bytes, body: bytes) -> None:
            said.append((status, msgspec.json.decode(body) if body else {}))

        await drive(
            Load(
                host="127.0.0.1",
                port=shop.port,
                connections=min(connections, len(requests)),
                requests=iter(requests),
                on_answer=note,
            )
        )
        return said

    def note_told(self, engine: str, file: Path) -> None:
        """Keep what buyers were told."""
        for line in file.read_text().splitlines():
            name, _, status = line.partition(" ")
            self.acknowledged[engine].append((name, status))

    async def rest(self, engine: str) -> None:
        """Wait until the shop has nothing left to do, mails included."""
        books = books_of(self.shop(engine))
        try:
            await drained_at(books, with_mails=True, seconds=REST_S)
        finally:
            await books.close()

    async def calm(self, engine: str) -> None:
        """Wait, but not for ever, until the shop uses hardly any CPU: after an import, its search index is merged."""
        await self.rest(engine)
        process_id = self.shop(engine).process_id
        before = usage(process_id)
        for _ in range(MOST_CALM_LOOKS):
            await asyncio.sleep(CALM_S)
            now = usage(process_id)
            if now.since(before).cpu_s < CALM_SHARE * CALM_S:
                return
            before = now
        self.results.notes.append(f"the shop on {engine} did not become calm before it was measured")

    def books(self, engine: str) -> Books:
        return books_of(self.shop(engine))

    async def check(self, engine: str, *, part: str) -> None:
        """Audit a shop at rest; what is wrong fails the run at its end."""
        shop, books = self.shop(engine), self.books(engine)
        try:
            wrong = await audit(books, provider=provider_entries(shop), acknowledged=self.acknowledged[engine])
        finally:
            await books.close()
        self.results.wrong += [f"{part} on {engine}: {each}" for each in wrong]
        self.say(f"audit of {part} on {engine}: {len(self.acknowledged[engine])} orders, {len(wrong)} things wrong")


async def finished(process: asyncio.subprocess.Process) -> Outcome:
    """What a load has shown. Raises LoadFailed."""
    output, errors = await asyncio.wait_for(process.communicate(), LOAD_S)
    if process.returncode:
        raise LoadFailed(errors.decode(errors="replace")[-2000:])
    return msgspec.json.decode(output, type=Outcome)


def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        try:
            process.kill()
        except ProcessLookupError:
            return
