"""Accounts as the staff sees them: masked, and in the clear for a reason that is noted."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec

from hansa.kernel.ids import LARGEST, is_id
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.platform.database.idempotency import keep
from hansa.services.users import rules
from hansa.services.users.contract import Customer, CustomerSummary, NoSuchUser, User
from hansa.services.users.service.people import People
from hansa.services.users.store import accounts, addresses, consents
from hansa.services.users.store.accounts import Account

NEWEST = "newest"
Position = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]


class Staffing:
    """See the module."""

    def __init__(self, *, people: People) -> None:
        self._people = people

    async def page(self, *, q: str | None, order: str, limit: int, cursor: str | None) -> Page[CustomerSummary]:
        position = read_cursor(f"users {order}", cursor, Position)
        if q is not None and q.strip():
            found = await self._named(q.strip())
            return Page(items=await self._masked([found] if found and position is None else []))
        listed = await accounts.list_users(
            self._people.database,
            is_newest_first=order == NEWEST,
            beyond=position[0] if position else None,
            limit=limit + 1,
        )
        items = await self._masked(listed[:limit])
        more = write_cursor(f"users {order}", int(items[-1].id)) if len(listed) > limit else None
        return Page(items=items, next_cursor=more)

    async def get(self, *, user_id: str) -> Customer:
        account = await self._people.account(user_id)
        [masked] = await self._masked([account])
        words = await consents.latest(self._people.database, user_id=user_id)
        return Customer(
            id=masked.id,
            email_masked=masked.email_masked,
            name_masked=masked.name_masked,
            roles=masked.roles,
            locale=masked.locale,
            created_at=masked.created_at,
            addresses=len(await addresses.book_of(self._people.database, user_id=user_id)),
            consents=rules.every_consent({purpose: word.consent for purpose, word in words.items()}),
        )

    async def reveal(self, *, key: str, user_id: str, actor: str, reason: str) -> User:
        people = self._people
        user = await people.user(await people.account(user_id))
        act = people.act("reveal", user_id=user_id, key=key, request=(actor, reason))
        async with people.database.write(act.slot) as tx:
            if await people.claim(tx, act) is None:
                await people.audit(tx, actor=actor, action="users.reveal", target=user_id, detail={"reason": reason})
                await keep(tx, slot=act.slot, key=act.key, answer=None)
        return user

    async def _named(self, q: str) -> Account | None:
        """The one account that a text names, if any."""
        if is_id(q):
            return await accounts.find_user(self._people.database, user_id=q)
        return await self._people.account_of_email(self._people.email_hash(q)) if "@" in q else None

    async def _masked(self, found: Sequence[Account]) -> tuple[CustomerSummary, ...]:
        """All at once, since the keyring looks up the keys of those who ask together in one go."""
        return tuple(await asyncio.gather(*(self._summary(account) for account in found)))

    async def _summary(self, account: Account) -> CustomerSummary:
        email, name = rules.UNKNOWN, rules.UNKNOWN
        try:
            user = await self._people.user(account)
        except NoSuchUser:
            pass  # erased: that there was somebody is all that is known
        else:
            email, name = rules.masked_email(user.email), rules.masked_name(user.name)
        return CustomerSummary(
            id=account.user_id,
            email_masked=email,
            name_masked=name,
            roles=account.roles,
            locale=account.locale,
            created_at=account.created_at,
        )
