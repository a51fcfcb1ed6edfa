"""The only maker of totals: prices a basket so that every cent is explained.

`total = subtotal + the adjustments that are not included`, exactly: each line and each tax is rounded once, by itself,
and everything else is a sum of those integers.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from hansa.kernel.money import Money, at_rate, share, within_rate
from hansa.services.carts.contract import Adjustment, CartLine, NotForSale, Quote, QuoteLine, SpecialPrice
from hansa.services.carts.rules.lines import is_sold
from hansa.services.carts.rules.taxes import TaxRate, of_class
from hansa.services.products.contract import Offer
from hansa.services.shipping.contract import Option

TAX, SHIPPING, PROMOTION = "tax", "shipping", "promotion"


def combined(lines: Sequence[CartLine]) -> tuple[CartLine, ...]:
    """One line per sku, in the order in which the skus first came."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return tuple(CartLine(sku=sku, quantity=quantity) for sku, quantity in quantities.items())


def price(lines: Sequence[CartLine], *, offers: Mapping[str, Offer], currency: str) -> tuple[QuoteLine, ...]:
    """The lines at the offers' prices. Raises NotForSale for the first that cannot be had."""
    priced = []
    for line in lines:
        offer = offers.get(line.sku)
        if offer is None or not is_sold(line, offer):
            raise NotForSale(sku=line.sku, currency=currency)
        priced.append(
            QuoteLine(
                sku=line.sku,
                product_id=offer.product_id,
                slug=offer.slug,
                name=offer.name,
                options=offer.options,
                quantity=line.quantity,
                unit_price=offer.price,
                total=Money(offer.price.amount * line.quantity, currency),
                tax_included=offer.tax_included,
                tax_class=offer.tax_class,
                weight_grams=offer.weight_grams,
                seller_id=offer.seller_id,
            )
        )
    return tuple(priced)


def weight_of(lines: Sequence[QuoteLine]) -> int:
    return sum(line.weight_grams * line.quantity for line in lines)


def subtotal_of(lines: Sequence[QuoteLine], *, currency: str) -> Money:
    return Money(sum(line.total.amount for line in lines), currency)


def promoted(lines: Sequence[QuoteLine], specials: Sequence[SpecialPrice]) -> tuple[Adjustment, ...]:
    """What special prices take off the lines, each explained; nothing is dearer for it."""
    by_sku = {special.sku: special for special in specials}
    return tuple(
        Adjustment(
            kind=PROMOTION,
            code=special.code,
            name=special.name,
            basis=line.total,
            rate_ppm=None,
            amount=Money(_saved(line, special), line.total.currency),
            included=False,
            line=line.sku,
            source=special.source,
        )
        for line in lines
        if (special := by_sku.get(line.sku)) is not None
    )


def _saved(line: QuoteLine, special: SpecialPrice) -> int:
    return min(special.unit_price.amount - line.unit_price.amount, 0) * line.quantity


def choose(options: Sequence[Option], code: str | None) -> Option | None:
    """The option with the code, or the cheapest without one (of equals the first)."""
    if code is None:
        return min(options, key=lambda option: option.price.amount, default=None)
    return next((option for option in options if option.code == code), None)


def quote(
    lines: Sequence[QuoteLine],
    *,
    currency: str,
    locale: str,
    option: Option | None,
    taxes: Sequence[TaxRate],
    promotions: Sequence[Adjustment] = (),
) -> Quote:
    """The whole quote. `option` and `taxes` are those of the destination; without one there is neither.

    `promotions` take something off lines, each off at most one; what is taxed is what is left.
    """
    adjustments = tuple(promotions)
    if option is not None:
        saved = {promotion.line: promotion.amount.amount for promotion in promotions}
        for line in lines:
            adjustments += _taxes_on_line(line, taxes, locale, saved=saved.get(line.sku, 0))
        # Shipping's price is like the goods': with tax where all of theirs are.
        is_included = bool(lines) and all(line.tax_included for line in lines)
        adjustments += (_shipping(option), *_taxes_on_shipping(option, taxes, locale, is_included=is_included))

    subtotal = subtotal_of(lines, currency=currency)
    added = sum(adjustment.amount.amount for adjustment in adjustments if not adjustment.included)
    total = Money(subtotal.amount + added, currency)
    delivery = option.code if option else None
    return Quote(
        lines=tuple(lines),
        subtotal=subtotal,
        adjustments=adjustments,
        total=total,
        currency=currency,
        delivery=delivery,
        weight_grams=weight_of(lines),
        is_final=option is not None,
        fingerprint=_fingerprint(lines, adjustments, subtotal, total, delivery),
    )


def _taxes_on_line(line: QuoteLine, taxes: Sequence[TaxRate], locale: str, *, saved: int) -> tuple[Adjustment, ...]:
    rates = of_class(taxes, line.tax_class)
    basis = Money(line.total.amount + saved, line.total.currency)
    return _taxes(rates, basis=basis, is_included=line.tax_included, line=line.sku, locale=locale)


def _taxes_on_shipping(
    option: Option, taxes: Sequence[TaxRate], locale: str, *, is_included: bool
) -> tuple[Adjustment, ...]:
    rates = [rate for rate in of_class(taxes, option.tax_class) if rate.applies_to_shipping]
    return _taxes(rates, basis=option.price, is_included=is_included, line=None, locale=locale)


def _taxes(
    rates: Sequence[TaxRate], *, basis: Money, is_included: bool, line: str | None, locale: str
) -> tuple[Adjustment, ...]:
    return tuple(
        Adjustment(
            kind=TAX,
            code=rate.code,
            name=rate.name(locale),
            basis=basis,
            rate_ppm=rate.rate_ppm,
            amount=Money(amount, basis.currency),
            included=is_included,
            line=line,
            source=rate.origin,
        )
        for rate, amount in zip(rates, _amounts(rates, basis.amount, is_included=is_included), strict=True)
    )


def _amounts(rates: Sequence[TaxRate], basis: int, *, is_included: bool) -> list[int]:
    """Each rate's part. Of a gross price all rates together are one part, which they share."""
    parts = [rate.rate_ppm for rate in rates]
    if is_included:
        return share(within_rate(basis, sum(parts)), parts)
    return [at_rate(basis, part) for part in parts]


def _shipping(option: Option) -> Adjustment:
    return Adjustment(
        kind=SHIPPING,
        code=option.code,
        name=option.name,
        basis=option.price,
        rate_ppm=None,
        amount=option.price,
        included=False,
        line=None,
        source=option.source,
    )


def _fingerprint(
    lines: Sequence[QuoteLine], adjustments: Sequence[Adjustment], subtotal: Money, total: Money, delivery: str | None
) -> str:
    """A hash of all that is shown; the order in which lines are shown is nothing that was agreed on."""
    shown = (
        sorted(msgspec.json.encode(line, order="deterministic") for line in lines),
        sorted(msgspec.json.encode(adjustment, order="deterministic") for adjustment in adjustments),
        (subtotal, total, delivery),
    )
    return hashlib.blake2b(msgspec.msgpack.encode(shown), digest_size=16).hexdigest()
