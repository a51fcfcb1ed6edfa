"""Drafts to put, with as much in them as a test needs to say."""

from typing import Any

from hansa.services.products.contract import (
    CategoryDraft,
    ImageDraft,
    PriceDraft,
    ProductDraft,
    Text,
    VariantDraft,
)

IN_ENGLISH: dict[str, Any] = {"locale": "en", "currency": "USD"}


def usd(amount: int, **terms: Any) -> PriceDraft:
    return PriceDraft(amount=amount, currency="USD", **terms)


def variant(sku: str, amount: int | None = 1000, **facts: Any) -> VariantDraft:
    facts.setdefault("prices", () if amount is None else (usd(amount),))
    return VariantDraft(sku=sku, **facts)


def category(path: str) -> tuple[CategoryDraft, ...]:
    """Named after its slugs, in English and German."""
    return tuple(
        CategoryDraft(slug=slug, names={"en": slug.title(), "de": f"{slug.title()} (de)"}) for slug in path.split("/")
    )


def hat(slug: str = "felt-hat", **parts: Any) -> ProductDraft:
    """A hat in one size, unless said otherwise."""
    parts.setdefault("texts", {"en": Text(name="Felt hat", description="Warm.")})
    parts.setdefault("variants", (variant(f"{slug}-M".upper()),))
    return ProductDraft(slug=slug, **parts)


def whole_hat() -> ProductDraft:
    """A hat of which everything is said."""
    return hat(
        texts={"de": Text(name="Filzhut", description="Warm."), "en": Text(name="Felt hat", description="Warm.")},
        category=category("clothing/hats"),
        brand="Lübeck & Sons",
        images=(ImageDraft(url="/media/hat.jpg", alt={"en": "A hat", "de": "Ein Hut"}),),
        attributes={"material": "felt", "waterproof": True, "brim in cm": 7.5, "pieces": 1},
        variants=(
            VariantDraft(
                sku="HAT-M",
                options={"size": "M"},
                prices=(
                    PriceDraft(amount=2300, currency="EUR", tax_included=True),
                    usd(2500),
                    usd(2000, minimum_quantity=10),
                ),
                gtin="4006381333931",
                weight_grams=120,
                width_mm=300,
                height_mm=150,
                depth_mm=310,
                hs_code="650500",
                country_of_origin="DE",
                tax_class="reduced",
                age_limit=0,
                hazard="none",
            ),
            VariantDraft(sku="HAT-L", options={"size": "L"}, prices=(usd(2600),)),
        ),
    )
