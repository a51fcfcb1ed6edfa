"""The front door: what is ready is answered at once, over Granian's RSGI as over ASGI; all else goes to its route.

RSGI hands over a request without making dictionaries of it, and takes an answer whole; so an answer that is ready costs
little more than the server itself. The routes see the requests of both as the framework's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hansa.kernel.clock import SystemClock
from hansa.kernel.errors import BusinessError
from hansa.kernel.ids import Ids
from hansa.platform.http import problems
from hansa.platform.http.crowd import Crowd
from hansa.platform.http.early import Early, EarlyHook
from hansa.platform.http.headers import finished
from hansa.platform.http.observing import Correlations, bearer_from
from hansa.platform.http.pacing import Pacing
from hansa.platform.http.page_cache import Endpoint, Headers, PageCache
from hansa.platform.http.remote import TrustedProxies
from hansa.platform.http.router import Router
from hansa.platform.http.rsgi import Body, RsgiRequest, answer, sending
from hansa.platform.http.tokens import KnownTokens
from hansa.platform.telemetry.metrics import RequestMetrics

READ = ("GET", "HEAD")
_OF_QUERIES = "%&=+;,/?:@!$'()*~-._"
"""What stands in a query as it is; all else is encoded, as clients should have done."""

Header = Callable[[str], str | None]
Ready = tuple[int, Headers, bytes]
"""Status, headers and body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What answers a verb at a path."""

    path: str
    """As it is declared."""
    endpoint: Endpoint
    early: EarlyHook | None = None


Found = tuple[Target, dict[str, str]]


class FrontDoor:
    """The application, for ASGI and RSGI. `lost` answers what leads nowhere; it is given the verbs that would lead
    somewhere."""

    def __init__(
        self,
        *,
        router: Router[Target],
        lost: Callable[[Request, tuple[str, ...]], Response],
        metrics: RequestMetrics,
        ids: Ids,
        proxies: TrustedProxies,
        cache: PageCache | None = None,
        tokens: KnownTokens | None = None,
    ) -> None:
        self._router = router
        self._lost = lost
        self._metrics = metrics
        self._correlations = Correlations(ids)
        self._proxies = proxies
        self._cache = cache
        self._tokens = tokens
        self._pacing = Pacing()
        self._crowd = Crowd(clock=SystemClock())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is spoken here, not {scope['type']}")
        headers = _joined(scope["headers"])
        remote = self._proxies.remote(scope["client"][0], headers.get("x-forwarded-for", "")) if scope["client"] else ""
        query = scope["query_string"].decode("latin-1")
        found = self._router.find(scope["path"], scope["method"])
        ready = self._kept(scope["method"], scope["path"], query, headers.get, remote)
        if ready is None:
            ready = self._early(found, scope["method"], headers.get, remote)
        if ready is not None:
            raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in ready[1]]
            await send({"type": "http.response.start", "status": ready[0], "headers": raw})
            await send({"type": "http.response.body", "body": ready[2]})
            return
        if remote:
            scope["client"] = (remote, scope["client"][1])
        response = await self._slowly(Request(scope, receive, send), found)
        await response(scope, receive, send)

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Granian's own interface."""
        verb, path, query, headers = scope.method, scope.path, scope.query_string, scope.headers
        if not query.isascii():
            query = quote(query, safe=_OF_QUERIES)
        peer, _, port = scope.client.rpartition(":")
        remote = peer.strip("[]")
        if self._proxies.is_trusted(remote):
            remote = self._proxies.remote(remote, _forwarded(headers))
        ready = self._kept(verb, path, query, headers.get, remote)
        if ready is not None:
            proto.response_bytes(*ready)
            return
        found = self._router.find(path, verb)
        if found is not None and found[0].early is not None:
            if await self._crowd.turned_away(partial(self._refuse, proto, found, verb, headers.get, remote)):
                return
        else:
            lane = found[0].path if found is not None else ""
            if not self._pacing.may_begin(lane):
                await self._pacing.turn(lane)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        asgi = {
            "type": "http",
            "http_version": scope.http_version,
            "method": verb,
            "scheme": scope.scheme,
            "path": path,
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": raw,
            "client": (remote, int(port) if port.isdigit() else 0),
            "server": _server(scope.server),
        }
        body = Body(proto, length=headers.get("content-length"))
        response = await self._slowly(RsgiRequest(asgi, body, sending(proto), headers), found)
        await answer(proto, response, asgi, body)

    # What is ready

    def _early(self, found: Found | None, verb: str, header: Header, remote: str) -> Ready | None:
        """The answer of who is turned away without asking anybody."""
        if found is None or found[0].early is None:
            return None
        return self._turned_away(found[0], found[1], verb, header, remote)

    def _refuse(self, proto: Any, found: Found, verb: str, header: Header, remote: str) -> bool:
        """Whether there was an early answer; it is out."""
        ready = self._early(found, verb, header, remote)
        if ready is None:
            return False
        proto.response_bytes(*ready)
        return True

    def _kept(self, verb: str, path: str, query: str, header: Header, remote: str) -> Ready | None:
        """A page that is kept under just this address. One under another spelling of it is found by its route."""
        cache = self._cache
        if cache is None or verb not in READ:
            return None
        entry = cache.find(cache.key(path, query, header("accept-language")))
        if entry is None or (entry.is_page and cache.is_closed()):
            return None
        form = entry.form(header("accept-encoding"))
        correlation = ("x-request-id", self._correlations.of(header("x-request-id")))
        known = header("if-none-match")
        status = 304 if known and entry.etag in known else 200
        self._metrics.answered_at_once(
            route=entry.name,
            session_key=bearer_from(header("authorization")) or remote,
            method=verb,
            status=status,
        )
        if status == 304:
            return 304, [*form.unchanged, correlation], b""
        return 200, [*form.headers, correlation], form.body

    def _turned_away(
        self, target: Target, parts: Mapping[str, str], verb: str, header: Header, remote: str
    ) -> Ready | None:
        """What the route's hook says to who has no chance."""
        assert target.early is not None
        token = bearer_from(header("authorization"))
        member = self._tokens.find(token) if token and self._tokens is not None else None
        correlation = self._correlations.of(header("x-request-id"))
        try:
            response = target.early(Early(path=parts, token=token, header=header, member=member))
        except BusinessError as error:
            response = problems.refuse(error, correlation=correlation)
        if response is None:
            return None
        self._metrics.answered_at_once(
            route=target.path, session_key=token or remote, method=verb, status=response.status_code
        )
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in finished(response)]
        return response.status_code, [*headers, ("x-request-id", correlation)], bytes(response.body)

    # What is not

    async def _slowly(self, request: Request, found: Found | None) -> Response:
        if found is None:
            response = self._lost(request, self._router.verbs(request.scope["path"]))
        else:
            request.scope["path_params"] = found[1]
            response = await found[0].endpoint(request)
        response.raw_headers[:] = finished(response)  # in place: a file adds its length to what it knows
        return response


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        joined[name] = f"{joined[name]},{text}" if name in joined else text
    return joined


def _forwarded(headers: Any) -> str:
    return ",".join(value for name, value in headers.items() if name == "x-forwarded-for")


def _server(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else 0
