"""Where a request comes from: the connection's other end, or what a trusted proxy says of it."""

from collections.abc import Collection
from ipaddress import ip_address

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

MOST_FORWARDED = 1_000
"""Characters of X-Forwarded-For that are read."""


def remote_of(request: Request) -> str:
    """The address that limits and sessions count; empty where there is none."""
    return request.client.host if request.client else ""


class TrustedProxies:
    """Lets a proxy in front say whom it speaks for.

    Of X-Forwarded-For only what trusted proxies wrote counts: the rightmost address that is none of theirs. What stands
    left of it anybody may have made up.
    """

    def __init__(self, app: ASGIApp, *, addresses: Collection[str]) -> None:
        self._app = app
        self._trusted = frozenset(str(ip_address(address)) for address in addresses)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._trusted and scope["type"] == "http" and scope.get("client") and scope["client"][0] in self._trusted:
            sent = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
            if address := self._spoken_for(b",".join(sent).decode("latin-1")[-MOST_FORWARDED:]):
                scope = {**scope, "client": (address, 0)}
        await self._app(scope, receive, send)

    def _spoken_for(self, forwarded: str) -> str | None:
        for part in reversed(forwarded.split(",")):
            try:
                address = str(ip_address(part.strip()))
            except ValueError:
                return None
            if address not in self._trusted:
                return address
        return None
