"""The headers that every answer has, unless it has its own; and those of requests, looked up."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import Response

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_NAMES = frozenset(name for name, _ in _RAW_HEADERS)


def finished(response: Response) -> list[tuple[bytes, bytes]]:
    """A response's headers and those that every answer has."""
    own = response.raw_headers
    names = {name for name, _ in own}
    if names.isdisjoint(_NAMES):
        return own + _RAW_HEADERS
    return [*own, *(header for header in _RAW_HEADERS if header[0] not in names)]


class FoundHeaders(Headers):
    """A request's headers that the server finds by their names; the framework goes through all of them each time."""

    def __init__(self, *, raw: list[tuple[bytes, bytes]], find: Callable[[str], str | None]) -> None:
        super().__init__(raw=raw)
        self._find = find

    def __getitem__(self, key: str) -> str:
        value = self._find(key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        value = self._find(key)
        return default if value is None else value
