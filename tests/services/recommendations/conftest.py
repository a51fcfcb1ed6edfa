"""Recommendations on both engines and behind both wires, and their beacon behind a real HTTP server."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from hansa.kernel.channel import Channel
from hansa.kernel.ids import Ids
from hansa.kernel.principal import Principal
from hansa.platform.database.port import Database, Row
from hansa.platform.database.statement import Statement
from hansa.platform.http.app import Surroundings, create_app
from hansa.platform.http.serve import HttpServer
from hansa.platform.rpc.local import local, twice
from hansa.platform.security.sealing import Keyring
from hansa.platform.telemetry.metrics import RequestMetrics
from hansa.services.recommendations.api import routes
from hansa.services.recommendations.contract import Behaviour, Recommendations
from hansa.services.recommendations.service import RecommendationsService
from hansa.services.recommendations.tables import BEHAVIOUR, METADATA
from tests.clocks import ManualClock
from tests.databases import POSTGRES, SQLITE, opened
from tests.ports import free_port

VISITOR = "Zm9yZ2V0LW1lLW5vdA-1"
REMOTE = "203.0.113.7"


@dataclass(kw_only=True)
class Listening:
    """The service, and what a test may look at behind its back."""

    database: Database
    clock: ManualClock
    ids: Ids
    service: RecommendationsService
    recommendations: Recommendations
    keys: int = 0

    async def record(self, *behaviours: Behaviour, **how: Any) -> None:
        self.keys += 1
        told: dict[str, Any] = {"key": f"key-{self.keys}", "consent": True, "visitor": VISITOR, "remote": REMOTE} | how
        await self.recommendations.record(behaviours=behaviours, **told)

    async def rows(self) -> Sequence[Row]:
        """What is written once all that waits is written."""
        await self.service.writing.quiet()
        await self.service.write()
        return await self.database.all(Statement(select(BEHAVIOUR).order_by(BEHAVIOUR.c.batch, BEHAVIOUR.c.number)))


@asynccontextmanager
async def listening_on(
    engine: str, folder: Path, dsn: str | None = None, wire: Any = local
) -> AsyncIterator[Listening]:
    clock = ManualClock()
    ids = Ids(clock=clock)
    async with opened(
        engine=engine, name="recommendations", metadata=METADATA, folder=folder, dsn=dsn, clock=clock, ids=ids
    ) as database:
        keyring = Keyring(database=database, master=b"m" * 32, clock=clock)
        service = RecommendationsService(database=database, clock=clock, keyring=keyring)
        yield Listening(
            database=database,
            clock=clock,
            ids=ids,
            service=service,
            recommendations=wire(Recommendations, service),
        )


@pytest.fixture(
    params=[(SQLITE, local), (SQLITE, twice), (POSTGRES, twice)], ids=lambda param: f"{param[0]}-{param[1].__name__}"
)
async def listening(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Listening]:
    engine, wire = request.param
    dsn = request.getfixturevalue("postgres_dsn") if engine == POSTGRES else None
    async with listening_on(engine, tmp_path, dsn, wire) as made:
        yield made


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Listening]:
    """On SQLite, for what has nothing to do with engines or wires."""
    async with listening_on(SQLITE, tmp_path) as made:
        yield made


@dataclass(kw_only=True)
class Browser:
    """Sends beacons."""

    session: aiohttp.ClientSession
    listening: Listening

    async def send(
        self, body: Any, *, content_type: str = "text/plain;charset=UTF-8", **headers: str
    ) -> tuple[int, Any]:
        """Status and code of a beacon; `body` is encoded unless it is bytes."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Type": content_type}
        async with self.session.post("/api/v1/events", data=data, headers=sent) as answer:
            raw = await answer.read()
            self.last_headers = answer.headers
            return answer.status, msgspec.json.decode(raw)["code"] if raw else None

    async def rows(self) -> Sequence[Row]:
        return await self.listening.rows()


@pytest.fixture
async def browser(small: Listening) -> AsyncIterator[Browser]:
    async def nobody(token: str) -> Principal:
        raise AssertionError("a beacon has no session")

    async def ready() -> dict[str, str]:
        return {}

    app = create_app(
        routes(small.recommendations),
        Surroundings(
            channel=Channel(locales=("en", "zh")),
            ids=small.ids,
            authenticate=nobody,
            session_errors=(),
            metrics=RequestMetrics(clock=small.clock, registry=CollectorRegistry()),
            ready=ready,
            version="1",
        ),
    )
    server = HttpServer(app, host="127.0.0.1", port=(port := free_port()))
    await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield Browser(session=session, listening=small)
    await server.close()
