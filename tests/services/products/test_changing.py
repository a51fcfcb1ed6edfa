"""What staff change, one product at a time."""

import msgspec
import pytest

from hansa.kernel.errors import IdempotencyKeyReused
from hansa.kernel.ids import slot_of, slot_of_value
from hansa.platform.database.platform_tables import AUDIT
from hansa.services.products.contract import (
    DraftInvalid,
    NoSuchProduct,
    ProductChanged,
    ProductPatch,
    SkuTaken,
    SlugTaken,
    Text,
)
from hansa.services.products.events import ProductPut
from hansa.services.products.tables import PRICES, PRODUCTS, SLUGS
from tests.services.products.conftest import Shop
from tests.services.products.drafts import IN_ENGLISH, category, hat, usd, variant, whole_hat


async def create(shop: Shop, draft, key: str | None = None):
    return await shop.products.create(key=key or shop.key(), draft=draft, actor="user:1")


async def change(shop: Shop, record, version: int | None = None, **patch):
    return await shop.products.change(
        key=shop.key(), product_id=record.id, patch=ProductPatch(**patch), version=version, actor="user:1"
    )


async def test_a_record_says_all_that_was_put(shop: Shop):
    record = await create(shop, whole_hat())

    assert record.draft == whole_hat()
    assert record.version == 1
    assert record == await shop.products.record(product_id=record.id)
    assert slot_of(record.id) == slot_of_value("felt-hat")


async def test_the_same_key_makes_one_product_and_says_the_same(shop: Shop):
    first = await create(shop, hat(), key="once")
    await change(shop, first, brand="Other")

    assert await create(shop, hat(), key="once") == first
    assert len(await shop.rows(PRODUCTS)) == 1
    with pytest.raises(IdempotencyKeyReused):
        await create(shop, hat("other"), key="once")


async def test_a_taken_slug_or_sku_is_refused_and_leaves_nothing(shop: Shop):
    await create(shop, hat())

    with pytest.raises(SlugTaken):
        await create(shop, hat(variants=(variant("OTHER"),)))
    with pytest.raises(SkuTaken) as refused:
        await create(shop, hat("other", variants=(variant("OTHER"), variant("FELT-HAT-M"))))

    assert refused.value.sku == "FELT-HAT-M"
    assert [row["slug"] for row in await shop.rows(SLUGS)] == ["felt-hat"]
    await create(shop, hat("other", variants=(variant("OTHER"),)))


async def test_a_draft_that_contradicts_itself_is_refused(shop: Shop):
    record = await create(shop, hat())
    with pytest.raises(DraftInvalid):
        await create(shop, hat("other", variants=(variant("A"), variant("A"))))
    with pytest.raises(DraftInvalid):
        await change(shop, record, variants=(variant("A", prices=(usd(1), usd(2))),))


async def test_a_patch_changes_what_it_names_and_nothing_else(shop: Shop):
    record = await create(shop, whole_hat())
    shop.clock.advance(60)

    changed = await change(
        shop,
        record,
        version=1,
        texts={"fr": Text(name="Chapeau")},
        variants=(variant("HAT-L", None, weight_grams=150), variant("HAT-S", 2400)),
        category=category("sale"),
        brand=None,
    )

    old = record.draft
    expected = msgspec.structs.replace(
        old,
        texts={**old.texts, "fr": Text(name="Chapeau")},
        variants=(
            old.variants[0],
            variant("HAT-L", weight_grams=150, prices=(usd(2600),)),
            variant("HAT-S", 2400),
        ),
        category=category("sale"),
        brand=None,
    )
    assert changed.draft == expected
    assert (changed.version, changed.updated_at) == (2, shop.clock.now())
    assert changed == await shop.products.record(product_id=record.id)


async def test_a_patch_that_says_nothing_new_changes_nothing(shop: Shop):
    record = await create(shop, whole_hat())
    shop.clock.advance(60)
    assert await change(shop, record, texts=record.draft.texts, variants=record.draft.variants) == record
    assert len(await shop.events(ProductPut.type)) == 1


async def test_a_change_of_an_old_version_is_refused(shop: Shop):
    record = await create(shop, hat())
    await change(shop, record, version=1, brand="First")

    with pytest.raises(ProductChanged) as refused:
        await change(shop, record, version=1, brand="Second")

    assert refused.value.version == 2
    assert (await shop.products.get(name="felt-hat", **IN_ENGLISH)).brand == "First"
    assert (await change(shop, record, version=None, brand="Third")).version == 3


async def test_a_change_of_nothing_or_with_anothers_sku_is_refused(shop: Shop):
    record = await create(shop, hat())
    with pytest.raises(NoSuchProduct):
        await change(shop, msgspec.structs.replace(record, id=str(int(record.id) + 1)), brand="x")
    other = await create(shop, hat("other"))
    with pytest.raises(SkuTaken):
        await change(shop, other, variants=(variant("FELT-HAT-M"),))


async def test_prices_are_added_and_the_same_again_adds_nothing(shop: Shop):
    record = await create(shop, hat(variants=(variant("HAT", 1000),)))
    for amount in (1000, 900, 900, 1000):
        shop.clock.advance(86_400)
        record = await change(shop, record, variants=(variant("HAT", amount),))

    rows = sorted(await shop.rows(PRICES), key=lambda row: row["valid_from"])
    assert [row["amount"] for row in rows] == [1000, 900, 1000]
    (offer,) = await shop.products.offers(skus=("HAT",), **IN_ENGLISH)
    assert offer.price.amount == 1000


async def test_two_prices_of_one_moment_both_stay_and_the_later_counts(shop: Shop):
    record = await create(shop, hat(variants=(variant("HAT", 1000),)))
    await change(shop, record, variants=(variant("HAT", 900),))

    assert len(await shop.rows(PRICES)) == 2
    (offer,) = await shop.products.offers(skus=("HAT",), **IN_ENGLISH)
    assert offer.price.amount == 900


async def test_whoever_changes_something_leaves_a_row_and_an_event(shop: Shop):
    record = await create(shop, hat())
    await change(shop, record, version=1, status="archived")

    audit = sorted(await shop.rows(AUDIT), key=lambda row: row["audit_id"])
    assert [(row["actor"], row["action"], row["target"]) for row in audit] == [
        ("user:1", "products.create", record.id),
        ("user:1", "products.change", record.id),
    ]
    assert msgspec.json.decode(audit[1]["detail"]) == {"version": 2, "patch": {"status": "archived"}}
    events = await shop.events(ProductPut.type)
    assert [(each.aggregate, each.version, each.slot) for each in events] == [
        (record.id, 1, slot_of(record.id)),
        (record.id, 2, slot_of(record.id)),
    ]
    assert msgspec.json.decode(events[1].body, type=ProductPut) == ProductPut(
        product_id=record.id,
        slug="felt-hat",
        skus=("FELT-HAT-M",),
        is_active=False,
        record=await shop.products.record(product_id=record.id),
    )
