"""What every store promises, each by itself and as one of two processes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hansa.platform.cache.port import LARGEST_VALUE, LONGEST_KEY, CacheTrouble, Store
from tests.platform.cache.parts import DAMAGES, KEY, NOW, Damage, Hearing, Part, entry, keep, lent, one, until
from tests.platform.cache.stores import OPENED

PLAIN = "home.front"
"""A key without a part in braces."""
SECOND = 1_000_000


@pytest.fixture(params=sorted(OPENED))
async def part(request: pytest.FixtureRequest) -> AsyncIterator[Part]:
    async with OPENED[request.param](request) as part:
        yield part


@pytest.fixture
async def store(part: Part) -> Store:
    return await part.store()


async def is_lent(store: Store, key: str = KEY) -> bool:
    loan = await store.lend(key, now=NOW, for_s=60.0)
    if loan.token is not None:
        await store.give_back(key, token=loan.token)
    return loan.token is None


@pytest.mark.parametrize("key", [KEY, PLAIN])
async def test_what_one_process_keeps_another_one_reads(part: Part, key: str) -> None:
    writer, reader = await part.store(), await part.store()
    kept = entry(b'{"name":"Chair","price":1999}', version=7)

    await keep(writer, kept, key)

    assert await one(reader, key) == kept


async def test_a_key_that_nobody_has_filled_has_no_entry(store: Store) -> None:
    assert await store.read([KEY, PLAIN]) == [None, None]


async def test_no_keys_have_no_entries(store: Store) -> None:
    assert await store.read([]) == []
    await store.drop([])


async def test_absence_is_kept_as_such(store: Store) -> None:
    await keep(store, entry(b"null", version=0, is_absent=True))

    found = await one(store)
    assert found is not None
    assert found.is_absent
    assert found.value == b"null"


async def test_entries_come_in_the_order_of_their_keys_and_each_is_of_its_own_key(store: Store) -> None:
    keys = [f"products.get:{{{number}}}:en" for number in range(20)]
    for number, key in enumerate(keys):
        if number % 3:
            await keep(store, entry(b"%d" % number, version=number), key)

    found = await store.read([*reversed(keys), PLAIN])

    assert [None if each is None else each.version for each in found] == [
        *(number if number % 3 else None for number in reversed(range(20))),
        None,
    ]


async def test_keys_with_the_same_part_in_braces_are_each_other_s_neighbours_only(store: Store) -> None:
    english, german = "products.get:{5}:en", "products.get:{5}:de"
    await keep(store, entry(b'"Chair"'), english)
    await keep(store, entry(b'"Stuhl"'), german)

    await store.drop([english])

    assert [each and each.value for each in await store.read([english, german])] == [None, b'"Stuhl"']


async def test_only_one_of_many_who_ask_at_once_gets_a_loan(part: Part) -> None:
    stores = [await part.store() for _ in range(3)]

    loans = await asyncio.gather(*(store.lend(KEY, now=NOW, for_s=60.0) for store in stores * 20))

    assert len([loan for loan in loans if loan.token is not None]) == 1


async def test_a_loan_ends_when_its_time_is_over(part: Part) -> None:
    slow, quick = await part.store(), await part.store()
    await lent(slow, for_s=60.0)

    refused = await quick.lend(KEY, now=NOW + 59 * SECOND, for_s=60.0)
    granted = await quick.lend(KEY, now=NOW + 61 * SECOND, for_s=60.0)

    assert refused.token is None
    assert granted.token is not None


async def test_who_is_late_cannot_fill_what_another_one_was_lent_since(part: Part) -> None:
    slow, quick = await part.store(), await part.store()
    late = await lent(slow)
    token = await lent(quick, now=NOW + 61 * SECOND)

    assert not await slow.put(KEY, entry(b'"old"'), token=late)
    assert await one(slow) is None
    assert await quick.put(KEY, entry(b'"new"'), token=token)

    found = await one(slow)
    assert found is not None
    assert found.value == b'"new"'


async def test_a_loan_ends_with_the_filling(store: Store) -> None:
    token = await lent(store)

    assert await store.put(KEY, entry(b'"first"'), token=token)
    assert not await store.put(KEY, entry(b'"second"'), token=token)

    assert not await is_lent(store)


async def test_a_loan_that_was_given_back_fills_nothing(store: Store) -> None:
    token = await lent(store)

    await store.give_back(KEY, token=token)

    assert not await store.put(KEY, entry(), token=token)
    assert not await is_lent(store)


async def test_a_loan_of_another_one_is_not_given_back(store: Store) -> None:
    token = await lent(store)

    await store.give_back(KEY, token=token + 1)

    assert await is_lent(store)


async def test_what_was_loaded_before_a_change_is_not_kept_after_it(part: Part) -> None:
    loader, writer = await part.store(), await part.store()
    token = await lent(loader)

    await writer.drop([KEY])

    assert not await loader.put(KEY, entry(b'"old"'), token=token)
    assert await one(loader) is None


async def test_nor_when_somebody_was_lent_the_key_since(part: Part) -> None:
    loader, writer = await part.store(), await part.store()
    late = await lent(loader)
    await writer.drop([KEY])
    token = await lent(writer)

    assert not await loader.put(KEY, entry(b'"old"'), token=late)
    assert await writer.put(KEY, entry(b'"new"'), token=token)


async def test_a_token_of_nobody_fills_nothing(store: Store) -> None:
    assert not await store.put(KEY, entry(), token=0)
    assert not await store.put(KEY, entry(), token=12345)
    await keep(store, entry(b'"kept"'))
    assert not await store.put(KEY, entry(b'"other"'), token=0)

    found = await one(store)
    assert found is not None
    assert found.value == b'"kept"'


async def test_a_later_version_stays(store: Store) -> None:
    await keep(store, entry(b'"later"', version=10))

    assert not await store.put(KEY, entry(b'"earlier"', version=9), token=await lent(store))

    found = await one(store)
    assert found is not None
    assert found.version == 10
    assert not await is_lent(store)


@pytest.mark.parametrize("version", [10, 11, 100, 2**60])
async def test_the_same_version_or_a_later_one_takes_its_place(store: Store, version: int) -> None:
    await keep(store, entry(b'"first"', version=10))
    await keep(store, entry(b'"second"', version=version))

    found = await one(store)
    assert found is not None
    assert (found.value, found.version) == (b'"second"', version)


async def test_versions_that_differ_beyond_the_reach_of_doubles_are_told_apart(store: Store) -> None:
    await keep(store, entry(b'"later"', version=2**60 + 1))

    assert not await store.put(KEY, entry(b'"earlier"', version=2**60), token=await lent(store))


async def test_what_is_there_stays_readable_while_it_is_lent_and_given_back(store: Store) -> None:
    kept = entry(b'"stale"')
    await keep(store, kept)

    token = await lent(store)
    assert await one(store) == kept

    await store.give_back(KEY, token=token)
    assert await one(store) == kept


async def test_what_was_dropped_can_be_filled_anew(store: Store) -> None:
    await keep(store, entry(b'"old"', version=5))
    await store.drop([KEY])
    assert await one(store) is None

    await keep(store, entry(b'"new"', version=4))  # the thing may have been made anew

    found = await one(store)
    assert found is not None
    assert found.value == b'"new"'


async def test_many_keys_are_dropped_at_once(store: Store) -> None:
    keys = [f"products.get:{{{number}}}:en" for number in range(150)]
    for key in keys:
        await keep(store, entry(), key)

    await store.drop(keys[:149])

    assert [each is None for each in await store.read(keys)] == [True] * 149 + [False]


async def test_another_cause_drops_again_and_none_always(store: Store) -> None:
    for cause in ("event-1", "event-2", "", ""):
        await keep(store, entry())
        await store.drop([KEY], cause=cause)
        assert await one(store) is None


async def test_the_same_cause_drops_only_what_it_has_not_dropped(part: Part) -> None:
    first, second = await part.store(), await part.store()
    await keep(first, entry(), PLAIN)
    await first.drop([KEY], cause="event-1")

    await second.drop([KEY, PLAIN], cause="event-1")

    assert await one(first, PLAIN) is None


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("key", [KEY, PLAIN])
async def test_a_damaged_entry_is_none_and_can_be_filled_anew(part: Part, key: str, damage: Damage) -> None:
    store = await part.store()
    await keep(store, entry(b'{"name":"Chair"}'), key)

    await part.damage(key, damage)

    assert await one(store, key) is None
    await keep(store, entry(b'{"name":"Table"}'), key)
    found = await one(store, key)
    assert found is not None
    assert found.value == b'{"name":"Table"}'


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_entry_can_be_dropped(part: Part, damage: Damage) -> None:
    store = await part.store()
    await keep(store, entry())
    await part.damage(KEY, damage)

    await store.drop([KEY])

    await keep(store, entry())


async def test_the_largest_value_is_kept_and_a_larger_one_is_not(store: Store) -> None:
    largest = entry(b'"%b"' % (b"x" * (LARGEST_VALUE - 2)))
    await keep(store, largest)
    assert await one(store) == largest

    assert not await store.put(PLAIN, entry(b"x" * (LARGEST_VALUE + 1)), token=await lent(store, PLAIN))

    assert await one(store, PLAIN) is None
    assert not await is_lent(store, PLAIN)


async def test_any_bytes_are_kept_as_they_are(store: Store) -> None:
    value = bytes(range(256)) + b"\r\n$5\r\n*1\r\n END\r\n"

    await keep(store, entry(value))

    found = await one(store)
    assert found is not None
    assert found.value == value


async def test_the_longest_key_is_a_key(store: Store) -> None:
    longest = "{1}".ljust(LONGEST_KEY, "k")

    await keep(store, entry(), longest)

    assert await one(store, longest) == entry()


@pytest.mark.parametrize("key", ["", "k" * (LONGEST_KEY + 1), "two words", "line\r\nbreak", "tab\t", "stühle"])
async def test_what_is_no_key_is_refused_and_reaches_nobody(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        await store.read([key])
    with pytest.raises(ValueError, match="key"):
        await store.lend(key, now=NOW, for_s=1.0)
    with pytest.raises(ValueError, match="key"):
        await store.put(key, entry(), token=1)
    with pytest.raises(ValueError, match="key"):
        await store.drop([key])


async def test_the_others_are_told_what_was_dropped(part: Part) -> None:
    hearing = Hearing()
    other = await part.store(listener=hearing)
    store = await part.store()
    if not store.tells:
        return  # the message bus does it
    await keep(store, entry())
    assert not hearing.is_deaf

    await store.drop([KEY, PLAIN])

    await until(lambda: {KEY, PLAIN} <= set(hearing.keys))
    assert await one(other) is None


async def test_operators_are_told_some_names(store: Store) -> None:
    for number in range(5):
        await keep(store, entry(), f"products.get:{{{number}}}:en")
    await keep(store, entry(), PLAIN)
    await lent(store, "products.get:{77}:en")

    try:
        assert await store.names("products.get:", limit=100) == [f"products.get:{{{number}}}:en" for number in range(5)]
    except CacheTrouble:
        return  # it cannot say
    assert len(await store.names("products.get:", limit=3)) == 3
    assert await store.names("products.[a-z]et:*", limit=100) == []


async def test_it_says_something_of_itself(store: Store) -> None:
    await keep(store, entry())

    figures = await store.figures()

    assert figures["keys"] > 0
    assert figures["memory_bytes"] > 0
