"""What users do: each use case is a module here, and this is the whole of them."""

from typing import Literal

from hansa.kernel.address import Address
from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids
from hansa.kernel.page import Page
from hansa.kernel.principal import Principal
from hansa.platform.database.port import Database
from hansa.platform.security.passwords import Passwords
from hansa.platform.security.sealing import Keyring
from hansa.services.users.contract import Consent, Customer, CustomerSummary, Purpose, SavedAddress, Session, User
from hansa.services.users.service.people import People
from hansa.services.users.service.profile import Profile
from hansa.services.users.service.registering import Registering
from hansa.services.users.service.signing import Signing
from hansa.services.users.service.staff import Staffing


class UsersService:
    """Users, as the contract has them."""

    def __init__(self, *, database: Database, clock: Clock, ids: Ids, keyring: Keyring, passwords: Passwords) -> None:
        people = People(database=database, clock=clock, ids=ids, keyring=keyring, passwords=passwords)
        self._people = people
        self._registering = Registering(people=people)
        self._signing = Signing(people=people)
        self._profile = Profile(people=people)
        self._staffing = Staffing(people=people)

    # Accounts and sessions

    async def register(self, *, key: str, email: str, password: str, name: str = "", locale: str = "en") -> User:
        return await self._registering.register(key=key, email=email, password=password, name=name, locale=locale)

    async def put_staff(self, *, key: str, email: str, password: str, name: str = "Staff") -> User:
        return await self._registering.put_staff(key=key, email=email, password=password, name=name)

    async def sign_in(self, *, key: str, email: str, password: str, remote: str) -> Session:
        return await self._signing.sign_in(key=key, email=email, password=password, remote=remote)

    async def sign_out(self, *, key: str, token: str) -> None:
        await self._signing.sign_out(key=key, token=token)

    async def authenticate(self, *, token: str) -> Principal:
        return await self._signing.authenticate(token=token)

    async def change_password(self, *, key: str, user_id: str, old: str, new: str, token: str = "") -> None:
        await self._signing.change_password(key=key, user_id=user_id, old=old, new=new, token=token)

    async def forget_sessions(self) -> None:
        """Drop sessions that expired a while ago, some at a time."""
        await self._signing.forget()

    # What people keep of themselves

    async def get(self, *, user_id: str) -> User:
        return await self._people.user(await self._people.account(user_id))

    async def change(self, *, key: str, user_id: str, name: str | None = None, locale: str | None = None) -> User:
        return await self._profile.change(key=key, user_id=user_id, name=name, locale=locale)

    async def addresses(self, *, user_id: str) -> tuple[SavedAddress, ...]:
        return await self._profile.addresses(user_id=user_id)

    async def put_address(
        self, *, key: str, user_id: str, address_id: str | None, address: Address, is_default: bool = False
    ) -> SavedAddress:
        return await self._profile.put_address(
            key=key, user_id=user_id, address_id=address_id, address=address, is_default=is_default
        )

    async def remove_address(self, *, key: str, user_id: str, address_id: str) -> None:
        await self._profile.remove_address(key=key, user_id=user_id, address_id=address_id)

    async def consents(self, *, user_id: str) -> tuple[Consent, ...]:
        return await self._profile.consents(user_id=user_id)

    async def set_consent(self, *, key: str, user_id: str, purpose: Purpose, given: bool, source: str) -> Consent:
        return await self._profile.set_consent(key=key, user_id=user_id, purpose=purpose, given=given, source=source)

    # What staff ask

    async def list_for_staff(
        self,
        *,
        q: str | None = None,
        order: Literal["newest", "oldest"] = "newest",
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[CustomerSummary]:
        return await self._staffing.page(q=q, order=order, limit=limit, cursor=cursor)

    async def get_for_staff(self, *, user_id: str, actor: str) -> Customer:
        return await self._staffing.get(user_id=user_id)

    async def reveal(self, *, key: str, user_id: str, actor: str, reason: str) -> User:
        return await self._staffing.reveal(key=key, user_id=user_id, actor=actor, reason=reason)
