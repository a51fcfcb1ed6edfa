"""What only PostgreSQL has: roles that see nothing of each other, time-outs, and a pool."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from sqlalchemy import text

from hansa.kernel.errors import Fault, StorageBusy, StorageFull
from hansa.platform.database import postgres
from hansa.platform.database.port import Database
from hansa.platform.database.postgres_schema import create_schema
from hansa.platform.database.statement import Statement
from tests import databases, servers
from tests.platform.database.things import ADD, METADATA, NAME, TAKE, add, available, skus


@asynccontextmanager
async def opened(dsn: str, folder: Path, name: str = NAME) -> AsyncIterator[Database]:
    async with databases.opened(
        engine=databases.POSTGRES, name=name, metadata=METADATA, folder=folder, dsn=dsn
    ) as database:
        yield database


@pytest.fixture
async def things(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(postgres_dsn, tmp_path) as database:
        yield database


async def test_a_service_cannot_read_or_join_the_rows_of_another(postgres_dsn: str, tmp_path: Path) -> None:
    async with opened(postgres_dsn, tmp_path, "carts") as carts, opened(postgres_dsn, tmp_path, "orders") as orders:
        await add(carts, (7, "hat", 3))
        assert await skus(orders) == [], "the same table name, another table"
        for forbidden in (
            "SELECT * FROM carts.stock",
            "SELECT * FROM stock JOIN carts.stock AS theirs USING (sku)",
            "UPDATE carts.stock SET available = 0",
            "CREATE TABLE carts.mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with orders.write() as tx:
                    await tx.run(Statement(text(forbidden)))
        assert await skus(carts) == ["hat"]


async def test_a_schema_may_be_made_twice_and_by_a_user_who_is_no_superuser(
    postgres_dsn: str, postgres_server: servers.PostgresServer, tmp_path: Path
) -> None:
    postgres_server.execute("DROP ROLE IF EXISTS keeper")
    postgres_server.execute("CREATE ROLE keeper LOGIN CREATEROLE")
    database = postgres_dsn.rsplit("/", 1)[1]
    postgres_server.execute(f"GRANT CREATE ON DATABASE {database} TO keeper")
    dsn = postgres_dsn.replace("postgres@", "keeper@")
    await create_schema(dsn=dsn, name="kept")
    await create_schema(dsn=dsn, name="kept")
    async with opened(dsn, tmp_path, "kept") as kept:
        await add(kept, (7, "hat", 3))
        assert await skus(kept) == ["hat"]
    postgres_server.execute(f"REVOKE CREATE ON DATABASE {database} FROM keeper")
    await create_schema(dsn=dsn, name="kept")


async def test_sessions_are_what_they_should_be(things: Database) -> None:
    names = ["role", "search_path", "synchronous_commit", "statement_timeout", "lock_timeout"]
    settings = {}
    for name in [*names, "idle_in_transaction_session_timeout", "application_name"]:
        row = await things.one(Statement(text(f"SELECT current_setting('{name}')")))
        assert row is not None
        settings[name] = row[0]
    assert settings == {
        "role": "hansa_things",
        "search_path": "things",
        "synchronous_commit": "on",
        "statement_timeout": "30s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "1min",
        "application_name": "hansa things",
    }


FAIL = Statement(
    text(
        "CREATE FUNCTION fail(code text) RETURNS void AS "
        "'BEGIN RAISE EXCEPTION USING ERRCODE = code, MESSAGE = code; END' LANGUAGE plpgsql"
    )
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("53100", StorageFull),
        ("53200", StorageBusy),
        ("53300", StorageBusy),
        ("40001", StorageBusy),
        ("40P01", StorageBusy),
        ("55P03", StorageBusy),
        ("57014", StorageBusy),
        ("57P01", StorageBusy),
        ("22012", asyncpg.DivisionByZeroError),
    ],
)
async def test_what_the_server_says_becomes_what_the_port_says(
    things: Database, code: str, expected: type[Exception]
) -> None:
    async with things.write() as tx:
        await tx.run(FAIL)
    statement = Statement(text(f"SELECT fail('{code}')"))
    with pytest.raises(expected, match=code):
        async with things.write() as tx:
            await tx.run(statement)
    with pytest.raises(expected, match=code):
        await things.all(statement)
    await add(things, (7, "hat", 3))


async def test_a_refusal_at_the_commit_says_that_nothing_was_kept(things: Database) -> None:
    async with things.write() as tx:
        await tx.run(FAIL)
        await tx.run(
            Statement(
                text(
                    "CREATE FUNCTION refuse() RETURNS trigger AS 'BEGIN PERFORM fail(''53100''); END' LANGUAGE plpgsql"
                )
            )
        )
        await tx.run(
            Statement(
                text(
                    "CREATE CONSTRAINT TRIGGER refusal AFTER INSERT ON stock DEFERRABLE INITIALLY DEFERRED "
                    "FOR EACH ROW EXECUTE FUNCTION refuse()"
                )
            )
        )
    with pytest.raises(StorageFull):
        await add(things, (7, "hat", 3))
    assert await skus(things) == []


async def test_whoever_waits_too_long_for_a_row_is_told_busy(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT_S", 0.1)
    async with opened(postgres_dsn, tmp_path) as things:
        await add(things, (7, "hat", 3))
        is_held, may_go = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with things.write(7) as tx:
                await tx.run(TAKE, lines=[(7, "hat", 1)])
                is_held.set()
                await may_go.wait()

        holder = asyncio.create_task(hold())
        await is_held.wait()
        with pytest.raises(StorageBusy, match="lock timeout"):
            async with things.write(7) as tx:
                await tx.run(TAKE, lines=[(7, "hat", 1)])
        may_go.set()
        await holder
        assert await available(things, sku="hat") == 2


async def test_of_two_who_wait_for_each_other_one_is_told_busy_and_one_goes_on(things: Database) -> None:
    await add(things, (7, "hat", 3), (7, "shoe", 3))
    meeting = asyncio.Barrier(2)

    async def take(*skus: str) -> None:
        async with things.write(7) as tx:
            await tx.run(TAKE, lines=[(7, skus[0], 1)])
            await meeting.wait()
            await tx.run(TAKE, lines=[(7, skus[1], 1)])

    outcomes = await asyncio.gather(take("hat", "shoe"), take("shoe", "hat"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "StorageBusy"]
    assert (await available(things, sku="hat"), await available(things, sku="shoe")) == (2, 2)


async def test_a_statement_and_an_idle_transaction_end_at_their_time_outs(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STATEMENT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_TIMEOUT_S", 0.2)
    async with opened(postgres_dsn, tmp_path) as things:
        with pytest.raises(StorageBusy, match="statement timeout"):
            await things.all(Statement(text("SELECT pg_sleep(5)")))

        async def dawdle() -> None:
            async with things.write(7) as tx:
                await tx.run(ADD, lines=[(7, "hat", 3)])
                await asyncio.sleep(0.6)

        with pytest.raises(Fault):
            await dawdle()
        assert await skus(things) == []


async def test_a_server_that_says_nothing_more_is_given_up(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SILENCE_TIMEOUT_S", 0.2)
    async with opened(postgres_dsn, tmp_path) as things:
        with pytest.raises(StorageBusy):
            await things.all(Statement(text("SELECT pg_sleep(5)")))
        await add(things, (7, "hat", 3))


class Wire:
    """A way to the server that can go dead: nothing comes through any more, and nobody hangs up."""

    def __init__(self, dsn: str) -> None:
        address = urlsplit(dsn)
        assert address.port is not None
        self._port = address.port
        self._address = address
        self._live: list[asyncio.Event] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """Its address, to be used in place of the server's."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._address._replace(netloc=f"{self._address.username}@127.0.0.1:{port}"))

    def kill(self) -> None:
        """All connections that there are go dead; new ones work."""
        for is_dead in self._live:
            is_dead.set()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_dead = asyncio.Event()
        self._live.append(is_dead)
        there = await asyncio.open_connection("127.0.0.1", self._port)
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._copy(source, sink, is_dead))
            self._tasks.add(task)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_dead: asyncio.Event) -> None:
        while data := await source.read(65536):
            if not is_dead.is_set():
                sink.write(data)
        sink.close()


