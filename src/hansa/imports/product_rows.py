"""Products as rows of a CSV file, in the columns that imports read (docs/import.md); the reverse of `csv_columns`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from hansa.imports.cells import guarded
from hansa.imports.csv_columns import ALT_SEPARATOR, joined_path
from hansa.kernel.channel import MAIN
from hansa.kernel.money import to_text
from hansa.services.products.contract import AttributeValue, PriceDraft, ProductDraft, VariantDraft

Cells = dict[str, str]
"""The cells of a row that are not empty, by the title of the column."""

_ORDER = (
    "slug",
    "status",
    "name",
    "description",
    "category",
    "brand",
    "image",
    "image_alt",
    "attribute",
    "attribute_number",
    "attribute_yes_no",
    "sku",
    "option",
    "price",
    "tax_included",
    "stock",
    "gtin",
    "weight_grams",
    "width_mm",
    "height_mm",
    "depth_mm",
    "hs_code",
    "country_of_origin",
    "tax_class",
    "unit",
    "age_limit",
    "hazard",
)
_PLACES = {kind: place for place, kind in enumerate(_ORDER)}
_FACTS = _ORDER[_ORDER.index("gtin") :]
_KEYED_WITH_UNDERSCORE = ("name", "description", "category", "image_alt", "price", "tax_included")


def rows_of(draft: ProductDraft, *, stock: Mapping[str, int], now: datetime) -> Iterator[Cells]:
    """A row for each variant; what describes the product stands in the first. `stock` are pieces by sku."""
    product = {"slug": draft.slug, **_of_product(draft)}
    for variant in draft.variants:
        cells = {**product, **_of_variant(variant, now=now)}
        if (pieces := stock.get(variant.sku)) is not None:
            cells["stock"] = str(pieces)
        yield {title: text for title, text in cells.items() if text}
        product = {"slug": draft.slug}


def in_order(titles: Iterable[str]) -> list[str]:
    """The columns as they stand in a file: of the product first, those of one kind by name."""
    return sorted(titles, key=lambda title: (_PLACES[_kind(title)], title))


def _kind(title: str) -> str:
    if title in _PLACES:
        return title
    if ":" in title:
        return title.partition(":")[0]
    return next(kind for kind in _KEYED_WITH_UNDERSCORE if title.startswith(f"{kind}_"))


def _of_product(draft: ProductDraft) -> Cells:
    cells = {"status": draft.status, "brand": _cell(draft.brand or "")}
    for locale, words in draft.texts.items():
        cells[f"name_{locale}"] = _cell(words.name)
        cells[f"description_{locale}"] = _cell(words.description)
    cells["category"] = "/".join(level.slug for level in draft.category)
    for locale in {locale for level in draft.category for locale in level.names}:
        cells[f"category_{locale}"] = _cell(joined_path([level.names.get(locale, "") for level in draft.category]))
    cells["image"] = " ".join(image.url for image in draft.images)
    for locale in {locale for image in draft.images for locale in image.alt}:
        alts = [image.alt.get(locale, "").strip() for image in draft.images]
        while alts[-1:] == [""]:
            alts.pop()
        cells[f"image_alt_{locale}"] = _cell(joined_path(alts, separator=ALT_SEPARATOR))
    for name, value in draft.attributes.items():
        if title := " ".join(name.split()):
            kind, text = _attribute(value)
            cells[f"{kind}:{title}"] = text
    return cells


def _attribute(value: AttributeValue) -> tuple[str, str]:
    if isinstance(value, bool):
        return "attribute_yes_no", _truth(value)
    if isinstance(value, int | float):
        return "attribute_number", repr(value)
    return "attribute", _cell(value)


def _of_variant(variant: VariantDraft, *, now: datetime) -> Cells:
    cells = {"sku": variant.sku}
    for name, text in variant.options.items():
        if title := " ".join(name.split()):
            cells[f"option:{title}"] = _cell(text)
    for price in _plain(variant.prices, now=now):
        cells[f"price_{price.currency}"] = to_text(price.amount, price.currency)
        cells[f"tax_included_{price.currency}"] = _truth(price.tax_included)
    for fact in _FACTS:
        value = getattr(variant, fact)
        cells[fact] = "" if value is None else _cell(str(value))
    return cells


def _plain(prices: Sequence[PriceDraft], *, now: datetime) -> Iterator[PriceDraft]:
    """The prices that have a column: those for everybody and every quantity, from now on and without an end.

    Where one with an end holds at present, the one below it is left out: to import it would end the other early.
    """
    everyday = [price for price in prices if (price.price_list, price.minimum_quantity) == (MAIN, 1)]
    passing = {price.currency for price in everyday if price.valid_from is not None and price.valid_from <= now}
    for price in everyday:
        if price.valid_from is None and price.valid_to is None and price.currency not in passing:
            yield price


def _truth(value: bool) -> str:
    return "yes" if value else "no"


def _cell(text: str) -> str:
    return guarded(text.strip())
