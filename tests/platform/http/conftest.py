"""A small application with one route of each kind, called without a network."""

from collections.abc import AsyncIterator
from typing import Annotated

import aiohttp
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from hansa.kernel.channel import Channel
from hansa.kernel.clock import SystemClock
from hansa.kernel.errors import BusinessError, Kind, StorageFull
from hansa.kernel.ids import Ids
from hansa.kernel.principal import CUSTOMER, STAFF, Principal
from hansa.platform.http.app import Surroundings, create_app
from hansa.platform.http.route import ANYONE, MEMBER, STAFF_ONLY, Api, Call, Route
from hansa.platform.http.serve import HttpServer
from hansa.platform.telemetry.metrics import RequestMetrics
from tests.ports import free_port


class Spilled(BusinessError, code="tea.spilled", kind=Kind.CONFLICT):
    """The tea is on the floor."""

    cups: int


class NotSignedIn(BusinessError, code="tea.not_signed_in", kind=Kind.UNAUTHENTICATED):
    """Who are you?"""


class Order(msgspec.Struct):
    cups: Annotated[int, msgspec.Meta(ge=1, le=10)]
    names: list[str] = []


class Tea(msgspec.Struct):
    cups: int
    key: str = ""
    locale: str = ""
    currency: str = ""
    version: int | None = None


class Filter(msgspec.Struct):
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20


def routes() -> list[Route]:
    api = Api("tea")

    @api.get("/tea", access=ANYONE, is_public_read=True)
    async def list_tea(call: Call, *, query: Filter) -> Tea:
        """Public tea."""
        return Tea(cups=query.limit, locale=call.locale, currency=call.currency)

    @api.get("/tea/{name}", access=MEMBER)
    async def get_tea(call: Call, *, name: str) -> Tea:
        """A member's tea."""
        return Tea(cups=len(name), version=7)

    @api.post("/tea", access=ANYONE, needs_key=True, errors=(Spilled,))
    async def order_tea(call: Call, *, body: Order) -> Tea:
        """Order tea."""
        if body.cups == 9:
            raise Spilled(cups=9)
        if body.cups == 8:
            raise StorageFull("no room in /secret/folder")
        if body.cups == 7:
            raise ValueError("secret stack")
        return Tea(cups=body.cups, key=call.key)

    @api.post("/pot", access=ANYONE)
    async def fill_pot(call: Call, *, body: Order) -> Tea:
        """Fill a pot."""
        return Tea(cups=body.cups, key=call.key)

    @api.patch("/tea/{name}", access=STAFF_ONLY, needs_version=True)
    async def change_tea(call: Call, *, name: str, body: Order) -> Tea:
        """Change tea."""
        return Tea(cups=body.cups, version=call.version)

    @api.delete("/tea/{name}", access=MEMBER)
    async def drop_tea(call: Call, *, name: str) -> None:
        """Drop tea."""

    @api.post("/steam", access=ANYONE, is_raw=True, status=200)
    async def steam(call: Call, *, body: bytes) -> Tea:
        """Raw bytes."""
        return Tea(cups=len(body))

    return api.routes


async def authenticate(token: str) -> Principal:
    people = {"customer": Principal("1"), "staff": Principal("2", roles=(CUSTOMER, STAFF))}
    if token not in people:
        raise NotSignedIn()
    return people[token]


@pytest.fixture
async def tea() -> AsyncIterator[aiohttp.ClientSession]:
    clock = SystemClock()

    async def ready() -> dict[str, str]:
        return {}

    app = create_app(
        routes(),
        Surroundings(
            channel=Channel(currencies=("USD", "CNY"), locales=("en", "zh")),
            ids=Ids(clock=clock),
            authenticate=authenticate,
            session_errors=(NotSignedIn,),
            metrics=RequestMetrics(clock=clock, registry=CollectorRegistry()),
            ready=ready,
            version="1",
        ),
    )
    server = HttpServer(app, host="127.0.0.1", port=(port := free_port()))
    await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    await server.close()
