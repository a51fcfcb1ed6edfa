"""Products that are kept in the cache: read from the database once, and never shown as they were before a change."""

import itertools
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.kernel.channel import Channel
from hansa.kernel.ids import Ids
from hansa.kernel.money import Money
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.existing import Existing
from hansa.platform.cache.families import SPREAD, Counts
from hansa.platform.cache.freshness import Freshness
from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.pictures import Pictures
from hansa.platform.rpc.local import local, twice
from hansa.services.products.contract import (
    DraftInvalid,
    NoSuchProduct,
    PriceDraft,
    Product,
    ProductPatch,
    Products,
    Text,
)
from hansa.services.products.manifest import MANIFEST
from hansa.services.products.rules import SHORTEST_ID
from hansa.services.products.service import ProductsService
from hansa.services.products.service.finding import PRODUCT, SLUG, things_changed
from hansa.services.products.tables import METADATA
from tests.clocks import ManualClock
from tests.databases import POSTGRES, SQLITE, opened
from tests.services.products.conftest import Shop, emptied
from tests.services.products.drafts import IN_ENGLISH, hat, usd, variant

CHANNEL = Channel(currencies=("USD", "EUR"), locales=("en", "de"))
VIEWS = [{"locale": locale, "currency": currency} for locale in CHANNEL.locales for currency in CHANNEL.currencies]
OTHER_VIEWS = [
    {"locale": "fr", "currency": "USD"},
    {"locale": "de-AT", "currency": "EUR"},
    {"locale": "en", "currency": "GBP"},
    {"locale": "en", "currency": "USD", "price_list": "wholesale"},
]
SKU = "FELT-HAT-M"
HOSTILE = [
    "x" * 120,
    "x" * 186,
    "x" * 187,
    "x" * 200,
    "x" * 800,
    "x" * 801,
    "{",
    "}",
    "{}",
    "}:",
    "}:en:USD:main",
    "{felt-hat}",
    "{felt-hat}:en:USD:main",
    "felt-hat}:en:USD:main",
    "felt-hat}",
    "felt hat",
    " felt-hat",
    "felt-hat ",
    "felt-hat\n",
    "felt-hat\x00",
    "felt\x7fhat",
    "FELT-HAT",
    "felt-hat\u200b",
    "fält-hat",
    "帽子",
    "\U0001f3a9",
    "%s",
    "'; DROP TABLE slugs; --",
    "*",
    "",
]


@dataclass(kw_only=True)
class CachedShop(Shop):
    """The service with a cache that is told of what it commits, and the same without one."""

    cache: Cache
    uncached: ProductsService

    def counts(self, family: str = PRODUCT.name) -> Counts:
        return self.cache.shelves[family].counts

    @property
    def loads(self) -> tuple[int, int]:
        """How often a product and a slug were looked for in the database."""
        return self.counts(PRODUCT.name).loads, self.counts(SLUG.name).loads

    async def put(self, **parts: Any) -> str:
        """Put the hat; returns its id."""
        report = await self.products.put_many(key=self.key(), drafts=(hat(**parts),), actor="import")
        assert report.refused == {}
        page = await self.uncached.list_for_staff(**IN_ENGLISH)
        return page.items[0].id

    async def change(self, product_id: str, **parts: Any) -> None:
        patch = ProductPatch(**parts)
        await self.products.change(key=self.key(), product_id=product_id, patch=patch, version=None, actor="user:1")

    async def hear_that(self, is_available: bool, *, version: int) -> None:
        await self.hear(self.said(SKU, is_available, version=version))

    async def get(self, name: str = "felt-hat", **view: str) -> Product:
        return await self.products.get(name=name, **(view or IN_ENGLISH))


