"""The use cases of users: registering, signing in and out, and knowing who asks."""

from datetime import timedelta

from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids, is_id, slot_of, slot_of_value, split_name
from hansa.kernel.principal import CUSTOMER, STAFF, Principal
from hansa.platform.database.idempotency import IdempotencyKeyReused, claim, decode, digest, keep
from hansa.platform.database.port import Database, Transaction
from hansa.platform.security import audit, passwords, throttle
from hansa.platform.security.passwords import Passwords
from hansa.platform.security.sealing import Keyring, PersonErased
from hansa.platform.security.throttle import Throttle
from hansa.services.users import rules, store
from hansa.services.users.contract import (
    EmailTaken,
    NoSuchUser,
    NotSignedIn,
    Session,
    TooBusy,
    TooManyAttempts,
    User,
    WrongCredentials,
)
from hansa.services.users.store import Account, Started

FAILURE_WINDOW_S = 15 * 60.0
FAILURES_PER_ACCOUNT_AND_REMOTE = 10
FAILURES_PER_REMOTE = 100
"""Higher, since a whole office may share an address."""
FAILURES_PER_ACCOUNT = 1_000
"""Whoever guesses from one place shuts out nobody but that place: an account that ten failures from anywhere closed
could be closed to its owner by anybody. The price is that guesses from many places (a hundred at the least, each of
which fails ten times) get 1,000 in a window before the account is closed, its owner included: some 100,000 a day,
which finds a password out of a list of the commonest, and no other."""
LARGEST_THROTTLE = 100_000
KEPT_AFTER_EXPIRY = timedelta(days=1)
FORGET_BATCH = 500
MOST_FORGET_BATCHES = 200
EMAIL, NAME = "users.email", "users.name"
"""The places that sealed values are bound to."""
OPERATOR = "operator"
"""Who makes staff accounts: whoever runs the shop's own commands."""
NOBODY = "1"
"""An id that no user has (it is of the first millisecond of 2024): looked up for addresses that nobody claimed."""


