"""What may be asked of users, and every way users may say no."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.address import Address, Email
from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.page import CursorInvalid, Limit, Page
from hansa.kernel.principal import Principal

MOST_ADDRESSES = 20
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=256)]
GivenPassword = Annotated[str, msgspec.Meta(max_length=256)]
"""A password that somebody says to have; whether it is fit for a new one does not matter."""
PersonName = Annotated[str, msgspec.Meta(max_length=200)]
Locale = Annotated[str, msgspec.Meta(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$(?!\n)")]
"""A language of BCP 47."""
Purpose = Literal["behaviour", "marketing"]
"""What somebody may allow: learning from what they look at, and writing to them about offers."""
Source = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
"""Where a consent was given, such as the page: "account", "checkout"."""
Reason = Annotated[str, msgspec.Meta(min_length=3, max_length=500, pattern=r"\S")]
Search = Annotated[str, msgspec.Meta(max_length=254)]


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


class WrongPassword(BusinessError, code="users.wrong_password", kind=Kind.UNPROCESSABLE):
    """The present password is another one."""


class NoSuchAddress(BusinessError, code="users.address_not_found", kind=Kind.NOT_FOUND):
    """There is no such address, or it is somebody else's."""


class AddressBookFull(BusinessError, code="users.address_book_full", kind=Kind.CONFLICT):
    """The address book holds as many addresses as it can."""

    most: int = MOST_ADDRESSES


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


class SavedAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address in somebody's address book. Whoever has addresses has one default."""

    id: Id
    address: Address
    is_default: bool


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody allows something; what nobody was asked for (`at` is None) is not allowed."""

    purpose: Purpose
    given: bool
    at: datetime | None


class CustomerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An account in the list of the staff, its personal data masked: "a***@e***.com", "A. L."; "-" once erased."""

    id: Id
    email_masked: str
    name_masked: str
    roles: tuple[str, ...]
    locale: str
    created_at: datetime


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the staff sees it, masked as in the list; `addresses` counts the address book's."""

    id: Id
    email_masked: str
    name_masked: str
    roles: tuple[str, ...]
    locale: str
    created_at: datetime
    addresses: int
    consents: tuple[Consent, ...]


class Users(Protocol):
    """Accounts and sessions. Personal data leaves towards its owner, and towards staff who say what for."""

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

    @command(errors=(NoSuchUser,))
    async def change(
        self, *, key: Key, user_id: str, name: PersonName | None = None, locale: Locale | None = None
    ) -> User:
        """Change what a person is called, or their language; None leaves it as it is."""
        ...

    @command(errors=(PasswordUnfit, WrongPassword, NoSuchUser, TooManyAttempts, TooBusy), timeout_ms=10_000)
    async def change_password(
        self, *, key: Key, user_id: str, old: GivenPassword, new: Password, token: str = ""
    ) -> None:
        """Another password, for whoever knows the present one; wrong ones are counted per account and throttled. All
        of the account's sessions end, but the one of `token`."""
        ...

    @query()
    async def addresses(self, *, user_id: str) -> tuple[SavedAddress, ...]:
        """A person's address book: the default first, then in the order in which they came."""
        ...

    @command(errors=(NoSuchUser, NoSuchAddress, AddressBookFull))
    async def put_address(
        self, *, key: Key, user_id: str, address_id: str | None, address: Address, is_default: bool = False
    ) -> SavedAddress:
        """Add an address (`address_id` None) or change one. The first becomes the default by itself; the default is so
        until another one is."""
        ...

    @command(errors=(NoSuchUser, NoSuchAddress))
    async def remove_address(self, *, key: Key, user_id: str, address_id: str) -> None:
        """Take an address out of the book. If it was the default, the oldest of those left becomes it."""
        ...

    @query(errors=(NoSuchUser,))
    async def consents(self, *, user_id: str) -> tuple[Consent, ...]:
        """What a person allows at present: one for each purpose, in the order of `Purpose`."""
        ...

    @command(errors=(NoSuchUser,))
    async def set_consent(self, *, key: Key, user_id: str, purpose: Purpose, given: bool, source: Source) -> Consent:
        """Give or withdraw a consent. What was said before stays on record."""
        ...

    @query(errors=(CursorInvalid,))
    async def list_for_staff(
        self,
        *,
        q: Search | None = None,
        order: Literal["newest", "oldest"] = "newest",
        limit: Limit = 20,
        cursor: str | None = None,
    ) -> Page[CustomerSummary]:
        """All accounts, staff's too, masked; with `q` the one of this e-mail address or this id, if there is one."""
        ...

    @query(errors=(NoSuchUser,))
    async def get_for_staff(self, *, user_id: str, actor: str) -> Customer:
        """One account, masked. Looking at what is masked leaves no trace, whoever `actor` is."""
        ...

    @command(errors=(NoSuchUser,))
    async def reveal(self, *, key: Key, user_id: str, actor: str, reason: Reason) -> User:
        """One account in the clear, for a reason: leaves an audit row with the reason and nothing of the data."""
        ...
