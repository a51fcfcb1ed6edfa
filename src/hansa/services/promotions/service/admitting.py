"""Claiming pieces for orders and giving them back, for any number of orders in one transaction.

Locks are taken in one order everywhere: sales, then the counters of buyers, then claims; within each of these by key.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from hansa.kernel.errors import BusinessError
from hansa.platform.database.port import Transaction
from hansa.services.promotions import rules, store
from hansa.services.promotions.rules import Ask, Sale
from hansa.services.promotions.service import rows
from hansa.services.promotions.store import Order


class Outcome(NamedTuple):
    """An answer, and how the sale stands once it counts."""

    refusal: BusinessError | None
    sale: Sale | None


async def admit(tx: Transaction, asks: Sequence[Ask], *, at: datetime) -> list[Outcome]:
    """Answer each ask in the order of arrival."""
    sales = await rows.lock(tx, sale_ids=[ask.sale_id for ask in asks])
    buyers = [(ask.sale_id, ask.member) for ask in asks if ask.sale_id in sales]
    await store.add_buyers(tx, buyers=buyers)
    admission = rules.admit(
        asks,
        sales=sales,
        bought=await store.bought(tx, buyers=buyers),
        claims=await rows.claims(tx, orders=[(ask.sale_id, ask.order_id) for ask in asks]),
        at=at,
    )
    await store.take_pieces(tx, pieces=admission.by_sale)
    limits = {sale_id: sale.limit_per_buyer for sale_id, sale in sales.items()}
    await store.count_buyers(tx, pieces=admission.by_buyer, limits=limits)
    await rows.add_claims(tx, fresh=admission.fresh, at=at)
    after = await rows.find(tx, sale_ids=list(sales))
    return [Outcome(answer, after.get(ask.sale_id)) for ask, answer in zip(asks, admission.answers, strict=True)]


async def release(tx: Transaction, orders: Sequence[Order], *, at: datetime) -> dict[str, Sale]:
    """Give back what orders hold; of those not seen yet, remember that they are over. Answers how the sales stand."""
    sales = await rows.lock(tx, sale_ids=[sale_id for sale_id, _ in orders])
    theirs = sorted({order for order in orders if order[0] in sales})
    claims = await rows.claims(tx, orders=theirs)
    by_sale, by_buyer = Counter[str](), Counter[tuple[str, str]]()
    for sale_id, order_id in theirs:
        claim = claims.get(order_id)
        if claim is not None and claim.state == "held" and claim.member is not None:
            by_sale[sale_id] -= claim.quantity
            by_buyer[sale_id, claim.member] -= claim.quantity
    await store.take_pieces(tx, pieces=by_sale)
    limits = {sale_id: sale.limit_per_buyer for sale_id, sale in sales.items()}
    await store.count_buyers(tx, pieces=by_buyer, limits=limits)
    await store.release_claims(tx, orders=theirs, at=at)
    return await rows.find(tx, sale_ids=list(sales))
