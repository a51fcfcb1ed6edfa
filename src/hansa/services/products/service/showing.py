"""Products, offers and categories as everybody sees them: in one language and currency."""

from collections.abc import Sequence

import msgspec

from hansa.kernel.clock import from_micros
from hansa.kernel.money import Money
from hansa.platform.database.port import Row
from hansa.services.products import rules
from hansa.services.products.contract import (
    AttributeValue,
    Category,
    Image,
    ImageDraft,
    Offer,
    Product,
    ProductSummary,
    Variant,
)

_ATTRIBUTES = msgspec.json.Decoder(dict[str, AttributeValue])
_IMAGES = msgspec.json.Decoder(tuple[ImageDraft, ...])
_WORDS = msgspec.json.Decoder(dict[str, str])


def shown_product(row: Row, variants: Sequence[Row], *, languages: rules.Languages, currency: str) -> Product:
    return Product(
        id=str(row["product_id"]),
        revision=row["revision"],
        slug=row["slug"],
        name=row["name"],
        description=row["description"],
        category=row["category"],
        brand=row["brand"],
        images=_shown_images(row, languages=languages),
        attributes=_ATTRIBUTES.decode(row["attributes"]),
        variants=tuple(_shown_variant(variant, currency=currency) for variant in variants),
        updated_at=from_micros(row["updated_at"]),
    )


def _shown_images(row: Row, *, languages: rules.Languages) -> tuple[Image, ...]:
    return tuple(
        Image(url=image.url, alt=rules.in_language(image.alt, languages) or "")
        for image in _IMAGES.decode(row["images"])
    )


def shown_summary(row: Row, variants: Sequence[Row], *, languages: rules.Languages, currency: str) -> ProductSummary:
    amounts = [variant["amount"] for variant in variants if variant["amount"] is not None]
    return ProductSummary(
        id=str(row["product_id"]),
        slug=row["slug"],
        name=row["name"],
        status=row["status"],
        category=row["category"],
        brand=row["brand"],
        image=next(iter(_shown_images(row, languages=languages)), None),
        variants=len(variants),
        available=any(variant["is_available"] for variant in variants),
        price_from=Money(min(amounts), currency) if amounts else None,
        updated_at=from_micros(row["updated_at"]),
    )


def _shown_variant(row: Row, *, currency: str) -> Variant:
    amount = row["amount"]
    return Variant(
        sku=row["sku"],
        options=_WORDS.decode(row["options"]),
        price=None if amount is None else Money(amount, currency),
        available=bool(row["is_available"]),
        tax_included=bool(row["tax_included"]),
        gtin=row["gtin"],
        weight_grams=row["weight_grams"],
    )


def shown_offer(row: Row, *, currency: str) -> Offer:
    return Offer(
        sku=row["sku"],
        product_id=str(row["product_id"]),
        slug=row["slug"],
        name=row["name"],
        options=_WORDS.decode(row["options"]),
        price=Money(row["amount"], currency),
        tax_included=bool(row["tax_included"]),
        tax_class=row["tax_class"],
        weight_grams=row["weight_grams"] or 0,
        seller_id=row["seller_id"],
    )


def shown_categories(rows: Sequence[Row], *, languages: rules.Languages) -> tuple[Category, ...]:
    nodes = [(row["path"], row["parent"], _WORDS.decode(row["names"])) for row in rows]
    return rules.tree(nodes, wanted=languages)
