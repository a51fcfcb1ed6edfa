"""Sealed data: opened by the right person's key in the right place, by nothing else, and by nobody after erasure."""

import asyncio
import base64
import os
import random
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.ids import Ids, slot_of_value
from hansa.platform.database.port import Database, RemoteCallInTransaction
from hansa.platform.security import key_file, sealing
from hansa.platform.security.key_file import MasterKeyInvalid, master_key
from hansa.platform.security.sealing import Box, Keyring, PersonErased, SealBroken, looks_sealed
from tests import databases
from tests.clocks import ManualClock

MASTER = bytes(range(32))
PLACE = "orders.contact"


class Contact(msgspec.Struct, frozen=True):
    email: str
    phone: str | None = None
    born: datetime | None = None


ADA = Contact(email="ada@example.org", phone="+4912345", born=datetime(1815, 12, 10, tzinfo=UTC))


def box_of(person: str, data_key: bytes = MASTER) -> Box:
    return Box(person=person, data_key=data_key)


def test_what_was_sealed_is_opened():
    box = box_of("7")
    assert box.open(box.seal(ADA, context=PLACE), Contact, context=PLACE) == ADA


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(value=json_like, person=st.text(min_size=1), context=st.text())
def test_any_value_comes_back(value: Any, person: str, context: str):
    box = box_of(person)
    assert box.open(box.seal(value, context=context), object, context=context) == value


@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_bit_can_be_changed(position: int, flip: int):
    box = box_of("7")
    sealed = box.seal(ADA, context=PLACE)
    data = bytearray(base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)))
    data[position % len(data)] ^= flip
    forged = base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")
    with pytest.raises(SealBroken):
        box.open(forged, Contact, context=PLACE)


@given(text=st.text(max_size=80))
def test_no_invented_text_opens(text: str):
    with pytest.raises(SealBroken):
        box_of("7").open(text, Contact, context=PLACE)


@given(cut=st.integers(1, 60))
def test_nothing_can_be_cut_off(cut: int):
    box = box_of("7")
    with pytest.raises(SealBroken):
        box.open(box.seal(ADA, context=PLACE)[:-cut], Contact, context=PLACE)


def test_a_value_opens_for_its_person_and_place_only():
    sealed = box_of("7").seal(ADA, context=PLACE)
    for other in (box_of("8"), box_of("7", bytes(32))):
        with pytest.raises(SealBroken):
            other.open(sealed, Contact, context=PLACE)
    with pytest.raises(SealBroken):
        box_of("7").open(sealed, Contact, context="users.contact")


def test_the_bound_between_person_and_place_cannot_be_shifted():
    sealed = box_of("ab").seal(ADA, context="c")
    with pytest.raises(SealBroken):
        box_of("a").open(sealed, Contact, context="bc")


def test_an_error_does_not_tell_what_was_sealed():
    box = box_of("7")
    sealed = box.seal({"email": 12345}, context=PLACE)
    with pytest.raises(SealBroken) as caught:
        box.open(sealed, Contact, context=PLACE)
    assert "12345" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(json_like)
def test_what_was_sealed_looks_so(value: Any):
    assert looks_sealed(Box(person="ada", data_key=bytes(32)).seal(value, context="anything"))


@pytest.mark.parametrize(
    "text", ["", "Ada Lovelace", "104249991374867456", "AQ", "order-placed-7", "x" * 200, "é" * 60]
)
def test_what_was_not_sealed_does_not_look_so(text: str):
    assert not looks_sealed(text)


def test_the_same_value_never_looks_the_same():
    box = box_of("7")
    assert box.seal(ADA, context=PLACE) != box.seal(ADA, context=PLACE)


def test_the_same_chance_draws_the_same_nonces():
    sealed = []
    for seed in (7, 7, 8):
        box = Box(person="7", data_key=MASTER, chance=random.Random(seed))
        sealed.append([box.seal(ADA, context=PLACE) for _ in range(2)])
    assert sealed[0] == sealed[1]
    assert sealed[0] != sealed[2]


def test_unless_told_otherwise_the_operating_system_draws_the_nonces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(random, "_urandom", bytes)
    sealed = base64.urlsafe_b64decode(box_of("7").seal("", context=PLACE) + "==")
    assert sealed[1 : 1 + sealing.NONCE_BYTES] == bytes(sealing.NONCE_BYTES)


# The keyring, on both engines.


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=databases.ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Database]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None
    async with databases.opened(
        engine=request.param,
        name="keys",
        metadata=sealing.METADATA,
        folder=tmp_path,
        dsn=dsn,
        clock=clock,
        ids=Ids(clock=clock),
    ) as opened:
        yield opened


