"""What inventory does when it is asked: one transaction for each act, decided in rules, written down by levels."""

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime

from hansa.kernel.channel import MAIN
from hansa.kernel.clock import Clock, from_micros, to_micros
from hansa.kernel.contract import Key
from hansa.kernel.ids import Id, Ids, slot_of, slot_of_value
from hansa.platform.database.batcher import Batcher
from hansa.platform.database.idempotency import Name, claim, claim_each, decode, digest, keep, keep_each
from hansa.platform.database.port import Database, Transaction
from hansa.platform.security import audit
from hansa.services.inventory import rules, store
from hansa.services.inventory.contract import (
    BelowReserved,
    Line,
    Movement,
    NoSuchStock,
    Reservation,
    Stock,
    StockChanged,
)
from hansa.services.inventory.rules import Demand, Place
from hansa.services.inventory.service import levels, reservations
from hansa.services.inventory.service.reservations import Answer, Request, Sale

MOST_MOVEMENTS = 1_000
EXPIRY_BATCH = 100
"""Reservations given back in one transaction: their levels are locked for as long as that takes."""
MOST_EXPIRY_BATCHES = 100
"""Of one run of the job; what is left waits for the next."""
_TAKEN = ""
"""The outcome of a count that was not refused."""


class InventoryService:
    """See the contract. `release_within` is for consumers, `expire` for the job.

    Reservations and sales that come together share one transaction, which locks each level and writes it once.
    """

    def __init__(self, *, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._batches = Batcher(database=database, act=self._serve, slots=_slots_of)

    async def close(self) -> None:
        """Break off what is under way, as if the process had died."""
        await self._batches.close()

    async def stock(self, *, sku: str) -> Stock:
        found = levels.levels_from(await store.levels_of_sku(self._database, sku))
        if not found:
            raise NoSuchStock(sku=sku)
        return rules.stock_of(sku=sku, levels=found)

    async def stocks(self, *, skus: tuple[str, ...]) -> tuple[Stock, ...]:
        wanted = tuple(dict.fromkeys(skus))
        found = levels.levels_by_sku(await store.levels_of_skus(self._database, wanted))
        return tuple(rules.stock_of(sku=sku, levels=found[sku]) for sku in wanted if sku in found)

    async def available(self, *, skus: tuple[str, ...], locations: tuple[str, ...]) -> dict[str, int]:
        places = rules.places_of(skus=skus, locations=locations)
        pieces = dict.fromkeys(skus, 0)
        for row in await store.get_levels(self._database, sorted(places)):
            pieces[row["sku"]] += row["on_hand"] - row["reserved"]
        return pieces

    async def movements(self, *, sku: str) -> tuple[Movement, ...]:
        async with self._database.read() as reader:
            places = levels.levels_from(await store.levels_of_sku(reader, sku))
            ledgers = [await store.latest_movements(reader, place, limit=MOST_MOVEMENTS) for place in places]
        if not places:
            raise NoSuchStock(sku=sku)
        # Each ledger keeps its own order, whatever the clocks of those who wrote it said.
        merged = heapq.merge(*(reversed(ledger) for ledger in ledgers), key=lambda row: row["at"])
        return tuple(
            Movement(
                sku=row["sku"],
                location=row["location"],
                kind=row["kind"],
                on_hand=row["on_hand"],
                reserved=row["reserved"],
                sold=row["sold"],
                reference=row["reference"],
                at=from_micros(row["at"]),
            )
            for row in list(merged)[-MOST_MOVEMENTS:]
        )

    async def set_on_hand(
        self, *, key: Key, sku: str, on_hand: int, version: int | None, actor: str, location: str = MAIN
    ) -> Stock:
        place, now = rules.place_of(sku=sku, location=location), self._clock.now()
        key, request = f"set_on_hand:{key}", digest(sku, on_hand, version, location)
        async with self._database.write(place.slot, slot_of_value(sku)) as tx:
            if (kept := await claim(tx, slot=place.slot, key=key, request=request, now=now)) is not None:
                return decode(kept, Stock)
            if version == 0:
                # Two firsts at two locations have no level in common to wait for, so they wait for the sku's name.
                await claim(tx, slot=slot_of_value(sku), key=f"first:{sku}", request="", now=now)
                await keep(tx, slot=slot_of_value(sku), key=f"first:{sku}", answer=None)
            # All levels of the sku are locked, since any of them changes its version.
            book = await levels.opened_whole(tx, place)
            if version is not None and version != (present := rules.version_of(book.levels.values())):
                raise StockChanged(version=present)
            before = book.levels[place].on_hand
            book.count(place, on_hand=on_hand, actor=actor)
            await levels.close(tx, book, at=now)
            await self._audit(tx, place, now, actor, "inventory.set_on_hand", before=before, after=on_hand)
            stock = rules.stock_of(sku=sku, levels=book.levels)
            await keep(tx, slot=place.slot, key=key, answer=stock)
        return stock

    async def set_many(self, *, key: Key, on_hand: dict[str, int], actor: str, location: str = MAIN) -> dict[str, str]:
        names = {sku: _name_of_count(key=key, sku=sku, location=location) for sku in on_hand}
        now = self._clock.now()
        async with self._database.write(slot_of_value(key), *(slot for slot, _ in names.values())) as tx:
            kept = await claim_each(tx, names=names.values(), now=now)
            outcomes = {name: decode(answer, str) for name, answer in kept.items() if answer is not None}
            new = {sku: on_hand[sku] for sku, (_, name) in names.items() if name not in outcomes}
            if new:
                refused = await self._count_many(tx, new, key=key, actor=actor, location=location, at=now)
                await keep_each(tx, answers={names[sku]: refused.get(sku, _TAKEN) for sku in new})
                outcomes |= {names[sku][1]: code for sku, code in refused.items()}
        return {sku: code for sku, (_, name) in names.items() if (code := outcomes.get(name, _TAKEN)) != _TAKEN}

    async def _count_many(
        self, tx: Transaction, on_hand: dict[str, int], *, key: Key, actor: str, location: str, at: datetime
    ) -> dict[str, str]:
        places = {sku: rules.place_of(sku=sku, location=location) for sku in on_hand}
        refused: dict[str, str] = {}
        book = await levels.opened_anew(tx, places.values())
        for sku, place in places.items():
            try:
                book.count(place, on_hand=on_hand[sku], actor=actor)
            except BelowReserved as error:
                refused[sku] = error.code
        await levels.close(tx, book, at=at)
        slot = slot_of_value(key)
        # The ledger says what became of each sku; here it is enough that somebody counted so many at once.
        await audit.record(
            tx,
            slot=slot,
            audit_id=self._ids.new(slot=slot),
            at=at,
            actor=actor,
            action="inventory.set_many",
            target=location,
            detail={"on_hand": on_hand, "refused": refused},
        )
        return refused

    async def record_sale(self, *, key: Key, receipt: str, sku: str, quantity: int, location: str, actor: str) -> Stock:
        place, now = rules.place_of(sku=sku, location=location), self._clock.now()
        key, request = f"record_sale:{key}", digest(receipt, sku, quantity, location)
        async with self._database.write(place.slot) as tx:
            if (kept := await claim(tx, slot=place.slot, key=key, request=request, now=now)) is not None:
                return decode(kept, Stock)
            book = await levels.opened_anew(tx, [place])
            before = book.levels[place].on_hand
            book.sell_at_till(place, quantity=quantity, receipt=receipt)
            await levels.close(tx, book, at=now)
            after = book.levels[place].on_hand
            await self._audit(tx, place, now, actor, "inventory.record_sale", before=before, after=after)
            stock = rules.stock_of(sku=sku, levels=levels.levels_from(await store.levels_of_sku(tx, sku)))
            await keep(tx, slot=place.slot, key=key, answer=stock)
        return stock

    async def reserve(
        self,
        *,
        key: Key,
        order_id: Id,
        lines: tuple[Line, ...],
        locations: tuple[str, ...],
        expires_at: datetime,
    ) -> Reservation:
        request = Request(order_id=order_id, demand=Demand(lines=lines, locations=locations), expires_at=expires_at)
        reservation = await self._batches.submit(request)
        assert reservation is not None
        return reservation

    async def sell(self, *, key: Key, order_id: Id) -> None:
        await self._batches.submit(Sale(order_id=order_id))

    async def release(self, *, key: Key, order_id: Id) -> None:
        async with self._database.write(slot_of(order_id)) as tx:
            await self.release_within(tx, order_ids=[order_id])

    async def release_within(self, tx: Transaction, *, order_ids: Iterable[Id]) -> None:
        """As `release`, for several orders and as part of a transaction that is open already."""
        await reservations.release(tx, order_ids, at=self._clock.now())

    async def take_back(self, *, key: Key, order_id: Id, lines: tuple[Line, ...]) -> None:
        slot, now = slot_of(order_id), self._clock.now()
        key, request = f"take_back:{key}", digest(order_id, lines)
        async with self._database.write(slot) as tx:
            if await claim(tx, slot=slot, key=key, request=request, now=now) is not None:
                return
            await reservations.take_back(tx, order_id=order_id, lines=lines, at=now)
            await keep(tx, slot=slot, key=key, answer=None)

    async def expire(self) -> None:
        """Give back what is held for longer than promised. Harmless when several do it at once."""
        for _ in range(MOST_EXPIRY_BATCHES):
            now = self._clock.now()
            due = await store.due_reservations(self._database, now=to_micros(now), limit=EXPIRY_BATCH)
            if due:
                async with self._database.write(*{slot for slot, _ in due}) as tx:
                    await reservations.expire(tx, due, at=now)
            if len(due) < EXPIRY_BATCH:
                return

    async def _serve(self, tx: Transaction, acts: Sequence[Request | Sale]) -> list[Answer | Exception]:
        return await reservations.serve(tx, acts, at=self._clock.now())

    async def _audit(
        self, tx: Transaction, place: Place, at: datetime, actor: str, action: str, *, before: int, after: int
    ) -> None:
        await audit.record(
            tx,
            slot=place.slot,
            audit_id=self._ids.new(slot=place.slot),
            at=at,
            actor=actor,
            action=action,
            target=f"{place.sku}@{place.location}",
            detail={"on_hand": {"before": before, "after": after}},
        )


def _slots_of(act: Request | Sale) -> tuple[int]:
    return (slot_of(act.order_id),)


def _name_of_count(*, key: Key, sku: str, location: str) -> Name:
    """Under which a count of `set_many` is remembered, in the slot of its level."""
    return rules.place_of(sku=sku, location=location).slot, f"set_many:{digest(key, sku, location)}"
