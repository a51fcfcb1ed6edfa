"""What it is to post something to somebody else's server, and how that may fail."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

Flaw = Literal["malformed", "scheme", "credentials", "port", "host", "private"]
"""Why nothing is sent to a URL: it is none, not https, has user information, an odd port, a name that means no public
host, or an address that is not public."""

Failure = Literal["address_refused", "name_unknown", "connection", "tls", "timeout", "broken_off"]
"""Why there was no answer. Of `timeout` and `broken_off` nobody knows whether the other side has acted."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side said, as far as it matters: its status, and the header Retry-After as it came."""

    status: int
    retry_after: str = ""


class NotAnswered(Exception):
    """There was no answer. It holds no more than the reason: texts of libraries may quote addresses and secrets."""

    def __init__(self, reason: Failure) -> None:
        super().__init__(reason)
        self.reason: Failure = reason


class Poster(Protocol):
    """Posts to addresses that people typed in."""

    def flaw(self, *, url: str) -> Flaw | None:
        """Why nothing would ever be sent to this URL, as far as it tells by itself; its name is resolved when something
        is sent."""
        ...

    async def post(self, *, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Send a body and wait for the answer, for a bounded time. Redirects are answers and not followed. Raises
        NotAnswered."""
        ...

    async def close(self) -> None: ...
