"""What may be asked of users, and every way users may say no."""

from datetime import datetime
from typing import Annotated, Protocol

import msgspec

from hansa.kernel.address import Email
from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.principal import Principal

Password = Annotated[str, msgspec.Meta(min_length=8, max_length=256)]
PersonName = Annotated[str, msgspec.Meta(max_length=200)]


class EmailTaken(BusinessError, code="users.email_taken", kind=Kind.CONFLICT):
    """There is an account with this e-mail address."""


class PasswordUnfit(BusinessError, code="users.password_unfit", kind=Kind.INVALID):
    """A password has 8 to 256 characters and is not the e-mail address."""


class WrongCredentials(BusinessError, code="users.wrong_credentials", kind=Kind.UNAUTHENTICATED):
    """E-mail address and password do not belong together; which of them is wrong is not said."""


class TooManyAttempts(BusinessError, code="users.too_many_attempts", kind=Kind.TOO_MANY):
    """Too many failed sign-ins; try again later."""

    retry_after_s: int


class TooBusy(BusinessError, code="users.busy", kind=Kind.TOO_MANY):
    """Too many passwords are being checked at once; try again in a moment."""

    retry_after_s: int = 1


class NoSuchUser(BusinessError, code="users.not_found", kind=Kind.NOT_FOUND):
    """There is no such user."""


class NotSignedIn(BusinessError, code="users.not_signed_in", kind=Kind.UNAUTHENTICATED):
    """The session is unknown, has ended or has expired."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person with an account, as they see themselves."""

    id: Id
    email: str
    name: str
    roles: tuple[str, ...]
    locale: str
    created_at: datetime


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in: whoever has the token is the user until `expires_at`."""

    token: str
    expires_at: datetime
    user: User


class Users(Protocol):
    """Accounts and sessions. Personal data leaves only towards its owner."""

    @command(errors=(EmailTaken, PasswordUnfit, TooBusy), timeout_ms=10_000)
    async def register(
        self, *, key: Key, email: Email, password: Password, name: PersonName = "", locale: str = "en"
    ) -> User:
        """Make a customer's account, once for each key: whoever repeats it shows the same password again. A key that
        made an account is refused for anything else."""
        ...

    @command(errors=(WrongCredentials, TooManyAttempts, TooBusy), timeout_ms=10_000)
    async def sign_in(self, *, key: Key, email: Email, password: str, remote: str) -> Session:
        """Open a session. The same key gives an account the same one until that has ended or expired, then a new one;
        the password is checked each time. Failures are counted per account and remote, per remote, and (far more of
        them) per account, and throttled alike for unknown accounts."""
        ...

    @command()
    async def sign_out(self, *, key: Key, token: str) -> None:
        """End a session; ending it again is nothing."""
        ...

    @query(errors=(NotSignedIn,))
    async def authenticate(self, *, token: str) -> Principal:
        """Who a session's token stands for."""
        ...

    @query(errors=(NoSuchUser,))
    async def get(self, *, user_id: str) -> User: ...

    @command(errors=(PasswordUnfit, NoSuchUser, TooBusy), timeout_ms=10_000)
    async def put_staff(self, *, key: Key, email: Email, password: Password, name: PersonName = "Staff") -> User:
        """Make sure that a staff account exists; its name and password become the ones given. A customer with this
        address becomes staff as well. Another password ends the account's sessions. NoSuchUser: the person was
        erased."""
        ...
