"""Taking down what visitors do: what is kept of it, for how long, and how much at most."""

from datetime import timedelta

import pytest

from hansa.kernel.clock import to_micros
from hansa.kernel.errors import StorageBusy
from hansa.services.recommendations import service as module
from hansa.services.recommendations.contract import Behaviour, TooManyEvents
from tests.services.recommendations.conftest import REMOTE, VISITOR, Listening

VIEW = Behaviour(kind="view", slug="wool-beret")


async def test_what_was_done_is_kept_with_its_time(listening: Listening):
    product = listening.ids.new(slot=5)
    await listening.record(
        Behaviour(kind="view", product_id=product, page="product", locale="en"),
        Behaviour(kind="search", query="  wool \t coat ", age_ms=90_000),
        Behaviour(kind="click", slug="wool-beret", query="wool coat", position=3),
        Behaviour(kind="impression", slug="wool-beret", position=0, page="home"),
        Behaviour(kind="add_to_cart", sku="WOOL-BERET-BLAC-ONESIZE"),
    )

    rows = await listening.rows()

    now = listening.clock.now()
    assert [
        (row["kind"], row["product_id"], row["slug"], row["sku"], row["query"], row["position"], row["page"])
        for row in rows
    ] == [
        ("view", int(product), None, None, None, None, "product"),
        ("search", None, None, None, "wool coat", None, None),
        ("click", None, "wool-beret", None, "wool coat", 3, None),
        ("impression", None, "wool-beret", None, None, 0, "home"),
        ("add_to_cart", None, None, "WOOL-BERET-BLAC-ONESIZE", None, None, None),
    ]
    assert rows[0]["seen_at"] == to_micros(now)
    assert rows[1]["seen_at"] == to_micros(now - timedelta(seconds=90))


async def test_a_batch_that_comes_again_is_kept_once(listening: Listening):
    for _ in range(3):
        await listening.record(VIEW, VIEW, key="k")
        await listening.service.write()

    assert len(await listening.rows()) == 2


async def test_without_consent_nothing_is_kept(listening: Listening):
    await listening.record(VIEW, consent=False)

    assert await listening.rows() == []


async def test_neither_pseudonym_nor_address_is_kept(listening: Listening):
    await listening.record(VIEW, Behaviour(kind="search", query="coat"))

    kept = str([list(row) for row in await listening.rows()])  # type: ignore[call-overload]
    assert VISITOR not in kept
    assert REMOTE not in kept


async def test_a_visitor_is_the_same_for_a_month_and_another_one_afterwards(listening: Listening):
    await listening.record(VIEW)
    listening.clock.advance(20 * 86_400)
    await listening.record(VIEW)
    await listening.record(VIEW, visitor="somebody-else-entirely")
    in_january = [row["visitor_hash"] for row in await listening.rows()]
    assert sorted(in_january.count(each) for each in set(in_january)) == [1, 2]

    listening.clock.advance(20 * 86_400)
    await listening.record(VIEW)

    in_february = {row["visitor_hash"] for row in await listening.rows()} - set(in_january)
    assert len(in_february) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(kind="click"),
        Behaviour(kind="view"),
        Behaviour(kind="search"),
        Behaviour(kind="search", query=" \n\t\u200b "),
        Behaviour(kind="search", query="ada@example.com"),
        Behaviour(kind="impression", page="home"),
        Behaviour(kind="view", product_id="9999999999999999999"),
    ],
)
async def test_what_says_nothing_is_left_out(small: Listening, behaviour: Behaviour):
    await small.record(behaviour, VIEW)

    assert [row["slug"] for row in await small.rows()] == ["wool-beret"]
    assert small.service.counted == {"meaningless": 1, "taken": 1}


async def test_what_is_older_than_ninety_days_is_forgotten(listening: Listening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FORGOTTEN_AT_ONCE", 2)
    for _ in range(3):
        await listening.record(VIEW, VIEW, VIEW)
        await listening.service.write()
        listening.clock.advance(30)
    listening.clock.advance(90 * 86_400 - 60)
    await listening.service.forget()
    assert len(await listening.rows()) == 6

    listening.clock.advance(3600)
    await listening.service.forget()
    assert await listening.rows() == []


async def test_more_than_can_wait_is_dropped_and_counted(small: Listening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_WAITING", 60)
    monkeypatch.setattr(module, "LARGEST_WRITE", 60)
    await small.record(*[VIEW] * 50)
    await small.record(*[VIEW] * 50)

    assert small.service.waiting == 60
    assert small.service.counted == {"taken": 60, "dropped": 40}
    assert len(await small.rows()) == 60


async def test_many_are_written_without_waiting_for_the_second(small: Listening):
    for _ in range(module.WRITTEN_AT_ONCE // 50):
        await small.record(*[VIEW] * 50)
    await small.service.writing.quiet()

    assert small.service.waiting == 0


async def test_what_could_not_be_written_is_written_later(small: Listening, monkeypatch: pytest.MonkeyPatch):
    def busy(*slots: int) -> None:
        raise StorageBusy("locked")

    await small.record(VIEW, VIEW)
    with monkeypatch.context() as patched:
        patched.setattr(small.database, "write", busy)
        with pytest.raises(StorageBusy):
            await small.service.write()

    assert len(await small.rows()) == 2


async def test_what_waits_is_written_when_the_shop_closes(small: Listening):
    await small.record(VIEW)
    await small.service.close()

    assert small.service.waiting == 0
    assert len(await small.rows()) == 1


async def test_a_visitor_who_floods_is_told_to_wait(small: Listening):
    for _ in range(module.BATCHES_PER_VISITOR):
        await small.record(VIEW)
    with pytest.raises(TooManyEvents) as told:
        await small.record(VIEW)
    assert told.value.retry_after_s == module.WINDOW_S
    await small.record(VIEW, visitor="somebody-else-entirely")

    small.clock.advance(module.WINDOW_S)
    await small.record(VIEW)


@pytest.mark.parametrize("address", ["203.0.113.{}", "2001:db8:{}::1"])
async def test_an_address_that_floods_under_many_names_is_told_to_wait(small: Listening, address: str):
    for number in range(module.BATCHES_PER_ADDRESS):
        await small.record(VIEW, visitor=f"invented-{number:08}", remote=address.format(1))
    with pytest.raises(TooManyEvents):
        await small.record(VIEW, visitor="invented-once-more", remote=address.format(1))
    await small.record(VIEW, visitor="invented-once-more", remote=address.format(2))


async def test_one_host_with_many_addresses_is_one(small: Listening):
    for number in range(module.BATCHES_PER_ADDRESS):
        await small.record(VIEW, visitor=f"invented-{number:08}", remote=f"2001:db8::{number:x}")
    with pytest.raises(TooManyEvents):
        await small.record(VIEW, visitor="invented-once-more", remote="2001:db8::ffff")


async def test_a_flood_of_visitors_and_addresses_takes_no_more_room(small: Listening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_WAITING", 100)
    for number in range(2_000):
        await small.record(*[VIEW] * 5, visitor=f"invented-{number:08}", remote=f"10.0.{number // 250}.{number % 250}")
        assert small.service.waiting <= 100
