"""Whatever the clocks of processes say, the last change that was acknowledged is what everybody sees, at once."""

import itertools
import tempfile
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.money import Money
from hansa.services.products import rules
from hansa.services.products.contract import PriceDraft, ProductPatch
from hansa.services.products.events import ProductPut
from hansa.services.products.store.moments import present
from tests.clocks import START
from tests.databases import SQLITE
from tests.services.products.conftest import Shop, shop_on
from tests.services.products.drafts import IN_ENGLISH, hat, usd, variant

SECONDS = st.integers(-3600, 3600)
"""How far a clock is off: that of another process, or that of one which was put right."""


def wired_local(contract, service):
    return service


def jump(shop: Shop, seconds: float) -> None:
    """Let the clock be so far from the beginning."""
    shop.clock.set_back((shop.clock.now() - START).total_seconds() - seconds)


async def priced(shop: Shop, product_id: str, amount: int):
    """Change the price, as staff do."""
    patch = ProductPatch(variants=(variant("HAT", amount),))
    return await shop.products.change(key=shop.key(), product_id=product_id, patch=patch, version=None, actor="user:1")


async def shown(shop: Shop) -> set[int]:
    """What the hat costs, by everything that shows it."""
    (offer,) = await shop.products.offers(skus=("HAT",), **IN_ENGLISH)
    product = await shop.products.get(name="felt-hat", **IN_ENGLISH)
    page = await shop.products.list(**IN_ENGLISH)
    staff = await shop.products.list_for_staff(**IN_ENGLISH)
    record = await shop.products.record(product_id=product.id)
    records = await shop.products.records()
    return {
        amount_of(offer.price),
        amount_of(product.variants[0].price),
        amount_of(page.items[0].variants[0].price),
        amount_of(staff.items[0].price_from),
        stated(record.draft.variants[0].prices),
        stated(records.items[0].draft.variants[0].prices),
    }


def amount_of(price: Money | None) -> int:
    assert price is not None
    return price.amount


def stated(prices: tuple[PriceDraft, ...]) -> int:
    (price,) = prices
    assert price.valid_from is None, "it simply holds"
    return price.amount


async def told(shop: Shop) -> list[int]:
    """What the events say of the price, oldest version first."""
    events = sorted(await shop.events(ProductPut.type), key=lambda envelope: envelope.version)
    records = [msgspec.json.decode(envelope.body, type=ProductPut).record for envelope in events]
    assert all(one.updated_at < other.updated_at for one, other in itertools.pairwise(records))
    return [stated(record.draft.variants[0].prices) for record in records]


@pytest.mark.parametrize("way", ["change", "put_many"])
async def test_a_price_changed_by_a_clock_that_is_behind_counts_for_everybody(shop: Shop, way: str):
    jump(shop, 900)
    record = await shop.products.create(key=shop.key(), draft=hat(variants=(variant("HAT", 1000),)), actor="user:1")
    jump(shop, 0)
    if way == "change":
        assert stated((await priced(shop, record.id, 900)).draft.variants[0].prices) == 900
    else:
        drafts = (hat(variants=(variant("HAT", 900),)),)
        report = await shop.products.put_many(key=shop.key(), drafts=drafts, actor="user:1")
        assert report.changed == ("felt-hat",)

    for seconds in (0, -3600, 899, 900, 3600):
        jump(shop, seconds)
        assert await shown(shop) == {900}
    assert await told(shop) == [1000, 900]


async def test_a_product_made_by_a_clock_that_is_ahead_has_its_price_at_once(shop: Shop):
    jump(shop, 900)
    await shop.products.create(key=shop.key(), draft=hat(variants=(variant("HAT", 1000),)), actor="user:1")
    jump(shop, 0)
    assert await shown(shop) == {1000}


async def test_a_price_to_come_begins_when_it_was_said_to_though_a_clock_was_behind(shop: Shop):
    record = await shop.products.create(key=shop.key(), draft=hat(variants=(variant("HAT", 1000),)), actor="user:1")
    jump(shop, -60)
    prices = (usd(900), usd(800, valid_from=START + timedelta(hours=1)))
    patch = ProductPatch(variants=(variant("HAT", prices=prices),))
    await shop.products.change(key=shop.key(), product_id=record.id, patch=patch, version=1, actor="user:1")

    for seconds, amount in ((-60, 900), (3599, 900), (3600, 800)):
        jump(shop, seconds)
        (offer,) = await shop.products.offers(skus=("HAT",), **IN_ENGLISH)
        assert offer.price.amount == amount


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(SECONDS, st.integers(1, 4)), min_size=1, max_size=6), looking=SECONDS)
async def test_in_any_order_of_clocks_the_last_price_is_shown_and_told(changes: list[tuple[int, int]], looking: int):
    with tempfile.TemporaryDirectory() as folder:
        async with shop_on(SQLITE, wired_local, Path(folder), None) as shop:
            draft = hat(variants=(variant("HAT", 1000),))
            record = await shop.products.create(key=shop.key(), draft=draft, actor="user:1")
            amounts = [1000]
            for seconds, amount in changes:
                jump(shop, seconds)
                assert stated((await priced(shop, record.id, amount)).draft.variants[0].prices) == amount
                assert await shown(shop) == {amount}
                amounts += [amount] if amount != amounts[-1] else []
            jump(shop, looking)

            assert await shown(shop) == {amounts[-1]}
            assert await told(shop) == amounts


@given(st.lists(st.tuples(SECONDS, st.integers(0, 3)), min_size=1, max_size=8), SECONDS)
def test_by_the_rules_the_last_price_wins_whatever_the_clocks(changes: list[tuple[int, int]], looking: int):
    kept: list[PriceDraft] = []
    updated_at: int | None = None
    for seconds, amount in changes:
        at = rules.moment_of_change(now=START + timedelta(seconds=seconds), updated_at=updated_at)
        added = rules.prices_to_add(stated=(usd(amount),), kept=kept, now=at)
        kept = sorted([*kept, *added], key=lambda price: price.valid_from or at)
        updated_at = to_micros(at)

    assert updated_at is not None
    seen_at = present(now=to_micros(START + timedelta(seconds=looking)), updated_at=updated_at)
    assert stated(rules.prices_to_state(kept, now=from_micros(seen_at))) == changes[-1][1]
