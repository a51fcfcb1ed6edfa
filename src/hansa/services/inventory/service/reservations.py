"""The life of reservations, for any number of orders in one transaction.

Locks are taken in one order everywhere, so that no two transactions wait for each other in a ring: new reservations,
then those that exist, then levels; and within each of these by key.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.errors import ErrorRecord, record_error
from hansa.kernel.ids import Id, slot_of
from hansa.platform.database.port import Row, Transaction
from hansa.services.inventory import rules, store
from hansa.services.inventory.contract import Line, OutOfStock, Reservation, ReservationGone
from hansa.services.inventory.events import ReservationExpired
from hansa.services.inventory.rules import Book, Demand, Kept, Part, Shortage
from hansa.services.inventory.service import levels

_NOTHING = "[]"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One order's call of `reserve`."""

    order_id: Id
    demand: Demand
    expires_at: datetime


async def reserve(tx: Transaction, requests: Sequence[Request], *, at: datetime) -> list[Reservation | Exception]:
    """Answer each request in the order of arrival; those that do not fit are refused, and leave the others alone.

    An order that was here before, were it a moment ago in another transaction or in this very batch, gets the answer
    it got then.
    """
    firsts: dict[Id, Request] = {}
    for request in requests:
        firsts.setdefault(request.order_id, request)
    claimed = await store.claim_reservations(
        tx,
        sorted(
            (
                *_key(order_id),
                store.HELD,
                _written(first.demand.lines),
                _written(first.demand.locations),
                _NOTHING,
                to_micros(first.expires_at),
            )
            for order_id, first in firsts.items()
        ),
    )
    fresh = [first for order_id, first in firsts.items() if _key(order_id) in claimed]
    book = await levels.opened(tx, _wanted(fresh))
    known = await _decided(tx, book, fresh, since=store.HELD)
    await levels.close(tx, book, at=at)
    if missing := sorted(_key(order_id) for order_id in firsts if order_id not in known):
        known |= _kept(await store.get_reservations(tx, missing))
    return [rules.answer(kept=known[request.order_id], lines=request.demand.lines) for request in requests]


async def sell(tx: Transaction, order_ids: Iterable[Id], *, at: datetime) -> dict[Id, ReservationGone | None]:
    """Sell what is held for each order, or is there afresh if that has expired; say which orders get nothing."""
    wanted = list(dict.fromkeys(order_ids))
    found = _kept(await store.lock_reservations(tx, sorted(map(_key, wanted))))
    expired = [
        Request(order_id=kept.order_id, demand=kept.demand, expires_at=kept.expires_at)
        for kept in found.values()
        if kept.state == store.EXPIRED
    ]
    places = {part.place for kept in found.values() if kept.state == store.HELD for part in kept.parts}
    book = await levels.opened(tx, places | _wanted(expired))
    found |= await _decided(tx, book, expired, since=store.EXPIRED)
    held = [kept for kept in found.values() if kept.state == store.HELD]
    await _advance(tx, held, state=store.SOLD)
    for kept in held:
        book.sell(kept.parts, reference=kept.order_id)
    await levels.close(tx, book, at=at)
    await store.change_lines(
        tx, [(*_line_key(kept, part), -part.quantity, part.quantity, 0) for kept in held for part in kept.parts]
    )
    good = {kept.order_id for kept in found.values() if kept.state in (store.HELD, store.SOLD)}
    return {order_id: None if order_id in good else ReservationGone(order_id=order_id) for order_id in wanted}


async def release(tx: Transaction, order_ids: Iterable[Id], *, at: datetime) -> None:
    """Give back what the orders hold or were sold; of those not seen yet, remember that they are over."""
    keys = sorted(map(_key, set(order_ids)))
    tombstones = [(*key, store.RELEASED, _NOTHING, _NOTHING, _NOTHING, to_micros(at)) for key in keys]
    buried = await store.claim_reservations(tx, tombstones)
    if rest := [key for key in keys if key not in buried]:
        await _free(tx, _kept(await store.lock_reservations(tx, rest)).values(), state=store.RELEASED, at=at)


async def expire(tx: Transaction, keys: Sequence[store.OrderKey], *, at: datetime) -> None:
    """Give back what these orders hold, whose time is over; who sold or released it meanwhile was first."""
    locked = _kept(await store.lock_reservations(tx, sorted(keys))).values()
    due = [kept for kept in locked if kept.state == store.HELD]
    await _free(tx, due, state=store.EXPIRED, at=at)
    for kept in due:
        order_id = kept.order_id
        tx.emit(ReservationExpired(order_id=order_id), slot=slot_of(order_id), aggregate=order_id)


async def take_back(tx: Transaction, *, order_id: Id, lines: Iterable[Line], at: datetime) -> None:
    """Put returned pieces where they came from; what the order was not sold, or has given back, is left out."""
    for kept in _kept(await store.lock_reservations(tx, [_key(order_id)])).values():
        sold = await _sold_parts(tx, [kept])
        parts = rules.returnable(sold=sold[order_id], lines=lines)
        book = await levels.opened(tx, (part.place for part in parts))
        book.take_back(parts, reference=order_id)
        await levels.close(tx, book, at=at)
        await store.change_lines(tx, [(*_line_key(kept, part), 0, 0, part.quantity) for part in parts])


