"""A product's page: its pictures, what can be chosen, whether it can be had and when it would come."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hansa.kernel import tags
from hansa.kernel.address import Destination
from hansa.kernel.errors import BusinessError, Fault
from hansa.kernel.money import Money, decimals
from hansa.services.inventory.contract import Inventory
from hansa.services.products.contract import Product, Products, Variant
from hansa.services.search.contract import Item, Search
from hansa.services.shipping.contract import Option, Shipping
from hansa.web.pages import Book, Page
from hansa.web.site import territory_of
from hansa.web.storefront.flash.sales import running
from hansa.web.storefront.shell import crumbs, sections
from hansa.web.visit import Shown, Visit

FEW = 3
"""Up to so many pieces left are said."""
OTHERS = 4
SCHEMA = "https://schema.org"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One value of an option, such as a colour, and a variant that has it."""

    value: str
    sku: str
    is_chosen: bool
    is_available: bool


def pages() -> Sequence[Page]:
    book = Book()

    @book.public("products/{name}", fields=("variant",))
    async def product(visit: Visit, *, name: str) -> Shown:
        found = await visit.client(Products).get(
            name=name, locale=visit.locale, currency=visit.currency, price_list=visit.site.channel.price_list
        )
        tree = await sections(visit)
        chosen = _chosen(found, visit.query.get("variant", ""))
        sales = await running(visit)
        return Shown(
            template="storefront/product.html",
            context={
                "sections": tree,
                "sales": sales,
                "sale": next((sale for sale in sales if chosen and sale.sku == chosen.sku), None),
                "product": found,
                "images": [image for image in found.images if visit.may_show(image.url)],
                "chosen": chosen,
                "groups": _groups(found, chosen),
                "sizes": _last_choices(found, chosen),
                "has_many_prices": len({variant.price for variant in found.variants if variant.price}) > 1,
                "crumbs": crumbs(tree, found.category),
                "delivery": await _delivery(visit, chosen),
                "others": await _others(visit, found),
                "structured": _structured(visit, found),
            },
            tags=(tags.product(found.id), tags.CATEGORIES, tags.SEARCH, tags.SALES),
        )

    @book.public("fragments/stock/{sku}", is_kept=False)
    async def stock(visit: Visit, *, sku: str) -> Shown:
        """How many are left, if they are few: apart from the page, so that selling does not change the page."""
        try:
            left = await visit.client(Inventory).available(skus=(sku,), locations=visit.site.channel.locations)
        except BusinessError:
            left = {}
        return Shown(template="storefront/fragments/stock.html", context={"left": left.get(sku, 0), "few": FEW})

    return book.pages


def _chosen(product: Product, sku: str) -> Variant | None:
    """The variant that was asked for, else the first that can be had."""
    by_sku = {variant.sku: variant for variant in product.variants}
    if sku in by_sku:
        return by_sku[sku]
    can_be_had = (variant for variant in product.variants if variant.available and variant.price is not None)
    return next(can_be_had, next(iter(product.variants), None))


def _names(product: Product) -> list[str]:
    """The names of the options, those with most values last."""
    values: dict[str, set[str]] = {}
    for variant in product.variants:
        for name, value in variant.options.items():
            values.setdefault(name, set()).add(value)
    return sorted(values, key=lambda name: (name == "size", len(values[name])))


def _groups(product: Product, chosen: Variant | None) -> dict[str, list[Choice]]:
    """All options but the last: their values lead to the same page with another variant."""
    if chosen is None:
        return {}
    groups = {}
    names = _names(product)[:-1]
    for name in names:
        others = {other: chosen.options.get(other) for other in names if other != name}
        choices: dict[str, Variant] = {}
        for variant in sorted(product.variants, key=lambda each: _distance(each, others, is_wanted=each.available)):
            if value := variant.options.get(name):
                choices.setdefault(value, variant)
        order = dict.fromkeys(variant.options.get(name, "") for variant in product.variants)
        groups[name] = [
            Choice(
                value=value,
                sku=choices[value].sku,
                is_chosen=chosen.options.get(name) == value,
                is_available=any(each.available for each in product.variants if each.options.get(name) == value),
            )
            for value in order
            if value in choices
        ]
    return groups


def _distance(variant: Variant, wanted: dict[str, str | None], *, is_wanted: bool) -> tuple[int, bool]:
    return sum(variant.options.get(name) != value for name, value in wanted.items()), not is_wanted


def _last_choices(product: Product, chosen: Variant | None) -> tuple[str, list[Variant]]:
    """The last option's name and the variants to choose from, the others being as chosen."""
    names = _names(product)
    if not names or chosen is None:
        return "", []
    others = names[:-1]
    return names[-1], [
        variant
        for variant in product.variants
        if all(variant.options.get(name) == chosen.options.get(name) for name in others)
    ]


async def _delivery(visit: Visit, chosen: Variant | None) -> tuple[str, Option] | None:
    """The cheapest delivery of one piece to the country that goes with the currency, to be shown as an example."""
    if chosen is None or chosen.price is None:
        return None
    country = {"EUR": "DE"}.get(visit.currency, "") or _home_of(visit)
    try:
        options = await visit.client(Shipping).options(
            destination=Destination(country=country),
            weight_grams=chosen.weight_grams or 0,
            subtotal=chosen.price,
            locale=visit.locale,
        )
    except (BusinessError, Fault):
        return None
    return country, options[0]


async def _others(visit: Visit, product: Product) -> tuple[Item, ...]:
    """Some more of the same category that can be had."""
    if product.category is None:
        return ()
    try:
        found = await visit.client(Search).search(
            q="",
            locale=visit.locale,
            currency=visit.currency,
            category=product.category,
            in_stock=True,
            limit=OTHERS + 1,
        )
    except (BusinessError, Fault):
        return ()
    return tuple(item for item in found.items if item.id != product.id)[:OTHERS]


def _home_of(visit: Visit) -> str:
    """A country where the currency is the usual one: that of the language for which it is the default."""
    locales = [locale for locale in visit.site.locales if visit.site.default_currency(locale) == visit.currency] or [
        visit.locale
    ]
    return territory_of(locales[0])


def _structured(visit: Visit, product: Product) -> dict[str, Any]:
    """The product as search engines read it (schema.org)."""
    offers = [
        {
            "@type": "Offer",
            "sku": variant.sku,
            "price": _plain(variant.price),
            "priceCurrency": variant.price.currency,
            "availability": f"{SCHEMA}/{'InStock' if variant.available else 'OutOfStock'}",
            "itemCondition": f"{SCHEMA}/{'UsedCondition' if 'condition' in product.attributes else 'NewCondition'}",
            "url": visit.absolute(),
        }
        for variant in product.variants
        if variant.price is not None
    ]
    return {
        "@context": SCHEMA,
        "@type": "Product",
        "name": product.name,
        "description": product.description,
        "sku": product.variants[0].sku if product.variants else product.slug,
        "image": [
            f"{visit.site.public_url}{image.url}" if image.url.startswith("/") else image.url
            for image in product.images
        ],
        "url": visit.absolute(),
        **({"brand": {"@type": "Brand", "name": product.brand}} if product.brand else {}),
        "offers": offers,
    }


def _plain(money: Money) -> str:
    digits = decimals(money.currency)
    return f"{money.amount / 10**digits:.{digits}f}"
