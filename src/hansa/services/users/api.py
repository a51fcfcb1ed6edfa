"""The public routes of users and sessions."""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from hansa.kernel.address import Address, Email
from hansa.kernel.page import Limit, Page
from hansa.platform.http.errors import BodyInvalid, NoSuchRoute
from hansa.platform.http.route import ANYONE, MEMBER, STAFF_ONLY, Api, Call, Route
from hansa.services.users.contract import (
    Consent,
    Customer,
    CustomerSummary,
    GivenPassword,
    Locale,
    Password,
    PersonName,
    Purpose,
    Reason,
    SavedAddress,
    Search,
    Session,
    User,
    Users,
)

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
SOURCE = "api"
"""Where a consent was given that came over these routes."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants an account."""

    email: Email
    password: Password
    name: PersonName = ""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who says to be whom."""

    email: Email
    password: GivenPassword


class ProfileChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be another; what is left out stays."""

    name: PersonName | None = None
    locale: Locale | None = None


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True):
    """The present password, and the one that is to be."""

    old: GivenPassword
    new: Password


class AddressDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An address for the book."""

    address: Address
    is_default: bool = False


class AddressBook(msgspec.Struct, frozen=True, kw_only=True):
    """The default first, then in the order in which they came."""

    items: tuple[SavedAddress, ...]


class ConsentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it is allowed."""

    given: bool


class Consents(msgspec.Struct, frozen=True, kw_only=True):
    """One for each purpose."""

    items: tuple[Consent, ...]


class CustomerQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of all accounts, or the one that `q` names."""

    q: Search | None = None
    order: Literal["newest", "oldest"] = "newest"
    limit: Limit = 20
    cursor: str | None = None


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """What the data is needed for."""

    reason: Reason


def routes(users: Users) -> Sequence[Route]:
    api = Api("users")

    @api.post("/users", access=ANYONE, calls=Users.register)
    async def register(call: Call, *, body: Registration) -> User:
        """Make an account."""
        return await users.register(
            key=call.key, email=body.email, password=body.password, name=body.name, locale=call.locale
        )

    @api.get("/users/me", access=MEMBER, calls=Users.get)
    async def me(call: Call) -> User:
        """The account that is signed in."""
        return await users.get(user_id=call.user_id or "")

    @api.patch("/users/me", access=MEMBER, calls=Users.change)
    async def change_me(call: Call, *, body: ProfileChange) -> User:
        """Change name or language of the account that is signed in."""
        if body.locale is not None and body.locale not in call.channel.locales:
            raise BodyInvalid(reason=f"the shop speaks {', '.join(call.channel.locales)}", pointer="/locale")
        return await users.change(key=call.key, user_id=call.user_id or "", name=body.name, locale=body.locale)

    @api.put("/users/me/password", access=MEMBER, calls=(Users.change_password, Users.get))
    async def change_password(call: Call, *, body: PasswordChange) -> User:
        """Another password; whoever is signed in elsewhere is signed out."""
        user_id = call.user_id or ""
        await users.change_password(key=call.key, user_id=user_id, old=body.old, new=body.new, token=call.token)
        return await users.get(user_id=user_id)

    @api.get("/users/me/addresses", access=MEMBER, calls=Users.addresses)
    async def list_addresses(call: Call) -> AddressBook:
        """One's own address book."""
        return AddressBook(items=await users.addresses(user_id=call.user_id or ""))

    @api.post("/users/me/addresses", access=MEMBER, calls=Users.put_address)
    async def add_address(call: Call, *, body: AddressDraft) -> SavedAddress:
        """Put an address into the book."""
        return await _put(call, None, body)

    @api.put("/users/me/addresses/{address_id}", access=MEMBER, calls=Users.put_address)
    async def put_address(call: Call, *, address_id: str, body: AddressDraft) -> SavedAddress:
        """Change an address in the book."""
        return await _put(call, address_id, body)

    @api.delete("/users/me/addresses/{address_id}", access=MEMBER, calls=Users.remove_address)
    async def remove_address(call: Call, *, address_id: str) -> None:
        """Take an address out of the book."""
        await users.remove_address(key=call.key, user_id=call.user_id or "", address_id=address_id)

    @api.get("/users/me/consents", access=MEMBER, calls=Users.consents)
    async def list_consents(call: Call) -> Consents:
        """What one allows."""
        return Consents(items=await users.consents(user_id=call.user_id or ""))

    @api.put("/users/me/consents/{purpose}", access=MEMBER, calls=Users.set_consent, errors=(NoSuchRoute,))
    async def put_consent(call: Call, *, purpose: str, body: ConsentDraft) -> Consent:
        """Allow something (`behaviour`, `marketing`), or allow it no longer."""
        if purpose not in PURPOSES:
            raise NoSuchRoute()
        return await users.set_consent(
            key=call.key,
            user_id=call.user_id or "",
            purpose=purpose,
            given=body.given,
            source=SOURCE,
        )

    @api.post("/sessions", access=ANYONE, calls=Users.sign_in)
    async def sign_in(call: Call, *, body: Credentials) -> Session:
        """Sign in: send the token as `Authorization: Bearer …` from then on."""
        return await users.sign_in(key=call.key, email=body.email, password=body.password, remote=call.remote)

    @api.delete("/sessions/current", access=MEMBER, calls=Users.sign_out)
    async def sign_out(call: Call) -> None:
        """Sign out: the token is worth nothing from then on."""
        await users.sign_out(key=call.key, token=call.token)

    @api.get("/admin/customers", access=STAFF_ONLY, calls=Users.list_for_staff)
    async def list_customers(call: Call, *, query: CustomerQuery) -> Page[CustomerSummary]:
        """All accounts, masked. `q` is an e-mail address or an id."""
        return await users.list_for_staff(q=query.q, order=query.order, limit=query.limit, cursor=query.cursor)

    @api.get("/admin/customers/{user_id}", access=STAFF_ONLY, calls=Users.get_for_staff)
    async def get_customer(call: Call, *, user_id: str) -> Customer:
        """One account, masked."""
        return await users.get_for_staff(user_id=user_id, actor=call.actor)

    @api.post("/admin/customers/{user_id}/reveal", access=STAFF_ONLY, calls=Users.reveal, status=200)
    async def reveal_customer(call: Call, *, user_id: str, body: Inquiry) -> User:
        """One account in the clear, for a reason that is noted."""
        return await users.reveal(key=call.key, user_id=user_id, actor=call.actor, reason=body.reason)

    async def _put(call: Call, address_id: str | None, body: AddressDraft) -> SavedAddress:
        return await users.put_address(
            key=call.key,
            user_id=call.user_id or "",
            address_id=address_id,
            address=body.address,
            is_default=body.is_default,
        )

    return api.routes
