"""Products to search, with as much in them as a test needs to say, and a shop's worth of them."""

from datetime import UTC, datetime
from typing import Any

from hansa.services.products.contract import (
    Availability,
    CategoryDraft,
    ImageDraft,
    PriceDraft,
    ProductDraft,
    ProductRecord,
    Text,
    VariantDraft,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CATEGORIES = {
    "computers": ("Computers", "电脑"),
    "computers/notebooks": ("Notebooks", "笔记本电脑"),
    "computers/notebook-bags": ("Notebook bags", "电脑包"),
    "printing": ("Printing", "打印与耗材"),
    "printing/printers": ("Printers", "打印机"),
    "printing/toner": ("Toner", "硒鼓与墨粉"),
    "clothes": ("Clothes", "服装"),
    "clothes/coats": ("Coats", "大衣"),
    "clothes/hats": ("Hats", "帽子"),
    "clothes/t-shirts": ("T-shirts", "T恤"),
}


def category(path: str) -> tuple[CategoryDraft, ...]:
    slugs = path.split("/")
    paths = ["/".join(slugs[: depth + 1]) for depth in range(len(slugs))]
    return tuple(
        CategoryDraft(slug=slug, names=dict(zip(("en", "zh"), CATEGORIES[path], strict=True)))
        for slug, path in zip(slugs, paths, strict=True)
    )


def usd(amount: int, **terms: Any) -> PriceDraft:
    return PriceDraft(amount=amount, currency="USD", **terms)


def variant(sku: str, amount: int | None = 1000, **facts: Any) -> VariantDraft:
    facts.setdefault("prices", () if amount is None else (usd(amount),))
    return VariantDraft(sku=sku, **facts)


def draft(
    slug: str, name: str, zh: str = "", path: str = "", *, price: int | None = 1000, **parts: Any
) -> ProductDraft:
    """A product with one variant, unless said otherwise."""
    texts = {"en": Text(name=name, description=parts.pop("description", ""))}
    if zh:
        texts["zh"] = Text(name=zh)
    parts.setdefault("variants", (variant(slug.upper(), price),))
    return ProductDraft(slug=slug, texts=texts, category=category(path) if path else (), **parts)


def record(
    product_id: str, draft: ProductDraft, *, version: int = 1, sold_out: bool = False, at: datetime = NOW
) -> ProductRecord:
    return ProductRecord(
        id=product_id,
        version=version,
        draft=draft,
        availability={each.sku: Availability(is_available=not sold_out, version=1) for each in draft.variants},
        created_at=at,
        updated_at=at,
    )


SHOP = (
    draft("elite", "HP EliteBook 840 notebook 14\" 8 GB", "惠普笔记本", "computers/notebooks", price=99900, brand="HP"),
    draft("think", "Lenovo ThinkPad T14 notebook 16 GB", "", "computers/notebooks", price=120000, brand="Lenovo"),
    draft("sleeve", "Targus notebook sleeve 14\"", "", "computers/notebook-bags", price=1999, brand="Targus"),
    draft("bag", "Kensington laptop bag 15.6 inch", "", "computers/notebook-bags", price=2999, brand="Kensington"),
    draft("laser", "HP LaserJet P1102 printer", "", "printing/printers", price=12900, brand="HP"),
    draft("deskjet", "HP Deskjet 2700 inkjet", "", "printing/printers", price=5900, brand="HP"),
    draft(
        "ce285a", "HP 85A toner cartridge for LaserJet printers", "", "printing/toner", price=6900, brand="HP",
        attributes={"Model": "CE285A", "Printing colours": "Black"},
    ),
    draft("xerox", "Xerox 006R90321 toner cartridge", "", "printing/toner", price=4900, brand="Xerox"),
    draft(
        "wool-coat", "Wool coat", "羊毛大衣", "clothes/coats", price=8900,
        description="A warm overcoat for winters in Lübeck.",
        images=(ImageDraft(url="/media/a.jpg", alt={"en": "Coat"}),),
        variants=(
            variant("COAT-M-BLACK", 8900, options={"size": "M", "colour": "black"}),
            variant("COAT-L-BLACK", 9900, options={"size": "L", "colour": "black"}),
            variant("COAT-M-RED", 8900, options={"size": "M", "colour": "red"}),
        ),
    ),
    draft("rain-coat", "Yellow raincoat", "黄色雨衣", "clothes/coats", price=4900),
    draft("felt-hat", "Felt hat", "毛毡帽", "clothes/hats", price=2900),
    draft("tee", "Striped t-shirt", "条纹T恤", "clothes/t-shirts", price=1500),
)  # fmt: skip
"""Some of everything."""
