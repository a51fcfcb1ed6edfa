"""Icecat: the whole file of real products becomes drafts that the catalogue takes."""

import asyncio
import csv
import gzip
import itertools
import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.imports import Summary
from hansa.imports.categories import FOLDER, Categories, words_of
from hansa.imports.icecat import is_gtin, read_icecat, readable, slug_of
from hansa.imports.lines import Source
from hansa.imports.rows import Row, Unique
from hansa.kernel.errors import Fault
from tests.imports.conftest import Desk
from tests.imports.stand_ins import Warehouse

FILE = Path(__file__).parents[1] / "data" / "icecat" / "products.jsonl.gz"
PRODUCTS = 19_406


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, Summary]:
    """The whole file, imported once."""
    desk = Desk(tmp_path_factory.mktemp("icecat"))
    return desk, asyncio.run(desk.take(FILE, format="icecat"))


def test_the_whole_file_goes_in(imported: tuple[Desk, Summary]):
    desk, summary = imported

    assert (summary.rows, summary.created, summary.refused) == (PRODUCTS, PRODUCTS, 0)
    assert len(desk.catalogue.drafts) == PRODUCTS
    assert desk.refused == []
    assert "19,406 rows" in summary.text


def test_every_sku_is_its_own_and_has_stock(imported: tuple[Desk, Summary]):
    desk, summary = imported
    skus = [variant.sku for draft in desk.catalogue.drafts.values() for variant in draft.variants]

    assert len(skus) == len(set(skus)) == summary.stock_set == PRODUCTS
    assert desk.warehouse.pieces == dict.fromkeys(skus, 100)


def test_nearly_every_product_has_a_category(imported: tuple[Desk, Summary]):
    desk, summary = imported
    paths = Counter(tuple(level.slug for level in draft.category) for draft in desk.catalogue.drafts.values())

    assert paths[()] == summary.without_category
    assert summary.without_category < PRODUCTS * 0.02
    assert len(paths) > 100
    assert paths.most_common(1)[0][1] < PRODUCTS / 8


def test_no_product_holds_an_address_of_another_host(imported: tuple[Desk, Summary]):
    desk, _ = imported
    for draft in desk.catalogue.drafts.values():
        assert b"://" not in msgspec.json.encode((draft.images, draft.attributes))


async def test_a_second_time_changes_nothing(desk: Desk):
    file = desk.write("a.jsonl", first_lines(500))
    await desk.take(file, format="icecat")
    desk.warehouse.pieces = dict.fromkeys(desk.warehouse.pieces, 0)

    again = await desk.take(file, format="icecat")

    assert (again.unchanged, again.stock_set) == (500, 0)


def test_memory_does_not_grow_with_the_file():
    """What remains of a product that was read is its line, by the hashes of its slug and sku."""
    source = Source(FILE)
    rows = Unique().only(read_icecat(source.lines()))
    for _ in itertools.islice(rows, 500):
        pass
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    read = sum(isinstance(row, Row) for row in itertools.islice(rows, 1_500))
    after, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    source.close()

    assert read == 1_500
    assert most - before < 4 << 20
    assert after - before < 2 << 20


def first_lines(count: int) -> bytes:
    with gzip.open(FILE) as unpacked:
        return b"".join(itertools.islice(unpacked, count))


ROW: dict[str, Any] = {
    "id": "2101957",
    "name": "dv7-1211ea",
    "title": 'HP Pavilion dv7 Notebook 43.2 cm (17") &amp; more',
    "short_description": "A notebook",
    "supplier": "HP",
    "ean": ["0884420588031", "0884420588030"],
    "price": 10995,
    "date_released": "2008-12-19T00:00:00Z",
    "img_high": "http://images.example/1.jpg",
    "attr_t_product_type": "Notebook",
    "attr_t_country_of_origin": "China",
    "attr_t_harmonized_system__hs__code": "8471.30.01.00",
    "attr_t_operating_temperature__t_t_": "0 - 35",
    "attr_t_additional_information_url": "http://images.example/",
    "attr_n_weight": 3460.4,
    "attr_n_width": 0.2,
    "attr_n_height": 45.0,
    "attr_b_bluetooth": True,
}


