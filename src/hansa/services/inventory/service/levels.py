"""Opening levels under lock, and closing them with their ledger and the events they cause, in one transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hansa.kernel.clock import to_micros
from hansa.platform.database.port import Row, Transaction
from hansa.services.inventory import store
from hansa.services.inventory.events import AvailabilityChanged
from hansa.services.inventory.rules import Book, Counts, Place


def levels_from(rows: Iterable[Row]) -> dict[Place, Counts]:
    return {
        Place(row["slot"], row["sku"], row["location"], row["bucket"]): Counts(
            on_hand=row["on_hand"], reserved=row["reserved"], sold=row["sold"], version=row["version"]
        )
        for row in rows
    }


def levels_by_sku(rows: Iterable[Row]) -> dict[str, dict[Place, Counts]]:
    by_sku: dict[str, dict[Place, Counts]] = {}
    for place, counts in levels_from(rows).items():
        by_sku.setdefault(place.sku, {})[place] = counts
    return by_sku


async def opened(tx: Transaction, places: Iterable[Place]) -> Book:
    """The levels as they are, nobody else's until the commit; a place that nothing is known of is not in the book."""
    return Book(levels_from(await store.lock_levels(tx, sorted(set(places)))))


async def opened_anew(tx: Transaction, places: Iterable[Place]) -> Book:
    """As `opened`; levels that do not exist are made first, empty."""
    wanted = sorted(set(places))
    await store.add_levels(tx, wanted)
    return Book(levels_from(await store.lock_levels(tx, wanted)))


async def opened_whole(tx: Transaction, place: Place) -> Book:
    """One place, made if need be, and every other place of its sku."""
    await store.add_levels(tx, [place])
    await store.lock_levels_of_sku(tx, place.sku)
    # Read again: whoever held one of them until now may have made another, which the lock did not see.
    return Book(levels_from(await store.levels_of_sku(tx, place.sku)))


async def close(tx: Transaction, book: Book, *, at: datetime) -> None:
    """Write down what was entered: levels, ledger, and where pieces came to be had or ceased to be."""
    changes = book.changes
    if not changes:
        return
    await store.change_levels(
        tx,
        [
            (
                *change.place,
                change.before.version,
                change.after.version,
                change.after.on_hand - change.before.on_hand,
                change.after.reserved - change.before.reserved,
                change.after.sold - change.before.sold,
            )
            for change in changes
        ],
    )
    await store.add_movements(tx, _rows_of(book, at))
    for change in changes:
        if change.crosses_zero:
            sku, location = change.place.sku, change.place.location
            tx.emit(
                AvailabilityChanged(sku=sku, location=location, is_available=change.after.available > 0),
                slot=change.place.slot,
                aggregate=f"{sku}@{location}",
                version=change.after.version,
                location=location,
            )


def _rows_of(book: Book, at: datetime) -> Sequence[tuple[object, ...]]:
    moment = to_micros(at)
    return [
        (
            *entry.place,
            entry.version,
            entry.kind,
            entry.on_hand,
            entry.reserved,
            entry.sold,
            entry.reference,
            moment,
        )
        for entry in book.entries
    ]
