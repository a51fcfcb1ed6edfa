"""What a process knows of a flash sale without asking the database: a hint, which may only turn the hopeless away."""

from hansa.kernel.clock import Clock
from hansa.kernel.errors import BusinessError
from hansa.services.promotions import rules
from hansa.services.promotions.rules import Sale
from hansa.services.promotions.service.line import Line

MOST_KNOWN = 100_000
"""Members remembered for one sale; with more of them nobody is turned away by the hint any more."""


class Room:
    """One sale: how it stood when last heard of, everybody who may have an order there, and the line before it."""

    def __init__(self, *, sale: Sale, known: list[str], clock: Clock) -> None:
        self.sale = sale
        self.looked_at = clock.monotonic()
        """By the monotonic clock."""
        self._clock = clock
        self._known = dict.fromkeys(known)
        self.line = Line(clock=clock, left=lambda: self.sale.left, hopeless=self._hopeless)
        self._answer: BusinessError | None = None
        self._answer_for: tuple[int, str] | None = None

    def learn(self, sale: Sale) -> None:
        """News come in any order: the latest version counts. Whoever waits may have got a chance, or lost it."""
        if sale.version > self.sale.version:
            self.sale = sale
            self.line.serve()

    def know(self, member: str) -> None:
        """From now on this member may have an order, so that a repeated request must be answered from the books."""
        self._known[member] = None

    def knows(self, member: str) -> bool:
        return member in self._known

    def turn_away(self, member: str) -> BusinessError | None:
        """Why a member certainly has no chance now, whatever they want and whatever they asked before; else None."""
        if member in self._known or len(self._known) > MOST_KNOWN:
            return None
        now = self._clock.now()
        state = rules.state_of(self.sale, at=now)
        if state == "open":
            return None
        if self._answer_for != (self.sale.version, state):
            self._answer = rules.hopeless(self.sale, pieces=1, at=now)
            self._answer_for = (self.sale.version, state)
        return self._answer

    def _hopeless(self, pieces: int) -> BusinessError | None:
        return rules.hopeless(self.sale, pieces=pieces, at=self._clock.now())
