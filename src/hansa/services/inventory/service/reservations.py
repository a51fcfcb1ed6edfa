"""The life of reservations, for any number of orders in one transaction.

Locks are taken in one order everywhere, so that no two transactions wait for each other in a ring: new reservations,
then those that exist, then levels; and within each of these by key.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

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
_lines_in = msgspec.json.Decoder(tuple[Line, ...]).decode
_locations_in = msgspec.json.Decoder(tuple[str, ...]).decode
_parts_in = msgspec.json.Decoder(tuple[Part, ...]).decode
_refusal_in = msgspec.json.Decoder(ErrorRecord).decode
_encoded = msgspec.json.Encoder().encode


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One order's call of `reserve`."""

    order_id: Id
    demand: Demand
    expires_at: datetime


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """One order's call of `sell`."""

    order_id: Id


Answer = Reservation | None
"""Of a request its reservation, of a sale nothing."""


class _Open(NamedTuple):
    """A locked reservation whose pieces are to be found now; its row says `since` and `parts` if nobody changes it."""

    request: Request
    since: str
    parts: tuple[Part, ...]


async def serve(tx: Transaction, acts: Sequence[Request | Sale], *, at: datetime) -> list[Answer | Exception]:
    """Answer each act in the order of arrival; those that do not fit are refused, and leave the others alone.

    An order that was here before, were it a moment ago in another transaction or in this very batch, gets the answer
    it got then. What is held for an order is sold to it; if that has expired, it is taken afresh if it is still there.
    """
    firsts: dict[Id, Request] = {}
    sales: dict[Id, None] = {}
    for act in acts:
        if isinstance(act, Request):
            firsts.setdefault(act.order_id, act)
        else:
            sales[act.order_id] = None
    opened = await _claimed(tx, firsts)
    found = _kept(await store.lock_reservations(tx, sorted(map(_key, sales))))
    opened |= {
        order_id: _Open(Request(order_id=order_id, demand=kept.demand, expires_at=kept.expires_at), kept.state, ())
        for order_id, kept in found.items()
        if kept.state == store.EXPIRED
    }
    places = {part.place for kept in found.values() if kept.state == store.HELD for part in kept.parts}
    book = await levels.opened(tx, places | _wanted(opened.values()))
    arrived = dict.fromkeys(act.order_id for act in acts)
    found |= await _decided(tx, book, [opened[order_id] for order_id in arrived if order_id in opened])
    held = [found[order_id] for order_id in sales if order_id in found and found[order_id].state == store.HELD]
    await _advance(tx, held, state=store.SOLD)
    for kept in held:
        book.sell(kept.parts, reference=kept.order_id)
    await levels.close(tx, book, at=at)
    if missing := sorted(_key(order_id) for order_id in firsts if order_id not in found):
        found |= _kept(await store.get_reservations(tx, missing))
    return [_answer(act, found.get(act.order_id)) for act in acts]


def _answer(act: Request | Sale, kept: Kept | None) -> Answer | Exception:
    if isinstance(act, Request):
        assert kept is not None
        return rules.answer(kept=kept, lines=act.demand.lines)
    is_sold = kept is not None and kept.state in (store.HELD, store.SOLD)
    return None if is_sold else ReservationGone(order_id=act.order_id)


async def _claimed(tx: Transaction, firsts: Mapping[Id, Request]) -> dict[Id, _Open]:
    """Make the reservations that do not exist yet, in the hope that all is where it is wanted from.

    So most of them are written once; only the others are changed when it is known what there is for them.
    """
    hopes = {
        order_id: _Open(request, store.HELD, rules.hoped_for(request.demand)) for order_id, request in firsts.items()
    }
    claims = [
        (
            *_key(order_id),
            store.HELD,
            _written(hope.request.demand.lines),
            _written(hope.request.demand.locations),
            _written(hope.parts),
            to_micros(hope.request.expires_at),
        )
        for order_id, hope in hopes.items()
    ]
    claimed = await store.claim_reservations(tx, sorted(claims))
    return {order_id: hope for order_id, hope in hopes.items() if _key(order_id) in claimed}


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
        if parts := rules.returnable(sold=kept.unreturned, lines=lines):
            book = await levels.opened(tx, (part.place for part in parts))
            book.take_back(parts, reference=order_id)
            await levels.close(tx, book, at=at)
            back = msgspec.structs.replace(kept, returned=rules.added(kept.returned, parts))
            await _advance(tx, [back], state=store.SOLD)


def _wanted(opened: Iterable[_Open]) -> set[rules.Place]:
    """Everywhere that what is asked for may be."""
    places = set[rules.Place]()
    for each in opened:
        demand = each.request.demand
        places |= rules.places_of(skus=[line.sku for line in demand.lines], locations=demand.locations)
    return places


async def _decided(tx: Transaction, book: Book, opened: Sequence[_Open]) -> dict[Id, Kept]:
    """Allocate from the book, and write down what became of each where the row does not say it already."""
    decisions = rules.allocate_batch(available=book.available, demands=[each.request.demand for each in opened])
    decided: dict[Id, Kept] = {}
    surprises = []
    for each, decision in zip(opened, decisions, strict=True):
        kept = decided[each.request.order_id] = _decision(each.request, decision)
        book.reserve(kept.parts, reference=kept.order_id)
        if kept.state != each.since or kept.parts != each.parts:
            refusal = _written(kept.refusal) if kept.refusal else None
            surprises.append((*_key(kept.order_id), each.since, kept.state, _written(kept.parts), refusal))
    await store.decide_reservations(tx, surprises)
    return decided


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
    returned = [msgspec.structs.replace(kept, returned=kept.parts) for kept in sold]
    await _advance(tx, [*held, *returned, *expired], state=state)
    book = await levels.opened(
        tx,
        (
            part.place
            for parts in (*(kept.parts for kept in held), *(kept.unreturned for kept in sold))
            for part in parts
        ),
    )
    for kept in held:
        book.release(kept.parts, reference=kept.order_id)
    for kept in sold:
        book.take_back(kept.unreturned, reference=kept.order_id)
    await levels.close(tx, book, at=at)


async def _advance(tx: Transaction, reservations: Sequence[Kept], *, state: str) -> None:
    await store.advance_reservations(
        tx,
        [
            (*_key(kept.order_id), kept.state, state, _written(kept.returned) if kept.returned else None)
            for kept in reservations
        ],
    )


def _kept(rows: Iterable[Row]) -> dict[Id, Kept]:
    return {
        str(row["order_id"]): Kept(
            order_id=str(row["order_id"]),
            state=row["state"],
            demand=Demand(lines=_lines_in(row["lines"]), locations=_locations_in(row["locations"])),
            parts=_parts_in(row["parts"]),
            refusal=_refusal_in(row["refusal"]) if row["refusal"] else None,
            returned=_parts_in(row["returned"]) if row["returned"] else (),
            expires_at=from_micros(row["expires_at"]),
        )
        for row in rows
    }


def _key(order_id: Id) -> store.OrderKey:
    return slot_of(order_id), int(order_id)


def _written(value: Any) -> str:
    return _encoded(value).decode()
