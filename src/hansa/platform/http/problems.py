"""Every no as `application/problem+json` (RFC 9457): the only place that knows status codes."""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from hansa.kernel.errors import BusinessError, DeadlineExceeded, Fault, Kind, StorageBusy, StorageFull

STATUS: dict[Kind, int] = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.PAYMENT_REQUIRED: 402,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION_FAILED: 412,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED: 415,
    Kind.UNPROCESSABLE: 422,
    Kind.TOO_EARLY: 425,
    Kind.PRECONDITION_REQUIRED: 428,
    Kind.TOO_MANY: 429,
}
FAULTS: dict[type[Exception], tuple[int, str, str]] = {
    StorageFull: (507, "storage.full", "The shop has no room right now; repeat the request with the same key."),
    StorageBusy: (503, "storage.busy", "The shop is too busy right now; repeat the request with the same key."),
    DeadlineExceeded: (503, "fault.deadline", "No answer came in time; repeat the request with the same key."),
    Fault: (503, "fault.unavailable", "Something is out of order; repeat the request with the same key."),
}
RETRY_AFTER_S = 1
MEDIA_TYPE = "application/problem+json"


def problem(status: int, code: str, title: str, **fields: Any) -> dict[str, Any]:
    """The members of a problem; `type` is a name, not an address that must answer."""
    return {"type": f"urn:hansa:problem:{code}", "title": title, "status": status, "code": code, **fields}


def status_of(error: Exception) -> int:
    """The status code of anything that was raised."""
    if isinstance(error, BusinessError):
        return STATUS[error.kind]
    return next((status for kind, (status, _, _) in FAULTS.items() if isinstance(error, kind)), 500)


def refuse(error: Exception, *, correlation: str) -> Response:
    """The response for anything that was raised. What is not declared says nothing of itself but its correlation."""
    if isinstance(error, BusinessError):
        status = STATUS[error.kind]
        return respond(problem(status, error.code, error.title(), detail=_detail(error), **error.fields()))
    for kind, (status, code, title) in FAULTS.items():
        if isinstance(error, kind):
            return respond(problem(status, code, title, correlation=correlation))
    return respond(
        problem(500, "fault.internal", "Something went wrong here; it has been noted.", correlation=correlation)
    )


def respond(body: dict[str, Any]) -> Response:
    headers = {"cache-control": "no-store"}
    if body["status"] == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="hansa"'
    if body["status"] in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["retry-after"] = str(body.get("retry_after_s", RETRY_AFTER_S))
    return Response(msgspec.json.encode(body), body["status"], headers, MEDIA_TYPE)


def _detail(error: BusinessError) -> str:
    """The title again with the fields' values, for people who read logs of clients."""
    values = "; ".join(f"{name}: {value}" for name, value in error.fields().items() if value not in ("", None))
    return f"{error.title()} ({values})" if values else error.title()
