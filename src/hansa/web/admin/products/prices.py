"""The price that simply holds for one piece, in each currency of the shop: the one that is edited in a field."""

from collections.abc import Iterable, Sequence

from hansa.kernel.channel import MAIN
from hansa.services.products.contract import PriceDraft, VariantDraft
from hansa.web.admin.fields import Reader, amount_text

PRICE, TAX = "price.", "tax."
YES = "1"
WITHOUT_TAX = frozenset({"USD", "CAD"})


def is_usually_with_tax(currency: str) -> bool:
    """Whether prices are usually told with the tax where the currency is at home: what a first price is taken for."""
    return currency not in WITHOUT_TAX


def is_plain(price: PriceDraft) -> bool:
    """Whether it holds for one piece, without a beginning or an end."""
    return (price.price_list, price.minimum_quantity) == (MAIN, 1) and price.valid_from is None is price.valid_to


def plain_price(variant: VariantDraft, currency: str) -> PriceDraft | None:
    return next((price for price in variant.prices if price.currency == currency and is_plain(price)), None)


def other_prices(variant: VariantDraft) -> list[PriceDraft]:
    """Those with a beginning or an end, for more than one piece, or of another list: shown, not edited."""
    return [price for price in variant.prices if not is_plain(price)]


def values_of(variant: VariantDraft, currencies: Iterable[str]) -> dict[str, str]:
    """What the fields show."""
    values = {}
    for currency in currencies:
        if price := plain_price(variant, currency):
            values[f"{PRICE}{currency}"] = amount_text(price.amount, currency)
            values[f"{TAX}{currency}"] = YES if price.tax_included else ""
    return values


def prices_of(
    reader: Reader, *, currencies: Sequence[str], before: VariantDraft | None = None
) -> tuple[PriceDraft, ...]:
    """All prices of a variant after the fields were read. A price that was once said can be said otherwise, not be
    unsaid: orders and quotes count on it."""
    prices = list(before.prices) if before else []
    for currency in currencies:
        known = plain_price(before, currency) if before else None
        amount = reader.amount(f"{PRICE}{currency}", currency)
        if amount is None:
            if known is not None:
                reader.wrong.setdefault(f"{PRICE}{currency}", "price_stays")
            continue
        price = PriceDraft(
            amount=amount, currency=currency, tax_included=reader.values.get(f"{TAX}{currency}", "") == YES
        )
        prices = [price if each is known else each for each in prices] if known else [*prices, price]
    return tuple(prices)
