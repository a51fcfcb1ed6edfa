"""Every cent of a quote is explained, whatever is bought, wherever it goes, in whichever currency."""

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.address import Destination
from hansa.kernel.money import Money, at_rate, within_rate
from hansa.services.carts import rules
from hansa.services.carts.contract import Adjustment, CartLine, NotForSale, Quote
from hansa.services.carts.manifest import POSTAL_AREAS, TAXES
from hansa.services.carts.rules import TaxRate
from hansa.services.products.contract import Offer
from hansa.services.shipping.contract import Option
from tests.services.carts.neighbours import offer, option

TODAY = date(2026, 1, 1)
TABLE = rules.read_taxes(TAXES.read_text(encoding="utf-8"), areas=POSTAL_AREAS.read_text(encoding="utf-8"))
CURRENCIES = st.sampled_from(["JPY", "USD", "EUR", "KWD"])
EU = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE"


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """All that a quote is made from."""

    lines: tuple[CartLine, ...]
    offers: dict[str, Offer]
    currency: str
    option: Option | None
    taxes: tuple[TaxRate, ...]

    def quote(self, *, locale: str = "en") -> Quote:
        priced = rules.price(self.lines, offers=self.offers, currency=self.currency)
        return rules.quote(priced, currency=self.currency, locale=locale, option=self.option, taxes=self.taxes)


def rate(code: str, ppm: int, *, tax_class: str = "standard", applies_to_shipping: bool = True) -> TaxRate:
    return TaxRate(
        country="XX",
        region="",
        tax_class=tax_class,
        code=code,
        name_en=code,
        name_zh=f"{code}税",
        rate_ppm=ppm,
        applies_to_shipping=applies_to_shipping,
        valid_from=TODAY,
        valid_to=None,
        source="test",
    )


@st.composite
def purchases(draw: st.DrawFn) -> Purchase:
    currency = draw(CURRENCIES)
    skus = [f"SKU-{number}" for number in range(draw(st.integers(1, 12)))]
    classes = st.sampled_from(["standard", "reduced", "books"])
    offers = {
        sku: offer(
            sku,
            draw(st.integers(0, 10**9)),
            currency,
            tax_included=draw(st.booleans()),
            tax_class=draw(classes),
            weight_grams=draw(st.integers(0, 50_000)),
        )
        for sku in skus
    }
    lines = tuple(CartLine(sku=sku, quantity=draw(st.integers(1, 2000))) for sku in skus)
    taxes = draw(
        st.lists(
            st.builds(
                rate,
                st.sampled_from(["vat", "gst", "pst"]),
                st.integers(0, 1_000_000),
                tax_class=classes,
                applies_to_shipping=st.booleans(),
            ),
            max_size=4,
        )
    )
    shipping = option("parcel", draw(st.integers(0, 10**6)), currency, tax_class=draw(classes))
    chosen = draw(st.sampled_from([None, shipping]))
    return Purchase(lines=lines, offers=offers, currency=currency, option=chosen, taxes=tuple(taxes))


def amounts(quote: Quote, *, included: bool) -> int:
    return sum(one.amount.amount for one in quote.adjustments if one.included is included)


@given(purchases())
def test_the_total_is_the_subtotal_and_what_is_added_exactly(purchase: Purchase):
    quote = purchase.quote()

    assert quote.subtotal.amount == sum(line.unit_price.amount * line.quantity for line in quote.lines)
    assert all(line.total.amount == line.unit_price.amount * line.quantity for line in quote.lines)
    assert quote.total.amount == quote.subtotal.amount + amounts(quote, included=False)
    assert quote.total.amount >= quote.subtotal.amount >= 0


@given(purchases())
def test_everything_is_in_one_currency_and_nothing_is_negative(purchase: Purchase):
    quote = purchase.quote()

    money = [quote.subtotal, quote.total, *(line.total for line in quote.lines)]
    money += [value for one in quote.adjustments for value in (one.amount, one.basis)]
    assert {value.currency for value in money} == {purchase.currency}
    assert all(value.amount >= 0 for value in money)


@given(purchases())
def test_every_tax_is_its_rate_of_its_basis(purchase: Purchase):
    quote = purchase.quote()

    groups: dict[tuple[str | None, bool], list[Adjustment]] = {}
    for one in quote.adjustments:
        if one.kind == "tax":
            groups.setdefault((one.line, one.included), []).append(one)
    for (_, is_included), taxes in groups.items():
        basis, rates = taxes[0].basis.amount, [one.rate_ppm or 0 for one in taxes]
        if is_included:
            assert sum(one.amount.amount for one in taxes) == within_rate(basis, sum(rates))
        else:
            assert [one.amount.amount for one in taxes] == [at_rate(basis, part) for part in rates]


