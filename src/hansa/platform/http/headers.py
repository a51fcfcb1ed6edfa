"""The headers that every answer has, unless it has its own."""

from starlette.responses import Response

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


def finished(response: Response) -> list[tuple[bytes, bytes]]:
    """A response's headers and those that every answer has."""
    own = response.raw_headers
    names = {name for name, _ in own}
    return [*own, *(header for header in _RAW_HEADERS if header[0] not in names)]
