"""Registering, signing in and out, and who is told what."""

import asyncio

import msgspec
import pytest
from sqlalchemy import select

from hansa.kernel.errors import BusinessError, IdempotencyKeyReused
from hansa.kernel.ids import slot_of
from hansa.kernel.principal import CUSTOMER, STAFF
from hansa.platform.database.statement import Statement
from hansa.services.users import rules
from hansa.services.users.contract import (
    EmailTaken,
    NoSuchUser,
    NotSignedIn,
    PasswordUnfit,
    Session,
    TooManyAttempts,
    User,
    WrongCredentials,
)
from hansa.services.users.service import attempts
from hansa.services.users.tables import IDENTITIES, METADATA, SESSIONS, USERS
from tests.services.users.conftest import World

EMAIL = "Ada@Example.com"
PASSWORD = "correct horse"
ALL_SESSIONS = Statement(select(SESSIONS))
ALL_USERS = Statement(select(USERS))
ALL_IDENTITIES = Statement(select(IDENTITIES))
DAY_S = 86_400


async def register(world: World, *, key: str = "r1", email: str = EMAIL, password: str = PASSWORD) -> User:
    return await world.users.register(key=key, email=email, password=password, name="Ada Lovelace")


async def sign_in(
    world: World, *, key: str = "s1", email: str = EMAIL, password: str = PASSWORD, remote: str = "192.0.2.1"
) -> Session:
    return await world.users.sign_in(key=key, email=email, password=password, remote=remote)


async def test_who_registers_is_a_customer_and_sees_the_own_account(world: World):
    user = await register(world)

    assert (user.email, user.name, user.roles) == (EMAIL, "Ada Lovelace", (CUSTOMER,))
    assert await world.users.get(user_id=user.id) == user


async def test_the_same_key_makes_one_account(world: World):
    assert await register(world) == await register(world)
    assert len(await world.database.all(ALL_USERS)) == 1


async def test_an_address_is_taken_in_every_spelling(world: World):
    await register(world)
    with pytest.raises(EmailTaken):
        await register(world, key="r2", email="ada@EXAMPLE.com")


async def test_a_known_key_without_the_password_shows_nothing(world: World):
    await register(world)
    with pytest.raises(IdempotencyKeyReused):
        await register(world, password="something else")


async def test_a_key_that_made_an_account_makes_no_other(world: World):
    await register(world)
    await register(world, key="r2", email="grace@example.com")
    for email in ("eve@example.com", "grace@example.com"):
        with pytest.raises(IdempotencyKeyReused):
            await register(world, email=email)
    assert len(await world.database.all(ALL_USERS)) == 2


async def test_a_key_whose_address_was_taken_may_be_used_for_another(world: World):
    await register(world)
    for _ in range(2):
        with pytest.raises(EmailTaken):
            await register(world, key="r2")
    assert (await register(world, key="r2", email="grace@example.com")).email == "grace@example.com"


async def test_of_two_accounts_wanted_with_one_key_at_once_one_is_made(world: World):
    outcomes = await asyncio.gather(
        *(register(world, email=f"person{number}@example.com") for number in range(6)), return_exceptions=True
    )

    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, IdempotencyKeyReused) for outcome in outcomes) == 5
    assert len(await world.database.all(ALL_USERS)) == 1


async def test_a_registration_repeated_after_its_person_was_erased_shows_nothing(world: World):
    user = await register(world)
    await world.keyring.erase(person=user.id)
    with pytest.raises(EmailTaken):
        await register(world)


async def test_of_many_who_want_an_address_one_gets_it(world: World):
    outcomes = await asyncio.gather(*(register(world, key=f"r{number}") for number in range(8)), return_exceptions=True)

    users = [outcome for outcome in outcomes if isinstance(outcome, User)]
    assert len(users) == 1
    assert all(isinstance(outcome, EmailTaken) for outcome in outcomes if outcome not in users)
    assert len(await world.database.all(ALL_IDENTITIES)) == len(await world.database.all(ALL_USERS)) == 1


async def test_a_registration_sent_many_times_at_once_has_one_answer(world: World):
    users = await asyncio.gather(*(register(world) for _ in range(8)))
    assert len({user.id for user in users}) == 1


async def test_an_unfit_password_is_refused(world: World):
    with pytest.raises(PasswordUnfit):
        await register(world, password=EMAIL)


async def test_nothing_personal_is_kept_in_the_clear(world: World):
    await register(world)
    await sign_in(world)
    for table in METADATA.sorted_tables:
        for row in await world.database.all(Statement(select(table))):
            kept = " ".join(str(row[column]) for column in table.c.keys()).lower()
            assert "ada" not in kept.split()
            assert "lovelace" not in kept
            assert "example.com" not in kept
            assert PASSWORD not in kept


async def test_a_token_stands_for_its_user(world: World):
    user = await register(world)
    session = await sign_in(world, email=" ada@example.com ".strip())

    principal = await world.users.authenticate(token=session.token)

    assert (principal.user_id, principal.roles) == (user.id, (CUSTOMER,))
    assert session.user == user
    assert slot_of(session.token.partition("-")[0]) == slot_of(user.id)


