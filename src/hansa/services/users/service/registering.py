"""Making accounts: a customer's own, and those of the staff."""

from hansa.kernel.ids import slot_of, slot_of_value
from hansa.kernel.principal import CUSTOMER, STAFF
from hansa.platform.database.idempotency import IdempotencyKeyReused, claim, decode, digest, keep
from hansa.platform.database.port import Transaction
from hansa.services.users import rules
from hansa.services.users.contract import EmailTaken, NoSuchUser, User
from hansa.services.users.service.people import EMAIL, NAME, People
from hansa.services.users.store import accounts, sessions
from hansa.services.users.store.accounts import Account

OPERATOR = "operator"
"""Who makes staff accounts: whoever runs the shop's own commands."""


class Registering:
    """See the module."""

    def __init__(self, *, people: People) -> None:
        self._people = people

    async def register(self, *, key: str, email: str, password: str, name: str, locale: str) -> User:
        people = self._people
        rules.check_password(password=password, email=email)
        email_hash, made_by = people.email_hash(email), people.keyring.lookup_hash(kind="users.register", value=key)
        # Without the password: a hash that is quickly made is quickly guessed.
        request = people.keyring.lookup_hash(kind="users.registration", value=digest(email, name))
        # Hashing a password takes long: not for an address that is taken.
        is_taken = await people.owner(email_hash) is not None
        draft = None if is_taken else await self._draft(email, email_hash, password, name, locale, role=CUSTOMER)
        slot = slot_of_value(made_by)
        async with people.database.write(slot, slot_of_value(email_hash)) as tx:
            kept = await claim(tx, slot=slot, key=made_by, request=request, now=people.clock.now())
            if kept is None:
                if draft is None or not await self._add(tx, draft, email_hash):
                    raise EmailTaken()
                user_id = draft.user_id
                await keep(tx, slot=slot, key=made_by, answer=user_id)
            else:
                user_id = decode(kept, str)
        if draft is not None and draft.user_id == user_id:
            return await people.user(draft)
        return await self._registered(user_id, password)

    async def put_staff(self, *, key: str, email: str, password: str, name: str) -> User:
        people = self._people
        rules.check_password(password=password, email=email)
        email_hash, made_by = people.email_hash(email), people.keyring.lookup_hash(kind="users.put_staff", value=key)
        if await people.owner(email_hash) is None:
            draft = await self._draft(email, email_hash, password, name, "en", role=STAFF)
            async with people.database.write(slot_of_value(email_hash)) as tx:
                await self._add(tx, draft, email_hash)
        account = await people.account_of_email(email_hash)
        if account is None:
            raise NoSuchUser()
        is_same_password = await people.verify(password, account.password_hash)
        hashed = None if is_same_password else await people.hash(password)
        sealed_name = await people.sealed_name(account.user_id, name)
        slot, now = slot_of(account.user_id), people.clock.now()
        async with people.database.write(slot) as tx:
            if await claim(tx, slot=slot, key=made_by, request=email_hash, now=now) is None:
                roles = tuple(sorted({*account.roles, STAFF}))
                await accounts.set_staff(tx, user_id=account.user_id, name=sealed_name, roles=roles)
                if hashed is not None:
                    await accounts.set_password(tx, user_id=account.user_id, password_hash=hashed)
                if hashed is not None or roles != account.roles:
                    await sessions.end_sessions(tx, user_id=account.user_id, now=now)
                await people.audit(
                    tx,
                    actor=OPERATOR,
                    action="users.put_staff",
                    target=account.user_id,
                    detail={"roles": roles, "new_password": not is_same_password},
                )
                await keep(tx, slot=slot, key=made_by, answer=account.user_id)
            elif hashed is not None:
                raise IdempotencyKeyReused()
        return await people.user(await people.account(account.user_id))

    async def _draft(self, email: str, email_hash: str, password: str, name: str, locale: str, *, role: str) -> Account:
        user_id = self._people.ids.new(slot=slot_of_value(email_hash))
        hashed = await self._people.hash(password)
        box = await self._people.keyring.box(person=user_id)
        return Account(
            user_id=user_id,
            email=box.seal(email.strip(), context=EMAIL),
            name=box.seal(name, context=NAME),
            password_hash=hashed,
            password_version=1,
            roles=(role,),
            locale=locale,
            created_at=self._people.clock.now(),
        )

    async def _add(self, tx: Transaction, draft: Account, email_hash: str) -> bool:
        """Claim the address and make the account in one commit; False for whoever comes second."""
        return await accounts.add_user(tx, slot=slot_of_value(email_hash), email_hash=email_hash, account=draft)

    async def _registered(self, user_id: str, password: str) -> User:
        """The account that an earlier registration with this key made. Whoever repeats it shows the password again: a
        key that was guessed shows nobody's account."""
        try:
            account = await self._people.account(user_id)
            user = await self._people.user(account)
        except NoSuchUser:
            raise EmailTaken() from None
        if not await self._people.verify(password, account.password_hash):
            raise IdempotencyKeyReused()
        return user
