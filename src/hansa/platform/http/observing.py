"""Every request is counted, timed and has a correlation id that its log lines and answer bear."""

import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from hansa.kernel.ids import Ids
from hansa.platform.http.remote import remote_of
from hansa.platform.telemetry.logs import correlated
from hansa.platform.telemetry.metrics import RequestMetrics

CLIENT_GONE = 499
"""What is counted for a request whose client went away before there was an answer (nginx's convention)."""
_CORRELATION = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
Endpoint = Callable[[Request], Awaitable[Response]]


class Observed(Protocol):
    """Wraps an endpoint of a path and verb so that what happens to it is seen."""

    def __call__(self, path: str, verb: str, endpoint: Endpoint) -> Endpoint: ...


def observing(*, metrics: RequestMetrics, ids: Ids) -> Observed:
    def observed(path: str, verb: str, endpoint: Endpoint) -> Endpoint:
        async def watched(request: Request) -> Response:
            correlation = correlation_of(request, ids)
            visitor = bearer(request) or remote_of(request)
            handle = metrics.started(route=path, session_key=visitor, method=verb)
            status = CLIENT_GONE
            try:
                with correlated(correlation):
                    request.state.correlation = correlation
                    response = await endpoint(request)
                status = response.status_code
            finally:
                metrics.finished(handle, status)
            response.headers["x-request-id"] = correlation
            return response

        return watched

    return observed


def correlation_of(request: Request, ids: Ids) -> str:
    """The client's own id for the request if it is a decent one, else a new one."""
    sent = request.headers.get("x-request-id", "")
    return sent if _CORRELATION.match(sent) else ids.secret()


def bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip()[:512] if scheme.lower() == "bearer" else ""