async def test_of_a_token_only_the_hash_is_kept(world: World):
    await register(world)
    session = await sign_in(world)
    [row] = await world.database.all(ALL_SESSIONS)
    assert row["token_hash"] == rules.token_hash(session.token)
    assert session.token.partition("-")[2] not in str([row[name] for name in SESSIONS.c.keys()])


async def test_the_same_key_opens_one_session_and_another_key_another(world: World):
    await register(world)
    sessions = await asyncio.gather(*(sign_in(world) for _ in range(4)), sign_in(world, key="s2"))

    assert len({session.token for session in sessions[:4]}) == 1
    assert sessions[4].token != sessions[0].token
    assert len(await world.database.all(ALL_SESSIONS)) == 2


async def test_a_repeated_sign_in_needs_the_password_too(world: World):
    await register(world)
    await sign_in(world)
    with pytest.raises(WrongCredentials):
        await sign_in(world, password="guessed it")


async def test_an_unknown_account_is_refused_like_a_wrong_password(world: World):
    await register(world)
    refusals = []
    for email, password in ((EMAIL, "guessed it"), ("nobody@example.com", PASSWORD)):
        with pytest.raises(WrongCredentials) as refusal:
            await sign_in(world, email=email, password=password)
        refusals.append((refusal.value.code, refusal.value.fields()))
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
async def test_guessing_is_slowed_down_whether_the_account_exists_or_not(world: World, email: str):
    await register(world)
    for attempt in range(attempts.FAILURES_PER_ACCOUNT_AND_REMOTE):
        with pytest.raises((WrongCredentials, TooManyAttempts)):
            await sign_in(world, key=f"g{attempt}", email=email, password="guessed it")

    with pytest.raises(TooManyAttempts) as refusal:
        await sign_in(world, email=email)
    assert 0 < refusal.value.retry_after_s <= attempts.FAILURE_WINDOW_S

    world.clock.advance(attempts.FAILURE_WINDOW_S)
    if email == EMAIL:
        await sign_in(world, email=email)


async def test_whoever_guesses_does_not_shut_the_owner_out(world: World):
    await register(world)
    for attempt in range(attempts.FAILURES_PER_REMOTE):
        with pytest.raises((WrongCredentials, TooManyAttempts)):
            await sign_in(world, key=f"g{attempt}", password="guessed it", remote=f"2001:db8::{attempt}")
    with pytest.raises(TooManyAttempts):
        await sign_in(world, remote="2001:db8::ffff")

    for remote in ("192.0.2.1", "2001:db8:0:1::1"):
        await world.users.authenticate(token=(await sign_in(world, key=remote, remote=remote)).token)


async def test_guessing_for_one_account_from_very_many_places_is_slowed_down(world: World):
    await register(world)
    for attempt in range(attempts.FAILURES_PER_ACCOUNT):
        with pytest.raises(WrongCredentials):
            await world.service.sign_in(
                key="g", email=EMAIL, password="guessed it", remote=f"198.51.{attempt // 250}.{attempt % 250}"
            )

    with pytest.raises(TooManyAttempts):
        await sign_in(world, remote="192.0.2.1")
    await register(world, key="r2", email="grace@example.com")
    await sign_in(world, email="grace@example.com")


async def test_guessing_for_many_accounts_from_one_place_is_slowed_down(world: World):
    with pytest.raises(TooManyAttempts):  # noqa: PT012
        for attempt in range(attempts.FAILURES_PER_REMOTE + 1):
            with pytest.raises(WrongCredentials):
                await sign_in(world, key=f"g{attempt}", email=f"person{attempt}@example.com")


async def test_who_signed_out_is_unknown_and_may_sign_out_again(world: World):
    await register(world)
    session, other = await sign_in(world), await sign_in(world, key="s2")

    for key in ("o1", "o2"):
        await world.users.sign_out(key=key, token=session.token)

    with pytest.raises(NotSignedIn):
        await world.users.authenticate(token=session.token)
    await world.users.authenticate(token=other.token)


async def test_a_sign_in_repeated_after_its_session_is_over_opens_a_new_one(world: World):
    user = await register(world)
    tokens = []
    for seconds in (0, 31 * DAY_S, 0):
        session = await sign_in(world)
        assert (await world.users.authenticate(token=session.token)).user_id == user.id
        tokens.append(session.token)
        if seconds:
            world.clock.advance(seconds)
        else:
            await world.users.sign_out(key="o1", token=session.token)
        with pytest.raises(NotSignedIn):
            await world.users.authenticate(token=session.token)

    assert len(set(tokens)) == 3
    sessions = await asyncio.gather(*(sign_in(world) for _ in range(4)))
    assert len({session.token for session in sessions}) == 1
    await world.users.authenticate(token=sessions[0].token)
    for token in tokens:
        with pytest.raises(NotSignedIn):
            await world.users.authenticate(token=token)


