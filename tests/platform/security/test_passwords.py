"""Passwords: what is hashed is recognised, nobody learns who has an account, and a crowd is turned away."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters

from hansa.kernel.errors import Fault
from hansa.platform.security.passwords import Passwords, TooBusy

CHEAP: dict[str, Any] = {"memory_kib": 64, "passes": 1}


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(**CHEAP)
    yield made
    made.close()


async def test_a_password_is_recognised_and_another_is_not(passwords: Passwords):
    hashed = await passwords.hash(password="correct horse")
    assert await passwords.verify(password="correct horse", hashed=hashed)
    assert not await passwords.verify(password="correct horsf", hashed=hashed)
    assert hashed.startswith("$argon2id$")


async def test_the_same_password_never_has_the_same_hash(passwords: Passwords):
    assert await passwords.hash(password="x") != await passwords.hash(password="x")


async def test_the_same_chance_draws_the_same_salts_in_the_order_of_the_calls():
    hashed = []
    for seed in (7, 7, 8):
        passwords = Passwords(**CHEAP, chance=random.Random(seed))
        hashed.append(await asyncio.gather(*(passwords.hash(password=word) for word in "abc")))
        assert await passwords.verify(password="c", hashed=hashed[-1][2])
        passwords.close()
    assert hashed[0] == hashed[1]
    assert hashed[0] != hashed[2]


async def test_unless_told_otherwise_the_operating_system_draws_the_salts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(random, "_urandom", bytes)
    passwords = Passwords(**CHEAP)
    assert f"${'A' * 22}$" in await passwords.hash(password="x")
    passwords.close()


async def test_a_composed_letter_equals_the_same_letter_from_another_keyboard(passwords: Passwords):
    hashed = await passwords.hash(password="caf\u00e9")
    assert await passwords.verify(password="cafe\u0301", hashed=hashed)


async def test_the_default_cost_is_what_owasp_asks():
    passwords = Passwords()
    assert "m=19456,t=2,p=1" in await passwords.hash(password="x")
    passwords.close()


async def test_nobody_matches_no_account(passwords: Passwords):
    assert not await passwords.verify(password="", hashed=None)
    assert not await passwords.verify(password="anything", hashed=None)


async def test_an_account_that_does_not_exist_costs_the_same_work_as_one_that_does(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
):
    verified = []
    genuine = PasswordHasher.verify

    def noted(hasher: PasswordHasher, hashed: str, password: bytes) -> bool:
        verified.append(extract_parameters(hashed))
        return genuine(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    hashed = await passwords.hash(password="right")
    assert not await passwords.verify(password="wrong", hashed=hashed)
    assert not await passwords.verify(password="wrong", hashed=None)
    existing, missing = verified
    assert existing == missing


async def test_a_hash_of_another_cost_asks_to_be_made_anew(passwords: Passwords):
    dearer = Passwords(memory_kib=128, passes=1)
    hashed = await passwords.hash(password="x")
    assert not passwords.needs_rehash(hashed)
    assert dearer.needs_rehash(hashed)
    assert await dearer.verify(password="x", hashed=hashed)
    dearer.close()


async def test_a_damaged_hash_is_a_fault_and_not_a_wrong_password(passwords: Passwords):
    with pytest.raises(Fault):
        await passwords.verify(password="x", hashed="$argon2id$nonsense")
    with pytest.raises(Fault):
        passwords.needs_rehash("nonsense")


async def test_more_than_may_wait_are_turned_away_and_the_others_are_served():
    passwords = Passwords(threads=1, waiting=3, **CHEAP)
    results = await asyncio.gather(*(passwords.hash(password="x") for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 4
    assert sum(isinstance(result, TooBusy) for result in results) == 6
    assert await passwords.hash(password="x")
    passwords.close()


async def test_callers_who_give_up_free_their_places():
    passwords = Passwords(threads=1, waiting=2, memory_kib=16 * 1024, passes=2)
    callers = [asyncio.create_task(passwords.hash(password="x")) for _ in range(3)]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    assert await passwords.hash(password="x")
    passwords.close()
