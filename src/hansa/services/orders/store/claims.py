"""What may be had once: an idempotency key, and a cart."""

from datetime import datetime

import msgspec
from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.database.statement import Statement
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
CLAIM_KEY = Statement(
    insert(ORDER_KEYS)
    .values({name: bindparam(name) for name in ORDER_KEYS.c.keys()})
    .on_conflict_do_nothing()
    .returning(ORDER_KEYS.c.order_id)
)
FORGET_KEYS = Statement(delete(ORDER_KEYS).where(ORDER_KEYS.c.claimed_at < bindparam("before", type_=MOMENT)))
CLAIM_CART = Statement(
    insert(ORDER_CARTS)
    .values({name: bindparam(name) for name in ORDER_CARTS.c.keys()})
    .on_conflict_do_nothing()
    .returning(ORDER_CARTS.c.order_id)
)
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


async def claim_key(tx: Transaction, *, claim: Claim, at: datetime) -> bool:
    """Take a key for an order; False if it stands for one already. Waits for others who are just taking it."""
    row = await tx.one(
        CLAIM_KEY,
        slot=claim.slot,
        key=claim.key,
        request=claim.request,
        order_id=int(claim.order_id),
        claimed_at=to_micros(at),
    )
    return row is not None


async def forget_keys(tx: Transaction, *, before: datetime) -> None:
    await tx.run(FORGET_KEYS, before=to_micros(before))


async def claim_cart(tx: Transaction, *, cart_id: str, order_id: str) -> bool:
    """Take a cart for an order; False if another living order has it."""
    row = await tx.one(CLAIM_CART, slot=slot_of(cart_id), cart_id=int(cart_id), order_id=int(order_id))
    return row is not None


async def free_cart(tx: Transaction, *, cart_id: str, order_id: str) -> None:
    await tx.run(FREE_CART, of_slot=slot_of(cart_id), of_cart=int(cart_id), of_order=int(order_id))
