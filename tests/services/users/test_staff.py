"""Accounts as the staff sees them: masked in lists, and in the clear for a reason that is noted."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hansa.kernel.errors import IdempotencyKeyReused
from hansa.kernel.page import CursorInvalid
from hansa.kernel.principal import CUSTOMER, STAFF
from hansa.platform.database.platform_tables import AUDIT
from hansa.platform.database.statement import Statement
from hansa.services.users import rules
from hansa.services.users.contract import NoSuchUser, User
from tests.services.users.conftest import World
from tests.services.users.test_addresses import HOME, put
from tests.services.users.test_users import EMAIL, PASSWORD, register

ACTOR = "user:1"
EVERY_AUDIT = Statement(select(AUDIT).where(AUDIT.c.action == "users.reveal"))


async def people(world: World, count: int) -> list[User]:
    made = []
    for number in range(count):
        world.clock.advance(1)
        made.append(await register(world, key=f"p{number}", email=f"person{number}@example.com"))
    return made


async def reveal(world: World, user_id: str, *, key: str = "v1", reason: str = "asked on the telephone") -> User:
    return await world.users.reveal(key=key, user_id=user_id, actor=ACTOR, reason=reason)


async def test_a_list_shows_people_masked(world: World):
    ada = await register(world)
    staff = await world.users.put_staff(key="p1", email="staff@example.com", password=PASSWORD)

    page = await world.users.list_for_staff()

    by_id = {item.id: item for item in page.items}
    assert (by_id[ada.id].email_masked, by_id[ada.id].name_masked) == ("A***@E***.com", "A. L.")
    assert (by_id[ada.id].roles, by_id[staff.id].roles) == ((CUSTOMER,), (STAFF,))
    said = msgspec.json.encode(page).decode()
    assert "Lovelace" not in said
    assert EMAIL not in said


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_accounts_are_listed_by_age_page_by_page(world: World, order: str):
    made = [user.id for user in await people(world, 5)]

    listed: list[str] = []
    cursor = None
    while True:
        page = await world.users.list_for_staff(order=order, limit=2, cursor=cursor)  # type: ignore[arg-type]
        listed += [item.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert listed == (made if order == "oldest" else made[::-1])


async def test_a_cursor_of_another_list_or_order_is_refused(world: World):
    await people(world, 2)
    page = await world.users.list_for_staff(order="oldest", limit=1)

    for cursor in ("x", "", page.next_cursor):
        with pytest.raises(CursorInvalid):
            await world.users.list_for_staff(order="newest", cursor=cursor)


async def test_one_is_found_by_the_exact_address_or_the_id_and_by_nothing_else(world: World):
    ada, *_ = await register(world), *await people(world, 2)

    for q in (EMAIL, " ADA@EXAMPLE.COM ", ada.id):
        assert [item.id for item in (await world.users.list_for_staff(q=q)).items] == [ada.id]
    for q in ("ada", "example.com", "ada@example", "Lovelace", "1", "9" * 30, "a@", "%", "ada@example.comx"):
        assert (await world.users.list_for_staff(q=q)).items == ()
    assert len((await world.users.list_for_staff(q="  ")).items) == 3


async def test_one_account_is_masked_too_and_leaves_no_trace(world: World):
    ada = await register(world)
    await put(world, ada.id, HOME)
    await world.users.set_consent(key="k1", user_id=ada.id, purpose="marketing", given=True, source="account")

    seen = await world.users.get_for_staff(user_id=ada.id, actor=ACTOR)

    assert (seen.email_masked, seen.name_masked, seen.addresses) == ("A***@E***.com", "A. L.", 1)
    assert {each.purpose: each.given for each in seen.consents} == {"behaviour": False, "marketing": True}
    assert HOME.line1 not in msgspec.json.encode(seen).decode()
    assert await world.database.all(EVERY_AUDIT) == []


async def test_who_looks_behind_the_mask_says_why_and_that_is_noted_without_the_data(world: World):
    ada = await register(world)

    assert await reveal(world, ada.id) == ada
    assert await reveal(world, ada.id) == ada

    [row] = await world.database.all(EVERY_AUDIT)
    assert (row["actor"], row["target"]) == (ACTOR, ada.id)
    assert msgspec.json.decode(row["detail"]) == {"reason": "asked on the telephone"}
    await reveal(world, ada.id, key="v2", reason="asked again")
    assert len(await world.database.all(EVERY_AUDIT)) == 2


async def test_one_reason_does_not_serve_for_another(world: World):
    ada, bob = await register(world), await register(world, key="r2", email="bob@example.com")
    await reveal(world, ada.id)

    with pytest.raises(IdempotencyKeyReused):
        await reveal(world, ada.id, reason="out of curiosity")
    assert await reveal(world, bob.id) == bob
    assert len(await world.database.all(EVERY_AUDIT)) == 2


async def test_of_somebody_erased_only_that_there_was_somebody_is_left(world: World):
    ada = await register(world)
    await world.keyring.erase(person=ada.id)

    [item] = (await world.users.list_for_staff()).items
    seen = await world.users.get_for_staff(user_id=ada.id, actor=ACTOR)

    assert (item.id, item.email_masked, item.name_masked) == (ada.id, "-", "-")
    assert (seen.email_masked, seen.name_masked) == ("-", "-")
    with pytest.raises(NoSuchUser):
        await reveal(world, ada.id)
    assert await world.database.all(EVERY_AUDIT) == []


async def test_an_unknown_account_is_not_found(world: World):
    for user_id in ("", "1", "x", "9" * 30):
        with pytest.raises(NoSuchUser):
            await world.users.get_for_staff(user_id=user_id, actor=ACTOR)
        with pytest.raises(NoSuchUser):
            await reveal(world, user_id)


@pytest.mark.parametrize(
    ("name", "masked"),
    [("Ada Lovelace", "A. L."), ("王小明", "王."), ("", "-"), ("  ", "-"), ("a b c d e", "a. b. c."), ("Ada", "A.")],
)
def test_of_a_name_the_initials_are_left(name: str, masked: str):
    assert rules.masked_name(name) == masked


@given(st.emails())
def test_of_an_address_no_more_is_left_than_two_letters_and_the_top_of_the_domain(email: str):
    local, _, domain = email.rpartition("@")
    masked = rules.masked_email(email)
    assert masked == f"{local[0]}***@{domain[0]}***.{domain.rpartition('.')[2]}"
