"""What all use cases of users share: accounts, what is sealed in them, and keys that make a command happen once."""

from dataclasses import dataclass
from typing import Any

from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids, is_id, slot_of, slot_of_value
from hansa.platform.database.idempotency import claim, digest
from hansa.platform.database.port import Database, Transaction
from hansa.platform.security import audit, passwords
from hansa.platform.security.passwords import Passwords
from hansa.platform.security.sealing import Box, Keyring, PersonErased
from hansa.services.users import rules
from hansa.services.users.contract import NoSuchUser, TooBusy, User
from hansa.services.users.store import accounts
from hansa.services.users.store.accounts import Account

EMAIL, NAME = "users.email", "users.name"
"""The places that sealed values are bound to."""
NOBODY = "1"
"""An id that no user has (it is of the first millisecond of 2024): looked up for addresses that nobody claimed."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """A command with its key, both hashed: neither may tell of the person."""

    slot: int
    key: str
    request: str


@dataclass(frozen=True, kw_only=True)
class People:
    """See the module."""

    database: Database
    clock: Clock
    ids: Ids
    keyring: Keyring
    passwords: Passwords

    async def owner(self, email_hash: str) -> str | None:
        return await accounts.find_owner(self.database, slot=slot_of_value(email_hash), email_hash=email_hash)

    async def account_of_email(self, email_hash: str) -> Account | None:
        """Two reads, whether somebody has the address or not."""
        owner = await self.owner(email_hash)
        return await accounts.find_user(self.database, user_id=owner or NOBODY)

    async def account(self, user_id: str) -> Account:
        account = await accounts.find_user(self.database, user_id=user_id) if is_id(user_id) else None
        if account is None:
            raise NoSuchUser()
        return account

    async def box(self, user_id: str) -> Box:
        """Of somebody who has an account. Raises NoSuchUser for one who was erased."""
        try:
            return await self.keyring.box(person=user_id)
        except PersonErased:
            raise NoSuchUser() from None

    async def user(self, account: Account) -> User:
        box = await self.box(account.user_id)
        return User(
            id=account.user_id,
            email=box.open(account.email, str, context=EMAIL),
            name=box.open(account.name, str, context=NAME),
            roles=account.roles,
            locale=account.locale,
            created_at=account.created_at,
        )

    async def sealed_name(self, user_id: str, name: str) -> str:
        return (await self.box(user_id)).seal(name, context=NAME)

    def email_hash(self, email: str) -> str:
        return self.keyring.lookup_hash(kind="email", value=rules.normalised_email(email))

    async def hash(self, password: str) -> str:
        try:
            return await self.passwords.hash(password=password)
        except passwords.TooBusy as error:
            raise TooBusy() from error

    async def verify(self, password: str, hashed: str | None) -> bool:
        try:
            return await self.passwords.verify(password=password, hashed=hashed)
        except passwords.TooBusy as error:
            raise TooBusy() from error

    def act(self, name: str, *, user_id: str, key: str, request: Any = ()) -> Act:
        """A command on somebody's account; what is asked (never a password) is hashed with a key too."""
        return Act(
            slot=slot_of(user_id),
            key=self.keyring.lookup_hash(kind=f"users.{name}", value=f"{user_id} {key}"),
            request=self.keyring.lookup_hash(kind=f"users.{name} request", value=digest(user_id, request)),
        )

    async def claim(self, tx: Transaction, act: Act) -> str | None:
        """None for the first time, else the answer that was kept."""
        return await claim(tx, slot=act.slot, key=act.key, request=act.request, now=self.clock.now())

    async def lock(self, tx: Transaction, user_id: str) -> None:
        """Keep others from what hangs on this account until the commit. Raises NoSuchUser."""
        if not await accounts.lock_user(tx, user_id=user_id):
            raise NoSuchUser()

    async def audit(self, tx: Transaction, *, actor: str, action: str, target: str, detail: dict[str, Any]) -> None:
        """Note who of the staff did what, in the commit that does it."""
        slot = slot_of(target)
        await audit.record(
            tx,
            slot=slot,
            audit_id=self.ids.new(slot=slot),
            at=self.clock.now(),
            actor=actor,
            action=action,
            target=target,
            detail=detail,
        )
