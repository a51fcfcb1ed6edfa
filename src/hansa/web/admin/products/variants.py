"""The variants of a product: their prices side by side, and each with all its facts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from hansa.kernel.money import Money
from hansa.services.products.contract import (
    Grams,
    Millimetres,
    NoSuchProduct,
    ProductPatch,
    ProductRecord,
    Products,
    Sku,
    VariantDraft,
)
from hansa.web.admin.editing import Values
from hansa.web.admin.fields import FieldsWrong, Reader, amount_text
from hansa.web.admin.products import prices
from hansa.web.admin.products.prices import PRICE, TAX, YES, other_prices, plain_price
from hansa.web.admin.products.sheet import save, show
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

OPTION = "option."
OptionText = Annotated[str, msgspec.Meta(max_length=100)]
TEXTS: dict[str, Any] = {
    "gtin": Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8,14}$(?!\n)")],
    "hs_code": Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6,10}$(?!\n)")],
    "country_of_origin": Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$(?!\n)")],
    "tax_class": Annotated[str, msgspec.Meta(max_length=40)],
    "hazard": Annotated[str, msgspec.Meta(max_length=100)],
}
NUMBERS: dict[str, Any] = {
    "weight_grams": Grams,
    "width_mm": Millimetres,
    "height_mm": Millimetres,
    "depth_mm": Millimetres,
    "age_limit": Annotated[int, msgspec.Meta(ge=0, le=99)],
}
STANDARD = "standard"
NO_COUNTRIES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})
"""Territories of CLDR with two letters that goods cannot come from."""


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal("admin/products/{product_id}/variants")
    async def variants(visit: Visit, *, product_id: str) -> Shown:
        record = await visit.client(Products).record(product_id=product_id)
        return await show(visit, PriceList(visit.site.channel.currencies), record)

    @book.act("admin/products/{product_id}/variants")
    async def put_prices(visit: Visit, form: Form, *, product_id: str) -> Shown | Moved:
        return await save(visit, form, PriceList(visit.site.channel.currencies), product_id=product_id)

    @book.personal("admin/products/{product_id}/variant")
    async def variant(visit: Visit, *, product_id: str) -> Shown:
        record = await visit.client(Products).record(product_id=product_id)
        sku = visit.query.get("sku", "")
        if sku and _of(record, sku) is None:
            raise NoSuchProduct(product=sku)
        return await show(visit, OneVariant(visit.site.channel.currencies, sku), record)

    @book.act("admin/products/{product_id}/variant")
    async def put_variant(visit: Visit, form: Form, *, product_id: str) -> Shown | Moved:
        sheet = OneVariant(visit.site.channel.currencies, form.get("known_sku"))
        return await save(visit, form, sheet, product_id=product_id)

    return book.pages


def _of(record: ProductRecord, sku: str) -> VariantDraft | None:
    return next((variant for variant in record.draft.variants if variant.sku == sku), None)


def _countries(visit: Visit) -> list[tuple[str, str]]:
    """Codes and names of all countries, by name."""
    codes = (str(code) for code in visit.babel.territories)
    found = [code for code in codes if len(code) == 2 and code.isalpha() and code not in NO_COUNTRIES]
    return sorted(((code, visit.country(code)) for code in found), key=lambda each: each[1])


class PriceList:
    """The sheet of all variants' prices."""

    name = "variants"
    template = "products/variants.html"

    def __init__(self, currencies: Sequence[str]) -> None:
        self._currencies = currencies

    def path(self, record: ProductRecord) -> str:
        return f"admin/products/{record.id}/variants"

    def values(self, record: ProductRecord) -> Values:
        return {
            f"{PRICE}{currency}.{variant.sku}": amount_text(price.amount, currency)
            for variant in record.draft.variants
            for currency in self._currencies
            if (price := plain_price(variant, currency))
        }

    def read(self, form: Form) -> Values:
        return {name: value.strip() for name, value in form.items() if name.startswith(PRICE)}

    def patch(self, values: Values, record: ProductRecord) -> ProductPatch:
        wrong: dict[str, str] = {}
        changed = []
        for variant in record.draft.variants:
            fields = prices.values_of(variant, self._currencies)
            for currency in self._currencies:
                name = f"{PRICE}{currency}.{variant.sku}"
                fields[f"{PRICE}{currency}"] = values.get(name, fields.get(f"{PRICE}{currency}", ""))
                if plain_price(variant, currency) is None:
                    fields[f"{TAX}{currency}"] = YES if self._is_with_tax(record, currency) else ""
            reader = Reader(fields)
            stated = prices.prices_of(reader, currencies=self._currencies, before=variant)
            wrong |= {f"{name}.{variant.sku}": why for name, why in reader.wrong.items()}
            if stated != variant.prices:
                changed.append(msgspec.structs.replace(variant, prices=stated))
        if wrong:
            raise FieldsWrong(wrong)
        return ProductPatch(variants=tuple(changed)) if changed else ProductPatch()

    def _is_with_tax(self, record: ProductRecord, currency: str) -> bool:
        """A first price is like those of the other variants."""
        others = (plain_price(variant, currency) for variant in record.draft.variants)
        known = next((price for price in others if price), None)
        return known.tax_included if known else prices.is_usually_with_tax(currency)

    def label(self, visit: Visit, name: str) -> str:
        currency, _, sku = name.removeprefix(PRICE).partition(".")
        return visit.say("staff_product.price_of", sku=sku, currency=currency)

    async def context(self, visit: Visit, record: ProductRecord, values: Values) -> Mapping[str, Any]:
        return {"others": {variant.sku: other_prices(variant) for variant in record.draft.variants}}


