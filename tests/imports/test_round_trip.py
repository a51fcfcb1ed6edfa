"""Whatever a product says in columns that CSV has comes back from CSV, byte for byte and value for value."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.imports.csv_rows import read_csv
from hansa.imports.exporting import export_products
from hansa.imports.lines import Source
from hansa.imports.rows import Row
from hansa.services.products.contract import (
    CategoryDraft,
    ImageDraft,
    PriceDraft,
    ProductDraft,
    Text,
    VariantDraft,
)
from tests.clocks import START
from tests.imports.conftest import ImpatientClock
from tests.imports.stand_ins import Catalogue, Warehouse

SPECIAL = "=+-@'\"/\\|,;\t\n\r é衣＝ az09"

texts = st.text(alphabet=st.sampled_from(SPECIAL), max_size=12).map(str.strip)
words = texts.filter(bool)
titles = words.map(lambda text: " ".join(text.split())).filter(bool)
slugs = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)?", fullmatch=True).filter(lambda slug: len(slug) < 20)
locales = st.sampled_from(["en", "zh", "de-CH"])
numbers = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), words
)
prices = st.builds(
    PriceDraft,
    amount=st.integers(0, 10**9),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
    tax_included=st.booleans(),
)
variants = st.builds(
    VariantDraft,
    sku=st.from_regex(r"[A-Z0-9][A-Z0-9._+/#-]{0,8}", fullmatch=True),
    options=st.dictionaries(titles, words, max_size=2),
    prices=st.lists(prices, max_size=3, unique_by=lambda price: price.currency).map(tuple),
    weight_grams=st.none() | st.integers(0, 10**6),
    age_limit=st.none() | st.integers(0, 99),
    hazard=st.none() | words,
    unit=st.sampled_from(["piece", "gram"]),
)
named = st.dictionaries(locales, words, min_size=1)
products = st.builds(
    ProductDraft,
    slug=slugs,
    texts=st.dictionaries(locales, st.builds(Text, name=words, description=texts), min_size=1),
    variants=st.lists(variants, min_size=1, max_size=3, unique_by=lambda variant: variant.sku).map(tuple),
    category=st.lists(st.builds(CategoryDraft, slug=slugs, names=named), max_size=3).map(tuple),
    brand=st.none() | words,
    images=st.lists(
        st.builds(ImageDraft, url=st.just("/media/a.jpg"), alt=st.dictionaries(locales, words)), max_size=3
    ).map(tuple),
    attributes=st.dictionaries(titles, numbers, max_size=3),
    status=st.sampled_from(["active", "archived"]),
)


def in_order(draft: ProductDraft) -> ProductDraft:
    """The same draft with its prices by currency: in which order they stand means nothing."""
    ordered = (
        msgspec.structs.replace(variant, prices=tuple(sorted(variant.prices, key=lambda price: price.currency)))
        for variant in draft.variants
    )
    return msgspec.structs.replace(draft, variants=tuple(ordered))


async def exported(drafts: list[ProductDraft], stock: dict[str, int], file: Path) -> bytes:
    catalogue, warehouse = Catalogue(), Warehouse(pieces=stock)
    catalogue.drafts = {draft.slug: draft for draft in drafts}
    await export_products(
        file=file,
        format="csv",
        products=catalogue.client,
        inventory=warehouse.client,
        clock=ImpatientClock(start=START),
    )
    return file.read_bytes()


@settings(max_examples=80)
@given(
    drafts=st.lists(products, min_size=1, max_size=3, unique_by=lambda draft: draft.slug).map(
        lambda drafts: sorted(drafts, key=lambda draft: draft.slug)
    ),
    pieces=st.integers(0, 1000),
)
def test_a_product_comes_back_from_csv_as_it_went(drafts: list[ProductDraft], pieces: int) -> None:
    stock = {draft.variants[0].sku: pieces for draft in drafts}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "products.csv"
        first = asyncio.run(exported(drafts, stock, file))
        source = Source(file)
        found = list(read_csv(source.lines()))
        source.close()

        rows = [row for row in found if isinstance(row, Row)]
        assert rows == found
        assert [in_order(row.draft) for row in rows] == [in_order(draft) for draft in drafts]
        assert all((row.stock or {})[row.draft.variants[0].sku] == pieces for row in rows)
        assert asyncio.run(exported([row.draft for row in rows], stock, file)) == first
