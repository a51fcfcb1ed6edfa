"""What is known of a request before anything is read or asked: enough to turn away who has no chance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from hansa.kernel.principal import Principal


@dataclass(frozen=True, kw_only=True, slots=True)
class Early:
    """A request as an `early` hook sees it: at once, before its body and before any service.

    `member` is somebody who signed in: this process has let `token` pass within the last seconds, and has not ended
    that session since. None says nothing: the token may be good and merely not be known here. So a hook may refuse
    by `member`, but never admit by it; the route itself authenticates again.
    """

    path: Mapping[str, str]
    """The named parts of the path, as text that nobody has looked at."""
    token: str
    """The bearer token as sent, empty if there is none."""
    header: Callable[[str], str | None]
    """A header by its name in lower case."""
    member: Principal | None


EarlyHook = Callable[[Early], Response | None]
"""Answers at once, or lets the request go on by returning None. Synchronous and quick, for it holds the loop; a
BusinessError that it raises is answered as the problem it would be. It may give the same Response again and again."""
