"""Every request is counted, timed and has a correlation id that its log lines and answer bear."""

import itertools
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from hansa.kernel.ids import Ids
from hansa.platform.http.page_cache import Cacheable, PageCache
from hansa.platform.http.remote import remote_of
from hansa.platform.telemetry.logs import correlated
from hansa.platform.telemetry.metrics import RequestMetrics
from hansa.platform.telemetry.tracing import HEADER, traced

CLIENT_GONE = 499
"""What is counted for a request whose client went away before there was an answer (nginx's convention)."""
_CORRELATION = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
Endpoint = Callable[[Request], Awaitable[Response]]


class Observed(Protocol):
    """Wraps an endpoint of a path and verb so that what happens to it is seen, and kept if its answers may be."""

    def __call__(self, path: str, verb: str, endpoint: Endpoint, kept: Cacheable | None = None) -> Endpoint: ...


def observing(*, metrics: RequestMetrics, ids: Ids, cache: PageCache | None = None) -> Observed:
    correlations = Correlations(ids)

    def observed(path: str, verb: str, endpoint: Endpoint, kept: Cacheable | None = None) -> Endpoint:
        answered = endpoint if cache is None or kept is None else _kept(cache, kept, endpoint, path)

        async def watched(request: Request) -> Response:
            correlation = correlations.of(request.headers.get("x-request-id"))
            visitor = bearer(request) or remote_of(request)
            handle = metrics.started(route=path, session_key=visitor, method=verb)
            status = CLIENT_GONE
            try:
                with correlated(correlation), traced(request.headers.get(HEADER)):
                    request.scope["state"] = {"correlation": correlation}
                    response = await answered(request)
                status = response.status_code
            finally:
                metrics.finished(handle, status)
            response.raw_headers.append((b"x-request-id", correlation.encode("ascii")))
            return response

        return watched

    return observed


def _kept(cache: PageCache, kept: Cacheable, endpoint: Endpoint, path: str) -> Endpoint:
    """The endpoint behind the cache of its answers."""

    async def answered(request: Request) -> Response:
        response = await cache.answer(request, kept, endpoint, name=path)
        return await endpoint(request) if response is None else response

    return answered


class Correlations:
    """Names requests. A name is unique and no secret: one that nobody can guess would cost more than a kept page."""

    def __init__(self, ids: Ids) -> None:
        self._prefix = ids.secret()
        self._numbers = itertools.count(1)

    def of(self, sent: str | None) -> str:
        """The client's own id for the request if it is a decent one, else a new one."""
        return sent if sent and _CORRELATION.match(sent) else f"{self._prefix}-{next(self._numbers)}"


def bearer(request: Request) -> str:
    return bearer_from(request.headers.get("authorization"))


def bearer_from(sent: str | None) -> str:
    """The token of an Authorization header; empty if there is none."""
    if not sent:
        return ""
    scheme, _, token = sent.partition(" ")
    return token.strip()[:512] if scheme.lower() == "bearer" else ""
