"""The public HTTP application: routes of all services, one way in and one way out."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from hansa.kernel.channel import Channel
from hansa.kernel.errors import BusinessError
from hansa.kernel.ids import Ids
from hansa.kernel.principal import STAFF, Principal
from hansa.platform.http import problems
from hansa.platform.http.errors import Forbidden, NoSuchRoute, TokenMissing
from hansa.platform.http.front import FrontDoor, Target
from hansa.platform.http.observing import bearer, observing
from hansa.platform.http.openapi import Description, docs_page, openapi
from hansa.platform.http.page_cache import Cacheable, PageCache
from hansa.platform.http.remote import TrustedProxies, remote_of
from hansa.platform.http.request import (
    GUEST,
    LARGEST_LANGUAGES,
    choose_currency,
    fields_of,
    locale_of,
    read_body,
    read_key,
    read_path,
    read_query,
    read_version,
)
from hansa.platform.http.route import Access, Call, Route
from hansa.platform.http.router import Router
from hansa.platform.http.tokens import KnownTokens
from hansa.platform.telemetry.logs import correlation
from hansa.platform.telemetry.metrics import RequestMetrics

log = structlog.get_logger()
API = "/api/"
_PUBLIC = {"cache-control": "public, no-cache", "vary": "accept-language"}
_PRIVATE = {"cache-control": "private, no-store"}
_PRIVATE_JSON = ((b"cache-control", b"private, no-store"), (b"content-type", b"application/json"))
_MOST_LANGUAGES = 1024
"""So many Accept-Language headers are remembered with what they lead to."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the application needs besides routes: who is asking, what is ready, and what is counted."""

    channel: Channel
    ids: Ids
    authenticate: Callable[[str], Awaitable[Principal]]
    session_errors: tuple[type[BusinessError], ...]
    """How `authenticate` refuses a token that stands for nobody."""
    metrics: RequestMetrics
    ready: Callable[[], Awaitable[Mapping[str, str]]]
    """What is not ready, by part; empty when everything is."""
    version: str
    pages: Sequence[StarletteRoute] = ()
    """Routes besides the API; they see to their own errors."""
    trusted_proxies: Sequence[str] = ()
    """Addresses whose X-Forwarded-For is believed."""
    lost: Callable[[Request], Response] | None = None
    """The answer for an address outside the API that leads nowhere; a problem where there are no pages."""
    cache: PageCache | None = None
    """Where answers of public reads are kept; they are made each time where there is none."""
    tokens: KnownTokens | None = None
    events: Callable[[], bytes] | None = None
    """The AsyncAPI document of the public events."""