class OneVariant:
    """The sheet of one variant, or of a new one."""

    name = "variants"
    template = "products/variant.html"

    def __init__(self, currencies: Sequence[str], sku: str) -> None:
        self._currencies = currencies
        self._sku = sku

    def path(self, record: ProductRecord) -> str:
        return f"admin/products/{record.id}/variants"

    def values(self, record: ProductRecord) -> Values:
        variant = _of(record, self._sku) if self._sku else None
        if variant is None:
            return {"unit": "piece", "tax_class": STANDARD} if not self._sku else {}
        values = {
            name: str(value) for name in (*TEXTS, *NUMBERS, "unit") if (value := getattr(variant, name)) is not None
        }
        values |= {f"{OPTION}{name}": value.strip() for name, value in variant.options.items()}
        return values | prices.values_of(variant, self._currencies)

    def read(self, form: Form) -> Values:
        names = (*TEXTS, *NUMBERS, "unit", "sku")
        values = {name: form.get(name) for name in names if form.has(name)}
        values |= {name: value.strip() for name, value in form.items() if name.startswith((PRICE, TAX))}
        pairs = zip(form.all("option_name"), form.all("option_value"), strict=False)
        return values | {f"{OPTION}{name}": value for name, value in pairs if name}

    def patch(self, values: Values, record: ProductRecord) -> ProductPatch:
        reader = Reader(values)
        before = _of(record, self._sku) if self._sku else None
        sku = before.sku if before else reader.text("sku", Sku, says="sku", is_required=True) or ""
        if before is None and _of(record, sku) is not None:
            reader.wrong["sku"] = "sku_taken"
        facts: dict[str, Any] = {name: reader.text(name, type_, says=name) for name, type_ in TEXTS.items()}
        facts |= {name: reader.whole(name, type_) for name, type_ in NUMBERS.items()}
        options = {
            name.removeprefix(OPTION): text
            for name in values
            if name.startswith(OPTION) and (text := reader.text(name, OptionText)) is not None
        }
        stated = prices.prices_of(reader, currencies=self._currencies, before=before)
        reader.done()
        variant = VariantDraft(
            **{**facts, "tax_class": facts["tax_class"] or STANDARD},
            sku=sku,
            options=options,
            prices=stated,
            unit="gram" if values.get("unit") == "gram" else "piece",
        )
        return ProductPatch() if variant == before else ProductPatch(variants=(variant,))

    def label(self, visit: Visit, name: str) -> str:
        if name.startswith(OPTION):
            return name.removeprefix(OPTION)
        for prefix, key in ((PRICE, "price_in"), (TAX, "tax_included_in")):
            if name.startswith(prefix):
                return visit.say(f"staff_product.{key}", currency=name.removeprefix(prefix))
        return visit.say(f"staff_product.{name}")

    async def context(self, visit: Visit, record: ProductRecord, values: Values) -> Mapping[str, Any]:
        variant = _of(record, self._sku) if self._sku else None
        return {
            "sku": self._sku,
            "others": [
                (price, Money(price.amount, price.currency)) for price in (other_prices(variant) if variant else ())
            ],
            "with_tax": {currency: prices.is_usually_with_tax(currency) for currency in self._currencies},
            "options": {name.removeprefix(OPTION): value for name, value in values.items() if name.startswith(OPTION)},
            "countries": _countries(visit),
        }
