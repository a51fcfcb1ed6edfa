"""Whether a variant can be had: what inventory says becomes what products show."""

import itertools

import msgspec
import pytest

from hansa.services.products.events import VariantAvailabilityChanged
from hansa.services.products.tables import VARIANT_AVAILABILITY
from tests.services.products.conftest import Shop
from tests.services.products.drafts import IN_ENGLISH, hat, variant


async def put(shop: Shop, **parts):
    report = await shop.products.put_many(key=shop.key(), drafts=(hat(**parts),), actor="import")
    assert report.refused == {}


async def available(shop: Shop) -> bool:
    return (await shop.products.get(name="felt-hat", **IN_ENGLISH)).variants[0].available


async def test_a_new_variant_cannot_be_had_until_inventory_says_so(shop: Shop):
    await put(shop)
    assert not await available(shop)

    await shop.hear(shop.said("FELT-HAT-M", True, version=1))
    assert await available(shop)

    await shop.hear(shop.said("FELT-HAT-M", False, version=2))
    assert not await available(shop)


async def test_what_was_said_before_the_product_came_counts(shop: Shop):
    await shop.hear(shop.said("FELT-HAT-M", True, version=3))
    await put(shop)
    assert await available(shop)


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
async def test_the_newest_word_counts_in_whatever_order_they_come(small_shop: Shop, order: tuple[int, ...]):
    await put(small_shop)
    said = {
        version: small_shop.said("FELT-HAT-M", flag, version=version)
        for version, flag in ((1, True), (2, False), (3, True))
    }
    for version in order:
        await small_shop.hear(said[version], said[version])
        await small_shop.hear(said[version])
    assert await available(small_shop)
    (row,) = await small_shop.rows(VARIANT_AVAILABILITY)
    assert row["version"] == 3


async def test_words_of_one_batch_are_taken_in_by_version(shop: Shop):
    await put(shop)
    await shop.hear(shop.said("FELT-HAT-M", False, version=2), shop.said("FELT-HAT-M", True, version=1))
    assert not await available(shop)


async def test_a_variant_can_be_had_if_any_location_has_it(shop: Shop):
    await put(shop)
    await shop.hear(
        shop.said("FELT-HAT-M", True, version=1, location="hamburg"),
        shop.said("FELT-HAT-M", True, version=1, location="riga"),
    )
    await shop.hear(shop.said("FELT-HAT-M", False, version=2, location="hamburg"))
    assert await available(shop)
    await shop.hear(shop.said("FELT-HAT-M", False, version=2, location="riga"))
    assert not await available(shop)


async def test_a_changed_draft_does_not_forget_it(shop: Shop):
    await put(shop)
    await shop.hear(shop.said("FELT-HAT-M", True, version=1))
    await put(shop, variants=(variant("OTHER"),))
    await shop.hear(shop.said("FELT-HAT-M", False, version=2))
    await put(shop, brand="New")
    assert not await available(shop)
    await shop.hear(shop.said("FELT-HAT-M", True, version=3))
    await put(shop, brand="Newer")
    assert await available(shop)


async def test_only_what_changes_the_flag_is_told(shop: Shop):
    await put(shop)
    for version, flag in ((1, True), (2, True), (3, False)):
        await shop.hear(shop.said("FELT-HAT-M", flag, version=version))
    await shop.hear(shop.said("UNKNOWN", True, version=1))

    told = await shop.events(VariantAvailabilityChanged.type)
    product = await shop.products.get(name="felt-hat", **IN_ENGLISH)
    assert [(each.aggregate, each.version) for each in told] == [("FELT-HAT-M", 1), ("FELT-HAT-M", 2)]
    assert msgspec.json.decode(told[1].body, type=VariantAvailabilityChanged) == VariantAvailabilityChanged(
        product_id=product.id, sku="FELT-HAT-M", is_available=False
    )
