"""A cluster at rest: whether it is, and what it has left behind."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hansa.platform.providers import sandbox_ledger
from tests.reserved import lines_of
from tests.simulation import states
from tests.simulation.invariants.evidence import RESERVATION_LINES, Evidence
from tests.simulation.workload import scene
from tests.simulation.workload.door import Operation

if TYPE_CHECKING:
    from tests.simulation.world import World

_UNFINISHED = {
    "orders": (
        "SELECT 'order ' || order_id FROM orders WHERE status = 'pending' LIMIT 1",
        "SELECT 'refund asked of order ' || order_id FROM refund_requests WHERE answer IS NULL LIMIT 1",
        "SELECT 'refund of order ' || order_id FROM order_refunds WHERE state = 'pending' LIMIT 1",
    ),
    "payments": (
        "SELECT 'payment of order ' || order_id FROM intents WHERE next_look_at IS NOT NULL LIMIT 1",
        "SELECT 'refund ' || refund_id FROM refunds WHERE state = 'pending' LIMIT 1",
    ),
    "inventory": ("SELECT 'reservation of order ' || order_id FROM reservations WHERE state = 'held' LIMIT 1",),
    "notifications": ("SELECT 'mail about order ' || order_id FROM mails WHERE state = 'due' LIMIT 1",),
}
"""By service: what has not come to its end yet."""


async def quiet(world: "World") -> str:
    """What is still under way; empty when nothing is. Looks from outside, and takes no time of anybody's."""
    await _replay_dead_letters(world)
    if world.broker.under_way:
        return "deliveries of the broker"
    for name, store in world.stores.items():
        if store.holder is not None:
            return f"a transaction on {name}"
        for text in (*_UNFINISHED.get(name, ()), "SELECT 'event ' || event_id FROM outbox LIMIT 1"):
            if rows := store.query(text):
                return str(rows[0][0])
    return ""


async def _replay_dead_letters(world: "World") -> None:
    """What staff do once the cause is gone."""
    for name, store in world.stores.items():
        if store.holder is None and world.up:
            for row in store.query("SELECT consumer, event_id FROM dead_letters ORDER BY event_id"):
                world.note("dead letter replayed", name, row[0])
                world.states[states.REPLAYED] += 1
                office = world.up[0].shop.dead_letters
                try:
                    await office.replay(
                        key=f"{row[0]} {row[1]}",
                        service=name,
                        consumer=row[0],
                        event_id=str(row[1]),
                        actor="simulation",
                    )
                except Exception as error:
                    world.surprised_by(error, f"replay of {row[0]}")


def evidence_of(world: "World", operations: Sequence[Operation]) -> Evidence:
    """Everything there is to see, from outside."""
    tables = {}
    for name, store in world.stores.items():
        for row in store.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
            tables[name, row[0]] = [dict(each) for each in store.query(f'SELECT * FROM "{row[0]}"')]
    tables[RESERVATION_LINES] = lines_of(tables["inventory", "reservations"])
    books = sandbox_ledger.entries(world.provider._ledger._connected())
    return Evidence(
        tables=tables,
        books=books,
        operations=operations,
        received=scene.received,
        sent=dict(world.handled),
        emitted=world.emitted,
        consumers=world.consumers,
    )
