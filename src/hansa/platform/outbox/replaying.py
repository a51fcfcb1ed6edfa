"""Delivering many dead letters again: those that match, the oldest first, not too many at once and not too fast."""

from collections.abc import Callable, Sequence

import msgspec

from hansa.kernel.clock import Clock
from hansa.kernel.errors import Fault
from hansa.kernel.page import LARGEST_PAGE
from hansa.platform.outbox.dead_letters import ConsumerGone, DeadLetter, DeadLetters, NoSuchDeadLetter, Wanted

RATE_PER_S = 50.0
"""So many a second where nobody says otherwise: consumers have other work, too."""
MOST = 10_000
"""Letters of one replay where nobody says otherwise."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Letters that match, the oldest first; whether there are more of them."""

    letters: tuple[DeadLetter, ...]
    has_more: bool


class Tally(msgspec.Struct, kw_only=True):
    """What became of letters so far."""

    replayed: int = 0
    failed: int = 0
    """They stay, each with its new error."""
    gone: int = 0
    """Somebody else had done with them."""
    without_consumer: int = 0
    """They stay: nothing takes such events any more."""

    @property
    def done(self) -> int:
        return self.replayed + self.failed + self.gone + self.without_consumer


async def choose(letters: DeadLetters, *, wanted: Wanted, most: int = MOST) -> Chosen:
    """Letters as they are now; what is parked from now on is not among them."""
    chosen: list[DeadLetter] = []
    cursor: str | None = None
    while len(chosen) <= most:
        page = await letters.list(wanted=wanted, order="oldest", limit=LARGEST_PAGE, cursor=cursor)
        chosen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return Chosen(letters=tuple(chosen[:most]), has_more=len(chosen) > most)


async def replay_all(
    letters: DeadLetters,
    chosen: Sequence[DeadLetter],
    *,
    key: str,
    actor: str,
    clock: Clock,
    rate_per_s: float = RATE_PER_S,
    tell: Callable[[Tally], object] = lambda tally: None,
) -> Tally:
    """One after the other. The same key does it once for each letter, and so does any other key: a letter whose event
    has had its effect is gone."""
    tally = Tally()
    began = clock.monotonic()
    for place, letter in enumerate(chosen):
        early_s = began + place / rate_per_s - clock.monotonic()
        if early_s > 0:
            await clock.sleep(early_s)
        await _replay(letters, letter, tally, key=key, actor=actor)
        tell(tally)
    return tally


async def _replay(letters: DeadLetters, letter: DeadLetter, tally: Tally, *, key: str, actor: str) -> None:
    try:
        left = await letters.replay(
            key=key, service=letter.service, consumer=letter.consumer, event_id=letter.event_id, actor=actor
        )
    except NoSuchDeadLetter:
        tally.gone += 1
    except ConsumerGone:
        tally.without_consumer += 1
    except Fault:  # it may have happened; the next time will tell
        tally.failed += 1
    else:
        tally.replayed += left is None
        tally.failed += left is not None