async def test_what_is_no_token_is_nobodys(world: World):
    for token in ("", "-", "1", "0-x", "4194304-x", "x-y", "9" * 40, "1-" + "x" * 500, "é-é", "1-\u2028"):
        with pytest.raises(NotSignedIn):
            await world.users.authenticate(token=token)
        await world.users.sign_out(key="o1", token=token)


async def test_a_session_id_without_its_secret_neither_stands_for_anybody_nor_ends(world: World):
    await register(world)
    session = await sign_in(world)
    forged = session.token[:-1] + ("A" if session.token[-1] != "A" else "B")

    await world.users.sign_out(key="o1", token=forged)

    with pytest.raises(NotSignedIn):
        await world.users.authenticate(token=forged)
    await world.users.authenticate(token=session.token)


async def test_customers_sessions_last_30_days_and_staffs_12_hours(world: World):
    await register(world)
    await world.users.put_staff(key="p1", email="staff@example.com", password=PASSWORD)
    customer, staff = await sign_in(world), await sign_in(world, email="staff@example.com")

    world.clock.advance(12 * 3600)
    with pytest.raises(NotSignedIn):
        await world.users.authenticate(token=staff.token)
    world.clock.advance(29.4 * DAY_S)
    await world.users.authenticate(token=customer.token)
    world.clock.advance(0.1 * DAY_S)
    with pytest.raises(NotSignedIn):
        await world.users.authenticate(token=customer.token)


async def test_sessions_are_forgotten_after_they_expired(world: World):
    await register(world)
    for number in range(3):
        await sign_in(world, key=f"s{number}")
    world.clock.advance(20 * DAY_S)
    fresh = await sign_in(world, key="fresh")

    world.clock.advance(12 * DAY_S)
    await asyncio.gather(world.service.forget_sessions(), world.service.forget_sessions())

    assert len(await world.database.all(ALL_SESSIONS)) == 1
    await world.users.authenticate(token=fresh.token)


async def test_put_staff_makes_an_account_of_staff(world: World):
    user = await world.users.put_staff(key="p1", email="staff@example.com", password=PASSWORD)

    assert user.roles == (STAFF,)
    session = await sign_in(world, email="staff@example.com")
    assert (await world.users.authenticate(token=session.token)).has(STAFF)


async def test_put_staff_changes_the_password_and_ends_what_the_old_one_opened(world: World):
    before = await world.users.put_staff(key="p1", email="staff@example.com", password=PASSWORD)
    session = await sign_in(world, email="staff@example.com")

    after = await world.users.put_staff(key="p2", email="STAFF@example.com", password="another one", name="Grace")

    assert after == msgspec.structs.replace(before, name="Grace")
    with pytest.raises(NotSignedIn):
        await world.users.authenticate(token=session.token)
    with pytest.raises(WrongCredentials):
        await sign_in(world, key="s2", email="staff@example.com")
    await sign_in(world, key="s3", email="staff@example.com", password="another one")
    with pytest.raises(IdempotencyKeyReused):
        await world.users.put_staff(key="p2", email="staff@example.com", password="a third one")


async def test_put_staff_with_nothing_new_leaves_sessions_alone(world: World):
    await world.users.put_staff(key="p1", email="staff@example.com", password=PASSWORD)
    session = await sign_in(world, email="staff@example.com")
    await world.users.put_staff(key="p2", email="staff@example.com", password=PASSWORD)
    await world.users.authenticate(token=session.token)


async def test_a_customer_becomes_staff_and_signs_in_again(world: World):
    user = await register(world)
    session = await sign_in(world)

    staff = await world.users.put_staff(key="p1", email=EMAIL, password=PASSWORD)

    assert (staff.id, staff.roles) == (user.id, (CUSTOMER, STAFF))
    with pytest.raises(NotSignedIn):
        await world.users.authenticate(token=session.token)


async def test_a_sign_in_during_a_change_of_password_leaves_no_session_of_the_old_one(world: World):
    await world.users.put_staff(key="p0", email="staff@example.com", password=PASSWORD)
    outcomes = await asyncio.gather(
        *(
            world.service.sign_in(key=f"s{number}", email="staff@example.com", password=PASSWORD, remote="192.0.2.1")
            for number in range(6)
        ),
        world.service.put_staff(key="p1", email="staff@example.com", password="another one"),
        return_exceptions=True,
    )

    for outcome in outcomes[:-1]:
        if isinstance(outcome, Session):
            with pytest.raises(NotSignedIn):
                await world.users.authenticate(token=outcome.token)
        else:
            assert isinstance(outcome, BusinessError), outcome


async def test_who_was_erased_is_nobody(world: World):
    user = await register(world)
    await world.keyring.erase(person=user.id)

    with pytest.raises(NoSuchUser):
        await world.users.get(user_id=user.id)
    with pytest.raises(WrongCredentials):
        await sign_in(world)


async def test_an_unknown_user_is_not_found(world: World):
    for user_id in ("", "1", "x", "9" * 30):
        with pytest.raises(NoSuchUser):
            await world.users.get(user_id=user_id)
