"""What is kept of a search: words, and nothing by which somebody could be known."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.services.recommendations import rules
from hansa.services.recommendations.contract import LONGEST_QUERY

PRIVATE = (
    "ada@example.com",
    "mail to ADA.Byron+shop@example.co.uk please",
    "ada @ example",
    "ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
    "ada\u200b@\u200bexample.com",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111111111111111",
    "+44 20 7946 0958",
    "(030) 123 456 789",
    "13800138000",
    "１３８００１３８０００",
    "٠١٢٣٤٥٦٧٨٩",
    "x" * 190 + " ada@example.com",
    "192.168.100.200",
    "10.0.0.1",
    "1234567890123456789-abcdefghijklmnop",
)
HARMLESS = (
    "wool coat",
    "levis 501 w32 l34",
    "501 32 34",
    "1970s",
    "羊毛大衣",
    "c++ t-shirt",
    "iphone 13 256",
    "@home",
    "50%",
)


@pytest.mark.parametrize("query", PRIVATE)
def test_a_query_that_may_say_who_somebody_is_is_not_kept(query: str):
    assert rules.safe_query(query) is None


@pytest.mark.parametrize("query", HARMLESS)
def test_a_query_of_words_and_sizes_is_kept(query: str):
    assert rules.safe_query(query) == query


@given(st.text(max_size=300))
def test_what_is_kept_is_short_plain_and_says_nobodys_address_or_number(query: str):
    kept = rules.safe_query(query)

    if kept is not None:
        assert 0 < len(kept) <= LONGEST_QUERY
        assert kept.isprintable()
        assert kept == " ".join(kept.split())
        assert not re.search(r"\d{7}", kept)


@given(
    st.text(max_size=50),
    st.from_regex(r"[a-z0-9.]{1,20}@[a-z0-9]{1,20}\.[a-z]{2,5}", fullmatch=True),
    st.text(max_size=50),
)
def test_an_address_among_other_words_is_found(before: str, address: str, after: str):
    assert rules.safe_query(f"{before} {address} {after}") is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_different_visitors_and_months_have_different_hashes(one: str, other: str):
    if one.isascii() and other.isascii() and one != other:
        assert rules.visitor_hash(visitor=one, secret=b"k") != rules.visitor_hash(visitor=other, secret=b"k")
        assert rules.visitor_hash(visitor=one, secret=b"k") != rules.visitor_hash(visitor=one, secret=b"l")


@given(st.text(max_size=60))
def test_any_address_has_a_place(remote: str):
    assert isinstance(rules.place(remote), str)