def create_app(routes: Sequence[Route], around: Surroundings) -> FrontDoor:
    """The ASGI application."""
    about = Description(
        version=around.version, currencies=around.channel.currencies, session_errors=around.session_errors
    )
    document = cache(lambda: msgspec.json.encode(openapi(routes, about)))
    docs = cache(lambda: docs_page(routes, about))
    told = cache(around.events or bytes)

    async def metrics(request: Request) -> Response:
        return Response(around.metrics.render(), media_type="text/plain; version=0.0.4")

    async def healthy(request: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(request: Request) -> Response:
        missing = await around.ready()
        return _json(
            {"status": "ready" if not missing else "not ready", "missing": dict(missing)}, 503 if missing else 200
        )

    async def described(request: Request) -> Response:
        return Response(document(), media_type="application/json", headers=_PUBLIC)

    async def events(request: Request) -> Response:
        return Response(told(), media_type="application/json", headers=_PUBLIC)

    async def readable(request: Request) -> Response:
        return Response(docs(), media_type="text/html; charset=utf-8", headers=_PUBLIC)

    router: Router[Target] = Router()
    for route in routes:
        _add(router, route.verb, Target(path=route.path, endpoint=_endpoint(route, around), early=route.early))
    own = {"/healthz": healthy, "/readyz": ready, "/metrics": metrics, "/openapi.json": described, "/docs": readable}
    if around.events is not None:
        own["/asyncapi.json"] = events
    for path, endpoint in own.items():
        _add(router, "GET", Target(path=path, endpoint=endpoint))
    for page in around.pages:
        for verb in sorted(page.methods or ()):
            _add(router, verb, Target(path=page.path, endpoint=_safe(page.endpoint)))
    return FrontDoor(
        router=router,
        lost=_lost(around),
        metrics=around.metrics,
        ids=around.ids,
        proxies=TrustedProxies(addresses=around.trusted_proxies),
        cache=around.cache,
        tokens=around.tokens,
    )


def _add(router: Router[Target], verb: str, target: Target) -> None:
    router.add(target.path, verb, target)
    if verb == "GET":
        router.add(target.path, "HEAD", target)


def _safe(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """What is raised by an endpoint that does not see to it becomes a problem."""

    async def safe(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as error:
            log.exception("request failed", path=request.url.path)
            return problems.refuse(error, correlation="")

    return safe


def _endpoint(route: Route, around: Surroundings) -> Callable[[Request], Awaitable[Response]]:
    """The life of one request: who, what, act, answer; and whatever is raised becomes a problem."""

    languages = lru_cache(maxsize=_MOST_LANGUAGES)(partial(locale_of, channel=around.channel))

    async def endpoint(request: Request) -> Response:
        try:
            return await _answer(request, route, around, languages)
        except Exception as error:
            response = problems.refuse(error, correlation=correlation())
            if response.status_code >= 500:
                log.exception("request failed", verb=route.verb, path=route.path, status=response.status_code)
            return response

    observed = observing(metrics=around.metrics, ids=around.ids, cache=around.cache)
    return observed(route.path, route.verb, endpoint, _cacheable(route))


def _cacheable(route: Route) -> Cacheable | None:
    if route.tags is None:
        return None
    fields, is_free = fields_of(route.query)
    return Cacheable(fields=fields | {"currency"}, is_free=is_free)


async def _answer(request: Request, route: Route, around: Surroundings, languages: Callable[[str], str]) -> Response:
    token = bearer(request)
    principal = None if route.is_public_read else await _principal(route, around, token)
    arguments: dict[str, Any] = dict(read_path(request, route))
    call = Call(
        principal=principal,
        channel=around.channel,
        locale=languages(request.headers.get("accept-language", "")[:LARGEST_LANGUAGES]),
        currency=choose_currency(request, around.channel),
        key=read_key(request, route, who=principal.user_id if principal else GUEST, fresh=around.ids.token),
        version=read_version(request, route),
        remote=remote_of(request),
        token=token,
        headers=request.headers,
        correlation=correlation(),
    )
    if route.query is not None:
        arguments["query"] = read_query(request, route.query)
    if route.body is not None:
        arguments["body"] = await read_body(request, route)
    answer = await route.handler(call, **arguments)
    if answer is None:
        return Response(status_code=202 if route.status == 202 else 204, headers=_PRIVATE)
    return _encoded(request, route, answer)


class _Whole(Response):
    """An answer whose headers are written out already."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.raw_headers = headers
        self.background = None


def _encoded(request: Request, route: Route, answer: Any) -> Response:
    body = msgspec.json.encode(answer)
    if not route.is_public_read:
        own = [*_PRIVATE_JSON, (b"content-length", b"%d" % len(body))]
        if isinstance(version := getattr(answer, "version", None), int):
            own.append((b"etag", b'"%d"' % version))
        return _Whole(body, route.status, own)
    if route.tags is not None:
        request.state.tags = route.tags(answer)
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {**_PUBLIC, "etag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, route.status, headers, "application/json")


async def _principal(route: Route, around: Surroundings, token: str) -> Principal | None:
    if not token:
        if route.access is not Access.ANYONE:
            raise TokenMissing()
        return None
    since = around.tokens.number if around.tokens is not None else 0
    principal = await around.authenticate(token)
    if around.tokens is not None:
        around.tokens.keep(token, principal, since=since)
    if route.access is Access.STAFF and not principal.has(STAFF):
        raise Forbidden()
    return principal


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, {"cache-control": "no-store"}, "application/json")


def _lost(around: Surroundings) -> Callable[[Request, tuple[str, ...]], Response]:
    """The answer where a path leads nowhere, or takes other verbs."""

    def lost(request: Request, verbs: tuple[str, ...]) -> Response:
        if verbs:
            response = problems.respond(
                problems.problem(405, "request.method_not_allowed", "This address takes other verbs.")
            )
            response.headers["allow"] = ", ".join(verbs)
            return response
        if around.lost is not None and not request.url.path.startswith(API):
            return around.lost(request)
        return problems.refuse(NoSuchRoute(), correlation="")

    return lost