@given(purchases())
def test_what_is_included_is_less_than_the_prices(purchase: Purchase):
    quote = purchase.quote()
    prices = quote.subtotal.amount + (purchase.option.price.amount if purchase.option else 0)
    assert amounts(quote, included=True) <= prices


@given(purchases(), st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_neither_total_nor_fingerprint(purchase: Purchase, chance):
    shuffled = list(purchase.lines)
    chance.shuffle(shuffled)
    quote, other = purchase.quote(), msgspec.structs.replace(purchase, lines=tuple(shuffled)).quote()

    assert other.total == quote.total
    assert other.fingerprint == quote.fingerprint
    assert sorted(map(repr, other.adjustments)) == sorted(map(repr, quote.adjustments))


@given(purchases(), purchases())
def test_fingerprints_differ_when_what_is_shown_differs(one: Purchase, other: Purchase):
    first, second = one.quote(), other.quote()
    is_same = (first.lines, first.adjustments, first.total, first.delivery) == (
        second.lines,
        second.adjustments,
        second.total,
        second.delivery,
    )
    assert (first.fingerprint == second.fingerprint) is is_same


@given(purchases())
def test_a_fingerprint_tells_of_any_change(purchase: Purchase):
    fingerprint = purchase.quote().fingerprint
    line, *rest = purchase.lines
    known = purchase.offers[line.sku]
    dearer = msgspec.structs.replace(known, price=Money(known.price.amount + 1, purchase.currency))
    changes: list[dict[str, Any]] = [
        {"lines": (CartLine(sku=line.sku, quantity=line.quantity + 1), *rest)},
        {"offers": {**purchase.offers, line.sku: dearer}},
        {"offers": {**purchase.offers, line.sku: msgspec.structs.replace(known, name="Another name")}},
        {"option": option("express", 1, purchase.currency)},
    ]
    for change in changes:
        assert msgspec.structs.replace(purchase, **change).quote().fingerprint != fingerprint
    assert purchase.quote().fingerprint == fingerprint


@given(purchases())
def test_without_a_destination_there_is_neither_tax_nor_shipping(purchase: Purchase):
    quote = msgspec.structs.replace(purchase, option=None).quote()
    assert quote.adjustments == ()
    assert quote.total == quote.subtotal
    assert quote.delivery is None
    assert not quote.is_final


def test_tax_that_is_not_in_the_price_is_added_to_it():
    [california] = TABLE.at(Destination(country="US", region="CA"), on=TODAY)
    purchase = Purchase(
        lines=(CartLine(sku="HAT", quantity=3),),
        offers={"HAT": offer("HAT", 1999)},
        currency="USD",
        option=option("parcel", 500),
        taxes=(california,),
    )

    quote = purchase.quote()

    tax, shipping = quote.adjustments
    assert (tax.kind, tax.code, tax.rate_ppm, tax.included, tax.line) == ("tax", "sales_tax", 72_500, False, "HAT")
    assert (tax.basis, tax.amount) == (Money(5997, "USD"), Money(435, "USD"))
    assert (shipping.kind, shipping.code, shipping.amount) == ("shipping", "parcel", Money(500, "USD"))
    assert quote.total == Money(5997 + 435 + 500, "USD")
    assert quote.is_final
    assert quote.delivery == "parcel"
    assert quote.weight_grams == 300
    assert "US-CA" in tax.source
    assert "2024-01-01" in tax.source


def test_tax_that_is_in_the_price_explains_it_and_adds_nothing():
    purchase = Purchase(
        lines=(CartLine(sku="HAT", quantity=1),),
        offers={"HAT": offer("HAT", 11900, "EUR", tax_included=True)},
        currency="EUR",
        option=option("parcel", 595, "EUR"),
        taxes=TABLE.at(Destination(country="DE"), on=TODAY),
    )

    quote = purchase.quote(locale="zh-Hans-CN")

    goods, _, on_shipping = quote.adjustments
    assert (goods.amount, goods.included, goods.name) == (Money(1900, "EUR"), True, "增值税")
    assert (on_shipping.amount, on_shipping.included, on_shipping.line) == (Money(95, "EUR"), True, None)
    assert quote.total == Money(11900 + 595, "EUR")


def test_a_class_of_its_own_has_its_own_rate_and_others_the_standard_one():
    purchase = Purchase(
        lines=(CartLine(sku="BOOK", quantity=1), CartLine(sku="TOY", quantity=1)),
        offers={"BOOK": offer("BOOK", 1000, tax_class="books"), "TOY": offer("TOY", 1000, tax_class="toys")},
        currency="USD",
        option=option("parcel", 0),
        taxes=(rate("vat", 200_000), rate("vat", 70_000, tax_class="books", applies_to_shipping=False)),
    )
    assert [one.amount.amount for one in purchase.quote().adjustments if one.line] == [70, 200]


def test_lines_of_one_sku_become_one():
    lines = [CartLine(sku=sku, quantity=quantity) for sku, quantity in (("B", 1), ("A", 2), ("B", 3))]
    assert rules.combined(lines) == (CartLine(sku="B", quantity=4), CartLine(sku="A", quantity=2))


@pytest.mark.parametrize(("quantity", "amount"), [(1, None), (10_001, 1), (10_000, 10**12)])
def test_what_has_no_price_or_too_large_a_one_is_not_for_sale(quantity: int, amount: int | None):
    offers = {} if amount is None else {"HAT": offer("HAT", amount)}
    with pytest.raises(NotForSale) as refusal:
        rules.price([CartLine(sku="HAT", quantity=quantity)], offers=offers, currency="USD")
    assert refusal.value.fields() == {"sku": "HAT", "currency": "USD"}


def test_the_cheapest_way_is_chosen_unless_one_is_named():
    ways = [option("express", 1500), option("parcel", 500), option("slow", 500)]
    assert rules.choose(ways, None) == ways[1]
    assert rules.choose(ways, "express") == ways[0]
    assert rules.choose(ways, "drone") is None


def test_each_country_of_the_union_has_one_standard_rate_of_at_least_15_percent():
    for country in EU.split():
        [vat] = TABLE.at(Destination(country=country), on=TODAY)
        assert (vat.code, vat.tax_class) == ("vat", "standard")
        assert 150_000 <= vat.rate_ppm <= 270_000
        assert vat.applies_to_shipping


@pytest.mark.parametrize(
    ("country", "on", "rate_ppm"),
    [
        ("EE", date(2025, 6, 30), 220_000),
        ("EE", date(2025, 7, 1), 240_000),
        ("FI", date(2024, 8, 31), 240_000),
        ("FI", date(2024, 9, 1), 255_000),
        ("GB", TODAY, 200_000),
        ("CN", TODAY, 130_000),
    ],
)
def test_rates_have_their_day(country: str, on: date, rate_ppm: int):
    [found] = TABLE.at(Destination(country=country), on=on)
    assert found.rate_ppm == rate_ppm


@pytest.mark.parametrize("region", ["CA", "ca", " US-CA "])
def test_a_region_has_its_own_rate(region: str):
    [found] = TABLE.at(Destination(country="US", region=region), on=TODAY)
    assert found.rate_ppm == 72_500


@pytest.mark.parametrize("region", ["", "WY", "somewhere"])
def test_elsewhere_in_the_country_nothing_is_collected_and_the_quote_says_so(region: str):
    [found] = TABLE.at(Destination(country="US", region=region), on=TODAY)
    assert found.rate_ppm == 0
    assert "not collected" in found.name("en")


def test_a_country_that_the_table_does_not_know_has_no_tax():
    assert TABLE.at(Destination(country="AQ"), on=TODAY) == ()


@pytest.mark.parametrize("change", [("200000", "many"), (",yes,", ",perhaps,"), ("2024-01-01", "yesterday")])
def test_a_malformed_table_is_refused_with_the_line(change: tuple[str, str]):
    text = TAXES.read_text(encoding="utf-8").replace(*change, 1)
    with pytest.raises(ValueError, match="line 2 "):
        rules.read_taxes(text)


@pytest.mark.parametrize("region", ["", "CA", "ca", "California", "XX", "OR", "ＣＡ", "CA\u200b"])
def test_the_postal_code_decides_however_the_region_is_written(region: str):
    [found] = TABLE.at(Destination(country="US", region=region, postal_code="94105"), on=TODAY)
    assert found.region == "CA"


@pytest.mark.parametrize(
    ("postal_code", "region"),
    [("10001", "NY"), ("33101", "FL"), ("97201-1234", "OR"), ("98101", "WA"), ("75201", "TX"), ("59001", ""), ("", "")],
)
def test_postal_codes_lie_in_their_regions(postal_code: str, region: str):
    [found] = TABLE.at(Destination(country="US", postal_code=postal_code), on=TODAY)
    assert found.region == region


def test_a_postal_code_of_another_country_decides_nothing():
    found = TABLE.at(Destination(country="DE", postal_code="94105"), on=TODAY)
    assert {rate.country for rate in found} == {"DE"}
