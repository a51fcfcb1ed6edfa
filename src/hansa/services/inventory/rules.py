"""What is true of stock: which levels there may be, who gets which pieces, and what every act writes in the ledger."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from hansa.kernel.errors import ErrorRecord, IdempotencyKeyReused, revive_error
from hansa.kernel.ids import Id, slot_of_value
from hansa.services.inventory.contract import (
    BelowReserved,
    Level,
    Line,
    OutOfStock,
    Reservation,
    ReservationGone,
    Stock,
)

BUCKET = 0
"""The only part of a level, until one that everybody wants at once has to be split over several slots."""

PLACES_REMEMBERED = 16_384
"""Skus at a location whose slots need not be worked out again."""

State = Literal["held", "sold", "expired", "released", "refused"]
Kind = Literal["received", "written_off", "reserved", "released", "sold", "returned", "till_sale"]


class LevelBroken(Exception):
    """An entry would make a level impossible: a mistake of whoever enters it, never an answer to a buyer."""


class Place(NamedTuple):
    """The key of a level; as tuples, places sort in the order in which their rows are locked."""

    slot: int
    sku: str
    location: str
    bucket: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """A level's counters, and how many lines of the ledger have made them."""

    on_hand: int = 0
    reserved: int = 0
    sold: int = 0
    version: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class Part(msgspec.Struct, frozen=True):
    """Some pieces of a level."""

    place: Place
    quantity: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger: changes of the counters, which make the level's `version` out of the one before."""

    place: Place
    version: int
    kind: Kind
    on_hand: int
    reserved: int
    sold: int
    reference: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A level before and after some entries."""

    place: Place
    before: Counts
    after: Counts

    @property
    def crosses_zero(self) -> bool:
        return (self.before.available > 0) != (self.after.available > 0)


class Book:
    """Levels, and the lines being entered against them. Whoever writes it down keeps all of it, or nothing.

    Every act is a method, so that nothing else knows which counters it moves.
    """

    def __init__(self, levels: Mapping[Place, Counts]) -> None:
        self._before = dict(levels)
        self._levels = dict(levels)
        self.entries: list[Entry] = []

    @property
    def levels(self) -> Mapping[Place, Counts]:
        return self._levels

    @property
    def available(self) -> dict[Place, int]:
        return {place: level.available for place, level in self._levels.items()}

    @property
    def changes(self) -> list[Change]:
        return [
            Change(place=place, before=self._before[place], after=after)
            for place, after in sorted(self._levels.items())
            if after.version != self._before[place].version
        ]

    def count(self, place: Place, *, on_hand: int, actor: str) -> None:
        """Book the difference to what somebody counted. Raises BelowReserved.

        The first count of a level is entered even if it found nothing, so that every level has a version.
        """
        level = self._levels[place]
        if on_hand < level.reserved:
            raise BelowReserved(sku=place.sku, reserved=level.reserved)
        difference = on_hand - level.on_hand
        if difference or level.version == 0:
            self._enter(place, "received" if difference >= 0 else "written_off", actor, on_hand=difference)

    def reserve(self, parts: Iterable[Part], *, reference: str) -> None:
        for part in parts:
            self._enter(part.place, "reserved", reference, reserved=part.quantity)

    def release(self, parts: Iterable[Part], *, reference: str) -> None:
        for part in parts:
            self._enter(part.place, "released", reference, reserved=-part.quantity)

    def sell(self, parts: Iterable[Part], *, reference: str) -> None:
        for part in parts:
            quantity = part.quantity
            self._enter(part.place, "sold", reference, on_hand=-quantity, reserved=-quantity, sold=quantity)

    def take_back(self, parts: Iterable[Part], *, reference: str) -> None:
        for part in parts:
            self._enter(part.place, "returned", reference, on_hand=part.quantity, sold=-part.quantity)

    def sell_at_till(self, place: Place, *, quantity: int, receipt: str) -> None:
        """Book what has left the shop; pieces that nobody knew of were received first. What is reserved stays so."""
        missing = quantity - self._levels[place].available
        if missing > 0:
            self._enter(place, "received", receipt, on_hand=missing)
        self._enter(place, "till_sale", receipt, on_hand=-quantity, sold=quantity)

    def _enter(
        self, place: Place, kind: Kind, reference: str, *, on_hand: int = 0, reserved: int = 0, sold: int = 0
    ) -> None:
        level = self._levels.get(place)
        if level is None:
            raise LevelBroken(f"nothing is known of {place.sku} at {place.location}")
        after = Counts(
            on_hand=level.on_hand + on_hand,
            reserved=level.reserved + reserved,
            sold=level.sold + sold,
            version=level.version + 1,
        )
        if not 0 <= after.reserved <= after.on_hand or after.sold < 0:
            raise LevelBroken(f"{kind} for {reference} would make {after} of {place.sku} at {place.location}")
        self._levels[place] = after
        self.entries.append(
            Entry(
                place=place,
                version=after.version,
                kind=kind,
                on_hand=on_hand,
                reserved=reserved,
                sold=sold,
                reference=reference,
            )
        )


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What one order asks for, and from which locations in the order of preference."""

    lines: tuple[Line, ...]
    locations: tuple[str, ...]


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """The first sku that there is not enough of, and how many pieces of it are left."""

    sku: str
    left: int


