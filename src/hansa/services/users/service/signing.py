"""Signing in and out, knowing who asks, and another password."""

from datetime import timedelta

from hansa.kernel.ids import slot_of, split_name
from hansa.kernel.principal import Principal
from hansa.platform.database.idempotency import IdempotencyKeyReused, keep
from hansa.services.users import rules
from hansa.services.users.contract import NoSuchUser, NotSignedIn, Session, User, WrongCredentials, WrongPassword
from hansa.services.users.service.attempts import Attempts
from hansa.services.users.service.people import Act, People
from hansa.services.users.store import accounts, sessions
from hansa.services.users.store.accounts import Account
from hansa.services.users.store.sessions import Started

KEPT_AFTER_EXPIRY = timedelta(days=1)
FORGET_BATCH = 500
MOST_FORGET_BATCHES = 200


class Signing:
    """See the module."""

    def __init__(self, *, people: People) -> None:
        self._people = people
        self._attempts = Attempts(clock=people.clock)
        self._secret = people.keyring.derive(label="users.session tokens")

    async def sign_in(self, *, key: str, email: str, password: str, remote: str) -> Session:
        people = self._people
        email_hash, place = people.email_hash(email), rules.place(remote)
        self._attempts.check(email_hash=email_hash, place=place)
        account = await people.account_of_email(email_hash)
        # The same work for an unknown address as for a wrong password, so that the time tells nobody who is here.
        if not await people.verify(password, account.password_hash if account else None) or account is None:
            self._attempts.failed(email_hash=email_hash, place=place)
            raise WrongCredentials()
        self._attempts.succeeded(email_hash=email_hash, place=place)
        try:
            user = await people.user(account)
        except NoSuchUser:
            raise WrongCredentials() from None
        await self._renew_hash(account, password)
        return await self._session(account, user, key)

    async def sign_out(self, *, key: str, token: str) -> None:
        if (name := split_name(token)) is None:
            return
        session_id, _ = name
        async with self._people.database.write(slot_of(session_id)) as tx:
            await sessions.end_session(
                tx, session_id=session_id, token_hash=rules.token_hash(token), now=self._people.clock.now()
            )

    async def authenticate(self, *, token: str) -> Principal:
        name = split_name(token)
        session = await sessions.find_session(self._people.database, session_id=name[0]) if name else None
        if session is None or not rules.is_same(session.token_hash, rules.token_hash(token)):
            raise NotSignedIn()
        if session.ended_at is not None or session.expires_at <= self._people.clock.now():
            raise NotSignedIn()
        return Principal(session.user_id, roles=session.roles)

    async def change_password(self, *, key: str, user_id: str, old: str, new: str, token: str) -> None:
        people = self._people
        account = await people.account(user_id)
        rules.check_password(password=new, email=(await people.user(account)).email)
        self._attempts.check_owner(user_id)
        act = people.act("change_password", user_id=user_id, key=key)
        if await people.verify(old, account.password_hash):
            self._attempts.owner_succeeded(user_id)
            is_done = await self._change_password(act, account, new, token)
        else:
            is_done = False
        if not is_done and not await self._was_changed(act, user_id, new):
            self._attempts.owner_failed(user_id)
            raise WrongPassword()

    async def forget(self) -> None:
        """Drop sessions that expired a while ago, some at a time."""
        before = self._people.clock.now() - KEPT_AFTER_EXPIRY
        for _ in range(MOST_FORGET_BATCHES):
            rows = await sessions.expired_sessions(self._people.database, before=before, limit=FORGET_BATCH)
            if not rows:
                return
            async with self._people.database.write(*{slot for slot, _ in rows}) as tx:
                await sessions.forget_sessions(tx, rows=rows)

    async def _session(self, account: Account, user: User, key: str) -> Session:
        made_by = self._people.keyring.lookup_hash(kind="users.sign_in", value=key)
        drafted = self._draft_session(account, made_by)
        async with self._people.database.write(slot_of(account.user_id)) as tx:
            if not await accounts.hold_password(tx, user_id=account.user_id, version=account.password_version):
                raise WrongCredentials()
            session = await sessions.add_session(tx, session=drafted)
        token = self._token(session.session_id, account.user_id, made_by)
        return Session(token=token, expires_at=session.expires_at, user=user)

    async def _change_password(self, act: Act, account: Account, new: str, token: str) -> bool:
        """False if somebody was faster: with this key, or with another, so that the old one is not the present one."""
        hashed = await self._people.hash(new)
        async with self._people.database.write(act.slot) as tx:
            if not await accounts.change_password(
                tx, user_id=account.user_id, since=account.password_version, password_hash=hashed
            ):
                return False
            if await self._people.claim(tx, act) is not None:
                raise IdempotencyKeyReused()  # the password was changed with this key, and changed back since
            kept = rules.token_hash(token) if token else ""
            await sessions.end_sessions(tx, user_id=account.user_id, now=self._people.clock.now(), but=kept)
            await keep(tx, slot=act.slot, key=act.key, answer=None)
        return True

    async def _was_changed(self, act: Act, user_id: str, new: str) -> bool:
        """Whether this very command is being repeated: it has been carried out, and the new password is the present
        one."""
        if not await accounts.was_answered(self._people.database, slot=act.slot, key=act.key):
            return False
        return await self._people.verify(new, (await self._people.account(user_id)).password_hash)

    async def _renew_hash(self, account: Account, password: str) -> None:
        """Hash the password at the present cost, if it was hashed at another."""
        if not self._people.passwords.needs_rehash(account.password_hash):
            return
        renewed = await self._people.hash(password)
        async with self._people.database.write(slot_of(account.user_id)) as tx:
            await accounts.renew_hash(tx, user_id=account.user_id, since=account.password_hash, password_hash=renewed)

    def _draft_session(self, account: Account, made_by: str) -> Started:
        now = self._people.clock.now()
        session_id = self._people.ids.new(slot=slot_of(account.user_id))
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