class UsersService:
    """Users, as the contract has them."""

    def __init__(self, *, database: Database, clock: Clock, ids: Ids, keyring: Keyring, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._keyring = keyring
        self._passwords = passwords
        self._secret = keyring.derive(label="users.session tokens")
        self._pair_failures = self._throttle(FAILURES_PER_ACCOUNT_AND_REMOTE)
        self._remote_failures = self._throttle(FAILURES_PER_REMOTE)
        self._account_failures = self._throttle(FAILURES_PER_ACCOUNT)

    async def register(self, *, key: str, email: str, password: str, name: str = "", locale: str = "en") -> User:
        rules.check_password(password=password, email=email)
        email_hash, made_by = self._email_hash(email), self._keyring.lookup_hash(kind="users.register", value=key)
        # Without the password: a hash that is quickly made is quickly guessed.
        request = self._keyring.lookup_hash(kind="users.registration", value=digest(email, name))
        # Hashing a password takes long: not for an address that is taken.
        is_taken = await self._owner(email_hash) is not None
        draft = None if is_taken else await self._draft(email, email_hash, password, name, locale, role=CUSTOMER)
        slot = slot_of_value(made_by)
        async with self._database.write(slot, slot_of_value(email_hash)) as tx:
            kept = await claim(tx, slot=slot, key=made_by, request=request, now=self._clock.now())
            if kept is None:
                if draft is None or not await self._add(tx, draft, email_hash):
                    raise EmailTaken()
                user_id = draft.user_id
                await keep(tx, slot=slot, key=made_by, answer=user_id)
            else:
                user_id = decode(kept, str)
        if draft is not None and draft.user_id == user_id:
            return await self._user(draft)
        return await self._registered(user_id, password)

    async def put_staff(self, *, key: str, email: str, password: str, name: str = "Staff") -> User:
        rules.check_password(password=password, email=email)
        email_hash, made_by = self._email_hash(email), self._keyring.lookup_hash(kind="users.put_staff", value=key)
        if await self._owner(email_hash) is None:
            draft = await self._draft(email, email_hash, password, name, "en", role=STAFF)
            async with self._database.write(slot_of_value(email_hash)) as tx:
                await self._add(tx, draft, email_hash)
        account = await self._account_of_email(email_hash)
        if account is None:
            raise NoSuchUser()
        is_same_password = await self._verify(password, account.password_hash)
        hashed = None if is_same_password else await self._hash(password)
        sealed_name = await self._seal_name(account.user_id, name)
        slot, now = slot_of(account.user_id), self._clock.now()
        async with self._database.write(slot) as tx:
            if await claim(tx, slot=slot, key=made_by, request=email_hash, now=now) is None:
                roles = tuple(sorted({*account.roles, STAFF}))
                await store.set_staff(tx, user_id=account.user_id, name=sealed_name, roles=roles)
                if hashed is not None:
                    await store.set_password(tx, user_id=account.user_id, password_hash=hashed)
                if hashed is not None or roles != account.roles:
                    await store.end_sessions(tx, user_id=account.user_id, now=now)
                await audit.record(
                    tx,
                    slot=slot,
                    audit_id=self._ids.new(slot=slot),
                    at=now,
                    actor=OPERATOR,
                    action="users.put_staff",
                    target=account.user_id,
                    detail={"roles": roles, "new_password": not is_same_password},
                )
                await keep(tx, slot=slot, key=made_by, answer=account.user_id)
            elif hashed is not None:
                raise IdempotencyKeyReused()
        return await self.get(user_id=account.user_id)

    async def sign_in(self, *, key: str, email: str, password: str, remote: str) -> Session:
        email_hash, place = self._email_hash(email), rules.place(remote)
        self._check_throttles(email_hash, place)
        account = await self._account_of_email(email_hash)
        # The same work for an unknown address as for a wrong password, so that the time tells nobody who is here.
        if not await self._verify(password, account.password_hash if account else None) or account is None:
            self._pair_failures.failed(f"{email_hash} {place}")
            self._remote_failures.failed(place)
            self._account_failures.failed(email_hash)
            raise WrongCredentials()
        # What this place got right says nothing of what others guess: only its own failures are forgotten.
        self._pair_failures.succeeded(f"{email_hash} {place}")
        try:
            user = await self._user(account)
        except NoSuchUser:
            raise WrongCredentials() from None
        await self._renew_hash(account, password)
        made_by = self._keyring.lookup_hash(kind="users.sign_in", value=key)
        drafted = self._draft_session(account, made_by)
        async with self._database.write(slot_of(account.user_id)) as tx:
            if not await store.hold_password(tx, user_id=account.user_id, version=account.password_version):
                raise WrongCredentials()
            session = await store.add_session(tx, session=drafted)
        token = self._token(session.session_id, account.user_id, made_by)
        return Session(token=token, expires_at=session.expires_at, user=user)

    async def sign_out(self, *, key: str, token: str) -> None:
        if (name := split_name(token)) is None:
            return
        session_id, _ = name
        async with self._database.write(slot_of(session_id)) as tx:
            await store.end_session(
                tx, session_id=session_id, token_hash=rules.token_hash(token), now=self._clock.now()
            )

    async def authenticate(self, *, token: str) -> Principal:
        name = split_name(token)
        session = await store.find_session(self._database, session_id=name[0]) if name else None
        if session is None or not rules.is_same(session.token_hash, rules.token_hash(token)):
            raise NotSignedIn()
        if session.ended_at is not None or session.expires_at <= self._clock.now():
            raise NotSignedIn()
        return Principal(session.user_id, roles=session.roles)

    async def get(self, *, user_id: str) -> User:
        return await self._user(await self._account(user_id))

    async def forget_sessions(self) -> None:
        """Drop sessions that expired a while ago, some at a time."""
        before = self._clock.now() - KEPT_AFTER_EXPIRY
        for _ in range(MOST_FORGET_BATCHES):
            rows = await store.expired_sessions(self._database, before=before, limit=FORGET_BATCH)
            if not rows:
                return
            async with self._database.write(*{slot for slot, _ in rows}) as tx:
                await store.forget_sessions(tx, rows=rows)

    async def _owner(self, email_hash: str) -> str | None:
        return await store.find_owner(self._database, slot=slot_of_value(email_hash), email_hash=email_hash)

    async def _account_of_email(self, email_hash: str) -> Account | None:
        """Two reads, whether somebody has the address or not."""
        owner = await self._owner(email_hash)
        return await store.find_user(self._database, user_id=owner or NOBODY)

    async def _account(self, user_id: str) -> Account:
        account = await store.find_user(self._database, user_id=user_id) if is_id(user_id) else None
        if account is None:
            raise NoSuchUser()
        return account

    async def _draft(self, email: str, email_hash: str, password: str, name: str, locale: str, *, role: str) -> Account:
        user_id = self._ids.new(slot=slot_of_value(email_hash))
        hashed = await self._hash(password)
        box = await self._keyring.box(person=user_id)
        return Account(
            user_id=user_id,
            email=box.seal(email.strip(), context=EMAIL),
            name=box.seal(name, context=NAME),
            password_hash=hashed,
            password_version=1,
            roles=(role,),
            locale=locale,
            created_at=self._clock.now(),
        )

    async def _add(self, tx: Transaction, draft: Account, email_hash: str) -> bool:
        """Claim the address and make the account in one commit; False for whoever comes second."""
        return await store.add_user(tx, slot=slot_of_value(email_hash), email_hash=email_hash, account=draft)

    async def _registered(self, user_id: str, password: str) -> User:
        """The account that an earlier registration with this key made. Whoever repeats it shows the password again: a
        key that was guessed shows nobody's account."""
        try:
            account = await self._account(user_id)
            user = await self._user(account)
        except NoSuchUser:
            raise EmailTaken() from None
        if not await self._verify(password, account.password_hash):
            raise IdempotencyKeyReused()
        return user

    async def _user(self, account: Account) -> User:
        try:
            box = await self._keyring.box(person=account.user_id)
        except PersonErased:
            raise NoSuchUser() from None
        return User(
            id=account.user_id,
            email=box.open(account.email, str, context=EMAIL),
            name=box.open(account.name, str, context=NAME),
            roles=account.roles,
            locale=account.locale,
            created_at=account.created_at,
        )

    async def _seal_name(self, user_id: str, name: str) -> str:
        try:
            box = await self._keyring.box(person=user_id)
        except PersonErased:
            raise NoSuchUser() from None
        return box.seal(name, context=NAME)

    async def _renew_hash(self, account: Account, password: str) -> None:
        """Hash the password at the present cost, if it was hashed at another."""
        if not self._passwords.needs_rehash(account.password_hash):
            return
        renewed = await self._hash(password)
        async with self._database.write(slot_of(account.user_id)) as tx:
            await store.renew_hash(tx, user_id=account.user_id, since=account.password_hash, password_hash=renewed)

    def _draft_session(self, account: Account, made_by: str) -> Started:
        now = self._clock.now()
        session_id = self._ids.new(slot=slot_of(account.user_id))
        return Started(
            session_id=session_id,
            user_id=account.user_id,
            token_hash=rules.token_hash(self._token(session_id, account.user_id, made_by)),
            roles=account.roles,
            made_by=made_by,
            started_at=now,
            expires_at=now + rules.session_length(account.roles),
        )

    def _token(self, session_id: str, user_id: str, made_by: str) -> str:
        return rules.token(secret=self._secret, session_id=session_id, user_id=user_id, key=made_by)

    def _email_hash(self, email: str) -> str:
        return self._keyring.lookup_hash(kind="email", value=rules.normalised_email(email))

    async def _hash(self, password: str) -> str:
        try:
            return await self._passwords.hash(password=password)
        except passwords.TooBusy as error:
            raise TooBusy() from error

    async def _verify(self, password: str, hashed: str | None) -> bool:
        try:
            return await self._passwords.verify(password=password, hashed=hashed)
        except passwords.TooBusy as error:
            raise TooBusy() from error

    def _check_throttles(self, email_hash: str, place: str) -> None:
        try:
            self._pair_failures.check(f"{email_hash} {place}")
            self._remote_failures.check(place)
            self._account_failures.check(email_hash)
        except throttle.TooManyAttempts as error:
            raise TooManyAttempts(retry_after_s=error.retry_after_s) from error

    def _throttle(self, limit: int) -> Throttle:
        return Throttle(clock=self._clock, limit=limit, window_s=FAILURE_WINDOW_S, largest=LARGEST_THROTTLE)
