"""Address books: whose they are, which address is the default, and how many there may be."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select

from hansa.kernel.address import Address
from hansa.kernel.errors import IdempotencyKeyReused
from hansa.platform.database.statement import Statement
from hansa.services.users import rules
from hansa.services.users.contract import (
    MOST_ADDRESSES,
    AddressBookFull,
    NoSuchAddress,
    NoSuchUser,
    SavedAddress,
)
from hansa.services.users.store.addresses import Kept
from hansa.services.users.tables import METADATA
from tests.services.users.conftest import World
from tests.services.users.test_users import register

HOME = Address(name="Ada Lovelace", line1="1 Byron Row", city="London", postal_code="N1", country="GB")
WORK = replace(HOME, line1="9 Engine Yard")
CLUB = replace(HOME, line1="3 Whist Lane")


async def put(
    world: World,
    user_id: str,
    address: Address,
    *,
    key: str | None = None,
    address_id: str | None = None,
    is_default: bool = False,
) -> SavedAddress:
    return await world.users.put_address(
        key=key or address.line1, user_id=user_id, address_id=address_id, address=address, is_default=is_default
    )


async def remove(world: World, user_id: str, address_id: str, *, key: str = "d1") -> None:
    await world.users.remove_address(key=key, user_id=user_id, address_id=address_id)


async def lines(world: World, user_id: str) -> list[tuple[str, bool]]:
    book = await world.users.addresses(user_id=user_id)
    return [(saved.address.line1, saved.is_default) for saved in book]


async def test_the_first_address_is_the_default_and_later_ones_are_not(world: World):
    ada = await register(world)

    first = await put(world, ada.id, HOME)
    await put(world, ada.id, WORK)

    assert (first.address, first.is_default) == (HOME, True)
    assert await lines(world, ada.id) == [(HOME.line1, True), (WORK.line1, False)]


async def test_another_default_comes_first_and_is_the_only_one(world: World):
    ada = await register(world)
    for address in (HOME, WORK):
        await put(world, ada.id, address)

    await put(world, ada.id, CLUB, is_default=True)

    assert await lines(world, ada.id) == [(CLUB.line1, True), (HOME.line1, False), (WORK.line1, False)]


async def test_a_changed_address_keeps_its_place_and_the_default_stays_so(world: World):
    ada = await register(world)
    home, work = await put(world, ada.id, HOME), await put(world, ada.id, WORK)

    moved = await put(world, ada.id, CLUB, address_id=home.id)
    await put(world, ada.id, replace(WORK, phone="1"), key="w2", address_id=work.id, is_default=True)

    assert moved == SavedAddress(id=home.id, address=CLUB, is_default=True)
    assert await lines(world, ada.id) == [(WORK.line1, True), (CLUB.line1, False)]


async def test_of_a_book_without_its_default_the_oldest_becomes_it(world: World):
    ada = await register(world)
    home = await put(world, ada.id, HOME)
    for address in (WORK, CLUB):
        await put(world, ada.id, address)

    await remove(world, ada.id, home.id)

    assert await lines(world, ada.id) == [(WORK.line1, True), (CLUB.line1, False)]


async def test_an_emptied_book_begins_anew(world: World):
    ada = await register(world)
    home = await put(world, ada.id, HOME)
    await remove(world, ada.id, home.id)
    assert await world.users.addresses(user_id=ada.id) == ()

    await put(world, ada.id, WORK)
    assert await lines(world, ada.id) == [(WORK.line1, True)]


async def test_somebody_elses_address_is_not_found(world: World):
    ada, eve = await register(world), await register(world, key="r2", email="eve@example.com")
    home = await put(world, ada.id, HOME)

    for address_id in (home.id, "1", "x", "", "9" * 30):
        with pytest.raises(NoSuchAddress):
            await put(world, eve.id, WORK, address_id=address_id)
        with pytest.raises(NoSuchAddress):
            await remove(world, eve.id, address_id)
    assert await world.users.addresses(user_id=eve.id) == ()
    assert await lines(world, ada.id) == [(HOME.line1, True)]


async def test_the_same_key_makes_one_address_and_serves_for_no_other(world: World):
    ada = await register(world)
    saved = await put(world, ada.id, HOME)

    assert await put(world, ada.id, HOME) == saved
    with pytest.raises(IdempotencyKeyReused):
        await put(world, ada.id, WORK, key=HOME.line1)
    assert await lines(world, ada.id) == [(HOME.line1, True)]


async def test_what_was_removed_stays_so_when_it_is_put_again_with_the_same_key(world: World):
    ada = await register(world)
    home = await put(world, ada.id, HOME)
    await remove(world, ada.id, home.id)

    assert (await put(world, ada.id, HOME)).id == home.id
    await remove(world, ada.id, home.id)
    with pytest.raises(NoSuchAddress):
        await remove(world, ada.id, home.id, key="d2")
    assert await world.users.addresses(user_id=ada.id) == ()


async def test_a_full_book_takes_no_more_but_may_be_changed(world: World):
    ada = await register(world)
    saved = [await put(world, ada.id, replace(HOME, line1=f"{number}")) for number in range(MOST_ADDRESSES)]

    with pytest.raises(AddressBookFull):
        await put(world, ada.id, HOME)
    await put(world, ada.id, WORK, address_id=saved[-1].id)
    await remove(world, ada.id, saved[0].id)
    await put(world, ada.id, HOME)

    assert len(await world.users.addresses(user_id=ada.id)) == MOST_ADDRESSES


async def test_of_many_addresses_at_once_no_more_than_fit_are_taken_and_one_is_the_default(world: World):
    ada = await register(world)
    outcomes = await asyncio.gather(
        *(
            world.service.put_address(
                key=f"k{number}",
                user_id=ada.id,
                address_id=None,
                address=replace(HOME, line1=f"{number}"),
                is_default=number % 2 == 0,
            )
            for number in range(MOST_ADDRESSES + 5)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, AddressBookFull) for outcome in outcomes) == 5
    book = await world.users.addresses(user_id=ada.id)
    assert [saved.is_default for saved in book] == [True] + [False] * (MOST_ADDRESSES - 1)


async def test_an_address_rests_sealed_and_is_gone_with_its_person(world: World):
    ada = await register(world)
    await put(world, ada.id, HOME)

    for table in METADATA.sorted_tables:
        for row in await world.database.all(Statement(select(table))):
            assert "byron" not in " ".join(str(row[name]) for name in table.c.keys()).lower(), table.name
    await world.keyring.erase(person=ada.id)
    assert await world.users.addresses(user_id=ada.id) == ()
    with pytest.raises(NoSuchUser):
        await put(world, ada.id, WORK)


async def test_who_has_no_account_has_no_addresses(world: World):
    for user_id in ("", "1", "x", "9" * 30):
        assert await world.users.addresses(user_id=user_id) == ()
        with pytest.raises(NoSuchUser):
            await put(world, user_id, HOME)
        with pytest.raises(NoSuchUser):
            await remove(world, user_id, "1")


@given(st.lists(st.tuples(st.sampled_from(["add", "change", "remove"]), st.integers(0, 30), st.booleans())))
def test_whatever_is_done_a_book_with_addresses_has_one_default(steps: list[tuple[str, int, bool]]):
    book: dict[str, bool] = {}
    for number, (act, choice, wanted) in enumerate(steps, start=1):
        kept = [Kept(saved_id=saved_id, address="", is_default=flag) for saved_id, flag in book.items()]
        chosen = str(number) if act == "add" else ([*book] or [""])[choice % max(len(book), 1)]
        if act == "remove":
            left = [each for each in kept if each.saved_id != chosen]
            book = {each.saved_id: each.is_default for each in left}
            if (heir := rules.heir(left)) is not None:
                book[heir] = True
        elif act == "add" or chosen in book:
            is_default = wanted or rules.stays_default(kept, saved_id=chosen)
            if is_default:
                book = dict.fromkeys(book, False)
            book[chosen] = is_default
        assert sum(book.values()) == bool(book)
