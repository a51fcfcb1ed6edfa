"""How often a wrong password may be tried: counted by account and place, by place, and by account."""

from hansa.kernel.clock import Clock
from hansa.platform.security import throttle
from hansa.platform.security.throttle import Throttle
from hansa.services.users.contract import TooManyAttempts

FAILURE_WINDOW_S = 15 * 60.0
FAILURES_PER_ACCOUNT_AND_REMOTE = 10
FAILURES_PER_REMOTE = 100
"""Higher, since a whole office may share an address."""
FAILURES_PER_ACCOUNT = 1_000
"""Whoever guesses from one place shuts out nobody but that place: an account that ten failures from anywhere closed
could be closed to its owner by anybody. The price is that guesses from many places (a hundred at the least, each of
which fails ten times) get 1,000 in a window before the account is closed, its owner included: some 100,000 a day,
which finds a password out of a list of the commonest, and no other."""
FAILURES_PER_OWNER = 10
"""Of those who are signed in and do not know the password that they want to change: a stolen session is no way to
guess it. Whom this shuts out may still sign in."""
LARGEST_THROTTLE = 100_000


class Attempts:
    """See the module. What is checked raises TooManyAttempts."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._pair_failures = self._throttle(FAILURES_PER_ACCOUNT_AND_REMOTE)
        self._remote_failures = self._throttle(FAILURES_PER_REMOTE)
        self._account_failures = self._throttle(FAILURES_PER_ACCOUNT)
        self._owner_failures = self._throttle(FAILURES_PER_OWNER)

    def check(self, *, email_hash: str, place: str) -> None:
        """Before somebody signs in."""
        try:
            self._pair_failures.check(f"{email_hash} {place}")
            self._remote_failures.check(place)
            self._account_failures.check(email_hash)
        except throttle.TooManyAttempts as error:
            raise TooManyAttempts(retry_after_s=error.retry_after_s) from error

    def failed(self, *, email_hash: str, place: str) -> None:
        self._pair_failures.failed(f"{email_hash} {place}")
        self._remote_failures.failed(place)
        self._account_failures.failed(email_hash)

    def succeeded(self, *, email_hash: str, place: str) -> None:
        """What this place got right says nothing of what others guess: only its own failures are forgotten."""
        self._pair_failures.succeeded(f"{email_hash} {place}")

    def check_owner(self, user_id: str) -> None:
        """Before somebody who is signed in changes the password."""
        try:
            self._owner_failures.check(user_id)
        except throttle.TooManyAttempts as error:
            raise TooManyAttempts(retry_after_s=error.retry_after_s) from error

    def owner_failed(self, user_id: str) -> None:
        self._owner_failures.failed(user_id)

    def owner_succeeded(self, user_id: str) -> None:
        self._owner_failures.succeeded(user_id)

    def _throttle(self, limit: int) -> Throttle:
        return Throttle(clock=self._clock, limit=limit, window_s=FAILURE_WINDOW_S, largest=LARGEST_THROTTLE)
