"""Two at once, on PostgreSQL, where they really are."""

import asyncio

from hansa.services.products.contract import ProductChanged, ProductPatch, PutReport, SkuTaken, SlugTaken
from hansa.services.products.tables import PRODUCTS, SKUS, SLUGS
from tests.services.products.conftest import Shop
from tests.services.products.drafts import IN_ENGLISH, category, hat, variant

ROUNDS = 10


async def test_of_many_who_want_one_slug_one_gets_it(racing_shop: Shop):
    shop = racing_shop
    answers = await asyncio.gather(
        *(
            shop.products.create(key=shop.key(), draft=hat(variants=(variant(f"HAT-{number}"),)), actor="user:1")
            for number in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, SlugTaken) for answer in answers) == 7
    assert len(await shop.rows(PRODUCTS)) == 1
    assert len(await shop.rows(SKUS)) == 1


async def test_of_many_who_want_one_sku_one_gets_it(racing_shop: Shop):
    shop = racing_shop
    answers = await asyncio.gather(
        *(
            shop.products.create(key=shop.key(), draft=hat(f"hat-{number}", variants=(variant("HAT"),)), actor="u")
            for number in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, SkuTaken) for answer in answers) == 7
    assert len(await shop.rows(PRODUCTS)) == len(await shop.rows(SLUGS)) == 1


async def test_of_many_changes_of_one_version_one_is_made(racing_shop: Shop):
    shop = racing_shop
    record = await shop.products.create(key=shop.key(), draft=hat(), actor="user:1")
    answers = await asyncio.gather(
        *(
            shop.products.change(
                key=shop.key(), product_id=record.id, patch=ProductPatch(brand=f"b{number}"), version=1, actor="u"
            )
            for number in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, ProductChanged) for answer in answers) == 7
    assert (await shop.products.record(product_id=record.id)).version == 2


async def test_one_key_at_once_makes_one_product(racing_shop: Shop):
    shop = racing_shop
    answers = await asyncio.gather(*(shop.products.create(key="once", draft=hat(), actor="user:1") for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)


async def test_imports_that_cross_each_other_neither_lock_up_nor_lose_a_draft(racing_shop: Shop):
    shop = racing_shop
    for round_ in range(ROUNDS):
        drafts = [
            hat(f"hat-{number}", brand=f"round {round_}", category=category(f"hats/kind-{number % 3}"))
            for number in range(30)
        ]
        reports: list[PutReport] = await asyncio.gather(
            *(
                shop.products.put_many(key=shop.key(), drafts=tuple(part), actor="import")
                for part in (drafts, drafts[::-1], drafts[10:], drafts[:20][::-1])
            )
        )
        assert all(report.refused == {} for report in reports)
        written = [slug for report in reports for slug in (*report.created, *report.changed)]
        assert sorted(written) == sorted(draft.slug for draft in drafts), "each draft is new to exactly one import"
    assert {row["version"] for row in await shop.rows(PRODUCTS)} == {ROUNDS}


async def test_availability_is_not_lost_while_the_product_is_made(racing_shop: Shop):
    shop = racing_shop
    for number in range(ROUNDS):
        skus = [f"HAT-{number}-{size}" for size in range(5)]
        draft = hat(f"hat-{number}", variants=tuple(variant(sku) for sku in skus))
        await asyncio.gather(
            shop.products.put_many(key=shop.key(), drafts=(draft,), actor="import"),
            *(shop.hear(*(shop.said(sku, True, version=1) for sku in part)) for part in (skus[:3], skus[:2:-1])),
        )
        shown = await shop.products.get(name=f"hat-{number}", **IN_ENGLISH)
        assert all(each.available for each in shown.variants)


async def test_locations_heard_at_once_see_each_other(racing_shop: Shop):
    shop = racing_shop
    await shop.products.put_many(key=shop.key(), drafts=(hat(variants=(variant("HAT"),)),), actor="import")
    for version in range(1, ROUNDS + 1):
        is_available = version % 2 == 1
        await asyncio.gather(
            *(
                shop.hear(shop.said("HAT", is_available, version=version, location=f"location-{number}"))
                for number in range(5)
            )
        )
        shown = await shop.products.get(name="felt-hat", **IN_ENGLISH)
        assert shown.variants[0].available is is_available
