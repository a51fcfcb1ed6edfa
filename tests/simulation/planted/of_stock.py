"""Planted in inventory: what is decided from a level that somebody else has changed meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from sqlalchemy import and_, update

from hansa.kernel.channel import MAIN
from hansa.kernel.clock import to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.statement import Statement
from hansa.services.inventory import rules, store
from hansa.services.inventory.contract import Line, Reservation, Stock, StockChanged
from hansa.services.inventory.events import ReservationExpired
from hansa.services.inventory.rules import Book, Counts, Demand, Entry, Kept, Kind, Place
from hansa.services.inventory.service import InventoryService, levels, reservations
from hansa.services.inventory.service.reservations import Request
from hansa.services.inventory.tables import RESERVATIONS, STOCK
from tests.simulation.planted.patching import replaced, without_constraints

_SEEN: ContextVar[Mapping[Place, int] | None] = ContextVar("planted_seen", default=None)
_STOCK_KEY = and_(*(STOCK.c[name] == store._CHANGES.c[name] for name in ("slot", "sku", "location", "bucket")))
_CHANGE_ANYHOW = Statement(
    update(STOCK)
    .where(_STOCK_KEY)
    .values(
        on_hand=STOCK.c.on_hand + store._CHANGES.c.on_hand,
        reserved=STOCK.c.reserved + store._CHANGES.c.reserved,
        sold=STOCK.c.sold + store._CHANGES.c.sold,
        version=store._CHANGES.c.version,
    )
    .returning(STOCK.c.sku)
)
_ADVANCE_ANYHOW = Statement(
    update(RESERVATIONS)
    .where(RESERVATIONS.c.slot == store._STEPS.c.slot, RESERVATIONS.c.order_id == store._STEPS.c.order_id)
    .values(state=store._STEPS.c.state)
    .returning(RESERVATIONS.c.order_id)
)


@contextmanager
def check_then_act() -> Iterator[None]:
    allocate_batch = rules.allocate_batch

    def allocate_as_seen(*, available: Mapping[Place, int], demands: Sequence[Demand]) -> Any:
        return allocate_batch(available=_SEEN.get() or available, demands=demands)

    async def reserve(
        self: Any, *, key: str, order_id: str, lines: tuple[Line, ...], locations: tuple[str, ...], expires_at: datetime
    ) -> Reservation:
        request = Request(order_id=order_id, demand=Demand(lines=lines, locations=locations), expires_at=expires_at)
        places = rules.places_of(skus=[line.sku for line in lines], locations=locations)
        book = Book(levels.levels_from(await store.get_levels(self._database, sorted(places))))
        seen = _SEEN.set(book.available)
        try:
            async with self._database.write(slot_of(order_id)) as tx:
                [outcome] = await reservations.serve(tx, [request], at=self._clock.now())
        finally:
            _SEEN.reset(seen)
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Reservation)
        return outcome

    with (
        _without_guards(),
        replaced(rules, allocate_batch=allocate_as_seen),
        replaced(InventoryService, reserve=reserve),
    ):
        yield


@contextmanager
def stale_count() -> Iterator[None]:
    async def set_on_hand(
        self: Any, *, key: str, sku: str, on_hand: int, version: int | None, actor: str, location: str = MAIN
    ) -> Stock:
        place, now = rules.place_of(sku=sku, location=location), self._clock.now()
        key, request = f"set_on_hand:{key}", digest(sku, on_hand, version, location)
        seen = levels.levels_from(await store.levels_of_sku(self._database, sku))
        if version is not None and version != (present := rules.version_of(seen.values())):
            raise StockChanged(version=present)
        difference = on_hand - (seen[place].on_hand if place in seen else 0)
        async with self._database.write(place.slot) as tx:
            if (kept := await claim(tx, slot=place.slot, key=key, request=request, now=now)) is not None:
                return decode(kept, Stock)
            book = await levels.opened_whole(tx, place)
            before = book.levels[place].on_hand
            book.count(place, on_hand=max(0, before + difference), actor=actor)
            await levels.close(tx, book, at=now)
            await self._audit(tx, place, now, actor, "inventory.set_on_hand", before=before, after=before + difference)
            stock = rules.stock_of(sku=sku, levels=book.levels)
            await keep(tx, slot=place.slot, key=key, answer=stock)
        return stock

    with replaced(InventoryService, set_on_hand=set_on_hand):
        yield


@contextmanager
def sweeper_races_payment() -> Iterator[None]:
    async def expire(self: Any) -> None:
        now = self._clock.now()
        listed: list[Kept] = getattr(self, "_listed", [])
        if listed:
            async with self._database.write(*{slot_of(kept.order_id) for kept in listed}) as tx:
                await reservations._free(tx, listed, state=store.EXPIRED, at=now)
                for kept in listed:
                    order_id = kept.order_id
                    tx.emit(ReservationExpired(order_id=order_id), slot=slot_of(order_id), aggregate=order_id)
        async with self._database.read() as reader:
            due = await store.due_reservations(reader, now=to_micros(now), limit=100)
            rows = reservations._kept(await store.get_reservations(reader, due)).values()
        self._listed = [kept for kept in rows if kept.state == store.HELD]

    with (
        _without_guards(),
        replaced(store, _ADVANCE_RESERVATIONS=_ADVANCE_ANYHOW),
        replaced(InventoryService, expire=expire),
    ):
        yield


@contextmanager
def _without_guards() -> Iterator[None]:
    """Neither rules nor statements nor tables look at what a change makes of a level."""

    def enter(
        self: Any, place: Place, kind: Kind, reference: str, *, on_hand: int = 0, reserved: int = 0, sold: int = 0
    ) -> None:
        level = self._levels[place]
        after = Counts(
            on_hand=level.on_hand + on_hand,
            reserved=level.reserved + reserved,
            sold=level.sold + sold,
            version=level.version + 1,
        )
        self._levels[place] = after
        entry = Entry(
            place=place,
            version=after.version,
            kind=kind,
            on_hand=on_hand,
            reserved=reserved,
            sold=sold,
            reference=reference,
        )
        self.entries.append(entry)

    with without_constraints(), replaced(Book, _enter=enter), replaced(store, _CHANGE_LEVELS=_CHANGE_ANYHOW):
        yield
