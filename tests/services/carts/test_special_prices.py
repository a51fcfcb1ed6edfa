"""A special price takes off what it is below the regular one, says so, and is what is taxed."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.money import Money
from hansa.services.carts import rules
from hansa.services.carts.contract import Quote, SpecialPrice
from tests.services.carts.test_quotes import Purchase, purchases


def special(purchase: Purchase, *, amount: int) -> SpecialPrice:
    """For the first line's sku."""
    return SpecialPrice(
        sku=purchase.lines[0].sku,
        unit_price=Money(amount, purchase.currency),
        code="4242",
        name="Flash sale",
        source="promotions.flash_sale",
    )


def quoted(purchase: Purchase, *specials: SpecialPrice) -> Quote:
    priced = rules.price(purchase.lines, offers=purchase.offers, currency=purchase.currency)
    return rules.quote(
        priced,
        currency=purchase.currency,
        locale="en",
        option=purchase.option,
        taxes=purchase.taxes,
        promotions=rules.promoted(priced, specials),
    )


@given(purchases(), st.integers(1, 10**9))
def test_the_difference_is_one_step_of_the_quote_and_never_makes_it_dearer(purchase: Purchase, amount: int) -> None:
    quote = quoted(purchase, special(purchase, amount=amount))
    line = quote.lines[0]
    [promotion] = [step for step in quote.adjustments if step.kind == "promotion"]

    assert (promotion.line, promotion.code, promotion.included) == (line.sku, "4242", False)
    assert line.total.amount + promotion.amount.amount == min(amount, line.unit_price.amount) * line.quantity
    added = sum(step.amount.amount for step in quote.adjustments if not step.included)
    assert quote.total.amount == quote.subtotal.amount + added <= quoted(purchase).total.amount


@given(purchases(), st.integers(1, 10**9))
def test_it_is_as_if_the_goods_had_that_price(purchase: Purchase, amount: int) -> None:
    sku = purchase.lines[0].sku
    known = purchase.offers[sku]
    cheaper = min(amount, known.price.amount)
    as_if = msgspec.structs.replace(
        purchase,
        offers={**purchase.offers, sku: msgspec.structs.replace(known, price=Money(cheaper, purchase.currency))},
    )

    assert quoted(purchase, special(purchase, amount=amount)).total == quoted(as_if).total


@given(purchases())
def test_a_special_price_of_something_else_changes_nothing(purchase: Purchase) -> None:
    other = msgspec.structs.replace(special(purchase, amount=1), sku="NOT-IN-IT")

    assert quoted(purchase, other) == quoted(purchase)
