"""What people change of themselves: name and language, password, and what they allow."""

import asyncio
import itertools

import pytest
from sqlalchemy import select

from hansa.kernel.errors import IdempotencyKeyReused
from hansa.kernel.ids import slot_of, slot_of_value
from hansa.platform.database.statement import Statement
from hansa.services.users.contract import (
    Consent,
    NoSuchUser,
    NotSignedIn,
    PasswordUnfit,
    TooManyAttempts,
    WrongCredentials,
    WrongPassword,
)
from hansa.services.users.service import attempts
from hansa.services.users.tables import CONSENTS, METADATA
from tests.services.users.conftest import World
from tests.services.users.test_users import EMAIL, PASSWORD, register, sign_in

NEW = "battery staple"
EVERY_WORD = Statement(select(CONSENTS).order_by(CONSENTS.c.number))


async def change_password(
    world: World, user_id: str, *, key: str = "c1", old: str = PASSWORD, new: str = NEW, token: str = ""
) -> None:
    await world.users.change_password(key=key, user_id=user_id, old=old, new=new, token=token)


async def consent(world: World, user_id: str, *, key: str, given: bool = True) -> Consent:
    return await world.users.set_consent(key=key, user_id=user_id, purpose="behaviour", given=given, source="account")


def slot_of_email(world: World, email: str) -> int:
    return slot_of_value(world.keyring.lookup_hash(kind="email", value=email))


# -- name and language


async def test_what_is_not_named_stays_as_it_was(world: World):
    user = await register(world)

    renamed = await world.users.change(key="c1", user_id=user.id, name="Ada King")
    moved = await world.users.change(key="c2", user_id=user.id, locale="zh")

    assert (renamed.name, renamed.locale) == ("Ada King", "en")
    assert (moved.name, moved.locale) == ("Ada King", "zh")
    assert await world.users.get(user_id=user.id) == moved


async def test_a_change_repeated_later_does_not_undo_what_came_after_it(world: World):
    user = await register(world)
    await world.users.change(key="c1", user_id=user.id, name="Ada King")
    await world.users.change(key="c2", user_id=user.id, name="Countess")

    assert (await world.users.change(key="c1", user_id=user.id, name="Ada King")).name == "Countess"
    with pytest.raises(IdempotencyKeyReused):
        await world.users.change(key="c1", user_id=user.id, name="Eve")


async def test_one_key_of_two_people_is_two_keys(world: World):
    ada = await register(world)
    emails = (f"bob{number}@example.com" for number in itertools.count())
    bobs = next(email for email in emails if slot_of_email(world, email) == slot_of(ada.id))
    bob = await register(world, key="r2", email=bobs)

    assert slot_of(bob.id) == slot_of(ada.id)
    for user in (ada, bob):
        assert (await world.users.change(key="c1", user_id=user.id, name=user.email)).name == user.email


# -- password


async def test_another_password_opens_and_the_old_one_does_not(world: World):
    user = await register(world)

    await change_password(world, user.id)

    with pytest.raises(WrongCredentials):
        await sign_in(world)
    await sign_in(world, password=NEW)


async def test_of_all_sessions_the_one_that_changed_the_password_goes_on(world: World):
    user = await register(world)
    mine, other = await sign_in(world), await sign_in(world, key="s2")

    await change_password(world, user.id, token=mine.token)

    assert (await world.users.authenticate(token=mine.token)).user_id == user.id
    with pytest.raises(NotSignedIn):
        await world.users.authenticate(token=other.token)


async def test_without_a_token_or_with_a_forged_one_every_session_ends(world: World):
    user = await register(world)
    for number, token in enumerate(("", "x", "1-x")):
        session = await sign_in(world, key=f"s{number}")
        await change_password(world, user.id, key=f"c{number}", new=f"{NEW} {number}", token=token)
        with pytest.raises(NotSignedIn):
            await world.users.authenticate(token=session.token)
        await change_password(world, user.id, key=f"back {number}", old=f"{NEW} {number}", new=PASSWORD)


async def test_who_does_not_know_the_password_changes_nothing_and_ends_nothing(world: World):
    user = await register(world)
    session = await sign_in(world)

    with pytest.raises(WrongPassword):
        await change_password(world, user.id, old="a guess")

    await world.users.authenticate(token=session.token)
    await sign_in(world, key="s2")


async def test_the_present_password_is_not_found_out_by_offering_it_as_the_new_one(world: World):
    user = await register(world)
    with pytest.raises(WrongPassword):
        await change_password(world, user.id, old="a guess", new=PASSWORD)


async def test_guesses_at_a_password_to_change_are_throttled_per_account_and_signing_in_is_not(world: World):
    ada, bob = await register(world), await register(world, key="r2", email="bob@example.com")
    for attempt in range(attempts.FAILURES_PER_OWNER):
        with pytest.raises(WrongPassword):
            await world.service.change_password(key=f"g{attempt}", user_id=ada.id, old="a guess", new=NEW)

    with pytest.raises(TooManyAttempts):
        await change_password(world, ada.id)
    await sign_in(world)
    await change_password(world, bob.id)
    world.clock.advance(attempts.FAILURE_WINDOW_S)
    await change_password(world, ada.id)