async def test_of_connections_that_died_without_a_word_one_caller_pays_and_the_others_do_not(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence_s = 2.0
    monkeypatch.setattr(postgres, "SILENCE_TIMEOUT_S", silence_s)
    wire = Wire(postgres_dsn)
    async with opened(await wire.open(), tmp_path) as things:
        await asyncio.gather(*(add(things, (7, f"before-{number}", 1)) for number in range(8)))
        wire.kill()
        started = time.monotonic()
        with pytest.raises(StorageBusy):
            await skus(things)
        for number in range(8):
            await add(things, (7, f"after-{number}", 1))
        # Each caller who paid would have waited for the whole silence: nine of them if none learnt from the first.
        assert time.monotonic() - started < 4 * silence_s
        assert len(await skus(things)) == 16
    await wire.close()


async def test_whoever_finds_no_free_connection_in_time_is_told_busy(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ACQUIRE_TIMEOUT_S", 0.1)
    async with opened(postgres_dsn, tmp_path) as things:
        may_go = asyncio.Event()

        async def hold() -> None:
            async with things.write(7):
                await may_go.wait()

        holders = [asyncio.create_task(hold()) for _ in range(postgres.POOL_SIZE)]
        await asyncio.sleep(0.5)
        with pytest.raises(StorageBusy):
            await skus(things)
        may_go.set()
        await asyncio.gather(*holders)
        assert await skus(things) == []


async def test_statements_go_on_after_a_migration_changed_their_table(things: Database) -> None:
    await add(things, (7, "hat", 3))
    star = Statement(text("SELECT * FROM owners"))
    assert list(await things.all(star)) == []
    async with things.write() as tx:
        await tx.run(Statement(text("ALTER TABLE owners ADD COLUMN added int NOT NULL DEFAULT 4")))
        await tx.run(Statement(text("INSERT INTO owners VALUES (7, 'ada', 1)")))
    [row] = await things.all(star)
    assert row["added"] == 4
