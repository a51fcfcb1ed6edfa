"""Identifiers carry their time and their slot and never repeat; order numbers catch a mistyped character."""

import base64
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel import ids as kernel_ids
from hansa.kernel.ids import (
    LARGEST,
    SLOTS,
    Ids,
    first_id_at,
    guest_name,
    is_id,
    moment_of,
    order_number,
    slot_of,
    slot_of_value,
    split_name,
)
from tests.clocks import ManualClock

identifiers = st.integers(min_value=1, max_value=2**63 - 1).map(str)


@given(slot=st.integers(min_value=0, max_value=SLOTS - 1))
def test_an_identifier_tells_its_slot_and_its_millisecond(slot: int) -> None:
    clock = ManualClock()
    identifier = Ids(clock=clock).new(slot=slot)
    assert slot_of(identifier) == slot
    assert timedelta(0) <= clock.now() - moment_of(identifier) < timedelta(milliseconds=1)
    assert is_id(identifier)


def test_more_identifiers_than_a_millisecond_holds_stay_different_and_in_order() -> None:
    ids = Ids(clock=ManualClock())
    made = [int(ids.new(slot=5)) for _ in range(5000)]
    assert made == sorted(set(made))


def test_a_clock_that_steps_back_makes_no_identifier_twice() -> None:
    clock = ManualClock()
    ids = Ids(clock=clock)
    made = {ids.new(slot=1) for _ in range(100)}
    clock.advance(-3600)
    made |= {ids.new(slot=1) for _ in range(100)}
    assert len(made) == 200


def test_processes_with_different_blocks_never_meet() -> None:
    clock = ManualClock()
    one, other = Ids(clock=clock, sequences=range(0, 16)), Ids(clock=clock, sequences=range(16, 32))
    assert not {one.new(slot=0) for _ in range(1000)} & {other.new(slot=0) for _ in range(1000)}


@given(identifiers, st.integers(0, 12), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_one_wrong_character_in_an_order_number_never_gives_another_valid_one(
    identifier: str, place: int, character: str
) -> None:
    number = order_number(identifier).replace("-", "")
    assert len(number) == 14
    mistyped = number[:place] + character + number[place + 1 :]
    value = 0
    for digit in mistyped[:13]:
        value = value * 32 + kernel_ids._CROCKFORD.index(digit)
    is_valid = kernel_ids._CROCKFORD_CHECK[value % 37] == mistyped[13]
    assert is_valid == (mistyped == number)


@given(identifiers)
def test_a_guests_name_splits_into_what_it_was_made_of(identifier: str) -> None:
    assert split_name(guest_name(identifier, "abc")) == (identifier, "abc")
    assert split_name(guest_name(identifier, "")) == (identifier, "")


@given(st.text(max_size=40))
def test_any_text_as_a_name_is_either_none_or_an_identifier(text: str) -> None:
    split = split_name(text)
    assert split is None or is_id(split[0])


@given(st.text())
def test_a_value_always_has_the_same_slot_in_range(value: str) -> None:
    assert slot_of_value(value) == slot_of_value(value)
    assert 0 <= slot_of_value(value) < SLOTS


def test_secrets_have_eighty_bits_and_differ() -> None:
    ids = Ids(clock=ManualClock())
    secrets = {ids.secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {16}


def test_tokens_have_256_bits_and_differ() -> None:
    ids = Ids(clock=ManualClock())
    tokens = {ids.token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(base64.urlsafe_b64decode(token + "=")) for token in tokens} == {32}


@given(seed=st.integers())
def test_the_same_chance_draws_the_same_secrets_and_tokens(seed: int) -> None:
    one, other = (Ids(clock=ManualClock(), chance=random.Random(seed)) for _ in range(2))
    assert [(one.secret(), one.token()) for _ in range(3)] == [(other.secret(), other.token()) for _ in range(3)]


def test_unless_told_otherwise_the_operating_system_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = bytes(range(32))
    monkeypatch.setattr(random, "_urandom", lambda size: drawn[:size])
    ids = Ids(clock=ManualClock())
    assert ids.token() == base64.urlsafe_b64encode(drawn).decode().rstrip("=")
    assert ids.secret() == "000g40r40m30e209"


def test_the_first_id_of_a_moment_is_an_id_however_far_away_it_is():
    for year in (1, 2023, 2093, 2094, 9999):
        assert 0 <= first_id_at(datetime(year, 1, 1, tzinfo=UTC)) <= LARGEST
    made = Ids(clock=ManualClock()).new(slot=0)
    assert first_id_at(moment_of(made)) <= int(made) < first_id_at(moment_of(made) + timedelta(milliseconds=1))
