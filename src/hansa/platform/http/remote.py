"""Where a request comes from: the connection's other end, or what a trusted proxy says of it."""

from collections.abc import Collection
from ipaddress import ip_address

from starlette.requests import Request

MOST_FORWARDED = 1_000
"""Characters of X-Forwarded-For that are read."""


def remote_of(request: Request) -> str:
    """The address that limits and sessions count; empty where there is none."""
    client = request.scope.get("client")
    return client[0] if client else ""


class TrustedProxies:
    """Lets a proxy in front say whom it speaks for.

    Of X-Forwarded-For only what trusted proxies wrote counts: the rightmost address that is none of theirs. What stands
    left of it anybody may have made up.
    """

    def __init__(self, *, addresses: Collection[str]) -> None:
        self._trusted = frozenset(str(ip_address(address)) for address in addresses)

    def is_trusted(self, peer: str) -> bool:
        return peer in self._trusted

    def remote(self, peer: str, forwarded: str) -> str:
        """Whom a peer speaks for: itself, unless it is trusted and says whom."""
        if peer not in self._trusted:
            return peer
        return self._spoken_for(forwarded[-MOST_FORWARDED:]) or peer

    def _spoken_for(self, forwarded: str) -> str | None:
        for part in reversed(forwarded.split(",")):
            try:
                address = str(ip_address(part.strip()))
            except ValueError:
                return None
            if address not in self._trusted:
                return address
        return None
