"""Who has no chance is turned away before anything is read or asked."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from starlette.responses import Response

from hansa.kernel.channel import Channel
from hansa.kernel.clock import SystemClock
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Ids
from hansa.kernel.principal import Principal
from hansa.platform.cache.changes import Changes
from hansa.platform.http.app import Surroundings, create_app
from hansa.platform.http.early import Early
from hansa.platform.http.route import MEMBER, Api, Call
from hansa.platform.http.serve import HttpServer
from hansa.platform.http.tokens import KEPT_S, SESSIONS, KnownTokens, session_of
from hansa.platform.telemetry.metrics import RequestMetrics
from tests.clocks import ManualClock
from tests.ports import free_port


class SoldOut(BusinessError, code="sale.sold_out", kind=Kind.CONFLICT):
    """Nothing is left."""

    sale: str


class NobodyKnown(BusinessError, code="sale.nobody", kind=Kind.UNAUTHENTICATED):
    """Who are you?"""


@dataclass
class Door:
    """A sale of which `gone` are over, and what came through to its route."""

    session: aiohttp.ClientSession
    changes: Changes
    gone: set[str] = field(default_factory=set)
    banned: set[str] = field(default_factory=set)
    reached: list[str] = field(default_factory=list)
    authenticated: int = 0


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    clock, changes, api = SystemClock(), Changes(), Api("sales")
    door: Door

    def early(asked: Early) -> Response | None:
        if asked.path["sale"] in door.gone:
            raise SoldOut(sale=asked.path["sale"])
        if asked.member is not None and asked.member.user_id in door.banned:
            return Response(b"no", 403, {"x-why": asked.header("x-hint") or ""})
        return None

    @api.post("/sales/{sale}/orders", access=MEMBER, early=early, is_raw=True)
    async def buy(call: Call, *, sale: str, body: bytes) -> None:
        """Buy."""
        door.reached.append(f"{call.user_id} {sale}")

    async def authenticate(token: str) -> Principal:
        door.authenticated += 1
        if not token.startswith("user-"):
            raise NobodyKnown()
        return Principal(token.removeprefix("user-"))

    async def ready() -> dict[str, str]:
        return {}

    app = create_app(
        api.routes,
        Surroundings(
            channel=Channel(),
            ids=Ids(clock=clock),
            authenticate=authenticate,
            session_errors=(NobodyKnown,),
            metrics=RequestMetrics(clock=clock, registry=CollectorRegistry()),
            ready=ready,
            version="1",
            tokens=KnownTokens(clock=clock, changes=changes),
        ),
    )
    server = HttpServer(app, host="127.0.0.1", port=(port := free_port()))
    await server.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        door = Door(session=session, changes=changes)
        yield door
    await server.close()


async def buy(door: Door, sale: str, token: str, **headers: str) -> aiohttp.ClientResponse:
    sent = {"Authorization": f"Bearer {token}", **headers}
    return await door.session.post(f"/api/v1/sales/{sale}/orders", data=b'"x"', headers=sent)


async def test_what_the_hook_raises_is_answered_as_its_problem_and_nothing_is_asked(door: Door):
    door.gone.add("7")

    answer = await buy(door, "7", "user-1", **{"X-Request-Id": "abcdefgh-1"})

    assert (answer.status, answer.content_type) == (409, "application/problem+json")
    assert (await answer.json())["sale"] == "7"
    assert (door.reached, door.authenticated) == ([], 0)
    assert answer.headers["x-request-id"] == "abcdefgh-1"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_whoever_may_have_a_chance_reaches_the_route(door: Door):
    assert (await buy(door, "8", "user-1")).status == 204
    assert door.reached == ["1 8"]


async def test_a_member_is_known_after_having_been_let_pass_and_no_more_once_signed_out(door: Door):
    door.banned.add("1")

    first = await buy(door, "8", "user-1")
    second = await buy(door, "8", "user-1", **{"X-Hint": "limit"})
    door.changes.tell((session_of("user-1"),))
    third = await buy(door, "8", "user-1")

    assert [first.status, second.status, third.status] == [204, 403, 204]
    assert second.headers["x-why"] == "limit"
    assert door.reached == ["1 8", "1 8"]


async def test_a_token_that_was_refused_is_not_known(door: Door):
    assert (await buy(door, "8", "stranger")).status == 401
    assert (await buy(door, "8", "stranger")).status == 401
    assert door.authenticated == 2


async def test_those_who_were_turned_away_are_counted(door: Door):
    door.gone.add("7")
    for _ in range(3):
        await buy(door, "7", "user-1")

    metrics = await (await door.session.get("/metrics")).text()

    assert 'hansa_http_requests_total{method="POST",route="/api/v1/sales/{sale}/orders",status="4xx"} 3.0' in metrics


class TestKnownTokens:
    """The memory behind `member`."""

    def make(self, most: int = 10) -> tuple[KnownTokens, Changes, ManualClock]:
        clock, changes = ManualClock(), Changes()
        return KnownTokens(clock=clock, changes=changes, most=most), changes, clock

    def test_it_forgets_after_a_short_while(self):
        tokens, _, clock = self.make()
        tokens.keep("a", Principal("1"), since=tokens.number)
        assert tokens.find("a") == Principal("1")

        clock.advance(KEPT_S + 0.01)

        assert tokens.find("a") is None

    def test_it_holds_a_bounded_number_the_newest(self):
        tokens, _, _ = self.make(most=3)
        for name in "abcd":
            tokens.keep(name, Principal(name), since=tokens.number)

        assert [tokens.find(name) is not None for name in "abcd"] == [False, True, True, True]

    def test_a_session_that_ended_while_it_was_being_authenticated_is_not_noted(self):
        tokens, changes, _ = self.make()
        since = tokens.number
        changes.tell((session_of("a"),))

        tokens.keep("a", Principal("1"), since=since)
        tokens.keep("b", Principal("2"), since=since)

        assert (tokens.find("a"), tokens.find("b")) == (None, Principal("2"))

    def test_all_are_forgotten_when_sessions_of_many_may_have_ended(self):
        tokens, changes, _ = self.make()
        tokens.keep("a", Principal("1"), since=tokens.number)

        changes.tell((SESSIONS,))

        assert tokens.find("a") is None
