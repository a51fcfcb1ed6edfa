"""What may be had once: an idempotency key, and a cart."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, delete, select, tuple_

from hansa.kernel.clock import to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.database.rows import insert_rows
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import ID, MOMENT, SLOT, TEXT
from hansa.services.orders.tables import ORDER_CARTS, ORDER_KEYS


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An idempotency key, the keyed hash of what was asked with it, and the order it stands for."""

    slot: int
    key: str
    request: str
    order_id: str


FIND_KEY = Statement(
    select(ORDER_KEYS.c.request, ORDER_KEYS.c.order_id).where(
        ORDER_KEYS.c.slot == bindparam("of_slot", type_=SLOT), ORDER_KEYS.c.key == bindparam("of_key", type_=TEXT)
    )
)
CLAIM_KEYS = Statement(insert_rows(ORDER_KEYS).on_conflict_do_nothing().returning(ORDER_KEYS.c.order_id))
_GIVEN_BACK = rows_parameter("given_back", slot=SLOT, key=TEXT)
GIVE_BACK_KEYS = Statement(
    delete(ORDER_KEYS).where(
        tuple_(ORDER_KEYS.c.slot, ORDER_KEYS.c.key).in_(select(_GIVEN_BACK.c.slot, _GIVEN_BACK.c.key))
    )
)
FORGET_KEYS = Statement(delete(ORDER_KEYS).where(ORDER_KEYS.c.claimed_at < bindparam("before", type_=MOMENT)))
CLAIM_CARTS = Statement(insert_rows(ORDER_CARTS).on_conflict_do_nothing().returning(ORDER_CARTS.c.order_id))
FREE_CART = Statement(
    delete(ORDER_CARTS).where(
        ORDER_CARTS.c.slot == bindparam("of_slot", type_=SLOT),
        ORDER_CARTS.c.cart_id == bindparam("of_cart", type_=ID),
        ORDER_CARTS.c.order_id == bindparam("of_order", type_=ID),
    )
)


async def find_key(reader: Reader | Database, *, slot: int, key: str) -> Claim | None:
    row = await reader.one(FIND_KEY, of_slot=slot, of_key=key)
    return None if row is None else Claim(slot=slot, key=key, request=row["request"], order_id=str(row["order_id"]))


async def claim_keys(tx: Transaction, claims: Sequence[Claim], *, at: datetime) -> set[str]:
    """Take keys for orders, and say which orders have got theirs; of two that want one key in the same set, the first.

    Waits for others who are just taking one of them. In the order of the keys, so that no two wait in a ring.
    """
    moment = to_micros(at)
    wanted = sorted(claims, key=lambda claim: (claim.slot, claim.key))
    rows = await tx.all(
        CLAIM_KEYS, rows=[(claim.slot, claim.key, claim.request, int(claim.order_id), moment) for claim in wanted]
    )
    return {str(row["order_id"]) for row in rows}


async def give_back_keys(tx: Transaction, claims: Sequence[Claim]) -> None:
    """Undo what this transaction has claimed."""
    if claims:
        await tx.run(GIVE_BACK_KEYS, given_back=[(claim.slot, claim.key) for claim in claims])


async def forget_keys(tx: Transaction, *, before: datetime) -> None:
    await tx.run(FORGET_KEYS, before=to_micros(before))


async def claim_carts(tx: Transaction, carts: Mapping[str, str]) -> set[str]:
    """Take carts for orders (`carts` by order), and say which orders have got theirs: a cart has one living order."""
    if not carts:
        return set()
    wanted = sorted((slot_of(cart_id), int(cart_id), int(order_id)) for order_id, cart_id in carts.items())
    return {str(row["order_id"]) for row in await tx.all(CLAIM_CARTS, rows=wanted)}


async def free_cart(tx: Transaction, *, cart_id: str, order_id: str) -> None:
    await tx.run(FREE_CART, of_slot=slot_of(cart_id), of_cart=int(cart_id), of_order=int(order_id))
