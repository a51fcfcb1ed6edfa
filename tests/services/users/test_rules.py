"""Spellings of e-mail addresses, fit passwords, and tokens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.ids import split_name
from hansa.kernel.principal import CUSTOMER, STAFF
from hansa.services.users import rules
from hansa.services.users.contract import PasswordUnfit


@pytest.mark.parametrize(
    "other",
    [
        " Ada@Example.COM ",
        "ada@example.com",
        "ＡＤＡ@ｅｘａｍｐｌｅ．ｃｏｍ",
    ],
)
def test_one_address_has_one_spelling(other: str):
    assert rules.normalised_email(other) == "ada@example.com"


def test_a_domain_in_another_script_is_the_one_the_dns_knows():
    assert rules.normalised_email("ada@BÜCHER.example") == rules.normalised_email("ada@xn--bcher-kva.example")


@given(st.text(max_size=40), st.text(max_size=300))
def test_normalising_again_changes_nothing(local: str, domain: str):
    once = rules.normalised_email(f"{local}@{domain}")
    assert rules.normalised_email(once) == once


@pytest.mark.parametrize("password", ["", "1234567", "ada@example.com", "ADA@example.com", "x" * 257])
def test_an_unfit_password_is_refused(password: str):
    with pytest.raises(PasswordUnfit):
        rules.check_password(password=password, email="Ada@example.com")


def test_eight_characters_are_a_password():
    rules.check_password(password="pässwört", email="ada@example.com")


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "unix", False),
    ],
)
def test_a_host_is_one_place_whichever_of_its_addresses_it_uses(one: str, other: str, are_same: bool):
    assert (rules.place(one) == rules.place(other)) == are_same


def test_staff_sign_in_more_often():
    assert rules.session_length((CUSTOMER, STAFF)) < rules.session_length((CUSTOMER,))


def test_a_token_routes_itself_and_depends_on_everything():
    facts: dict[str, Any] = {"secret": b"s", "session_id": "4194304", "user_id": "4194305", "key": "k"}
    token = rules.token(**facts)
    parts = split_name(token)

    assert parts is not None
    assert parts[0] == "4194304"
    assert len(parts[1]) == 43
    for other in ({"secret": b"t"}, {"session_id": "4194306"}, {"user_id": "4194306"}, {"key": "l"}):
        assert rules.token(**{**facts, **other}) != token
    assert rules.token(**facts) == token
