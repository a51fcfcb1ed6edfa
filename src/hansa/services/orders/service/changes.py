"""How an order changes, what is told of it, and who hears: each within a transaction that has locked its row."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from hansa.kernel.event import Event
from hansa.platform.database.port import Transaction
from hansa.services.orders.contract import Entry, Order, OrderPayment
from hansa.services.orders.rules import answers, history, states
from hansa.services.orders.rules.answers import Refusal
from hansa.services.orders.store import claims
from hansa.services.orders.store import history as entry_store
from hansa.services.orders.store import orders as store
from hansa.services.orders.store.orders import Record


async def save(
    tx: Transaction,
    record: Record,
    *,
    since: Record,
    actor: str = history.BY_ITSELF,
    also: Sequence[Entry] = (),
) -> None:
    """Keep what has changed since, and that it has, with what else is to be told in its history."""
    await store.save(tx, record, since=since)
    entries = (*history.changes(since.order, record.order, actor=actor), *also)
    await entry_store.add(tx, {record.order.id: entries})


class Certain(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was read, of which money is certain and the pieces are sold."""

    record: Record
    payment: OrderPayment


async def place_all(tx: Transaction, certain: Sequence[Certain], *, at: datetime) -> list[Record | None]:
    """Place pending orders that nobody has locked; None for one that has changed since it was read."""
    placed = [_placed(each.record, payment=each.payment, at=at) for each in certain]
    done = await store.place(tx, [(each.record, record) for each, record in zip(certain, placed, strict=True)])
    entries = {}
    for each, record in zip(certain, placed, strict=True):
        if record.order.id in done:
            entries[record.order.id] = history.changes(each.record.order, record.order)
            _emit_placed(tx, record)
    await entry_store.add(tx, entries)
    return [record if record.order.id in done else None for record in placed]


async def place(tx: Transaction, record: Record, *, payment: OrderPayment, at: datetime) -> Record:
    """Money is certain and the pieces are sold."""
    placed = _placed(record, payment=payment, at=at)
    await save(tx, placed, since=record)
    _emit_placed(tx, placed)
    return placed


async def reject(tx: Transaction, record: Record, refusal: Refusal, *, at: datetime) -> Record:
    """It comes to nothing; its cart may become another order."""
    rejected = _settled(
        record, states.rejected(record.order, reason=refusal.reason, at=at), told=answers.kept(refusal.error)
    )
    await save(tx, rejected, since=record)
    await _free_cart(tx, record)
    _emit(tx, rejected, answers.order_rejected(rejected.order))
    return rejected


async def cancel(tx: Transaction, record: Record, *, by: str, actor: str, at: datetime) -> Record:
    """Raises OrderConflict if it is too late. The cart of an order that was never placed may become another one."""
    cancelled = _settled(record, states.cancelled(record.order, by=by, at=at))
    await save(tx, cancelled, since=record, actor=actor)
    if record.order.status == "pending":
        await _free_cart(tx, record)
    _emit(tx, cancelled, answers.order_cancelled(cancelled.order))
    return cancelled


async def fulfil(tx: Transaction, record: Record, order: Order, *, actor: str) -> Record:
    """Keep what `states.fulfilled` decided."""
    fulfilled = replace(record, order=order)
    await save(tx, fulfilled, since=record, actor=actor)
    _emit(tx, fulfilled, answers.order_fulfilled(order))
    return fulfilled


def _placed(record: Record, *, payment: OrderPayment, at: datetime) -> Record:
    return _settled(record, states.placed(record.order, payment=payment, at=at))


def _settled(record: Record, order: Order, *, told: str | None = None) -> Record:
    """Nobody looks after it any more, nobody charges it, and who placed it has an answer: the first one stays."""
    settled = replace(record, order=order, token="", resume_at=None)
    if first := record.answer or told:
        return replace(settled, answer=first)
    return replace(settled, answer=answers.kept(order), told=order)


async def _free_cart(tx: Transaction, record: Record) -> None:
    if record.cart_id is not None:
        await claims.free_cart(tx, cart_id=record.cart_id, order_id=record.order.id)


def _emit_placed(tx: Transaction, record: Record) -> None:
    _emit(
        tx,
        record,
        answers.order_placed(record.order, cart_id=record.cart_id, person=record.person, contact=record.contact),
    )


def _emit(tx: Transaction, record: Record, event: Event) -> None:
    order = record.order
    tx.emit(
        event,
        slot=record.slot,
        aggregate=order.id,
        version=order.version,
        channel=order.channel,
        subject=record.person,
        correlation=record.correlation,
        traceparent=record.traceparent,
    )
