"""What personal data and secrets look like in logs: masked, while what helps to find a fault stays."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.ids import Ids
from hansa.platform.telemetry.privacy import DEEPEST, LONGEST_TEXT, MASK, MOST_ITEMS, Privacy, is_denied, passes_luhn
from tests.clocks import ManualClock

PRIVACY = Privacy(clock=ManualClock())
CARD = "4111111111111111"


DENIED = """
    email Email user_email customerEmail phone PHONE name first_name firstName address shippingAddress password
    new-password access_token X-Api-Token Authorization Set-Cookie cookie client_secret card postal_code
"""
SHOWN = "event logger file_name service order_id slot status route tokenizer key count"


@pytest.mark.parametrize("name", DENIED.split())
def test_fields_that_name_personal_data_or_secrets_are_masked(name: str):
    assert PRIVACY.of_mapping({name: "anything"}) == {name: MASK}


@pytest.mark.parametrize("name", SHOWN.split())
def test_fields_that_help_to_find_a_fault_stay(name: str):
    assert not is_denied(name=name)


def test_fields_within_fields_are_masked_too():
    given = {"order": {"lines": [{"sku": "HAT", "gift": {"phone": "1"}}], "email": "a"}, "count": 3}
    assert PRIVACY.of_mapping(given) == {
        "order": {"lines": [{"sku": "HAT", "gift": {"phone": MASK}}], "email": MASK},
        "count": 3,
    }


class Person(msgspec.Struct):
    name: str
    member_id: str


@dataclass
class Guest:
    phone: str
    cart: str


def test_objects_are_shown_by_their_fields():
    assert PRIVACY.of_value(Person(name="Ada", member_id="7")) == {"name": MASK, "member_id": "7"}
    assert PRIVACY.of_value([Guest(phone="1", cart="9")]) == [{"phone": MASK, "cart": "9"}]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mail to ada.lovelace+x@mail.example.org failed", "mail to [masked] failed"),
        ("Key (email)=(ada@example.org) already exists.", "Key (email)=([masked]) already exists."),
        ("jürgen@bücher.example, o'neil@example.org", "[masked], [masked]"),
        ("card 4111111111111111!", "card [masked]!"),
        ("card 4111 1111 1111 1111 of 7", "card [masked] of 7"),
        ("order 7 4111-1111-1111-1111 9", "order 7 [masked] 9"),
        ("1234 5678 4111 1111 1111 1111", "1234 5678 [masked]"),
        ("378282246310005", "[masked]"),
        ("4111111111111112 is no card", "4111111111111112 is no card"),
        ("Authorization: Bearer abc.DEF-123_~+/==", "Authorization: [masked]"),
        ("sent bearer abc.def to it", "sent bearer [masked] to it"),
        ("postgres://hansa:s3cret@db:5432/shop", "postgres://[masked]@db:5432/shop"),
        ("GET /reset?token=abc123&x=1", "GET /reset?token=[masked]&x=1"),
        ('{"password": "hunter2", "x": 1}', '{"password": "[masked]", "x": 1}'),
        ("nothing to see at 10:15", "nothing to see at 10:15"),
    ],
)
def test_texts_are_searched(text: str, shown: str):
    result = PRIVACY.of_text(text)
    for secret in ("ada", "bücher", "1111 1111", "abc", "s3cret", "hunter2"):
        assert secret not in result
    if not text.startswith("Authorization"):
        assert result == shown


def test_the_shops_own_ids_stay_readable_although_some_look_like_cards():
    clock = ManualClock()
    ids = Ids(clock=clock)
    made = [ids.new(slot=slot) for slot in range(4096)]
    assert any(passes_luhn(digits=one) for one in made)
    clock.advance(1)
    privacy = Privacy(clock=clock)
    assert all(privacy.of_text(f"order {one} is late") == f"order {one} is late" for one in made)


@given(digits=st.text("0123456789", min_size=12, max_size=15), lead=st.sampled_from("3456"))
def test_every_card_number_is_found_wherever_it_stands(digits: str, lead: str):
    body = lead + digits
    card = next(body + check for check in "0123456789" if passes_luhn(digits=body + check))
    assert card not in PRIVACY.of_text(f"12 {card}, and x{card}")


@given(local=st.text("abcXYZ019._%+-", min_size=1), domain=st.lists(st.text("abz09-", min_size=1), min_size=2))
def test_every_address_is_found(local: str, domain: list[str]):
    address = f"{local}@{'.'.join(domain)}"
    assert "@" not in PRIVACY.of_text(f"<{address}>")


@given(
    value=st.recursive(
        st.text() | st.integers() | st.none() | st.binary(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_nothing_breaks_it(value: Any):
    msgspec.json.encode(PRIVACY.of_value(value), enc_hook=str)


def test_depth_and_length_are_bounded():
    nested: Any = "x"
    for _ in range(100):
        nested = [nested]
    assert str(PRIVACY.of_value(nested)).count("[") == DEEPEST
    assert len(PRIVACY.of_text("x" * 10**6)) == LONGEST_TEXT + 1
    assert len(PRIVACY.of_value(list(range(10**4)))) == MOST_ITEMS


@pytest.mark.parametrize(
    "piece", ["a", "a-", "a.", "1 ", "11 ", "@", "a@", "://", "token", "token-", "a@b.", "bearer ", "="]
)
def test_no_text_makes_it_slow(piece: str):
    text = piece * (LONGEST_TEXT // len(piece))
    PRIVACY.of_text(text)  # a pattern that backtracks would take longer than any test may
