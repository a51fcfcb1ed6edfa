"""Where goods go, for how much, and what an address there must hold."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.address import Address, Destination
from hansa.kernel.channel import Channel
from hansa.kernel.money import Money
from hansa.platform.manifest import Parts
from hansa.platform.rpc import local as wires
from hansa.services.shipping.contract import AddressIncomplete, NotDelivered, Option, Shipping
from hansa.services.shipping.manifest import FOLDER, MANIFEST, Country
from hansa.services.shipping.rules import AddressBook, AddressRule, Rate, Tariff, read_rows
from tests.clocks import START, ManualClock

CURRENCIES = ("USD", "EUR", "CNY")
EUROPEAN_UNION = (
    *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
    *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
)
TODAY = START.date()


def rows(name: str, type_: type[Any]) -> tuple[Any, ...]:
    return read_rows((FOLDER / "rules" / name).read_text(encoding="utf-8"), type_)


RATES: tuple[Rate, ...] = rows("rates.csv", Rate)
RULES: tuple[AddressRule, ...] = rows("address_fields.csv", AddressRule)
COUNTRIES = {country.country for country in rows("countries.csv", Country)}


def open_shop(*, wire: Callable[..., Shipping] = wires.local, sold_to: tuple[str, ...] = ()) -> Shipping:
    parts = cast(Any, Parts)(
        **dict.fromkeys(("database", "ids", "keyring", "passwords", "mailer", "public_url", "shop_name")),
        clock=ManualClock(),
        channel=Channel(countries=sold_to),
    )
    return wire(Shipping, MANIFEST.build(parts))


@pytest.fixture(params=[wires.local, wires.twice], ids=["local", "twice"])
def shipping(request: pytest.FixtureRequest) -> Shipping:
    return open_shop(wire=request.param)


async def offered(
    shipping: Shipping,
    country: str,
    *,
    currency: str = "EUR",
    amount: int = 1_000,
    grams: int = 500,
    locale: str = "en",
) -> tuple[Option, ...]:
    return await shipping.options(
        destination=Destination(country=country),
        weight_grams=grams,
        subtotal=Money(amount, currency),
        locale=locale,
    )


def address(**fields: str) -> Address:
    everything = {
        "name": "Wang Fang",
        "line1": "1 Harbour Street",
        "city": "Lübeck",
        "postal_code": "23552",
        "country": "DE",
    }
    return Address(**(everything | fields))


@pytest.mark.parametrize("currency", CURRENCIES)
async def test_standard_and_express_go_everywhere_in_every_currency(shipping: Shipping, currency: str) -> None:
    for country in sorted(COUNTRIES):
        options = await offered(shipping, country, currency=currency)
        assert {option.code for option in options} == {"standard", "express"}
        assert {option.price.currency for option in options} == {currency}
        assert all(option.price.amount > 0 for option in options)
        assert list(options) == sorted(options, key=lambda option: option.price.amount)


async def test_a_country_with_rates_of_its_own_has_only_those(shipping: Shipping) -> None:
    for country in ("US", "CN", "GB", *EUROPEAN_UNION):
        assert {option.source.split()[0] for option in await offered(shipping, country)} == {country}
    assert {option.source.split()[0] for option in await offered(shipping, "NZ")} == {"*"}


async def test_an_option_says_which_row_it_is_from_and_since_when(shipping: Shipping) -> None:
    cheapest, _ = await offered(shipping, "DE")
    assert cheapest.source.startswith("DE EUR standard since 2024-01-01: ")
    assert (cheapest.method, cheapest.tax_class) == ("parcel", "standard")
    assert 0 < cheapest.earliest_days <= cheapest.latest_days


async def test_names_follow_the_language(shipping: Shipping) -> None:
    assert [option.name for option in await offered(shipping, "CN", locale="zh-CN")] == ["标准配送", "快速配送"]
    assert [option.name for option in await offered(shipping, "CN", locale="fr")] == [
        "Standard delivery",
        "Express delivery",
    ]


async def test_from_its_threshold_on_an_order_goes_free(shipping: Shipping) -> None:
    below = (await offered(shipping, "DE", amount=4_999))[0]
    above = (await offered(shipping, "DE", amount=5_000))[0]
    assert (below.code, below.price) == ("standard", Money(490, "EUR"))
    assert (above.code, above.price) == ("standard", Money(0, "EUR"))


async def test_what_is_too_heavy_for_a_parcel_goes_as_freight_only(shipping: Shipping) -> None:
    assert len(await offered(shipping, "DE", grams=31_500)) == 2
    [freight] = await offered(shipping, "DE", grams=31_501, amount=10**9)
    assert (freight.code, freight.name, freight.price) == ("standard", "Freight delivery", Money(3900, "EUR"))
    assert len(await offered(shipping, "DE", grams=10**12)) == 1


async def test_nothing_goes_where_no_country_is_or_in_a_currency_without_rates(shipping: Shipping) -> None:
    for country, currency in (("ZZ", "EUR"), ("DE", "XAU")):
        with pytest.raises(NotDelivered) as refusal:
            await offered(shipping, country, currency=currency)
        assert refusal.value.country == country
    with pytest.raises(NotDelivered):
        await shipping.check_address(address=address(country="ZZ"))
    with pytest.raises(NotDelivered):
        await shipping.address_fields(country="ZZ")


async def test_a_shop_that_sells_to_some_countries_delivers_to_no_others() -> None:
    shipping = open_shop(sold_to=("DE", "FR"))
    assert await offered(shipping, "FR")
    with pytest.raises(NotDelivered):
        await offered(shipping, "US")
    with pytest.raises(NotDelivered):
        await shipping.check_address(address=address(country="US", postal_code="94105"))


@pytest.mark.parametrize(
    ("country", "postal_code"),
    [
        ("US", "94105"),
        ("US", "94105-1420"),
        ("CN", "200000"),
        ("CN", ""),
        ("DE", "10115"),
        ("FR", "75001"),
        ("GB", "SW1A 1AA"),
        ("GB", "n1 9gu"),
        ("NL", "1012 AB"),
        ("NL", "1012AB"),
        ("PL", "00-001"),
        ("IE", "D02 AF30"),
        ("IE", ""),
        ("DE", " 10115 "),
        ("JP", "anything"),
        ("HK", ""),
    ],
)
async def test_good_postal_codes_pass(shipping: Shipping, country: str, postal_code: str) -> None:
    await shipping.check_address(address=address(country=country, postal_code=postal_code))


@pytest.mark.parametrize(
    ("country", "postal_code"),
    [
        ("US", ""),
        ("US", "9410"),
        ("US", "94105-"),
        ("CN", "20000"),
        ("DE", "1011"),
        ("DE", "١٠١١٥"),
        ("DE", "10115 Berlin"),
        ("GB", "12345"),
        ("FR", ""),
    ],
)
async def test_bad_postal_codes_are_pointed_at(shipping: Shipping, country: str, postal_code: str) -> None:
    with pytest.raises(AddressIncomplete) as refusal:
        await shipping.check_address(address=address(country=country, postal_code=postal_code))
    assert (refusal.value.field, refusal.value.pointer) == ("postal_code", "/shipping_address/postal_code")


async def test_blanks_are_no_name(shipping: Shipping) -> None:
    with pytest.raises(AddressIncomplete) as refusal:
        await shipping.check_address(address=address(name="  ", postal_code="wrong"))
    assert refusal.value.pointer == "/shipping_address/name"


async def test_no_country_needs_more_than_the_public_address_has(shipping: Shipping) -> None:
    for country in sorted(COUNTRIES):
        fields = await shipping.address_fields(country=country)
        assert [field.name for field in fields] == [
            "name",
            "line1",
            "line2",
            "district",
            "city",
            "region",
            "postal_code",
            "phone",
        ]
        needed = {field.name for field in fields if field.required}
        assert {"name", "line1", "city"} <= needed <= {"name", "line1", "city", "postal_code"}
    fields = await shipping.address_fields(country="US")
    assert [field.pattern for field in fields if field.name == "postal_code"] == [r"\d{5}(-\d{4})?"]


def test_rates_begin_and_end_on_their_days() -> None:
    old = msgspec.structs.replace(RATES[0], price=100, valid_to=date(2026, 7, 1))
    new = msgspec.structs.replace(RATES[0], price=200, valid_from=date(2026, 7, 1))
    tariff = Tariff([old, new])

    def price(day: date) -> list[int]:
        options = tariff.options(country="US", weight_grams=1, subtotal=Money(1, "USD"), locale="en", on=day)
        return [option.price.amount for option in options]

    assert price(date(2026, 6, 30)) == [100]
    assert price(date(2026, 7, 1)) == [200]
    assert price(date(2023, 12, 31)) == []


def test_address_rules_begin_and_end_on_their_days() -> None:
    book = AddressBook([*RULES, msgspec.structs.replace(RULES[-1], pattern="x", valid_from=date(2030, 1, 1))])
    wrong = address(country="GB", postal_code="N1 9GU")
    assert book.first_wrong(wrong, on=date(2029, 12, 31)) is None
    assert book.first_wrong(wrong, on=date(2030, 1, 1)) == "postal_code"


@given(
    country=st.sampled_from(sorted(COUNTRIES)),
    currency=st.sampled_from(CURRENCIES),
    grams=st.integers(0, 10**7),
    amount=st.integers(0, 10**8),
)
def test_there_is_always_a_choice_and_it_is_cheapest_first(
    country: str, currency: str, grams: int, amount: int
) -> None:
    tariff = Tariff(RATES)
    options = tariff.options(
        country=country, weight_grams=grams, subtotal=Money(amount, currency), locale="en", on=TODAY
    )
    assert options
    assert [option.price.amount for option in options] == sorted(option.price.amount for option in options)
    assert len({option.code for option in options}) == len(options)


def test_the_files_are_whole_and_do_not_contradict_themselves() -> None:
    assert len(COUNTRIES) == 249
    places = {"*", *COUNTRIES}
    assert {rate.country for rate in RATES} == {"*", "US", "CN", "GB", *EUROPEAN_UNION}
    assert {rule.country for rule in RULES} <= places
    assert all(rate.valid_to is None or rate.valid_from < rate.valid_to for rate in RATES)
    for today in (TODAY, datetime(2026, 12, 31, tzinfo=UTC).date()):
        bands = [
            (rate.country, rate.currency, rate.code, rate.max_weight_grams) for rate in RATES if rate.is_in_force(today)
        ]
        assert len(set(bands)) == len(bands)
        fields = [(rule.country, rule.field) for rule in RULES if rule.is_in_force(today)]
        assert len(set(fields)) == len(fields)
    assert all(re.compile(rule.pattern) for rule in RULES if rule.pattern)


@pytest.mark.parametrize(
    "spoiled",
    ["US,USD,standard,parcel,A,B,-1", "US,DOLLARS,standard,parcel,A,B,1", "U,USD,standard,parcel,A,B,1"],
)
def test_a_malformed_row_is_named(spoiled: str) -> None:
    heading = (FOLDER / "rules" / "rates.csv").read_text(encoding="utf-8").splitlines()[0]
    with pytest.raises(ValueError, match="line 2"):
        read_rows(f"{heading}\n{spoiled},,,1,2,standard,2024-01-01,,test\n", Rate)
    with pytest.raises(ValueError, match="line 2"):
        read_rows(f"{heading}\nUS,USD,standard,parcel,A,B,1,,,3,2,standard,2024-01-01,,test\n", Rate)


async def test_the_countries_are_those_that_something_goes_to_in_order(shipping: Shipping) -> None:
    countries = await shipping.countries()
    assert list(countries) == sorted(COUNTRIES)
    for country in countries[:: len(countries) // 10]:
        assert await shipping.address_fields(country=country)


async def test_a_shop_that_sells_to_some_countries_names_no_others() -> None:
    assert await open_shop(sold_to=("FR", "DE", "ZZ")).countries() == ("DE", "FR")


def test_a_country_without_rates_on_a_day_is_not_reached_on_it() -> None:
    until = msgspec.structs.replace(rate_of("DE"), valid_to=TODAY)
    tariff = Tariff([until, rate_of("FR")])

    assert tariff.reached(["FR", "DE", "US"], on=TODAY) == ("FR",)
    assert tariff.reached(["FR", "DE", "US"], on=TODAY - timedelta(days=1)) == ("DE", "FR")
    assert Tariff([rate_of("*")]).reached(["US", "DE"], on=TODAY) == ("DE", "US")
    assert Tariff([]).reached(["US"], on=TODAY) == ()


def rate_of(country: str) -> Rate:
    return next(rate for rate in RATES if rate.country == country)
