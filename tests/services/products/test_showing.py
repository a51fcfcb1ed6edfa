"""What everybody may see of the catalogue."""

from datetime import timedelta

import pytest

from hansa.kernel.money import Money
from hansa.kernel.page import CursorInvalid
from hansa.services.products.contract import (
    Category,
    ImageDraft,
    NoSuchCategory,
    NoSuchProduct,
    PriceDraft,
    ProductPatch,
    Text,
)
from tests.services.products.conftest import Shop
from tests.services.products.drafts import IN_ENGLISH, category, hat, usd, variant, whole_hat


async def put(shop: Shop, *drafts):
    report = await shop.products.put_many(key=shop.key(), drafts=drafts, actor="import")
    assert report.refused == {}
    return report


async def test_a_product_is_found_by_id_and_by_slug(shop: Shop):
    record = await shop.products.create(key=shop.key(), draft=whole_hat(), actor="user:1")

    by_slug = await shop.products.get(name="felt-hat", **IN_ENGLISH)

    assert by_slug.id == record.id
    assert by_slug == await shop.products.get(name=record.id, **IN_ENGLISH)
    assert (by_slug.name, by_slug.brand, by_slug.category) == ("Felt hat", "Lübeck & Sons", "clothing/hats")
    assert by_slug.attributes == {"material": "felt", "waterproof": True, "brim in cm": 7.5, "pieces": 1}
    assert [(each.sku, each.price) for each in by_slug.variants] == [
        ("HAT-M", Money(2500, "USD")),
        ("HAT-L", Money(2600, "USD")),
    ]
    assert by_slug.variants[0].gtin == "4006381333931"
    assert by_slug.updated_at == shop.clock.now()


async def test_a_slug_that_looks_like_an_id_is_found(shop: Shop):
    await put(shop, hat("1984"))
    assert (await shop.products.get(name="1984", **IN_ENGLISH)).slug == "1984"


@pytest.mark.parametrize("name", ["", "nothing", "7", "0", "9" * 19, "9" * 40, "a\x00b", "ü", "x" * 2000])
async def test_what_is_not_there_is_not_found(shop: Shop, name: str):
    with pytest.raises(NoSuchProduct):
        await shop.products.get(name=name, **IN_ENGLISH)
    with pytest.raises(NoSuchProduct):
        await shop.products.record(product_id=name)


@pytest.mark.parametrize(
    ("locale", "name", "alt"),
    [
        ("de-AT", "Filzhut (AT)", "Ein Hut"),
        ("de-CH", "Filzhut", "Ein Hut"),
        ("de", "Filzhut", "Ein Hut"),
        ("fr-FR", "Felt hat", "A hat"),
    ],
)
async def test_texts_fall_back_from_region_to_language_to_the_shops_own(shop: Shop, locale: str, name: str, alt: str):
    texts = {"de": Text(name="Filzhut"), "de-AT": Text(name="Filzhut (AT)"), "en": Text(name="Felt hat")}
    await put(shop, hat(texts=texts, images=(ImageDraft(url="/h.jpg", alt={"de": "Ein Hut", "en": "A hat"}),)))

    shown = await shop.products.get(name="felt-hat", locale=locale, currency="USD")
    (listed,) = (await shop.products.list(locale=locale, currency="USD")).items
    (offer,) = await shop.products.offers(skus=("FELT-HAT-M",), locale=locale, currency="USD")

    assert (shown.name, shown.images[0].alt, listed.name, offer.name) == (name, alt, name, name)


async def test_a_product_without_a_wanted_language_is_shown_in_any(shop: Shop):
    await put(shop, hat(texts={"sv": Text(name="Filthatt"), "nl": Text(name="Vilten hoed")}))
    assert (await shop.products.get(name="felt-hat", **IN_ENGLISH)).name == "Vilten hoed"


async def test_pages_go_from_the_newest_to_the_oldest_and_miss_nothing(shop: Shop):
    for number in range(7):
        shop.clock.advance(1)
        await put(shop, hat(f"hat-{number}"))

    pages, cursor = [], None
    while True:
        page = await shop.products.list(**IN_ENGLISH, limit=3, cursor=cursor)
        pages.append([each.slug for each in page.items])
        if (cursor := page.next_cursor) is None:
            break

    assert pages == [["hat-6", "hat-5", "hat-4"], ["hat-3", "hat-2", "hat-1"], ["hat-0"]]


async def test_a_product_made_meanwhile_does_not_disturb_the_pages_after(shop: Shop):
    for number in range(4):
        shop.clock.advance(1)
        await put(shop, hat(f"hat-{number}"))
    first = await shop.products.list(**IN_ENGLISH, limit=2)
    shop.clock.advance(1)
    await put(shop, hat("hat-new"))

    second = await shop.products.list(**IN_ENGLISH, limit=2, cursor=first.next_cursor)

    assert [each.slug for each in second.items] == ["hat-1", "hat-0"]
    assert second.next_cursor is None


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "WyJvcmRlcnMiLDFd", "WyJwcm9kdWN0cyIsOTk5OTk5OTk5OTk5OTk5OTk5OTldDQ"]
)
async def test_a_cursor_of_another_list_is_refused(shop: Shop, cursor: str):
    with pytest.raises(CursorInvalid):
        await shop.products.list(**IN_ENGLISH, cursor=cursor)