@lru_cache(PLACES_REMEMBERED)
def place_of(*, sku: str, location: str) -> Place:
    return Place(slot_of_value(sku, location, str(BUCKET)), sku, location, BUCKET)


def places_of(*, skus: Iterable[str], locations: Iterable[str]) -> set[Place]:
    """Everywhere that the skus may be."""
    locations = list(locations)
    return {place_of(sku=sku, location=location) for sku in skus for location in locations}


def summed(lines: Iterable[Line]) -> dict[str, int]:
    """Pieces by sku, in the order in which the skus come first."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return quantities


def allocate(*, available: Mapping[Place, int], demand: Demand) -> tuple[Part, ...] | Shortage:
    """Find all pieces of a demand, or say what is missing.

    A sku comes whole from the first location that has enough, since every further parcel costs; else from as few as
    the order of preference gives.
    """
    parts: list[Part] = []
    for sku, quantity in summed(demand.lines).items():
        places = [place_of(sku=sku, location=location) for location in dict.fromkeys(demand.locations)]
        there = [(place, max(0, available.get(place, 0))) for place in places]
        left = sum(pieces for _, pieces in there)
        if left < quantity:
            return Shortage(sku=sku, left=left)
        parts += _taken(there, quantity)
    return tuple(parts)


def _taken(there: Sequence[tuple[Place, int]], quantity: int) -> list[Part]:
    for place, pieces in there:
        if pieces >= quantity:
            return [Part(place, quantity)]
    parts = []
    for place, pieces in there:
        if taken := min(pieces, quantity):
            parts.append(Part(place, taken))
            quantity -= taken
    return parts


def allocate_batch(*, available: Mapping[Place, int], demands: Sequence[Demand]) -> list[tuple[Part, ...] | Shortage]:
    """Serve demands in the order of their arrival: each gets all it asks for or nothing, out of what those before left.

    One that does not fit takes nothing from those behind it.
    """
    left = dict(available)
    decisions = []
    for demand in demands:
        decision = allocate(available=left, demand=demand)
        if not isinstance(decision, Shortage):
            for part in decision:
                left[part.place] -= part.quantity
        decisions.append(decision)
    return decisions


def hoped_for(demand: Demand) -> tuple[Part, ...]:
    """Where a demand is met if nobody is in its way: whole, from the location it would like best."""
    if not demand.locations:
        return ()
    first = demand.locations[0]
    return tuple(Part(place_of(sku=sku, location=first), quantity) for sku, quantity in summed(demand.lines).items())


def returnable(*, sold: Iterable[Part], lines: Iterable[Line]) -> tuple[Part, ...]:
    """Where pieces that come back belong: as many as asked, but no more than the order still has from there."""
    wanted = summed(lines)
    parts = []
    for part in sorted(sold, key=lambda part: part.place):
        if taken := min(part.quantity, wanted.get(part.place.sku, 0)):
            parts.append(Part(part.place, taken))
            wanted[part.place.sku] -= taken
    return tuple(parts)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of an order: what it asked for, where that was found, and what became of it."""

    order_id: Id
    state: State
    demand: Demand
    parts: tuple[Part, ...] = ()
    refusal: ErrorRecord | None = None
    returned: tuple[Part, ...] = ()
    expires_at: datetime

    @property
    def unreturned(self) -> tuple[Part, ...]:
        """What was sold to the order and has not come back."""
        if self.state != "sold":
            return ()
        back = {part.place: part.quantity for part in self.returned}
        left = (Part(part.place, part.quantity - back.get(part.place, 0)) for part in self.parts)
        return tuple(part for part in left if part.quantity)


def added(parts: Iterable[Part], more: Iterable[Part]) -> tuple[Part, ...]:
    """Parts and further ones, each place named once."""
    sums: dict[Place, int] = {}
    for part in (*parts, *more):
        sums[part.place] = sums.get(part.place, 0) + part.quantity
    return tuple(Part(place, quantity) for place, quantity in sums.items())


def answer(*, kept: Kept, lines: tuple[Line, ...]) -> Reservation | Exception:
    """What an order that asks for these lines is told, the first time and ever after."""
    if kept.state in ("expired", "released"):
        return ReservationGone(order_id=kept.order_id)
    if kept.demand.lines != lines:
        return IdempotencyKeyReused()
    if kept.refusal is not None:
        return revive_error(kept.refusal, (OutOfStock,))
    return Reservation(order_id=kept.order_id, lines=lines, expires_at=kept.expires_at)


def version_of(levels: Collection[Counts]) -> int:
    """The version of a sku over its locations. Each of them only grows, so equal sums mean that nothing has changed."""
    return sum(level.version for level in levels)


def stock_of(*, sku: str, levels: Mapping[Place, Counts]) -> Stock:
    """A sku's levels as they are shown, by location."""
    ordered = sorted(levels.items(), key=lambda item: item[0].location)
    return Stock(
        sku=sku,
        on_hand=sum(level.on_hand for level in levels.values()),
        reserved=sum(level.reserved for level in levels.values()),
        sold=sum(level.sold for level in levels.values()),
        available=sum(level.available for level in levels.values()),
        version=version_of(levels.values()),
        levels=tuple(
            Level(
                location=place.location,
                on_hand=level.on_hand,
                reserved=level.reserved,
                sold=level.sold,
                available=level.available,
            )
            for place, level in ordered
        ),
    )
