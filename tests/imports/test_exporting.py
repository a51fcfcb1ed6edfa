"""Exports of products come back as they went, and those of orders tell nothing of their buyers."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.imports import import_products
from hansa.imports.cells import guarded, unguarded
from hansa.imports.csv_columns import joined_path, split_path
from hansa.imports.exporting import Exported, export_orders, export_products
from hansa.platform.jobs.transfers import ExportFormat
from hansa.services.orders.contract import Orders
from tests.shops import OpenedShop, opened_shop

FORMULA = '=HYPERLINK("http://evil.example")'
RICH: Sequence[dict[str, Any]] = (
    {
        "slug": "wool-beret",
        "texts": {
            "en": {"name": 'Wool beret, "French"', "description": "First line\r\nsecond; line\n\nlast"},
            "zh": {"name": "羊毛贝雷帽"},
        },
        "brand": "+Belleville",
        "category": [
            {"slug": "shoes-and-hats", "names": {"en": "Shoes/Hats \\ more", "zh": "鞋帽"}},
            {"slug": "hat", "names": {"en": "Hats"}},
        ],
        "images": [
            {"url": "/media/a.jpg", "alt": {"en": "A beret"}},
            {"url": "/media/b.jpg", "alt": {}},
            {"url": "https://pictures.example/c.jpg", "alt": {"en": "Its\nlining", "zh": "里子"}},
        ],
        "attributes": {"material": "wool", "waterproof": False, "weight;dry": 90.5, "pieces": -1, "size": "007"},
        "variants": [
            {
                "sku": "BERET-S",
                "options": {"size": "S"},
                "prices": [
                    {"amount": 2400, "currency": "USD"},
                    {"amount": 2590, "currency": "EUR", "tax_included": True},
                    {"amount": 300, "currency": "JPY"},
                    {"amount": 2000, "currency": "USD", "minimum_quantity": 10},
                ],
                "gtin": "4006381333931",
                "weight_grams": 90,
                "hs_code": "650500",
                "country_of_origin": "FR",
                "tax_class": "reduced",
            },
            {"sku": "BERET-M", "options": {"size": "M"}, "age_limit": 18, "hazard": "-flammable"},
        ],
        "stock": {"BERET-S": 12, "BERET-M": 0},
    },
    {
        "slug": "formula",
        "texts": {"en": {"name": FORMULA, "description": "'=already guarded"}},
        "attributes": {"=odd": "@cmd", "tab": "a\tb"},
        "variants": [{"sku": "F-1", "prices": [{"amount": 5, "currency": "USD"}]}],
    },
    {"slug": "archived", "texts": {"de": {"name": "Alt"}}, "status": "archived", "variants": [{"sku": "OLD"}]},
)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[OpenedShop]:
    async with opened_shop(folder=tmp_path / "first") as opened:
        yield opened


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[OpenedShop]:
    async with opened_shop(folder=tmp_path / "second") as opened:
        yield opened


async def fill(shop: OpenedShop, products: Sequence[dict[str, Any]], folder: Path) -> None:
    file = folder / "rich.jsonl"
    file.write_text("".join(json.dumps(product) + "\n" for product in products))
    assert (await take(shop, file)).refused == 0


async def take(shop: OpenedShop, file: Path) -> Any:
    return await import_products(
        file=file, products=shop.products, inventory=shop.inventory, report=file.with_suffix(".refused")
    )


async def give(shop: OpenedShop, file: Path, format: ExportFormat, **options: Any) -> Exported:
    return await export_products(file=file, format=format, products=shop.products, inventory=shop.inventory, **options)


def many(number: int) -> dict[str, Any]:
    return {
        "slug": f"p-{number}",
        "texts": {"en": {"name": f"Product {number}"}},
        "attributes": {f"a-{number % 7}": number},
        "variants": [{"sku": f"P-{number}", "prices": [{"amount": number + 1, "currency": "USD"}]}],
        "stock": {f"P-{number}": number},
    }


@pytest.mark.parametrize("format", ["csv", "jsonl"])
async def test_what_was_exported_makes_the_same_shop_elsewhere(
    shop: OpenedShop, empty: OpenedShop, tmp_path: Path, format: ExportFormat
) -> None:
    await fill(shop, [*RICH, *map(many, range(120))], tmp_path)
    first, second = tmp_path / f"first.{format}", tmp_path / f"second.{format}"

    exported = await give(shop, first, format)
    taken = await take(empty, first)
    await give(empty, second, format)

    assert (exported.things, exported.rows) == (123, 124)
    assert (taken.created, taken.refused) == (123, 0)
    assert second.read_bytes() == first.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == sorted(
        [first.name, second.name, "rich.jsonl"]
    )


@pytest.mark.parametrize("format", ["csv", "jsonl"])
async def test_what_was_exported_changes_nothing_where_it_comes_from(
    shop: OpenedShop, tmp_path: Path, format: ExportFormat
) -> None:
    await fill(shop, RICH, tmp_path)
    file = tmp_path / f"products.{format}"
    await give(shop, file, format)

    taken = await take(shop, file)

    assert (taken.created, taken.changed, taken.unchanged, taken.refused) == (0, 0, 3, 0)
    record = (await shop.products.records(limit=100)).items
    beret = next(found.draft for found in record if found.draft.slug == "wool-beret")
    assert len(beret.variants[0].prices) == 4


async def test_a_price_that_holds_for_a_while_is_not_ended_by_what_was_exported_meanwhile(
    shop: OpenedShop, tmp_path: Path
) -> None:
    passing = {
        "amount": 1900,
        "currency": "USD",
        "valid_from": "2020-01-01T00:00:00Z",
        "valid_to": "2999-01-01T00:00:00Z",
    }
    lasting = {"amount": 2400, "currency": "USD"}
    euros = {"amount": 2200, "currency": "EUR"}
    product = {**many(1), "variants": [{"sku": "P-1", "prices": [lasting, passing, euros]}]}
    await fill(shop, [product], tmp_path)
    file = tmp_path / "products.csv"
    await give(shop, file, "csv")

    await take(shop, file)

    [row] = rows(file)
    assert ("price_USD" in row, row["price_EUR"]) == (False, "22.00")
    [offer] = await shop.products.offers(skus=("P-1",), locale="en", currency="USD")
    assert offer.price.amount == 1900


async def test_a_spreadsheet_finds_no_formula_in_what_was_exported(shop: OpenedShop, tmp_path: Path) -> None:
    await fill(shop, RICH, tmp_path)
    file = tmp_path / "products.csv"

    await give(shop, file, "csv")

    with file.open(encoding="utf-8-sig", newline="") as lines:
        cells = [cell for row in csv.reader(lines) for cell in row]
    dangerous = [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and cell != "-1"]
    assert f"'{FORMULA}" in cells
    assert dangerous == []


async def test_stock_is_left_out_if_it_is_not_to_be_set_again(shop: OpenedShop, tmp_path: Path) -> None:
    await fill(shop, RICH, tmp_path)
    for format in ("csv", "jsonl"):
        file = tmp_path / f"products.{format}"

        await give(shop, file, format, with_stock=False)

        assert "stock" not in file.read_text("utf-8")


@pytest.mark.parametrize("format", ["csv", "jsonl"])
async def test_an_empty_shop_gives_a_file_that_can_be_imported(
    shop: OpenedShop, tmp_path: Path, format: ExportFormat
) -> None:
    file = tmp_path / f"products.{format}"

    exported = await give(shop, file, format)
    taken = await take(shop, file)

    assert exported.counts == {"products": 0, "variants": 0}
    assert taken.rows == 0


async def test_progress_is_told_and_a_broken_off_export_leaves_the_file_before_it(
    shop: OpenedShop, tmp_path: Path
) -> None:
    await fill(shop, [*map(many, range(120))], tmp_path)
    file = tmp_path / "products.csv"
    file.write_text("earlier")
    told: list[int] = []

    def note(progress: Exported) -> None:
        told.append(progress.things)
        if len(told) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await give(shop, file, "csv", progress=note)

    assert told == [50, 100]
    assert file.read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["products.csv", "rich.jsonl"]


async def test_orders_are_exported_line_by_line_without_a_word_of_their_buyers(
    shop: OpenedShop, tmp_path: Path
) -> None:
    await fill(shop, RICH, tmp_path)
    await shop.put_product("HAT")
    lines = [{"sku": "HAT", "quantity": 2}, {"sku": "BERET-S", "quantity": 1}]
    for number in range(12):
        body = {
            "lines": lines if number == 11 else lines[:1],
            "email": "ada@example.com",
            "shipping_address": {
                "name": "Ada Byron",
                "line1": "1 Market Street",
                "city": "San Francisco",
                "region": "CA",
                "postal_code": "94105",
                "country": "US",
            },
            "payment": {"provider": "sandbox", "token": "tok_success"},
        }
        await shop.inventory.set_on_hand(key=shop.key(), sku="HAT", on_hand=10, version=None, actor="test")
        status, order = await shop.request("POST", "/orders", body)
        assert status == 201, order
    orders: Orders = shop.shop.client(Orders)
    file, lines_file = tmp_path / "orders.csv", tmp_path / "orders.jsonl"

    exported = await export_orders(file=file, format="csv", orders=orders)
    await export_orders(file=lines_file, format="jsonl", orders=orders)

    assert exported.counts == {"orders": 12, "lines": 13}
    found = rows(file)
    assert [row["sku"] for row in found[:3]] == ["HAT", "BERET-S", "HAT"]
    assert (found[0]["quantity"], found[0]["unit_price"], found[0]["line_total"]) == ("2", "19.99", "39.98")
    assert found[0]["order_total"] == found[0]["captured"] != ""
    assert (found[1]["order_total"], found[1]["country"], found[1]["status"]) == ("", "US", "placed")
    assert len([json.loads(line) for line in lines_file.read_text().splitlines()]) == 12
    for text in (file.read_text("utf-8-sig"), lines_file.read_text()):
        for word in ("Ada", "ada@", "Market Street", "94105", "San Francisco"):
            assert word not in text


@given(st.text())
def test_a_guarded_text_comes_back_whatever_it_is(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.lists(st.text(alphabet=st.sampled_from("ab/\\ '\n")).map(str.strip), min_size=1))
def test_a_path_of_any_names_comes_back(names: list[str]) -> None:
    assert split_path(joined_path(names)) == names


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")))
