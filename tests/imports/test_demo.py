"""The demo catalogue: complete in two languages and three currencies, and loaded once however often it is loaded."""

import json
import time

import msgspec

from hansa import demo
from hansa.services.products.contract import ProductDraft
from tests.imports.stand_ins import Catalogue, Warehouse

CATEGORIES = {"hat", "outwear", "skirt", "longsleeve", "dress", "shoes", "pants", "shorts", "shirt", "t-shirt"}


def catalogue() -> list[ProductDraft]:
    values = [json.loads(line) for line in demo.CATALOGUE.read_text(encoding="utf-8").splitlines()]
    return [msgspec.convert({**value, "stock": None}, ProductDraft) for value in values]


def stock() -> dict[str, int]:
    lines = demo.CATALOGUE.read_text(encoding="utf-8").splitlines()
    return {sku: pieces for line in lines for sku, pieces in json.loads(line)["stock"].items()}


def test_there_are_forty_products_in_ten_categories():
    products = catalogue()

    assert len(products) == 40
    assert {product.category[-1].slug for product in products} == CATEGORIES
    assert all(len(product.category) == 2 for product in products)


def test_every_product_is_described_in_english_and_chinese():
    for product in catalogue():
        assert set(product.texts) == {"en", "zh"}
        for category in product.category:
            assert set(category.names) == {"en", "zh"}
        assert product.texts["en"].description.isascii() or "ê" in product.texts["en"].description
        assert len(product.texts["en"].description) > 80
        assert len(product.texts["zh"].description) >= 30
        assert any("\u4e00" <= letter <= "\u9fff" for letter in product.texts["zh"].name)


def test_every_variant_has_its_options_facts_and_three_prices():
    for product in catalogue():
        assert len(product.variants) >= 3
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


def test_every_variant_is_in_stock_but_one():
    pieces = stock()

    assert set(pieces) == {variant.sku for product in catalogue() for variant in product.variants}
    assert sorted(pieces.values())[:2] == [0, 1]
    assert max(pieces.values()) <= 40


async def test_loading_is_quick_and_once():
    products, inventory = Catalogue(), Warehouse()
    began = time.monotonic()

    first = await demo.load(products=products.client, inventory=inventory.client)

    assert time.monotonic() - began < 1
    assert (first.created, first.refused) == (40, 0)
    assert inventory.pieces == stock()

    inventory.pieces["WOOL-BERET-BLAC-ONESIZE"] = 1
    again = await demo.load(products=products.client, inventory=inventory.client)

    assert again.unchanged == 40
    assert inventory.pieces["WOOL-BERET-BLAC-ONESIZE"] == 1
