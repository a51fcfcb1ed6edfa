"""Sixty-four shoppers at once and a hundred pieces: exactly a hundred are sold, and nobody pays for nothing."""

import asyncio
from collections import Counter

from tests import audits
from tests.shops import OpenedShop

SHOPPERS = 64
PIECES = 100
ATTEMPTS_EACH = 3


async def test_the_last_hundred_pieces_are_sold_exactly_once(shop: OpenedShop) -> None:
    await shop.put_product("LAST", stock=PIECES)

    async def shopper(number: int) -> list[int]:
        statuses = []
        for attempt in range(ATTEMPTS_EACH):
            status, answer = await shop.order("LAST", key=f"{number}-{attempt}")
            if status == 409:
                assert (answer["code"], answer["sku"]) == ("inventory.out_of_stock", "LAST")
            statuses.append(status)
        return statuses

    outcomes = await asyncio.gather(*(shopper(number) for number in range(SHOPPERS)))
    statuses = Counter(status for outcome in outcomes for status in outcome)
    assert statuses == {201: PIECES, 409: SHOPPERS * ATTEMPTS_EACH - PIECES}

    await audits.drained(shop.shop)
    stock = await shop.inventory.stock(sku="LAST")
    assert (stock.on_hand, stock.reserved, stock.sold, stock.available) == (0, 0, PIECES, 0)
    await audits.everything_balances(shop.shop)


async def test_declined_cards_give_every_piece_back(shop: OpenedShop) -> None:
    await shop.put_product("BACK", stock=20)
    outcomes = await asyncio.gather(*(shop.order("BACK", pay="tok_declined") for _ in range(40)))
    assert {status for status, _ in outcomes} <= {402, 409}
    assert sum(status == 402 for status, _ in outcomes) >= 20
    await audits.drained(shop.shop)
    stock = await shop.inventory.stock(sku="BACK")
    assert (stock.on_hand, stock.reserved, stock.sold, stock.available) == (20, 0, 0, 20)
    await audits.everything_balances(shop.shop)
