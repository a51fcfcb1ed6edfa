"""The demo shop: complete in two languages and three currencies, a photo of each thing, loaded once however often."""

import json
import time
from pathlib import Path

import msgspec
import pytest

from hansa import demo
from hansa.demo.photographs import PHOTOS, contents, files, photographs
from hansa.platform.files import names
from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.preparing import check
from hansa.services.products.contract import ProductDraft
from tests.imports.stand_ins import Catalogue, Warehouse

CATEGORIES = {"hat", "outwear", "skirt", "longsleeve", "dress", "shoes", "pants", "shorts", "shirt", "t-shirt"}
CONDITIONS = {"unworn", "excellent", "very good", "good"}
CAP = "BAKER-BOY-CAP-BLAC-ONESIZE"


def catalogue() -> list[ProductDraft]:
    values = [json.loads(line) for line in demo.CATALOGUE.read_text(encoding="utf-8").splitlines()]
    return [msgspec.convert({**value, "stock": None}, ProductDraft) for value in values]


def stock() -> dict[str, int]:
    lines = demo.CATALOGUE.read_text(encoding="utf-8").splitlines()
    return {sku: pieces for line in lines for sku, pieces in json.loads(line)["stock"].items()}


def has_chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def test_there_are_fifty_seven_products_in_ten_categories_and_four_at_least_in_each():
    products = catalogue()

    assert len({product.slug for product in products}) == len(products) == 57
    assert {product.category[-1].slug for product in products} == CATEGORIES
    assert all(len(product.category) == 2 for product in products)
    for category in CATEGORIES:
        assert sum(product.category[-1].slug == category for product in products) >= 4


def test_every_product_is_described_in_english_and_chinese():
    for product in catalogue():
        assert set(product.texts) == {"en", "zh"}
        for category in product.category:
            assert set(category.names) == {"en", "zh"}
        assert not has_chinese(product.texts["en"].name + product.texts["en"].description)
        assert len(product.texts["en"].description) > 80
        assert len(product.texts["zh"].description) >= 30
        assert has_chinese(product.texts["zh"].name)


def test_what_second_hand_buyers_ask_for_is_said_of_each():
    for product in catalogue():
        said = product.attributes
        assert said["condition"] in CONDITIONS
        assert {"material", "era", "pattern"} <= said.keys()
        assert any(name.endswith("_cm") for name in said), product.slug
        assert ("measured_size" in said) <= (len({v.options["size"] for v in product.variants}) > 1)


def test_every_variant_has_its_options_facts_and_three_prices():
    for product in catalogue():
        assert len({tuple(variant.options.items()) for variant in product.variants}) == len(product.variants)
        for variant in product.variants:
            assert set(variant.options) == {"size", "colour"}
            assert {price.currency: price.tax_included for price in variant.prices} == {
                "USD": False,
                "EUR": True,
                "CNY": True,
            }
            assert all(price.amount > 0 for price in variant.prices)
            assert variant.tax_class == "standard"
            assert variant.country_of_origin
            assert variant.hs_code
            assert variant.weight_grams is not None
            assert 50 <= variant.weight_grams <= 3_000


def test_pieces_are_few_as_second_hand_is_but_some_are_many_and_some_are_gone():
    pieces = stock()

    assert set(pieces) == {variant.sku for product in catalogue() for variant in product.variants}
    assert sum(count <= 3 for count in pieces.values()) > len(pieces) / 2
    assert sum(count >= 20 for count in pieces.values()) >= 5
    sold_out = [p.slug for p in catalogue() if not any(pieces[variant.sku] for variant in p.variants)]
    assert sold_out == ["lined-moccasins"]
    assert pieces[CAP] == max(pieces.values()) == 40


def test_there_is_something_of_each_kind_that_pages_find_hard():
    products = catalogue()

    assert max(len(product.texts["en"].name) for product in products) > 80
    assert max(len(product.variants) for product in products) >= 12
    assert min(len(product.variants) for product in products) == 1
    assert {len(product.images) for product in products} == {1, 2, 3}


def test_every_product_shows_its_own_photos_each_with_a_text_in_both_languages():
    by_product: dict[str, list[str]] = {}
    for photograph in photographs():
        by_product.setdefault(photograph.product, []).append(photograph.url)

    assert {product.slug: [image.url for image in product.images] for product in catalogue()} == by_product
    for product in catalogue():
        for image in product.images:
            assert set(image.alt) == {"en", "zh"}
            assert has_chinese(image.alt["zh"])
            assert not has_chinese(image.alt["en"])
        colours = {variant.options["colour"] for variant in product.variants}
        assert len(product.images) == len(colours), "a photo shows one colour"


def test_the_photos_are_whole_in_all_forms_and_nothing_else_lies_there():
    check(contents())
    wanted = {path for each in photographs() for path in files(each.photo, each.address).values()}
    assert {path for path in PHOTOS.iterdir() if path.suffix in (".jpg", ".webp")} == wanted
    assert sum(path.stat().st_size for path in wanted) < 5_000_000
    for each in photographs():
        sources = names.sources(each.url)
        assert sources is not None
        assert abs(sources.height / sources.width - 1.25) < 0.01
        assert sources.width >= 320


@pytest.fixture
def shop_files(tmp_path: Path) -> FolderFiles:
    return FolderFiles(folder=tmp_path / "media")


async def test_loading_is_quick_and_once(shop_files: FolderFiles):
    products, inventory = Catalogue(), Warehouse()
    began = time.process_time()

    first = await demo.load(products=products.client, inventory=inventory.client, files=shop_files)

    assert time.process_time() - began < 2
    assert (first.created, first.refused) == (57, 0)
    assert inventory.pieces == stock()

    inventory.pieces[CAP] = 1
    again = await demo.load(products=products.client, inventory=inventory.client, files=shop_files)

    assert again.unchanged == 57
    assert inventory.pieces[CAP] == 1


async def test_the_photos_are_in_the_shop_before_the_products_that_show_them(shop_files: FolderFiles):
    products, inventory = Catalogue(), Warehouse()

    await demo.load(products=products.client, inventory=inventory.client, files=shop_files)

    for product in products.drafts.values():
        for image in product.images:
            assert await shop_files.read(name=image.url.removeprefix(names.FOLDER))