def keyring_of(database: Database, clock: ManualClock, **settings: Any) -> Keyring:
    return Keyring(**{"database": database, "master": MASTER, "clock": clock, **settings})


async def test_a_person_keeps_the_same_key_across_processes(database: Database, clock: ManualClock):
    sealed = (await keyring_of(database, clock).box(person="cart:7")).seal(ADA, context=PLACE)
    box = await keyring_of(database, clock).box(person="cart:7")
    assert box.open(sealed, Contact, context=PLACE) == ADA


async def test_the_same_chance_makes_the_same_keys(database: Database, clock: ManualClock, tmp_path: Path):
    async with databases.opened(
        engine="sqlite",
        name="others",
        metadata=sealing.METADATA,
        folder=tmp_path,
        dsn=None,
        clock=clock,
        ids=Ids(clock=clock),
    ) as another:
        sealed = [
            (await keyring_of(where, clock, chance=random.Random(7)).box(person="cart:7")).seal(ADA, context=PLACE)
            for where in (database, another)
        ]
    assert sealed[0] == sealed[1]


async def test_unless_told_otherwise_the_operating_system_draws_the_keys(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(random, "_urandom", bytes)
    sealed = (await keyring_of(database, clock).box(person="cart:7")).seal(ADA, context=PLACE)
    box = Box(person="cart:7", data_key=bytes(key_file.KEY_BYTES))
    assert box.open(sealed, Contact, context=PLACE) == ADA


async def test_what_is_nobodys_is_sealed_for_its_purpose(database: Database, clock: ManualClock):
    one, other = (Keyring(database=database, master=bytes(range(32)), clock=clock) for _ in range(2))
    sealed = one.own_box(label="a.b").seal("word", context="c")

    assert other.own_box(label="a.b").open(sealed, str, context="c") == "word"
    for label, context in (("a.c", "c"), ("a.b", "d")):
        with pytest.raises(SealBroken):
            one.own_box(label=label).open(sealed, str, context=context)


async def test_two_persons_have_two_keys(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock)
    sealed = (await keyring.box(person="1")).seal(ADA, context=PLACE)
    with pytest.raises(SealBroken):
        (await keyring.box(person="2")).open(sealed, Contact, context=PLACE)


async def test_concurrent_makers_get_the_same_key(database: Database, clock: ManualClock):
    keyrings = [keyring_of(database, clock) for _ in range(4)]
    people = [f"cart:{number}" for number in range(30)]
    boxes = await asyncio.gather(
        *(keyring.box(person=person) for keyring in keyrings for person in [*people, *reversed(people)])
    )
    sealed = {person: boxes[index].seal(person, context=PLACE) for index, person in enumerate(people)}
    for index, box in enumerate(boxes):
        column = index % (2 * len(people))
        person = people[column] if column < len(people) else people[2 * len(people) - 1 - column]
        assert box.open(sealed[person], str, context=PLACE) == person


async def test_a_crowd_of_new_persons_shares_a_few_commits(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    commits, write = [], database.write

    def counted(*slots: int) -> Any:
        commits.append(len(slots))
        return write(*slots)

    monkeypatch.setattr(database, "write", counted)
    keyring = keyring_of(database, clock)
    await asyncio.gather(*(keyring.box(person=f"cart:{number}") for number in range(1200)))
    assert len(commits) == 3


async def test_an_erased_person_is_gone_for_good(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock)
    await keyring.box(person="cart:7")
    await keyring.erase(person="cart:7")
    await keyring.erase(person="cart:7")
    for asked in (keyring, keyring_of(database, clock)):
        with pytest.raises(PersonErased):
            await asked.box(person="cart:7")
    assert await keyring.box(person="cart:8")


async def test_nothing_of_the_key_stays_in_the_row(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock)
    await keyring.box(person="cart:7")
    await keyring.erase(person="cart:7")
    rows = await database.all(sealing.FIND_KEYS, people=[(slot_of_value("cart:7"), "cart:7")])
    assert [row["wrapped"] for row in rows] == [""]


async def test_a_person_may_be_erased_before_a_key_was_ever_made(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock)
    await keyring.erase(person="cart:7")
    with pytest.raises(PersonErased):
        await keyring_of(database, clock).box(person="cart:7")


async def test_another_process_forgets_an_erased_key_within_a_minute(database: Database, clock: ManualClock):
    here, there = keyring_of(database, clock), keyring_of(database, clock)
    await there.box(person="cart:7")
    await here.erase(person="cart:7")
    clock.advance(sealing.CACHED_FOR_S)
    with pytest.raises(PersonErased):
        await there.box(person="cart:7")


async def test_an_erasure_wins_over_a_look_up_that_began_before_it(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock)
    await keyring.box(person="cart:7")
    clock.advance(sealing.CACHED_FOR_S)
    for _ in range(5):
        await asyncio.gather(keyring.box(person="cart:7"), keyring.erase(person="cart:7"), return_exceptions=True)
        with pytest.raises(PersonErased):
            await keyring.box(person="cart:7")


async def test_the_cache_is_bounded_and_whoever_falls_out_is_found_again(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock, cache_size=3)
    sealed = (await keyring.box(person="cart:0")).seal(ADA, context=PLACE)
    for number in range(1, 10):
        await keyring.box(person=f"cart:{number}")
    assert len(keyring._cache) == 3
    assert (await keyring.box(person="cart:0")).open(sealed, Contact, context=PLACE) == ADA


async def test_the_keyring_is_not_asked_within_a_transaction(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock)
    await keyring.box(person="cart:7")
    async with database.write(0):
        with pytest.raises(RemoteCallInTransaction):
            await keyring.box(person="cart:7")
        with pytest.raises(RemoteCallInTransaction):
            await keyring.erase(person="cart:7")


async def test_another_master_key_opens_nothing_and_says_so(database: Database, clock: ManualClock):
    await keyring_of(database, clock).box(person="cart:7")
    with pytest.raises(SealBroken, match="another master key"):
        await keyring_of(database, clock, master=bytes(32)).box(person="cart:7")


async def test_a_failing_database_fails_all_who_wait_and_none_after(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    keyring = keyring_of(database, clock)
    with monkeypatch.context() as broken:
        broken.setattr(database, "all", failing)
        results = await asyncio.gather(*(keyring.box(person=f"cart:{n}") for n in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [OSError] * 3
    assert await keyring.box(person="cart:1")


async def failing(*_: Any, **__: Any) -> Any:
    raise OSError("no disk")


async def test_a_damaged_key_is_the_trouble_of_its_person_alone(database: Database, clock: ManualClock):
    row = (slot_of_value("cart:7"), "cart:7", "AQ", 0)
    async with database.write(row[0]) as tx:
        await tx.run(sealing.ADD_KEYS, made=[row])
    keyring = keyring_of(database, clock)
    results = await asyncio.gather(
        *(keyring.box(person=f"cart:{number}") for number in (6, 7, 8)), return_exceptions=True
    )
    assert [type(result) for result in results] == [Box, SealBroken, Box]


async def test_a_caller_who_gives_up_does_not_take_the_key_from_the_others(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock)
    first, second = (asyncio.create_task(keyring.box(person="cart:7")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second


async def test_a_look_up_hash_needs_the_master_key_and_the_kind(database: Database, clock: ManualClock):
    keyring = keyring_of(database, clock)
    hashed = keyring.lookup_hash(kind="email", value="ada@example.org")
    assert hashed == keyring_of(database, clock).lookup_hash(kind="email", value="ada@example.org")
    assert hashed != keyring.lookup_hash(kind="phone", value="ada@example.org")
    assert hashed != keyring_of(database, clock, master=bytes(32)).lookup_hash(kind="email", value="ada@example.org")
    assert len(hashed) == 43


# The master key's file.


def test_the_first_call_makes_the_key_and_the_second_reads_it(tmp_path: Path):
    path = tmp_path / "secrets" / "master.key"
    made = master_key(path)
    assert len(made) == 32
    assert master_key(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["master.key"]


def test_two_processes_that_start_together_agree_on_one_key(tmp_path: Path):
    path = tmp_path / "master.key"
    mine = master_key(path)
    key_file._create_key(path)
    assert master_key(path) == mine


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o777])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int):
    path = tmp_path / "master.key"
    master_key(path)
    path.chmod(mode)
    with pytest.raises(MasterKeyInvalid, match="chmod 600"):
        master_key(path)


def test_a_key_may_come_through_the_group_as_in_kubernetes(tmp_path: Path):
    path = tmp_path / "master.key"
    made = master_key(path)
    path.chmod(0o440)
    assert master_key(path) == made


@pytest.mark.parametrize(
    "content",
    [
        MASTER.hex(),
        MASTER.hex().upper() + "\n",
        base64.b64encode(MASTER).decode(),
        base64.b64encode(MASTER).decode()[:-1],
    ],
)
def test_a_key_is_read_in_hexadecimal_or_base64(tmp_path: Path, content: str):
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    path.write_text(content)
    assert master_key(path) == MASTER


@pytest.mark.parametrize(
    "content", ["", "secret", "00" * 31, "zz" * 32, base64.b64encode(bytes(33)).decode(), "é" * 32]
)
def test_a_malformed_key_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(MasterKeyInvalid, match="32 bytes"):
        master_key(path)