async def test_a_category_lists_all_below_it_and_nothing_beside_it(shop: Shop):
    await put(
        shop,
        hat("a", category=category("clothing/hats")),
        hat("b", category=category("clothing")),
        hat("c", category=category("clothing/hats/felt")),
        hat("d", category=category("clothing/hats-for-dogs")),
        hat("e"),
    )

    async def slugs(name: str) -> set[str]:
        return {each.slug for each in (await shop.products.list(**IN_ENGLISH, category=name)).items}

    assert await slugs("clothing") == {"a", "b", "c", "d"}
    assert await slugs("clothing/hats") == {"a", "c"}
    assert await slugs("hats") == {"a", "c"}
    assert await slugs("felt") == {"c"}
    for unknown in ("clothing/", "", "shoes", "hats/felt", "%", "a\x00"):
        with pytest.raises(NoSuchCategory):
            await slugs(unknown)


async def test_of_categories_with_one_slug_the_one_nearest_to_the_root_is_meant(shop: Shop):
    await put(shop, hat("deep", category=category("men/summer/hats")), hat("high", category=category("women/hats")))
    (found,) = (await shop.products.list(**IN_ENGLISH, category="hats")).items
    assert found.slug == "high"


async def test_a_product_that_moves_is_listed_where_it_is_now(shop: Shop):
    await put(shop, hat(category=category("clothing/hats")))
    await put(shop, hat(category=category("clothing/sale")))

    assert (await shop.products.list(**IN_ENGLISH, category="clothing/hats")).items == ()
    for name in ("clothing", "sale"):
        assert len((await shop.products.list(**IN_ENGLISH, category=name)).items) == 1


async def test_the_tree_of_categories_is_by_name_in_the_language(shop: Shop):
    await put(shop, hat("a", category=category("clothing/hats")), hat("b", category=category("clothing/caps")))
    await put(shop, hat("c", category=category("books")))

    assert await shop.products.categories(locale="de-AT") == (
        Category(path="books", slug="books", name="Books (de)"),
        Category(
            path="clothing",
            slug="clothing",
            name="Clothing (de)",
            children=(
                Category(path="clothing/caps", slug="caps", name="Caps (de)"),
                Category(path="clothing/hats", slug="hats", name="Hats (de)"),
            ),
        ),
    )


async def test_offers_come_as_asked_and_only_for_what_is_for_sale_in_the_currency(shop: Shop):
    await put(shop, whole_hat(), hat("cap", variants=(variant("CAP", None),)), hat("tie", variants=(variant("TIE"),)))

    skus = ("TIE", "HAT-M", "NOBODY", "CAP", "a\x00", "TIE")
    in_dollars = await shop.products.offers(skus=skus, **IN_ENGLISH)
    in_euros = await shop.products.offers(skus=skus, locale="de", currency="EUR")

    assert [offer.sku for offer in in_dollars] == ["TIE", "HAT-M"]
    (offer,) = in_euros
    assert (offer.slug, offer.name, offer.price) == ("felt-hat", "Filzhut", Money(2300, "EUR"))
    assert offer.tax_included
    assert (offer.tax_class, offer.weight_grams, offer.options) == ("reduced", 120, {"size": "M"})
    assert (await shop.products.get(name="cap", **IN_ENGLISH)).variants[0].price is None


async def price_of(shop: Shop, **terms) -> int | None:
    (found,) = (await shop.products.get(name="felt-hat", **(IN_ENGLISH | terms))).variants
    return found.price.amount if found.price else None


async def test_the_newest_price_that_is_valid_counts(shop: Shop):
    start = shop.clock.now()
    await put(shop, hat(variants=(variant("HAT", 1000),)))
    sale = usd(800, valid_from=start + timedelta(hours=1), valid_to=start + timedelta(hours=2))
    later = usd(1200, valid_from=start + timedelta(hours=3))
    await put(shop, hat(variants=(variant("HAT", prices=(usd(1000), sale, later)),)))

    seen = []
    for _ in range(4):
        (offer,) = await shop.products.offers(skus=("HAT",), **IN_ENGLISH)
        seen.append((await price_of(shop), offer.price.amount))
        shop.clock.advance(3600)

    assert seen == [(1000, 1000), (800, 800), (1000, 1000), (1200, 1200)]


async def test_price_lists_and_quantities_do_not_mix(shop: Shop):
    clubs = PriceDraft(amount=700, currency="USD", price_list="club")
    await put(shop, hat(variants=(variant("HAT", prices=(usd(1000), usd(600, minimum_quantity=10), clubs)),)))

    assert await price_of(shop) == 1000
    assert await price_of(shop, price_list="club") == 700
    assert await price_of(shop, price_list="staff") is None
    assert await price_of(shop, currency="EUR") is None


async def test_an_archived_product_vanishes_and_can_come_back(shop: Shop):
    record = await shop.products.create(key=shop.key(), draft=hat(category=category("hats")), actor="user:1")
    await shop.products.change(
        key=shop.key(), product_id=record.id, patch=ProductPatch(status="archived"), version=1, actor="user:1"
    )

    for name in (record.id, "felt-hat"):
        with pytest.raises(NoSuchProduct):
            await shop.products.get(name=name, **IN_ENGLISH)
    assert (await shop.products.list(**IN_ENGLISH)).items == ()
    assert (await shop.products.list(**IN_ENGLISH, category="hats")).items == ()
    assert await shop.products.offers(skus=("FELT-HAT-M",), **IN_ENGLISH) == ()
    assert (await shop.products.record(product_id=record.id)).draft.status == "archived"

    await shop.products.change(
        key=shop.key(), product_id=record.id, patch=ProductPatch(status="active"), version=2, actor="user:1"
    )
    assert len((await shop.products.list(**IN_ENGLISH, category="hats")).items) == 1
