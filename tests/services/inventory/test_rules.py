"""Who gets which pieces, and which levels there may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.services.inventory.contract import BelowReserved, Line
from hansa.services.inventory.rules import (
    Book,
    Counts,
    Demand,
    LevelBroken,
    Part,
    Place,
    Shortage,
    allocate,
    allocate_batch,
    place_of,
    returnable,
    stock_of,
    summed,
)

SKUS = ("HAT", "SHOE", "SCARF")
LOCATIONS = ("main", "east", "west")
PLACES = [place_of(sku=sku, location=location) for sku in SKUS for location in LOCATIONS]

lines = st.lists(st.builds(Line, sku=st.sampled_from(SKUS), quantity=st.integers(1, 8)), min_size=1, max_size=5).map(
    tuple
)
locations = st.lists(st.sampled_from(LOCATIONS), max_size=4).map(tuple)
demands = st.builds(Demand, lines=lines, locations=locations)
availability = st.dictionaries(st.sampled_from(PLACES), st.integers(0, 12))


def demand(*pieces: tuple[str, int], locations: tuple[str, ...] = ("main", "east")) -> Demand:
    return Demand(lines=tuple(Line(sku=sku, quantity=quantity) for sku, quantity in pieces), locations=locations)


def at(location: str, *, sku: str = "HAT") -> Place:
    return place_of(sku=sku, location=location)


@given(available=availability, demand=demands)
def test_an_allocation_is_all_that_was_asked_and_no_more_than_is_there(
    available: dict[Place, int], demand: Demand
) -> None:
    decision = allocate(available=available, demand=demand)
    wanted = summed(demand.lines)
    there = {
        sku: sum(available.get(place_of(sku=sku, location=location), 0) for location in set(demand.locations))
        for sku in wanted
    }
    if isinstance(decision, Shortage):
        first_missing = next(sku for sku in wanted if there[sku] < wanted[sku])
        assert decision == Shortage(sku=first_missing, left=there[first_missing])
    else:
        assert all(there[sku] >= wanted[sku] for sku in wanted)
        assert len({part.place for part in decision}) == len(decision)
        assert all(0 < part.quantity <= available[part.place] for part in decision)
        assert all(part.place.location in demand.locations for part in decision)
        taken = {sku: sum(part.quantity for part in decision if part.place.sku == sku) for sku in wanted}
        assert taken == wanted


@given(available=availability, demands=st.lists(demands, max_size=6))
def test_a_batch_decides_as_if_the_orders_came_one_by_one(available: dict[Place, int], demands: list[Demand]) -> None:
    left = dict(available)
    for demand, decision in zip(demands, allocate_batch(available=available, demands=demands), strict=True):
        assert decision == allocate(available=left, demand=demand)
        if not isinstance(decision, Shortage):
            for part in decision:
                left[part.place] -= part.quantity
    assert all(pieces >= 0 for pieces in left.values())


def test_an_order_that_does_not_fit_takes_nothing_from_those_behind_it() -> None:
    decisions = allocate_batch(
        available={at("main"): 3, at("main", sku="SHOE"): 1},
        demands=[demand(("HAT", 2), ("SHOE", 2)), demand(("HAT", 3)), demand(("HAT", 1))],
    )
    assert decisions == [Shortage(sku="SHOE", left=1), (Part(at("main"), 3),), Shortage(sku="HAT", left=0)]


def test_a_sku_comes_whole_from_the_first_location_that_has_enough() -> None:
    available = {at("main"): 2, at("east"): 5, at("west"): 5}
    decision = allocate(available=available, demand=demand(("HAT", 4), locations=("main", "east", "west")))
    assert decision == (Part(at("east"), 4),)


def test_a_sku_that_no_location_has_enough_of_is_gathered_in_the_order_of_preference() -> None:
    available = {at("main"): 2, at("east"): 3}
    assert allocate(available=available, demand=demand(("HAT", 4), locations=("east", "main"))) == (
        Part(at("east"), 3),
        Part(at("main"), 1),
    )


def test_lines_of_the_same_sku_are_one() -> None:
    asked = demand(("HAT", 2), ("HAT", 2))
    assert allocate(available={at("main"): 3}, demand=asked) == Shortage(sku="HAT", left=3)
    assert allocate(available={at("main"): 4}, demand=asked) == (Part(at("main"), 4),)


def test_no_locations_have_nothing() -> None:
    assert allocate(available={at("main"): 9}, demand=demand(("HAT", 1), locations=())) == Shortage(sku="HAT", left=0)


@given(sold=st.dictionaries(st.sampled_from(PLACES), st.integers(1, 9)), lines=lines)
def test_no_more_comes_back_than_was_sold_nor_than_was_asked(sold: dict[Place, int], lines: tuple[Line, ...]) -> None:
    parts = returnable(sold=[Part(place, quantity) for place, quantity in sold.items()], lines=lines)
    assert all(0 < part.quantity <= sold[part.place] for part in parts)
    for sku, wanted in summed(lines).items():
        owned = sum(quantity for place, quantity in sold.items() if place.sku == sku)
        assert sum(part.quantity for part in parts if part.place.sku == sku) == min(owned, wanted)


def test_a_count_below_what_is_reserved_is_refused() -> None:
    book = Book({at("main"): Counts(on_hand=5, reserved=3, version=4)})
    with pytest.raises(BelowReserved) as refusal:
        book.count(at("main"), on_hand=2, actor="user:1")
    assert refusal.value.reserved == 3
    assert book.changes == []


def test_a_count_that_finds_what_was_known_leaves_no_line_but_the_very_first_does() -> None:
    book = Book({at("main"): Counts(on_hand=5, version=1), at("east"): Counts()})
    book.count(at("main"), on_hand=5, actor="user:1")
    book.count(at("east"), on_hand=0, actor="user:1")
    assert [(entry.place, entry.kind, entry.version) for entry in book.entries] == [(at("east"), "received", 1)]


@pytest.mark.parametrize("reserved", [0, 2])
def test_a_till_sells_what_nobody_knew_of_and_leaves_what_is_reserved(reserved: int) -> None:
    book = Book({at("main"): Counts(on_hand=3, reserved=reserved, version=1)})
    book.sell_at_till(at("main"), quantity=4, receipt="R-1")
    assert book.levels[at("main")] == Counts(on_hand=reserved, reserved=reserved, sold=4, version=3)
    assert [(entry.kind, entry.on_hand) for entry in book.entries] == [("received", 1 + reserved), ("till_sale", -4)]


def test_a_book_takes_no_entry_that_would_break_a_level() -> None:
    parts = [Part(at("main"), 2)]
    book = Book({at("main"): Counts(on_hand=1, version=1)})
    for act in (book.reserve, book.release, book.sell, book.take_back):
        with pytest.raises(LevelBroken):
            act(parts, reference="1")
    with pytest.raises(LevelBroken):
        Book({}).reserve(parts, reference="1")
    assert book.entries == []


@given(before=st.integers(0, 3), steps=st.lists(st.integers(0, 3), max_size=6))
def test_availability_is_said_to_have_changed_only_when_it_crossed_zero(before: int, steps: list[int]) -> None:
    book = Book({at("main"): Counts(on_hand=before, version=1)})
    for pieces in steps:
        book.count(at("main"), on_hand=pieces, actor="user:1")
    crossed = (before > 0) != ([before, *steps][-1] > 0)
    assert any(change.crosses_zero for change in book.changes) is crossed


def test_stock_sums_its_locations_and_so_does_its_version() -> None:
    stock = stock_of(
        sku="HAT",
        levels={
            at("main"): Counts(on_hand=5, reserved=2, sold=1, version=4),
            at("east"): Counts(on_hand=1, version=1),
        },
    )
    assert (stock.on_hand, stock.reserved, stock.sold, stock.available, stock.version) == (6, 2, 1, 4, 5)
    assert [(level.location, level.available) for level in stock.levels] == [("east", 1), ("main", 3)]
