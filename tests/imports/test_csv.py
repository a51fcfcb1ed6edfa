"""CSV files of products: what each column means, and what is said about rows that cannot be taken."""

import pytest

from hansa.services.products.contract import CategoryDraft, ImageDraft, PriceDraft, Text
from tests.imports.conftest import Desk

WHOLE = """\
slug,status,brand,category,category_en,category_zh,name_en,name_zh,description_en,image,image_alt_en,attribute:material,\
sku,option:size,option:colour,price_USD,price_EUR,tax_included_EUR,price_JPY,stock,gtin,weight_grams,width_mm,height_mm,\
depth_mm,hs_code,country_of_origin,tax_class,unit,age_limit,hazard
coat,active,Aubert,women/coats,Women/Coats,女装/大衣,Coat,大衣,"Long,
and warm",/files/a.jpg /files/b.jpg,A coat,wool,\
COAT-S,S,camel,189.00,206.9,yes,28000,3,4006381333931,1680,500,1200,40,620220,IT,standard,piece,,
coat,,,,,,,,,,,,COAT-M,M,camel,189,,,,0,,1720,,,,,,reduced,,18,flammable
cap,archived,,,,,Cap,,,,,,CAP,,,9.50,,,,,,,,,,,,,,,
"""


async def test_every_column_arrives(desk: Desk):
    summary = await desk.take(desk.write("products.csv", WHOLE))

    assert (summary.rows, summary.created, summary.refused, summary.without_category) == (2, 2, 0, 1)
    coat = desk.catalogue.drafts["coat"]
    assert coat.texts == {"en": Text(name="Coat", description="Long,\nand warm"), "zh": Text(name="大衣")}
    assert coat.category == (
        CategoryDraft(slug="women", names={"en": "Women", "zh": "女装"}),
        CategoryDraft(slug="coats", names={"en": "Coats", "zh": "大衣"}),
    )
    assert coat.brand == "Aubert"
    assert coat.attributes == {"material": "wool"}
    assert coat.images == (ImageDraft(url="/files/a.jpg", alt={"en": "A coat"}), ImageDraft(url="/files/b.jpg"))
    small, medium = coat.variants
    assert small.options == {"size": "S", "colour": "camel"}
    assert small.prices == (
        PriceDraft(amount=18900, currency="USD"),
        PriceDraft(amount=20690, currency="EUR", tax_included=True),
        PriceDraft(amount=28000, currency="JPY"),
    )
    assert (small.gtin, small.weight_grams, small.width_mm, small.height_mm, small.depth_mm) == (
        "4006381333931",
        1680,
        500,
        1200,
        40,
    )
    assert (small.hs_code, small.country_of_origin, small.tax_class, small.unit) == (
        "620220",
        "IT",
        "standard",
        "piece",
    )
    assert (medium.sku, medium.tax_class, medium.age_limit, medium.hazard) == ("COAT-M", "reduced", 18, "flammable")
    assert desk.catalogue.drafts["cap"].status == "archived"
    assert desk.warehouse.pieces == {"COAT-S": 3, "COAT-M": 0}


async def test_a_category_without_names_is_called_after_its_slug(desk: Desk):
    await desk.take(desk.write("a.csv", "slug,sku,name_en,category\na,A,A,mens-shoes\n"))

    assert desk.catalogue.drafts["a"].category == (CategoryDraft(slug="mens-shoes", names={"en": "Mens shoes"}),)


@pytest.mark.parametrize("delimiter", [";", "\t"])
async def test_spreadsheets_may_separate_otherwise_and_begin_with_a_mark(desk: Desk, delimiter: str):
    table = f"\ufeffslug{delimiter}sku{delimiter}name_en\r\n\r\na{delimiter}A{delimiter}Ä, b\r\n"

    summary = await desk.take(desk.write("a.csv", table))

    assert summary.created == 1
    assert desk.catalogue.drafts["a"].texts["en"].name == "Ä, b"


async def test_stock_is_left_alone_where_the_file_names_none(desk: Desk):
    desk.warehouse.pieces["A"] = 7

    summary = await desk.take(desk.write("a.csv", "slug,sku,name_en,stock\na,A,A,\n"))

    assert summary.stock_set == 0
    assert desk.warehouse.pieces == {"A": 7}


