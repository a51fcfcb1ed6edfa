"""Imports: many drafts at once, again and again."""

from datetime import timedelta

import msgspec
import pytest

from hansa.platform.database.platform_tables import AUDIT
from hansa.services.products.contract import NoSuchProduct, ProductDraft, ProductPatch, PutReport, Text
from hansa.services.products.events import ProductPut
from hansa.services.products.tables import PRICES, PRODUCTS, SKUS, SLUGS
from tests.services.products.conftest import Shop
from tests.services.products.drafts import IN_ENGLISH, category, hat, usd, variant, whole_hat


async def put(shop: Shop, *drafts, key: str | None = None) -> PutReport:
    return await shop.products.put_many(key=key or shop.key(), drafts=drafts, actor="import")


async def test_the_same_drafts_again_change_nothing(shop: Shop):
    drafts = (whole_hat(), hat("cap"), hat("tie"))
    assert await put(shop, *drafts) == PutReport(created=("felt-hat", "cap", "tie"))
    shop.clock.advance(60)

    assert await put(shop, *drafts) == PutReport(unchanged=("felt-hat", "cap", "tie"))

    assert {row["version"] for row in await shop.rows(PRODUCTS)} == {1}
    assert len(await shop.events(ProductPut.type)) == 3
    (audit,) = await shop.rows(AUDIT)
    assert (audit["actor"], audit["action"]) == ("import", "products.put_many")


async def test_the_same_key_says_the_same(shop: Shop):
    first = await put(shop, hat(), key="once")
    assert await put(shop, hat(), key="once") == first == PutReport(created=("felt-hat",))


async def test_what_a_record_says_can_be_put_again(shop: Shop):
    record = await shop.products.create(key=shop.key(), draft=whole_hat(), actor="user:1")
    record = await shop.products.change(
        key=shop.key(),
        product_id=record.id,
        patch=msgspec.convert(
            {"variants": [{"sku": "HAT-L", "prices": [{"amount": 1, "currency": "USD"}]}]}, ProductPatch
        ),
        version=1,
        actor="user:1",
    )
    shop.clock.advance(60)
    assert await put(shop, record.draft) == PutReport(unchanged=("felt-hat",))


async def test_a_changed_draft_changes_its_product_only(shop: Shop):
    await put(shop, hat(), hat("cap"))
    shop.clock.advance(60)

    report = await put(shop, hat(brand="New"), hat("cap"))

    assert report == PutReport(changed=("felt-hat",), unchanged=("cap",))
    shown = await shop.products.get(name="felt-hat", **IN_ENGLISH)
    assert (shown.brand, shown.updated_at) == ("New", shop.clock.now())
    assert [each.version for each in await shop.events(ProductPut.type)] == [1, 1, 2]
    rows = {row["slug"]: row for row in await shop.rows(PRODUCTS)}
    assert rows["felt-hat"]["made_at"] < rows["felt-hat"]["updated_at"]


async def test_a_bad_draft_is_refused_and_its_neighbours_go_in(shop: Shop):
    await put(shop, hat("old", variants=(variant("TAKEN"),)))

    report = await put(
        shop,
        hat("a"),
        hat("thief", variants=(variant("FREE"), variant("TAKEN"))),
        hat("torn", variants=(variant("X"), variant("X"))),
        hat("b", variants=(variant("FREE"),)),
        hat("c", variants=(variant("FREE"),)),
    )

    assert report == PutReport(
        created=("a", "b"),
        refused={
            "thief": "products.sku_taken",
            "torn": "products.draft_invalid",
            "c": "products.sku_taken",
        },
    )
    assert {row["slug"] for row in await shop.rows(SLUGS)} == {"old", "a", "b"}
    assert {row["sku"] for row in await shop.rows(SKUS) if row["product_id"] is None} == set()
    with pytest.raises(NoSuchProduct):
        await shop.products.get(name="thief", **IN_ENGLISH)


async def test_a_refused_change_leaves_the_product_as_it_was(shop: Shop):
    await put(shop, hat(), hat("old", variants=(variant("TAKEN"),)))
    report = await put(shop, hat(brand="New", variants=(variant("FELT-HAT-M", 5), variant("TAKEN"))), hat("cap"))

    assert report == PutReport(created=("cap",), refused={"felt-hat": "products.sku_taken"})
    shown = await shop.products.get(name="felt-hat", **IN_ENGLISH)
    assert (shown.brand, len(shown.variants)) == (None, 1)


