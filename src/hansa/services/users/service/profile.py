"""What people keep of themselves: name and language, addresses, and what they allow."""

import msgspec

from hansa.kernel.address import Address
from hansa.kernel.ids import is_id, slot_of
from hansa.platform.database.idempotency import decode, keep
from hansa.platform.database.port import Transaction
from hansa.platform.security.sealing import Box
from hansa.services.users import rules
from hansa.services.users.contract import (
    AddressBookFull,
    Consent,
    NoSuchAddress,
    NoSuchUser,
    Purpose,
    SavedAddress,
    User,
)
from hansa.services.users.service.people import People
from hansa.services.users.store import accounts, addresses, consents
from hansa.services.users.store.addresses import Kept

ADDRESS = "users.address"
"""The place that sealed addresses are bound to."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept as the answer to a command that put an address: nothing personal."""

    saved_id: str
    is_default: bool


class Profile:
    """See the module."""

    def __init__(self, *, people: People) -> None:
        self._people = people

    async def change(self, *, key: str, user_id: str, name: str | None, locale: str | None) -> User:
        people = self._people
        await people.account(user_id)
        sealed = None if name is None else await people.sealed_name(user_id, name)
        act = people.act("change", user_id=user_id, key=key, request=(name, locale))
        async with people.database.write(act.slot) as tx:
            if await people.claim(tx, act) is None:
                await accounts.change_user(tx, user_id=user_id, name=sealed, locale=locale)
                await keep(tx, slot=act.slot, key=act.key, answer=None)
        return await people.user(await people.account(user_id))

    async def addresses(self, *, user_id: str) -> tuple[SavedAddress, ...]:
        book = await addresses.book_of(self._people.database, user_id=user_id) if is_id(user_id) else ()
        if not book:
            return ()
        try:
            box = await self._people.box(user_id)
        except NoSuchUser:
            return ()
        return tuple(_opened(kept, box) for kept in book)

    async def put_address(
        self, *, key: str, user_id: str, address_id: str | None, address: Address, is_default: bool
    ) -> SavedAddress:
        people = self._people
        await people.account(user_id)
        box = await people.box(user_id)
        act = people.act("put_address", user_id=user_id, key=key, request=(address_id, address, is_default))
        sealed = box.seal(address, context=ADDRESS)
        async with people.database.write(act.slot) as tx:
            kept = await people.claim(tx, act)
            if kept is None:
                placed = await self._put(tx, user_id, address_id, sealed, is_default=is_default)
                await keep(tx, slot=act.slot, key=act.key, answer=placed)
            else:
                placed = decode(kept, Placed)
        return SavedAddress(id=placed.saved_id, address=address, is_default=placed.is_default)

    async def remove_address(self, *, key: str, user_id: str, address_id: str) -> None:
        people = self._people
        await people.account(user_id)
        act = people.act("remove_address", user_id=user_id, key=key, request=address_id)
        async with people.database.write(act.slot) as tx:
            if await people.claim(tx, act) is not None:
                return
            await people.lock(tx, user_id)
            book = await addresses.book_of(tx, user_id=user_id)
            left = [kept for kept in book if kept.saved_id != address_id]
            if len(left) == len(book):
                raise NoSuchAddress()
            await addresses.remove(tx, user_id=user_id, saved_id=address_id)
            if (heir := rules.heir(left)) is not None:
                await addresses.make_default(tx, user_id=user_id, saved_id=heir)
            await keep(tx, slot=act.slot, key=act.key, answer=None)

    async def consents(self, *, user_id: str) -> tuple[Consent, ...]:
        await self._people.account(user_id)
        words = await consents.latest(self._people.database, user_id=user_id)
        return rules.every_consent({purpose: word.consent for purpose, word in words.items()})

    async def set_consent(self, *, key: str, user_id: str, purpose: Purpose, given: bool, source: str) -> Consent:
        people = self._people
        await people.account(user_id)
        act = people.act("set_consent", user_id=user_id, key=key, request=(purpose, given, source))
        async with people.database.write(act.slot) as tx:
            kept = await people.claim(tx, act)
            if kept is not None:
                return decode(kept, Consent)
            await people.lock(tx, user_id)
            word = (await consents.latest(tx, user_id=user_id)).get(purpose)
            if word is not None and word.consent.given == given:
                consent = word.consent
            else:
                now, number = people.clock.now(), word.number + 1 if word else 1
                await consents.add(
                    tx, user_id=user_id, purpose=purpose, number=number, given=given, source=source, at=now
                )
                consent = Consent(purpose=purpose, given=given, at=now)
            await keep(tx, slot=act.slot, key=act.key, answer=consent)
        return consent

    async def _put(
        self, tx: Transaction, user_id: str, address_id: str | None, sealed: str, *, is_default: bool
    ) -> Placed:
        await self._people.lock(tx, user_id)
        book = await addresses.book_of(tx, user_id=user_id)
        known = {kept.saved_id for kept in book}
        if address_id is None and not rules.has_room(book):
            raise AddressBookFull()
        if address_id is not None and address_id not in known:
            raise NoSuchAddress()
        saved_id = address_id or self._people.ids.new(slot=slot_of(user_id))
        is_default = is_default or rules.stays_default(book, saved_id=saved_id)
        await addresses.put(tx, user_id=user_id, kept=Kept(saved_id=saved_id, address=sealed, is_default=is_default))
        return Placed(saved_id=saved_id, is_default=is_default)


def _opened(kept: Kept, box: Box) -> SavedAddress:
    address = box.open(kept.address, Address, context=ADDRESS)
    return SavedAddress(id=kept.saved_id, address=address, is_default=kept.is_default)