HEADER = "slug,sku,name_en,price_USD,price_JPY,tax_included_USD,stock,weight_grams,gtin,category,category_en,name_de\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",A,A", "there is no slug"),
        ("a,,A", "there is no sku"),
        ("a,A,", "texts: Expected `object` of length >= 1"),
        ("Big Hat,A,A", "slug: Expected `str` matching regex"),
        ("a,no spaces,A", "variants[0].sku: Expected `str` matching regex"),
        ("a,A,A,19.999", "price_USD must be a number with at most 2 decimals, not '19.999'"),
        ('a,A,A,"19,99"', "price_USD must be a number with at most 2 decimals, not '19,99'"),
        ("a,A,A,-1", "price_USD must be a number"),
        ("a,A,A,,1.5", "price_JPY must be a number with at most 0 decimals"),
        ("a,A,A,1,,maybe", "tax_included_USD must be yes or no, not 'maybe'"),
        ("a,A,A,,,,many", "stock must be a whole number, not 'many'"),
        ("a,A,A,,,,9999999999", "stock[...]: Expected `int` <= 1000000000"),
        ("a,A,A,,,,,1.5", "weight_grams must be a whole number"),
        ("a,A,A,,,,,,12", "variants[0].gtin: Expected `str` matching regex"),
        ("a,A,A,,,,,,,x/y,X", "category_en has 1 parts, category has 2"),
        ("a,A,A,,,,,,,,,,one too many", "the row has 13 cells, the header 12"),
        ('a,A,"A"x', "the row is no CSV"),
        ("a,A,A\x00", "NUL"),
        (f"a,A,{'x' * 501}", "texts[...].name: Expected `str` of length <= 500"),
    ],
)
async def test_a_bad_row_is_reported_and_its_neighbours_go_in(desk: Desk, row: str, reason: str):
    file = desk.write("a.csv", f"{HEADER}before,B,Before\n{row}\nafter,C,After\n")

    summary = await desk.take(file)

    assert set(desk.catalogue.drafts) == {"before", "after"}
    assert (summary.rows, summary.created, summary.refused) == (3, 2, 1)
    [(line, _, said)] = desk.refused
    assert line == 3
    assert reason in said


async def test_a_bad_variant_leaves_its_whole_product_out_and_names_its_own_line(desk: Desk):
    table = f"{HEADER}a,A-1,A\na,A-2,\na,A-3,,oops\na,A-4,Other\nb,B,B\n"

    await desk.take(desk.write("a.csv", table))

    assert set(desk.catalogue.drafts) == {"b"}
    assert [(line, identifier) for line, identifier, _ in desk.refused] == [(4, "a"), (5, "a")]
    assert "name_en differs from that in line 2" in desk.refused[1][2]


async def test_a_variant_that_the_contract_refuses_is_reported_with_its_line(desk: Desk):
    await desk.take(desk.write("a.csv", f"{HEADER}a,A-1,A\na,A 2,\n"))

    assert [line for line, _, _ in desk.refused] == [3]


async def test_a_product_with_an_unreadable_row_in_its_middle_is_left_out(desk: Desk):
    """Else the variant of that row would go off sale."""
    table = b"slug,sku,name_en\na,A-1,A\na,A-2\xff,A\na,A-3,A\nb,B,B\n"

    await desk.take(desk.write("a.csv", table))

    assert set(desk.catalogue.drafts) == {"b"}
    assert [line for line, _, _ in desk.refused] == [3, 3]


async def test_a_slug_or_sku_that_comes_again_is_refused(desk: Desk):
    table = "slug,sku,name_en\na,A,A\nb,B,B\na,A-2,A\nc,B,C\nd,D,D\nd,D,D\n"

    await desk.take(desk.write("a.csv", table))

    assert set(desk.catalogue.drafts) == {"a", "b"}
    assert desk.refused == [
        (4, "a", "the slug stands in line 2 already"),
        (5, "c", "the sku B stands in line 3 already"),
        (6, "d", "A sku stands twice in the product"),
    ]


async def test_an_unknown_column_is_reported_and_the_rest_goes_in(desk: Desk):
    summary = await desk.take(desk.write("a.csv", "slug,sku,name_en,colour,sku\na,X,A,red,A\n"))

    assert (summary.rows, summary.created, summary.refused) == (1, 1, 0)
    assert desk.refused == [
        (1, "colour", "the column is not known and not carried over"),
        (1, "sku", "the column stands twice; the last one counts"),
    ]


@pytest.mark.parametrize(
    ("table", "missing"),
    [("slug,name_en\na,A\n", "sku"), ("sku,name_en\nA,A\n", "slug"), ("slug,sku\na,A\n", "name"), ("\n\nx\n", "slug")],
)
async def test_nothing_goes_in_without_the_columns_a_product_needs(desk: Desk, table: str, missing: str):
    summary = await desk.take(desk.write("a.csv", table))

    assert summary.rows == 0
    assert missing in [identifier for _, identifier, _ in desk.refused]
    assert not desk.catalogue.drafts


async def test_a_quote_that_is_never_closed_takes_what_follows_with_it_and_says_so(desk: Desk):
    table = 'slug,sku,name_en\na,A,A\nb,B,"B\nc,C,C\n'

    await desk.take(desk.write("a.csv", table))

    assert set(desk.catalogue.drafts) == {"a"}
    [(line, _, reason)] = desk.refused
    assert line == 3
    assert "is a quote not closed? (lines 3 to 4 are left out)" in reason


async def test_a_product_has_at_most_200_variants(desk: Desk):
    rows = "".join(f"a,A-{number},A\n" for number in range(201))

    await desk.take(desk.write("a.csv", f"slug,sku,name_en\n{rows}b,B,B\n"))

    assert set(desk.catalogue.drafts) == {"b"}
    assert desk.refused[0][0] == 202
