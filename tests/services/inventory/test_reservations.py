"""The life of a reservation: held, then sold or released; refused; returned."""

from datetime import timedelta, timezone

import pytest

from hansa.kernel.errors import IdempotencyKeyReused
from hansa.services.inventory.contract import Movement, OutOfStock, ReservationGone
from hansa.services.inventory.events import ReservationExpired
from hansa.services.inventory.rules import Demand
from hansa.services.inventory.service import EXPIRY_BATCH, reservations
from hansa.services.inventory.service.reservations import Request, Sale
from tests.services.inventory.shelves import HALF_AN_HOUR, Shelves, lines_of


async def test_reserved_pieces_cannot_be_had_by_others(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = shelves.order()
    reservation = await shelves.reserve(order, ("HAT", 3))
    assert reservation.lines == lines_of(("HAT", 3))
    assert reservation.expires_at == shelves.clock.now() + HALF_AN_HOUR
    assert await shelves.level("HAT") == (5, 3, 0)
    with pytest.raises(OutOfStock) as refusal:
        await shelves.reserve(shelves.order(), ("HAT", 3))
    assert (refusal.value.sku, refusal.value.left) == ("HAT", 2)
    await shelves.reserve(shelves.order(), ("HAT", 2))
    await shelves.check_books()


async def test_an_order_gets_all_its_lines_or_none(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    await shelves.put("SHOE", 1)
    with pytest.raises(OutOfStock) as refusal:
        await shelves.reserve(shelves.order(), ("HAT", 1), ("SHOE", 2))
    assert (refusal.value.sku, refusal.value.left) == ("SHOE", 1)
    assert await shelves.level("HAT") == (5, 0, 0)
    await shelves.check_books()


async def test_a_reservation_may_be_gathered_from_several_locations(shelves: Shelves) -> None:
    await shelves.put("HAT", 2)
    await shelves.put("HAT", 2, location="east")
    await shelves.put("HAT", 9, location="west")
    order = shelves.order()
    await shelves.reserve(order, ("HAT", 1), ("HAT", 2), locations=("main", "east"))
    assert (await shelves.level("HAT"), await shelves.level("HAT", location="east")) == ((2, 2, 0), (2, 1, 0))
    await shelves.sell(order)
    await shelves.take_back(order, ("HAT", 3))
    assert (await shelves.level("HAT"), await shelves.level("HAT", location="east")) == ((2, 0, 0), (2, 0, 0))
    await shelves.check_books()


async def test_a_reservation_asked_for_again_is_the_same_one(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = shelves.order()
    first = await shelves.reserve(order, ("HAT", 3))
    later = shelves.clock.now() + timedelta(hours=9)
    assert await shelves.reserve(order, ("HAT", 3), expires_at=later) == first
    await shelves.sell(order)
    assert await shelves.reserve(order, ("HAT", 3)) == first
    assert await shelves.level("HAT") == (2, 0, 3)


async def test_a_moment_of_expiry_is_the_same_in_every_time_zone(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    expires_at = (shelves.clock.now() + HALF_AN_HOUR).astimezone(timezone(timedelta(hours=8)))
    assert (await shelves.reserve(shelves.order(), ("HAT", 3), expires_at=expires_at)).expires_at == expires_at


async def test_a_refusal_is_remembered_even_when_there_are_pieces_again(shelves: Shelves) -> None:
    await shelves.put("HAT", 1)
    order = shelves.order()
    for _ in range(2):
        with pytest.raises(OutOfStock) as refusal:
            await shelves.reserve(order, ("HAT", 2))
        assert (refusal.value.sku, refusal.value.left) == ("HAT", 1)
        await shelves.put("HAT", 9)
    await shelves.release(order)
    with pytest.raises(ReservationGone):
        await shelves.sell(order)
    assert await shelves.level("HAT") == (9, 0, 0)


async def test_an_order_has_one_reservation(shelves: Shelves) -> None:
    await shelves.put("HAT", 9)
    order = shelves.order()
    await shelves.reserve(order, ("HAT", 1))
    with pytest.raises(IdempotencyKeyReused):
        await shelves.reserve(order, ("HAT", 2))
    assert await shelves.level("HAT") == (9, 1, 0)


async def test_selling_takes_the_held_pieces_off_the_shelf_once(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = shelves.order()
    await shelves.reserve(order, ("HAT", 3))
    await shelves.sell(order)
    await shelves.sell(order)
    assert await shelves.level("HAT") == (2, 0, 3)
    assert [(line.kind, line.on_hand, line.reserved, line.sold) for line in await _ledger(shelves, order)] == [
        ("reserved", 0, 3, 0),
        ("sold", -3, -3, 3),
    ]
    await shelves.check_books()


async def test_what_is_not_held_cannot_be_sold(shelves: Shelves) -> None:
    order = shelves.order()
    with pytest.raises(ReservationGone) as refusal:
        await shelves.sell(order)
    assert refusal.value.order_id == order


async def test_releasing_gives_held_pieces_back_once_and_for_ever(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = shelves.order()
    await shelves.reserve(order, ("HAT", 3))
    await shelves.release(order)
    await shelves.release(order)
    assert await shelves.level("HAT") == (5, 0, 0)
    assert [line.kind for line in await _ledger(shelves, order)] == ["reserved", "released"]
    with pytest.raises(ReservationGone):
        await shelves.sell(order)
    with pytest.raises(ReservationGone):
        await shelves.reserve(order, ("HAT", 3))
    await shelves.check_books()


async def test_a_release_that_comes_first_refuses_the_late_reservation(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = shelves.order()
    await shelves.release(order)
    with pytest.raises(ReservationGone) as refusal:
        await shelves.reserve(order, ("HAT", 3))
    assert refusal.value.order_id == order
    assert await shelves.level("HAT") == (5, 0, 0)


async def test_releasing_a_sold_order_brings_back_what_was_not_returned_yet(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = shelves.order()
    await shelves.reserve(order, ("HAT", 3))
    await shelves.sell(order)
    await shelves.take_back(order, ("HAT", 1))
    await shelves.release(order)
    await shelves.release(order)
    await shelves.take_back(order, ("HAT", 3))
    assert await shelves.level("HAT") == (5, 0, 0)
    kinds = [(line.kind, line.on_hand) for line in await _ledger(shelves, order)][-2:]
    assert kinds == [("returned", 1), ("returned", 2)]
    await shelves.check_books()


async def test_no_more_comes_back_than_was_sold(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    await shelves.put("SHOE", 5)
    order, other = shelves.order(), shelves.order()
    await shelves.reserve(order, ("HAT", 3))
    await shelves.take_back(order, ("HAT", 1))  # held, not sold
    await shelves.take_back(other, ("HAT", 1))  # nobody knows it
    await shelves.sell(order)
    await shelves.take_back(order, ("HAT", 2), ("SHOE", 4), key="same")
    await shelves.take_back(order, ("HAT", 2), ("SHOE", 4), key="same")
    assert await shelves.level("HAT") == (4, 0, 1)
    await shelves.take_back(order, ("HAT", 2), key="another")
    assert (await shelves.level("HAT"), await shelves.level("SHOE")) == ((5, 0, 0), (5, 0, 0))
    await shelves.check_books()


async def test_what_is_held_too_long_is_given_back_and_told(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    late, sold, young = shelves.order(), shelves.order(), shelves.order()
    for order in (late, sold):
        await shelves.reserve(order, ("HAT", 1))
    await shelves.reserve(young, ("HAT", 1), expires_at=shelves.clock.now() + 2 * HALF_AN_HOUR)
    await shelves.sell(sold)
    await shelves.service.expire()
    assert await shelves.level("HAT") == (4, 2, 1)

    shelves.clock.advance(HALF_AN_HOUR.total_seconds())
    await shelves.service.expire()
    await shelves.service.expire()
    assert await shelves.level("HAT") == (4, 1, 1)
    assert await shelves.bodies(ReservationExpired) == [ReservationExpired(order_id=late)]
    with pytest.raises(ReservationGone):
        await shelves.reserve(late, ("HAT", 1))
    await shelves.check_books()


async def test_what_has_expired_is_sold_all_the_same_if_it_is_still_there(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = await _expired(shelves, ("HAT", 3))
    await shelves.sell(order)
    await shelves.sell(order)
    assert await shelves.level("HAT") == (2, 0, 3)
    assert [line.kind for line in await _ledger(shelves, order)] == ["reserved", "released", "reserved", "sold"]
    await shelves.check_books()
    await shelves.take_back(order, ("HAT", 1))
    await shelves.release(order)
    assert await shelves.level("HAT") == (5, 0, 0)
    await shelves.check_books()


async def test_what_has_expired_may_be_taken_from_elsewhere(shelves: Shelves) -> None:
    await shelves.put("HAT", 2)
    await shelves.put("HAT", 2, location="east")
    order = await _expired(shelves, ("HAT", 2), locations=("main", "east"))
    await shelves.reserve(shelves.order(), ("HAT", 1))
    await shelves.sell(order)
    assert (await shelves.level("HAT"), await shelves.level("HAT", location="east")) == ((2, 1, 0), (0, 0, 2))
    await shelves.take_back(order, ("HAT", 2))
    assert await shelves.level("HAT", location="east") == (2, 0, 0)
    await shelves.check_books()


async def test_what_has_expired_and_is_not_there_whole_is_refused_for_good(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    await shelves.put("SHOE", 1)
    order = await _expired(shelves, ("HAT", 3), ("SHOE", 1))
    other = shelves.order()
    await shelves.reserve(other, ("SHOE", 1))
    for _ in range(2):
        with pytest.raises(ReservationGone):
            await shelves.sell(order)
        await shelves.release(other)  # too late: whoever was told no may have given the money back
    assert (await shelves.level("HAT"), await shelves.level("SHOE")) == ((5, 0, 0), (1, 0, 0))
    await shelves.check_books()


async def test_what_has_expired_and_was_released_then_is_never_sold(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = await _expired(shelves, ("HAT", 3))
    await shelves.release(order)
    with pytest.raises(ReservationGone):
        await shelves.sell(order)
    assert await shelves.level("HAT") == (5, 0, 0)


async def test_a_batch_of_sales_may_hold_both_what_is_held_and_what_has_expired(shelves: Shelves) -> None:
    await shelves.put("HAT", 3)
    expired = [await _expired(shelves, ("HAT", 1)) for _ in range(3)]
    held = shelves.order()
    await shelves.reserve(held, ("HAT", 1))
    async with shelves.database.write() as tx:
        sold = await reservations.serve(tx, _sales(*expired, held), at=shelves.clock.now())
    assert [error is None for error in sold] == [True, True, False, True], "the third came too late"
    assert await shelves.level("HAT") == (0, 0, 3)
    await shelves.check_books()


async def test_an_order_may_still_be_sold_late_while_nobody_has_expired_it(shelves: Shelves) -> None:
    await shelves.put("HAT", 5)
    order = shelves.order()
    await shelves.reserve(order, ("HAT", 1))
    shelves.clock.advance(2 * HALF_AN_HOUR.total_seconds())
    await shelves.sell(order)
    await shelves.service.expire()
    assert await shelves.level("HAT") == (4, 0, 1)


async def test_one_run_of_the_job_expires_more_than_one_batch(shelves: Shelves) -> None:
    many = EXPIRY_BATCH + 7
    await shelves.put("HAT", many)
    requests = [_request(shelves, shelves.order(slot=number % 50), ("HAT", 1)) for number in range(many)]
    async with shelves.database.write() as tx:
        await reservations.serve(tx, requests, at=shelves.clock.now())
    assert await shelves.level("HAT") == (many, many, 0)
    shelves.clock.advance(HALF_AN_HOUR.total_seconds())
    await shelves.service.expire()
    assert await shelves.level("HAT") == (many, 0, 0)
    assert len(await shelves.bodies(ReservationExpired)) == many
    await shelves.check_books()


async def test_a_batch_of_orders_is_answered_in_the_order_of_arrival(shelves: Shelves) -> None:
    await shelves.put("HAT", 4)
    await shelves.put("SHOE", 4)
    old, late, one, two, three = (shelves.order() for _ in range(5))
    await shelves.release(late)
    reserved = await shelves.reserve(old, ("SHOE", 1))
    requests = [
        _request(shelves, three, ("HAT", 3)),
        _request(shelves, old, ("SHOE", 1)),
        _request(shelves, two, ("HAT", 2), ("SHOE", 1)),
        _request(shelves, late, ("SHOE", 1)),
        _request(shelves, three, ("HAT", 3)),
        _request(shelves, one, ("HAT", 1)),
        _request(shelves, one, ("HAT", 2)),
    ]
    async with shelves.database.write() as tx:
        got = await reservations.serve(tx, requests, at=shelves.clock.now())
    assert got[1] == reserved
    assert got[0] == got[4]
    assert [type(answer).__name__ for answer in got] == [
        "Reservation",
        "Reservation",
        "OutOfStock",
        "ReservationGone",
        "Reservation",
        "Reservation",
        "IdempotencyKeyReused",
    ]
    assert (await shelves.level("HAT"), await shelves.level("SHOE")) == ((4, 4, 0), (4, 1, 0))

    async with shelves.database.write() as tx:
        sold = await reservations.serve(tx, _sales(three, two, one, old), at=shelves.clock.now())
        await reservations.release(tx, [old, two, three, shelves.order()], at=shelves.clock.now())
    assert [type(answer).__name__ for answer in sold] == ["NoneType", "ReservationGone", "NoneType", "NoneType"]
    assert (await shelves.level("HAT"), await shelves.level("SHOE")) == ((3, 0, 1), (4, 0, 0))
    await shelves.check_books()


def _sales(*orders: str) -> list[Sale]:
    return [Sale(order_id=order) for order in orders]


async def _expired(shelves: Shelves, *lines: tuple[str, int], locations: tuple[str, ...] = ("main",)) -> str:
    """An order whose pieces were given back because nobody came for them in time."""
    order = shelves.order()
    await shelves.reserve(order, *lines, locations=locations, expires_at=shelves.clock.now())
    await shelves.service.expire()
    return order


async def _ledger(shelves: Shelves, order: str) -> list[Movement]:
    return [line for line in await shelves.inventory.movements(sku="HAT") if line.reference == order]


def _request(shelves: Shelves, order: str, *lines: tuple[str, int]) -> Request:
    return Request(
        order_id=order,
        demand=Demand(lines=lines_of(*lines), locations=("main",)),
        expires_at=shelves.clock.now() + HALF_AN_HOUR,
    )
