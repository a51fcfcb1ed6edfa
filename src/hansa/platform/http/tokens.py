"""Tokens that were let pass a moment ago: so that who is known can be told without asking anybody."""

from collections import OrderedDict

from hansa.kernel.clock import Clock
from hansa.kernel.principal import Principal
from hansa.platform.cache.changes import Changes

MOST_TOKENS = 20_000
KEPT_S = 60.0
SESSIONS = "sessions"
"""The tag that is told when sessions may have ended: another password, other roles."""


def session_of(token: str) -> str:
    """The tag that is told when the session of a token has ended."""
    return f"session {token}"


_SESSION = session_of("")


class KnownTokens:
    """See the module.

    Somebody known here was authenticated by this process at most KEPT_S ago, and no session was ended by this process
    since. A session ended by another process is known for up to KEPT_S longer. Whoever is not known may be signed in.
    """

    def __init__(self, *, clock: Clock, changes: Changes, most: int = MOST_TOKENS) -> None:
        self._monotonic = clock.monotonic
        self._changes = changes
        self._most = most
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        changes.listen(self._hear)

    @property
    def number(self) -> int:
        """To be noted before somebody is authenticated who is to be kept."""
        return self._changes.number

    def find(self, token: str) -> Principal | None:
        known = self._known.get(token)
        if known is None:
            return None
        if known[1] < self._monotonic():
            del self._known[token]
            return None
        return known[0]

    def keep(self, token: str, principal: Principal, *, since: int) -> None:
        """Note who was let pass; `since` is the number of changes before that was asked. A session that was ended in
        between is not noted."""
        if self._changes.is_changed((SESSIONS, session_of(token)), since=since):
            return
        self._known[token] = (principal, self._monotonic() + KEPT_S)
        self._known.move_to_end(token)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def _hear(self, tags: tuple[str, ...]) -> None:
        for tag in tags:
            if tag == SESSIONS:
                self._known.clear()
            elif tag.startswith(_SESSION):
                self._known.pop(tag.removeprefix(_SESSION), None)
