"""Sums are split without losing a cent, and rates round halves away from zero."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.money import MILLIONTHS, at_rate, decimals, share, to_text, within_rate

amounts = st.integers(min_value=-(10**12), max_value=10**12)
rates = st.integers(min_value=0, max_value=MILLIONTHS)


@given(amounts, st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_the_parts_of_a_split_sum_to_the_whole_and_are_within_a_cent_of_fair(amount: int, weights: list[int]) -> None:
    parts = share(amount, weights)
    assert sum(parts) == amount
    if total := sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - Fraction(amount * weight, total)) < 1


def test_equal_shares_of_ten_cents() -> None:
    assert share(10, [1, 1, 1]) == [4, 3, 3]
    assert share(-10, [1, 1, 1]) == [-4, -3, -3]
    assert share(10, [0, 0]) == [10, 0]
    assert share(10, []) == []


@given(amounts, rates)
def test_a_rate_is_exact_to_half_a_cent(amount: int, rate: int) -> None:
    assert abs(at_rate(amount, rate) - Fraction(amount * rate, MILLIONTHS)) <= Fraction(1, 2)
    assert at_rate(-amount, rate) == -at_rate(amount, rate)


@given(amounts, rates)
def test_the_tax_within_a_price_is_exact_to_half_a_cent(gross: int, rate: int) -> None:
    assert abs(within_rate(gross, rate) - Fraction(gross * rate, MILLIONTHS + rate)) <= Fraction(1, 2)


def test_currencies_of_zero_two_and_three_decimals() -> None:
    assert [to_text(1999, "USD"), to_text(1999, "JPY"), to_text(1999, "KWD")] == ["19.99", "1999", "1.999"]
    assert [to_text(-5, "EUR"), to_text(5, "CNY"), decimals("XXX")] == ["-0.05", "0.05", 2]