@pytest.fixture(params=[(SQLITE, local), (POSTGRES, twice)], ids=["sqlite", "postgres"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CachedShop]:
    engine, wire = request.param
    dsn = request.getfixturevalue("products_dsn") if engine == POSTGRES else None
    clock = ManualClock()
    ids = Ids(clock=clock)
    cache = Cache(clock=clock, chance=random.Random(1), is_alone=True)
    freshness = Freshness(changes=Changes(), cache=cache)
    for shows in MANIFEST.effects.shows:
        freshness.show(shows)
    async with opened(
        engine=engine, name="products", metadata=METADATA, folder=tmp_path, dsn=dsn, clock=clock, ids=ids
    ) as database:
        database.on_commit(freshness.committed)
        parts: dict[str, Any] = {
            "database": database,
            "clock": clock,
            "ids": ids,
            "pictures": Pictures(files=FolderFiles(folder=tmp_path / "media")),
        }
        service = ProductsService(**parts, cache=cache, channel=CHANNEL)
        yield CachedShop(
            database=database,
            clock=clock,
            ids=ids,
            service=service,
            products=wire(Products, service),
            cache=cache,
            uncached=ProductsService(**parts),
        )
        await cache.close()
    if dsn is not None:
        await emptied(dsn)


async def answer(products: Products, name: str, **view: str) -> Product | None:
    try:
        return await products.get(name=name, **(view or IN_ENGLISH))
    except NoSuchProduct:
        return None


async def cost(shop: CachedShop) -> int | None:
    price = (await shop.get()).variants[0].price
    return None if price is None else price.amount


async def assert_shown_everywhere(shop: CachedShop, product_id: str) -> None:
    """In each view of the channel, by either name, the cache shows what the database has."""
    for view, name in itertools.product(VIEWS, (product_id, "felt-hat")):
        assert await answer(shop.products, name, **view) == await answer(shop.uncached, name, **view)


async def read_everywhere(shop: CachedShop, product_id: str) -> None:
    for view, name in itertools.product(VIEWS, (product_id, "felt-hat")):
        await answer(shop.products, name, **view)


async def built_of_nothing(clock: ManualClock) -> Existing:
    """Ids of which none exists, as of long after those that are made now."""
    existing = Existing(name="products", clock=clock, capacity=10, ahead_s=-3600.0)

    async def nothing() -> AsyncIterator[Sequence[int]]:
        pages: tuple[Sequence[int], ...] = ()
        for page in pages:
            yield page

    await existing.rebuild(nothing)
    return existing


async def test_what_is_read_again_by_id_and_by_slug_costs_the_database_one_load_of_each(shop: CachedShop):
    product_id = await shop.put()

    seen = [await shop.get(name) for name in (product_id, "felt-hat", product_id, "felt-hat")]

    assert shop.loads == (1, 1)
    assert len({each.revision for each in seen}) == 1
    assert seen[0] == await answer(shop.uncached, product_id)


async def test_each_language_and_currency_of_the_channel_is_kept_for_itself(shop: CachedShop):
    texts = {"en": Text(name="Felt hat"), "de": Text(name="Filzhut")}
    prices = (usd(2500), PriceDraft(amount=2300, currency="EUR", tax_included=True))
    product_id = await shop.put(texts=texts, variants=(variant(SKU, prices=prices),))

    for _ in range(2):
        await assert_shown_everywhere(shop, product_id)

    assert shop.loads == (len(VIEWS), 1)
    german = await shop.get("felt-hat", locale="de", currency="EUR")
    assert (german.name, german.variants[0].price) == ("Filzhut", Money(2300, "EUR"))


@pytest.mark.parametrize("act", ["put", "change", "archive", "sold out", "had again"])
async def test_the_next_read_shows_what_was_done_in_every_language_and_currency(shop: CachedShop, act: str):
    product_id = await shop.put()
    await shop.hear_that(act != "had again", version=1)
    await read_everywhere(shop, product_id)
    before = await answer(shop.products, "felt-hat")

    if act == "put":
        await shop.put(brand="Lübeck", variants=(variant(SKU, 1900),))
    elif act == "change":
        await shop.change(product_id, texts={"de": Text(name="Filzhut")})
    elif act == "archive":
        await shop.change(product_id, status="archived")
    else:
        await shop.hear_that(act == "had again", version=2)

    await assert_shown_everywhere(shop, product_id)
    after = await answer(shop.products, "felt-hat", locale="de", currency="USD")
    assert after != before
    assert (after is None) == (act == "archive")


async def test_what_was_archived_and_comes_back_is_shown_again(shop: CachedShop):
    product_id = await shop.put()
    versions = []
    for status in ("archived", "active") * 3:
        await shop.change(product_id, status=status)
        await assert_shown_everywhere(shop, product_id)
        found = await answer(shop.products, product_id)
        versions += [found.revision] if found else []

    assert versions == sorted(set(versions))
    assert len(versions) == 3


async def test_the_version_rises_with_each_put_and_each_flip(shop: CachedShop):
    await shop.put()
    versions = [(await shop.get()).revision]
    for number in range(1, 4):
        await shop.hear_that(number % 2 == 1, version=number)
        versions.append((await shop.get()).revision)
        await shop.put(brand=f"Brand {number}")
        versions.append((await shop.get()).revision)

    assert all(earlier < later for earlier, later in itertools.pairwise(versions))


async def test_the_version_never_falls_when_a_variant_is_retired_and_comes_back(shop: CachedShop):
    both = (variant(SKU), variant("FELT-HAT-L"))
    await shop.put(variants=both)
    versions = [(await shop.get()).revision]
    flips = itertools.count(1)
    for variants in (both[1:], both, both[1:], both):
        for is_available in (True, False, True):
            await shop.hear_that(is_available, version=next(flips))
            versions.append((await shop.get()).revision)
        await shop.put(variants=variants)
        versions.append((await shop.get()).revision)
        assert await answer(shop.products, "felt-hat") == await answer(shop.uncached, "felt-hat")

    assert versions == sorted(versions)


async def test_a_variant_that_moves_to_another_product_lets_no_version_fall(shop: CachedShop):
    await shop.put(variants=(variant(SKU), variant("FELT-HAT-L")))
    for number in range(1, 4):
        await shop.hear_that(number % 2 == 1, version=number)
    before = (await shop.get()).revision

    await shop.put(variants=(variant("FELT-HAT-L"),))
    other = hat("straw-hat", variants=(variant(SKU), variant("STRAW-HAT-M")))
    report = await shop.products.put_many(key=shop.key(), drafts=(other,), actor="import")

    assert (await shop.get()).revision > before
    for name in ("felt-hat", "straw-hat"):
        assert await answer(shop.products, name) == await answer(shop.uncached, name), report


async def test_a_price_that_begins_and_ends_by_the_clock_is_shown_by_the_first_read_after_that(shop: CachedShop):
    begins, ends = in_s(shop, 100), in_s(shop, 250.5)
    await shop.put(variants=(variant(SKU, prices=(usd(1000), usd(700, valid_from=begins, valid_to=ends))),))
    costs = {}
    for second in (0, 99.999999, 100, 100.000001, 250.499999, 250.5, 300):
        shop.clock.advance(second - shop.clock.monotonic())
        costs[second] = await cost(shop)

    assert costs == {
        0: 1000,
        99.999999: 1000,
        100: 700,
        100.000001: 700,
        250.499999: 700,
        250.5: 1000,
        300: 1000,
    }


async def test_of_several_prices_to_come_each_is_shown_in_its_time(shop: CachedShop):
    later = (usd(900 - 100 * number, valid_from=in_s(shop, 20 * number)) for number in range(1, 5))
    await shop.put(variants=(variant(SKU, prices=(usd(1000), *later)),))

    costs = []
    for _ in range(10):
        costs.append(await cost(shop))
        shop.clock.advance(10)

    assert costs == [1000, 1000, 800, 800, 700, 700, 600, 600, 500, 500]


async def test_a_price_of_another_variant_or_currency_that_begins_is_shown_too(shop: CachedShop):
    euros = PriceDraft(amount=2300, currency="EUR", valid_from=in_s(shop, 30))
    both = (variant(SKU, prices=(usd(1000),)), variant("FELT-HAT-L", prices=(usd(1100), euros)))
    product_id = await shop.put(variants=both)
    await read_everywhere(shop, product_id)

    shop.clock.advance(30)

    await assert_shown_everywhere(shop, product_id)
    assert (await shop.get("felt-hat", locale="en", currency="EUR")).variants[1].price is not None
    loads = shop.loads
    await read_everywhere(shop, product_id)
    assert shop.loads == loads


async def test_what_is_only_old_is_shown_while_it_is_read_anew(shop: CachedShop):
    await shop.put()
    await shop.get()
    shop.clock.advance(PRODUCT.fresh_s * (1 + SPREAD) + 1)

    await shop.get()
    await shop.cache.settled()

    assert shop.counts().stale >= 1
    assert shop.loads == (2, 1)


async def test_an_unknown_slug_is_remembered_and_found_as_soon_as_it_is_made(shop: CachedShop):
    for _ in range(3):
        assert await answer(shop.products, "felt-hat") is None
    assert shop.loads == (0, 1)

    product_id = await shop.put()

    assert (await shop.get()).id == product_id


async def test_that_a_slug_is_unknown_is_remembered_for_a_short_time(shop: CachedShop):
    assert await answer(shop.products, "felt-hat") is None
    shop.clock.advance(SLUG.absent_s * (1 + SPREAD))
    assert await answer(shop.products, "felt-hat") is None

    assert shop.loads == (0, 2)


async def test_unknown_ids_are_remembered_and_those_of_the_future_are_not_looked_for(shop: CachedShop):
    await shop.put()
    past = shop.ids.new(slot=9)
    future = str(int(past) + (366 * 24 * 3600 * 1000 << 22))
    for name in (past, future, "7", "0", "9" * 19, "9" * 40) * 3:
        assert await answer(shop.products, name) is None

    products, slugs = shop.loads
    assert products <= 3  # the one of the past, and the two that are small numbers
    assert slugs <= 2  # these might be slugs


async def test_what_the_filter_denies_is_asked_of_nobody(small_shop: Shop):
    cache = Cache(clock=small_shop.clock, chance=random.Random(1), is_alone=True)
    service = ProductsService(
        database=small_shop.database,
        clock=small_shop.clock,
        ids=small_shop.ids,
        pictures=Pictures(files=FolderFiles(folder=Path())),
        cache=cache,
        channel=CHANNEL,
        existing=await built_of_nothing(small_shop.clock),
    )
    record = await small_shop.products.create(key=small_shop.key(), draft=hat(), actor="user:1")

    for view in (VIEWS[0], OTHER_VIEWS[0]):
        assert await answer(service, record.id, **view) is None
    assert cache.shelves[PRODUCT.name].counts.loads == 0
    assert cache.shelves[SLUG.name].counts.loads == 0


@pytest.mark.parametrize("digits", [SHORTEST_ID, SHORTEST_ID + 1, 19, 40])
async def test_a_slug_that_would_be_taken_for_an_id_is_refused(shop: CachedShop, digits: int):
    draft = hat("1" * digits, variants=(variant(SKU),))

    with pytest.raises(DraftInvalid):
        await shop.products.create(key=shop.key(), draft=draft, actor="user:1")
    report = await shop.products.put_many(key=shop.key(), drafts=(draft, hat()), actor="import")

    assert set(report.refused) == {draft.slug}
    assert report.created == ("felt-hat",)
    assert await answer(shop.products, draft.slug) is None


async def test_the_longest_slug_of_digits_that_is_no_id_is_found_by_it(shop: CachedShop):
    slug = "1" * (SHORTEST_ID - 1)
    await shop.products.create(key=shop.key(), draft=hat(slug, variants=(variant(SKU),)), actor="user:1")

    assert (await shop.get(slug)).slug == slug
    assert (await shop.get(slug)) == await answer(shop.uncached, slug)


@pytest.mark.parametrize("view", OTHER_VIEWS, ids=lambda view: "-".join(view.values()))
async def test_what_the_channel_does_not_show_is_answered_right_and_not_kept(shop: CachedShop, view: dict[str, str]):
    prices = (
        usd(2500),
        PriceDraft(amount=2300, currency="EUR"),
        PriceDraft(amount=2100, currency="GBP"),
        usd(1500, price_list="wholesale"),
    )
    texts = {"en": Text(name="Felt hat"), "de": Text(name="Filzhut"), "fr": Text(name="Chapeau")}
    product_id = await shop.put(texts=texts, variants=(variant(SKU, prices=prices),))

    for name in (product_id, "felt-hat") * 2:
        assert await answer(shop.products, name, **view) == await answer(shop.uncached, name, **view)
    assert shop.loads[0] == 0
    assert shop.cache.memory.figures()[0] <= 1  # whose the slug is

    await shop.change(product_id, texts={"fr": Text(name="Feutre"), "de": Text(name="Hut"), "en": Text(name="Hat")})
    assert (await shop.get("felt-hat", **view)).name in ("Feutre", "Hut", "Hat")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_whatever_name_is_asked_for_the_answer_is_that_without_a_cache(shop: CachedShop, name: str):
    await shop.put()
    await shop.get()

    for view in (*VIEWS, *OTHER_VIEWS):
        wanted = await answer(shop.uncached, name, **view)
        assert wanted is None
        assert await answer(shop.products, name, **view) == wanted
    assert await answer(shop.products, "felt-hat") == await answer(shop.uncached, "felt-hat")


@pytest.mark.parametrize("words", [word for word in HOSTILE if "\x00" not in word], ids=ascii)
async def test_a_hostile_language_or_price_list_is_answered_as_without_a_cache(shop: CachedShop, words: str):
    await shop.put()
    for view in ({"locale": words, "currency": "USD"}, {"locale": "en", "currency": "USD", "price_list": words}):
        found = await answer(shop.service, "felt-hat", **view)
        assert found == await answer(shop.uncached, "felt-hat", **view)
    assert shop.loads[0] == 0


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_what_can_be_no_slug_is_not_looked_for(shop: CachedShop, name: str):
    """Else whoever makes up names that are not kept, since they are no keys, has each looked for in the database."""
    for _ in range(3):
        assert await answer(shop.products, name) is None

    assert shop.loads[0] == 0
    assert shop.loads[1] <= 1


def test_an_event_says_what_it_changes_of_what_is_kept():
    put = msgspec.Raw(b'{"product_id":"123","slug":"felt-hat","skus":["A"]}')
    flip = msgspec.Raw(b'{"product_id":"123","sku":"A","is_available":true}')

    assert things_changed(put) == ((PRODUCT.name, "123"), (SLUG.name, "felt-hat"))
    assert things_changed(flip) == ((PRODUCT.name, "123"),)


def in_s(shop: Shop, seconds: float) -> datetime:
    return shop.clock.now() + timedelta(seconds=seconds)