@pytest.mark.parametrize(
    "draft",
    [
        hat(texts={}),
        hat(texts={"en": Text(name="")}),
        hat(texts={"en": Text(name="a\x00b")}),
        hat(texts={"en": Text(name="\ud800")}),
        hat(attributes={"x": float("nan")}),
        hat(attributes={"x": 10**30}),
        hat(variants=()),
        hat(variants=(variant("A\n"),)),
        hat(variants=(variant("A", -1),)),
    ],
)
async def test_what_no_wire_would_let_through_is_refused_here_too(shop: Shop, draft: ProductDraft):
    report = await shop.service.put_many(key=shop.key(), drafts=(draft, hat("cap")), actor="import")
    assert report == PutReport(created=("cap",), refused={"felt-hat": "products.draft_invalid"})


async def test_of_several_drafts_with_one_slug_the_last_counts(shop: Shop):
    report = await put(shop, hat(brand="First"), hat("cap"), hat(brand="Last"))

    assert report == PutReport(created=("felt-hat", "cap"))
    assert (await shop.products.get(name="felt-hat", **IN_ENGLISH)).brand == "Last"


async def test_a_variant_that_is_gone_from_the_draft_is_off_sale_until_it_returns(shop: Shop):
    both = hat(variants=(variant("HAT-M"), variant("HAT-L")))
    await put(shop, both)
    await put(shop, hat(variants=(variant("HAT-L"),)))

    assert await shop.products.offers(skus=("HAT-M",), **IN_ENGLISH) == ()
    assert [each.sku for each in (await shop.products.get(name="felt-hat", **IN_ENGLISH)).variants] == ["HAT-L"]
    report = await put(shop, hat("other", variants=(variant("HAT-M"),)))
    assert report.refused == {"other": "products.sku_taken"}

    assert (await put(shop, both)).changed == ("felt-hat",)
    assert [each.sku for each in (await shop.products.get(name="felt-hat", **IN_ENGLISH)).variants] == [
        "HAT-M",
        "HAT-L",
    ]


async def test_a_language_that_is_gone_from_the_draft_is_gone(shop: Shop):
    await put(shop, hat(texts={"en": Text(name="Hat"), "de": Text(name="Hut")}))
    await put(shop, hat(texts={"en": Text(name="Hat")}))
    assert (await shop.products.get(name="felt-hat", locale="de", currency="USD")).name == "Hat"


async def test_an_import_with_a_sale_in_it_may_run_during_the_sale(shop: Shop):
    start = shop.clock.now()
    sale = usd(800, valid_from=start + timedelta(hours=1), valid_to=start + timedelta(hours=2))
    prices = (usd(1000), sale)
    await put(shop, hat(variants=(variant("HAT", prices=prices),)))
    shop.clock.advance(3600)

    await put(shop, hat(brand="New", variants=(variant("HAT", prices=prices),)))

    (offer,) = await shop.products.offers(skus=("HAT",), **IN_ENGLISH)
    assert offer.price.amount == 800
    assert len(await shop.rows(PRICES)) == 2


async def test_the_same_price_again_adds_no_row(shop: Shop):
    for brand in ("a", "b", "c"):
        shop.clock.advance(60)
        await put(shop, hat(brand=brand), hat("cap", brand=brand, category=category("caps")))
    assert len(await shop.rows(PRICES)) == 2


async def test_nothing_may_be_put(shop: Shop):
    assert await put(shop) == PutReport()


async def test_two_hundred_products_are_few_statements(racing_shop: Shop, monkeypatch: pytest.MonkeyPatch):
    from hansa.platform.database import postgres

    count = 0
    fetch = postgres._fetch

    async def counting(*arguments):
        nonlocal count
        count += 1
        return await fetch(*arguments)

    monkeypatch.setattr(postgres, "_fetch", counting)
    drafts = [hat(f"hat-{number}", category=category("hats")) for number in range(200)]
    costs = []
    for changed in (drafts, drafts, [msgspec.structs.replace(draft, brand="New") for draft in drafts]):
        count = 0
        await put(racing_shop, *changed)
        costs.append(count)
    count = 0
    assert len((await racing_shop.products.list(**IN_ENGLISH, category="hats", limit=100)).items) == 100
    costs.append(count)

    most_new, most_unchanged, most_changed, most_listed = 24, 5, 24, 3
    assert all(
        cost <= most for cost, most in zip(costs, (most_new, most_unchanged, most_changed, most_listed), strict=True)
    ), costs