@pytest.mark.parametrize("new", ["", "1234567", EMAIL, EMAIL.upper(), "x" * 257])
async def test_an_unfit_new_password_is_refused(world: World, new: str):
    user = await register(world)
    with pytest.raises(PasswordUnfit):
        await world.service.change_password(key="c1", user_id=user.id, old=PASSWORD, new=new)


async def test_a_change_of_password_sent_many_times_at_once_is_one(world: World):
    user = await register(world)
    await asyncio.gather(
        *(world.service.change_password(key="c1", user_id=user.id, old=PASSWORD, new=NEW) for _ in range(4))
    )
    await sign_in(world, password=NEW)


async def test_of_two_changes_at_once_one_is_refused(world: World):
    user = await register(world)
    outcomes = await asyncio.gather(
        *(
            world.service.change_password(key=f"c{number}", user_id=user.id, old=PASSWORD, new=f"{NEW} {number}")
            for number in range(4)
        ),
        return_exceptions=True,
    )

    [winner] = [number for number, outcome in enumerate(outcomes) if outcome is None]
    assert sum(isinstance(outcome, WrongPassword) for outcome in outcomes) == 3
    await sign_in(world, password=f"{NEW} {winner}")


async def test_a_key_that_changed_a_password_does_not_change_it_again(world: World):
    user = await register(world)
    await change_password(world, user.id, key="there")
    await change_password(world, user.id, key="back", old=NEW, new=PASSWORD)

    with pytest.raises(IdempotencyKeyReused):
        await change_password(world, user.id, key="there")
    with pytest.raises(WrongPassword):
        await change_password(world, user.id, key="there", old=NEW, new="a third one")
    await sign_in(world)


# -- consents


async def test_nothing_is_allowed_that_was_not_asked_for(world: World):
    user = await register(world)

    assert await world.users.consents(user_id=user.id) == (
        Consent(purpose="behaviour", given=False, at=None),
        Consent(purpose="marketing", given=False, at=None),
    )


async def test_the_last_word_counts_and_every_word_stays(world: World):
    user = await register(world)
    moments = []
    for number, given in enumerate([True, False, True]):
        world.clock.advance(60)
        moments.append(world.clock.now())
        await consent(world, user.id, key=f"k{number}", given=given)

    behaviour, marketing = await world.users.consents(user_id=user.id)
    assert (behaviour.given, behaviour.at, marketing.given) == (True, moments[-1], False)
    rows = await world.database.all(EVERY_WORD)
    assert [(bool(row["given"]), row["source"]) for row in rows] == [(each, "account") for each in (True, False, True)]


async def test_saying_the_same_again_is_no_new_word_and_refusing_what_was_never_given_is_one(world: World):
    user = await register(world)
    first = await consent(world, user.id, key="k1", given=False)
    world.clock.advance(60)

    assert await consent(world, user.id, key="k2", given=False) == first
    assert len(await world.database.all(EVERY_WORD)) == 1


async def test_a_consent_repeated_after_it_was_withdrawn_is_not_given_again(world: World):
    user = await register(world)
    given = await consent(world, user.id, key="k1")
    await consent(world, user.id, key="k2", given=False)

    assert await consent(world, user.id, key="k1") == given
    assert [each.given for each in await world.users.consents(user_id=user.id)] == [False, False]


async def test_consents_said_at_once_are_all_on_record(world: World):
    user = await register(world)
    await asyncio.gather(
        *(
            world.service.set_consent(
                key=f"k{number}", user_id=user.id, purpose="marketing", given=number % 2 == 0, source="account"
            )
            for number in range(6)
        )
    )
    rows = await world.database.all(EVERY_WORD)
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    _, marketing = await world.users.consents(user_id=user.id)
    assert marketing.given == bool(rows[-1]["given"])


async def test_one_persons_consent_is_nobody_elses(world: World):
    ada, bob = await register(world), await register(world, key="r2", email="bob@example.com")
    await consent(world, ada.id, key="k1")

    assert not any(each.given for each in await world.users.consents(user_id=bob.id))


# -- everything of it


async def test_who_has_no_account_changes_nothing(world: World):
    for user_id in ("", "1", "x", "9" * 30):
        with pytest.raises(NoSuchUser):
            await world.users.change(key="k1", user_id=user_id, name="Eve")
        with pytest.raises(NoSuchUser):
            await change_password(world, user_id)
        with pytest.raises(NoSuchUser):
            await world.users.consents(user_id=user_id)
        with pytest.raises(NoSuchUser):
            await consent(world, user_id, key="k1")


async def test_nothing_personal_and_no_password_rests_in_the_clear(world: World):
    user = await register(world)
    await world.users.change(key="c1", user_id=user.id, name="Ada King")
    await change_password(world, user.id)

    for table in METADATA.sorted_tables:
        for row in await world.database.all(Statement(select(table))):
            said = " ".join(str(row[name]) for name in table.c.keys()).lower()
            assert "king" not in said, table.name
            assert "battery" not in said, table.name