def _wanted(requests: Iterable[Request]) -> set[rules.Place]:
    """Everywhere that what is asked for may be."""
    places = set[rules.Place]()
    for request in requests:
        skus = rules.summed(request.demand.lines)
        places |= rules.places_of(skus=skus, locations=request.demand.locations)
    return places


async def _decided(tx: Transaction, book: Book, requests: Sequence[Request], *, since: str) -> dict[Id, Kept]:
    """Allocate from the book for reservations that this transaction has locked, and write down what became of each."""
    decisions = rules.allocate_batch(available=book.available, demands=[request.demand for request in requests])
    decided = [_decision(request, decision) for request, decision in zip(requests, decisions, strict=True)]
    for kept in decided:
        book.reserve(kept.parts, reference=kept.order_id)
    await store.hold_lines(
        tx, [(*_line_key(kept, part), part.quantity, 0, 0) for kept in decided for part in kept.parts]
    )
    await store.decide_reservations(
        tx,
        [
            (
                *_key(kept.order_id),
                since,
                kept.state,
                _written(kept.parts),
                _written(kept.refusal) if kept.refusal else None,
            )
            for kept in decided
        ],
    )
    return {kept.order_id: kept for kept in decided}


def _decision(request: Request, decision: tuple[Part, ...] | Shortage) -> Kept:
    # To the microsecond and in UTC, as it will be read again.
    expires_at = from_micros(to_micros(request.expires_at))
    if isinstance(decision, Shortage):
        return Kept(
            order_id=request.order_id,
            state=store.REFUSED,
            demand=request.demand,
            refusal=record_error(OutOfStock(sku=decision.sku, left=decision.left)),
            expires_at=expires_at,
        )
    return Kept(
        order_id=request.order_id,
        state=store.HELD,
        demand=request.demand,
        parts=decision,
        expires_at=expires_at,
    )


async def _free(tx: Transaction, reservations: Collection[Kept], *, state: str, at: datetime) -> None:
    """Give back all that locked reservations hold, or were sold and have not given back."""
    held = [kept for kept in reservations if kept.state == store.HELD]
    sold = [kept for kept in reservations if kept.state == store.SOLD]
    expired = [kept for kept in reservations if kept.state == store.EXPIRED]
    unreturned = await _sold_parts(tx, sold)
    await _advance(tx, [*held, *sold, *expired], state=state)
    book = await levels.opened(
        tx, (part.place for parts in (*(kept.parts for kept in held), *unreturned.values()) for part in parts)
    )
    for kept in held:
        book.release(kept.parts, reference=kept.order_id)
    for kept in sold:
        book.take_back(unreturned[kept.order_id], reference=kept.order_id)
    await levels.close(tx, book, at=at)
    await store.change_lines(
        tx,
        [(*_line_key(kept, part), -part.quantity, 0, 0) for kept in held for part in kept.parts]
        + [(*_line_key(kept, part), 0, 0, part.quantity) for kept in sold for part in unreturned[kept.order_id]],
    )


async def _sold_parts(tx: Transaction, reservations: Sequence[Kept]) -> dict[Id, list[Part]]:
    """What was sold to each order and has not come back."""
    parts: dict[Id, list[Part]] = {kept.order_id: [] for kept in reservations}
    if not reservations:
        return parts
    for row in await store.get_lines(tx, [_line_key(kept, part) for kept in reservations for part in kept.parts]):
        if quantity := row["sold"] - row["returned"]:
            place = rules.Place(row["slot"], row["sku"], row["location"], row["bucket"])
            parts[str(row["order_id"])].append(Part(place, quantity))
    return parts


async def _advance(tx: Transaction, reservations: Sequence[Kept], *, state: str) -> None:
    await store.advance_reservations(tx, [(*_key(kept.order_id), kept.state, state) for kept in reservations])


def _kept(rows: Iterable[Row]) -> dict[Id, Kept]:
    return {
        str(row["order_id"]): Kept(
            order_id=str(row["order_id"]),
            state=row["state"],
            demand=Demand(
                lines=msgspec.json.decode(row["lines"], type=tuple[Line, ...]),
                locations=msgspec.json.decode(row["locations"], type=tuple[str, ...]),
            ),
            parts=msgspec.json.decode(row["parts"], type=tuple[Part, ...]),
            refusal=msgspec.json.decode(row["refusal"], type=ErrorRecord) if row["refusal"] else None,
            expires_at=from_micros(row["expires_at"]),
        )
        for row in rows
    }


def _key(order_id: Id) -> store.OrderKey:
    return slot_of(order_id), int(order_id)


def _line_key(kept: Kept, part: Part) -> store.LineKey:
    slot, sku, location, bucket = part.place
    return slot, int(kept.order_id), sku, location, bucket


def _written(value: Any) -> str:
    return msgspec.json.encode(value).decode()
