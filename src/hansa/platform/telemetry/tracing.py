"""Trace context: what a request says of the trace that it belongs to travels with the events it causes."""

import re
from contextvars import ContextVar, Token

HEADER = "traceparent"
_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_traceparent: ContextVar[str] = ContextVar("hansa_traceparent", default="")


class traced:
    """`with traced(header)`: what is done inside belongs to the trace that a header names; one that is not of the form
    of W3C Trace Context (version 00) is as good as none."""

    __slots__ = ("_token", "_traceparent")

    def __init__(self, header: str | None) -> None:
        self._traceparent = header if header and _FORM.fullmatch(header) else ""

    def __enter__(self) -> None:
        self._token: Token[str] = _traceparent.set(self._traceparent)

    def __exit__(self, *error: object) -> None:
        _traceparent.reset(self._token)


def traceparent() -> str:
    """Of the request that is being answered; empty outside of one, and where it came without."""
    return _traceparent.get()