async def test_a_product_is_carried_over_with_its_facts(desk: Desk):
    summary = await desk.take(desk.write("a.jsonl", json.dumps(ROW)), format="icecat", stock=7)

    [draft] = desk.catalogue.drafts.values()
    assert summary.created == 1
    assert draft.slug == "hp-pavilion-dv7-notebook-43-2-cm-17-more-2101957"
    assert draft.texts["en"].name == 'HP Pavilion dv7 Notebook 43.2 cm (17") & more'
    assert draft.brand == "HP"
    assert [category.names["zh"] for category in draft.category] == ["电脑", "笔记本电脑"]
    assert draft.attributes == {
        "Model": "dv7-1211ea",
        "Released": "2008-12-19",
        "Product type": "Notebook",
        "Country of origin": "China",
        "Harmonized system (hs code)": "8471.30.01.00",
        "Operating temperature (°C)": "0 - 35",
        "Weight": 3460.4,
        "Width": 0.2,
        "Height": 45,
        "Bluetooth": True,
    }
    [variant] = draft.variants
    assert (variant.sku, variant.gtin, variant.hs_code) == ("ICE-2101957", "0884420588030", "8471300100")
    assert (variant.weight_grams, variant.width_mm, variant.height_mm) == (3460, None, 45)
    assert variant.country_of_origin == "CN"
    [price] = variant.prices
    assert (price.amount, price.currency, price.tax_included) == (10995, "USD", False)
    assert desk.warehouse.pieces == {"ICE-2101957": 7}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": 0}, "price: Expected cents, more than 0"),
        ({"price": "free"}, "price: Expected `int`, got `str`"),
        ({"id": "x/1"}, "id: Expected digits"),
        ({"title": None}, "title: Expected `str`, got `null`"),
        ({"ean": "1"}, "ean: Expected `array`, got `str`"),
        ({"attr_t_x": {"a": 1}}, "attributes[...]: Expected"),
        ({"title": "x" * 501}, "Expected `str` of length <= 500"),
    ],
)
async def test_a_bad_product_is_reported(desk: Desk, change: dict[str, Any], reason: str):
    content = (
        json.dumps({**ROW, **change}) + "\n" + json.dumps({**ROW, "id": "7"}) + "\n" + json.dumps(ROW | {"id": "7"})
    )

    await desk.take(desk.write("a.jsonl", content), format="icecat")

    assert len(desk.catalogue.drafts) == 1
    assert [line for line, _, _ in desk.refused] == [1, 3]
    assert reason in desk.refused[0][2]


async def test_a_known_product_without_stock_gets_some_and_a_sold_out_one_does_not(desk: Desk):
    file = desk.write("a.jsonl", "\n".join(json.dumps({**ROW, "id": name}) for name in ("1", "2")))
    desk.warehouse.faults = 4
    with pytest.raises(Fault):
        await desk.take(file, format="icecat")
    desk.warehouse.pieces = {"ICE-1": 0}

    summary = await desk.take(file, format="icecat")

    assert summary.stock_set == 1
    assert desk.warehouse.pieces == {"ICE-1": 0, "ICE-2": 100}


async def test_new_pieces_are_set_once_though_two_imports_found_none(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    file = desk.write("a.jsonl", json.dumps(ROW))
    await desk.take(file, format="icecat")
    desk.warehouse.pieces["ICE-2101957"] = 99
    for question in ("available", "stock"):
        # What the second was told before the first had set them.
        monkeypatch.setattr(desk.warehouse, question, getattr(Warehouse(), question))

    await desk.take(file, format="icecat")

    assert desk.warehouse.pieces == {"ICE-2101957": 99}


@pytest.mark.parametrize(("code", "is_one"), [
    ("4006381333931", True), ("4006381333932", False), ("96385074", True), ("036000291452", True),
    ("10614141000415", True), ("", False), ("12345", False), ("400638133393x", False),
    ("４００６３８１３３３９３１", False),
])  # fmt: skip
def test_a_gtin_has_a_check_digit(code: str, is_one: bool):
    assert is_gtin(code) is is_one


def test_slugs_are_plain_and_bounded():
    assert slug_of("Löwe & Ärger – 90&deg;", "7") == "lowe-arger-90-7"
    assert slug_of("打印机", "7") == "7"
    assert len(slug_of("word " * 100, "1" * 18)) <= 120
    assert len(slug_of("x" * 300, "1" * 18)) <= 120


def test_attributes_have_readable_names():
    assert readable("attr_n_usb_2_0_ports_quantity") == "USB 2 0 ports quantity"
    assert readable("attr_t_dimensions__wxdxh_") == "Dimensions (W x D x H)"
    assert readable("attr_t_storage_relative_humidity__h_h_") == "Storage relative humidity (%)"
    assert readable("attr_") == "attr_"


def test_rules_name_known_categories_only_and_every_category_is_named_in_both_languages():
    with (FOLDER / "icecat_categories.csv").open(encoding="utf-8") as lines:
        names = {row["path"]: row for row in csv.DictReader(lines)}
    with (FOLDER / "icecat_rules.csv").open(encoding="utf-8") as lines:
        rules = list(csv.DictReader(lines))
    assert all(row["en"] and row["zh"] for row in names.values())
    assert all(path.rpartition("/")[0] in names for path in names if "/" in path)
    assert {rule["category"] for rule in rules} == {path for path in names if "/" in path}
    assert all(any(text for column, text in rule.items() if column != "category") for rule in rules)


@pytest.mark.parametrize(
    ("title", "path"),
    [
        ("Xerox 006R90321 toner cartridge Original Black 6 pc(s)", "printing/toner"),
        ('Targus TBC002EU notebook case 40.6 cm (16") Briefcase Black', "computers/notebook-bags"),
        ("StarTech.com 25 ft Cat 6 Black Molded RJ45 UTP Gigabit Cat6 Patch Cable", "cables/network"),
        ("StarTech.com 2.5in Silver USB 2.0 External Hard Drive Enclosure", "storage/arrays-and-enclosures"),
        ("APC Smart-UPS 1500 uninterruptible power supply (UPS)", "power/ups"),
        ("Philips GoGear MP3 player", "audio-video/players"),
        ("Qwertyuiop", ""),
    ],
)
def test_titles_lead_to_categories(title: str, path: str):
    assert "/".join(level["slug"] for level in Categories().of({"title": title})) == path


def test_words_lose_case_punctuation_and_plural():
    assert words_of("UPS Batteries & Glass-Cases, 2x") == ["ups", "batterie", "glass", "case", "2x"]
