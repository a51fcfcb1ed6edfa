"""Personal data, sealed under a key per person: to erase a person is to destroy the key.

::

    box = await self._keyring.box(person=member_id)                    # before the transaction is opened
    sealed = box.seal(Contact(email=..., phone=...), context="orders.contact")
    contact = box.open(sealed, Contact, context="orders.contact")

Keys rest wrapped under a key derived from the shop's master key, in a database of their own, so that a copy of a
service's tables shows nothing. A keyring remembers keys for CACHED_FOR_S: after an erasure in another process, and in
boxes that somebody already holds, a key may live on for that long.
"""

import base64
import binascii
import hmac
import random
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Table, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.errors import BusinessError, Fault, Kind
from hansa.kernel.ids import is_id, slot_of, slot_of_value
from hansa.platform.database.batcher import Gatherer
from hansa.platform.database.platform_tables import service_metadata
from hansa.platform.database.port import Database, forbid_open_transaction
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import MOMENT, SLOT, TEXT, field, key, key_by, optional, slot
from hansa.platform.security.key_file import KEY_BYTES

T = TypeVar("T")

Place = tuple[int, str]
"""Where a key is: the slot, and the person."""

CACHED_FOR_S = 60.0
LARGEST_BATCH = 512
"""Keys looked up or made by one statement, and in one commit."""
NONCE_BYTES = 12
KEY_ID_BYTES = 4
SEALED_VERSION = b"\x01"
WRAPPED_VERSION = b"\x01"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_SHORTEST_SEALED = len(SEALED_VERSION) + NONCE_BYTES + 16
"""A nonce, and the tag of nothing at all."""
ERASED = ""
"""What stands in place of a wrapped key that was destroyed."""

METADATA = service_metadata()

PERSON_KEYS = Table(
    "person_keys",
    METADATA,
    slot(),
    key("person", TEXT),
    field("wrapped", TEXT),
    field("made_at", MOMENT),
    optional("erased_at", MOMENT),
    key_by("person", "slot"),
    sqlite_with_rowid=False,
)
"""The wrapped key of each person; of an erased one only the row stays, so that no second key is ever made."""

_WANTED = rows_parameter("people", slot=SLOT, person=TEXT)
FIND_KEYS = Statement(
    select(PERSON_KEYS.c.person, PERSON_KEYS.c.wrapped).where(
        PERSON_KEYS.c.slot == _WANTED.c.slot, PERSON_KEYS.c.person == _WANTED.c.person
    )
)
_MADE = rows_parameter("made", slot=SLOT, person=TEXT, wrapped=TEXT, made_at=MOMENT)
ADD_KEYS = Statement(
    insert(PERSON_KEYS)
    .from_select(
        ["slot", "person", "wrapped", "made_at"],
        select(_MADE.c.slot, _MADE.c.person, _MADE.c.wrapped, _MADE.c.made_at).where(true()),
    )
    .on_conflict_do_nothing()
    .returning(PERSON_KEYS.c.person)
)
_tombstone = insert(PERSON_KEYS).values(
    slot=bindparam("slot"),
    person=bindparam("person"),
    wrapped=bindparam("wrapped"),
    made_at=bindparam("now"),
    erased_at=bindparam("now"),
)
ERASE_KEY = Statement(
    _tombstone.on_conflict_do_update(
        index_elements=["slot", "person"],
        set_={
            "wrapped": _tombstone.excluded.wrapped,
            "erased_at": func.coalesce(PERSON_KEYS.c.erased_at, _tombstone.excluded.erased_at),
        },
    )
)


class PersonErased(BusinessError, code="security.person_erased", kind=Kind.NOT_FOUND):
    """What was known of this person has been erased."""


class SealBroken(Fault):
    """A sealed value, or a wrapped key, is not what was written: damaged, moved to another place, or forged."""


class Box:
    """Seals and opens values of one person. `context` names the place a value belongs to: "orders.contact".

    The cipher is made for each use, in 2 microseconds: it takes 2.6 KB, and thousands of boxes are remembered.
    """

    __slots__ = ("_chance", "_data_key", "_person")

    def __init__(self, *, person: str, data_key: bytes, chance: random.Random | None = None) -> None:
        self._person = person
        self._chance = chance or random.SystemRandom()
        self._data_key = data_key

    def seal(self, value: Any, *, context: str) -> str:
        """The value as text that only this person's key opens, and only in the same context."""
        nonce = self._chance.randbytes(NONCE_BYTES)
        plain = msgspec.msgpack.encode(value)
        sealed = AESGCM(self._data_key).encrypt(nonce, plain, _bound_to(SEALED_VERSION, self._person, context))
        return _to_text(SEALED_VERSION + nonce + sealed)

    def open(self, sealed: str, type_: type[T], /, *, context: str) -> T:
        """The value that was sealed. Raises SealBroken if a bit of it, or its place, has changed."""
        version, nonce, rest = _parts(sealed, 1, NONCE_BYTES)
        if version != SEALED_VERSION:
            raise SealBroken(f"a sealed value in {context} has an unknown version")
        try:
            plain = AESGCM(self._data_key).decrypt(nonce, rest, _bound_to(version, self._person, context))
        except InvalidTag as error:
            raise SealBroken(f"a sealed value in {context} does not open") from error
        try:
            return msgspec.msgpack.decode(plain, type=type_)
        except msgspec.MsgspecError:
            # Neither message nor cause is passed on: they may quote what was sealed.
            raise SealBroken(f"a sealed value in {context} is not a {getattr(type_, '__name__', type_)}") from None


class Keyring:
    """Finds, makes and destroys the keys of persons, and hashes what must be found again without being known.

    A person is a member's id, or for guests what they own: "cart:<id>", or an order's id. Call `box` before opening a
    transaction; inside of one it raises. Callers who come at the same time share one look-up and one commit.

    Without a `chance`, keys and nonces are the operating system's: `SystemRandom` keeps no state that could be seeded
    or guessed, its bytes are those of `os.urandom`, as with the module `secrets`. A seeded one is for simulators: a
    nonce that comes twice under one key gives away what it sealed.
    """

    def __init__(
        self,
        *,
        database: Database,
        master: bytes,
        clock: Clock,
        cache_size: int = 10_000,
        chance: random.Random | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._chance = chance or random.SystemRandom()
        self._wrapping = AESGCM(derived_key(master=master, purpose="person keys"))
        self._lookup = derived_key(master=master, purpose="look-up hashes")
        self._secrets = derived_key(master=master, purpose="services' secrets")
        self._key_id = derived_key(master=master, purpose="key id")[:KEY_ID_BYTES]
        self._cache_size = cache_size
        self._cache: OrderedDict[str, tuple[float, Box | None]] = OrderedDict()
        self._fetching: Gatherer[str, Box | None] = Gatherer(name="keyring", look=self._fetch, largest=LARGEST_BATCH)
        self._erasures = 0

    async def box(self, *, person: str) -> Box:
        """The person's box, made when first asked for. Raises PersonErased for one who was erased."""
        forbid_open_transaction("the keyring was asked")
        if not person:
            raise ValueError("a person has a name or an id")
        box = self._remembered(person)
        if box is _UNKNOWN:
            box = await self._fetching.submit(person)
        if box is None:
            raise PersonErased()
        return box

    async def erase(self, *, person: str) -> None:
        """Destroy the person's key, for good. Doing it again changes nothing."""
        forbid_open_transaction("the keyring was asked")
        its_slot = slot_of_person(person=person)
        now = to_micros(self._clock.now())
        async with self._database.write(its_slot) as tx:
            await tx.run(ERASE_KEY, slot=its_slot, person=person, wrapped=ERASED, now=now)
        self._erasures += 1
        self._remember(person, None)

    def lookup_hash(self, *, kind: str, value: str) -> str:
        """A keyed hash to find a value by (an e-mail address) without keeping it; normalise the value first."""
        return _to_text(hmac.digest(self._lookup, msgspec.msgpack.encode((kind, value)), "sha256"))

    def derive(self, *, label: str) -> bytes:
        """A server secret of 32 bytes for one purpose, the same in every process of the shop: "users.sessions"."""
        return hmac.digest(self._secrets, label.encode(), "sha256")

    def own_box(self, *, label: str) -> Box:
        """A box of the shop itself, for what must not rest in the clear and is nobody's: "notifications.webhooks"."""
        return Box(person=label, data_key=self.derive(label=label), chance=self._chance)

    def _remembered(self, person: str) -> "Box | None":
        since, box = self._cache.get(person, (0.0, _UNKNOWN))
        if box is _UNKNOWN or self._clock.monotonic() - since >= CACHED_FOR_S:
            return _UNKNOWN
        self._cache.move_to_end(person)
        return box

    def _remember(self, person: str, box: Box | None) -> None:
        self._cache[person] = (self._clock.monotonic(), box)
        self._cache.move_to_end(person)
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)

    async def _fetch(self, people: Sequence[str]) -> "list[Box | Exception | None]":
        erasures = self._erasures
        found, made = await self._find_or_make(sorted({_place(person) for person in people}))
        boxes: dict[str, Box | Exception | None] = {}
        for person in dict.fromkeys(people):
            try:
                box = self._boxed(person, made[person]) if person in made else self._unwrapped(person, found[person])
            except SealBroken as error:  # a damaged row is the trouble of its person alone
                boxes[person] = error
                continue
            if self._erasures == erasures:  # else the answer may be older than an erasure: use it once, keep it not
                self._remember(person, box)
            boxes[person] = box
        return [boxes[person] for person in people]

    async def _find_or_make(self, places: Sequence[Place]) -> tuple[dict[str, str], dict[str, bytes]]:
        """The wrapped keys of those who had one, and the bare ones of those who have one from now on."""
        found = await self._find(places)
        made: dict[str, bytes] = {}
        if missing := [place for place in places if place[1] not in found]:
            made = await self._make(missing)
            # Of two makers only the first one's key counts: who came second reads it.
            if late := [place for place in missing if place[1] not in made]:
                found |= await self._find(late)
        if len(found) + len(made) < len(places):
            raise Fault("a person's key is gone without a trace; erased ones leave one")
        return found, made

    async def _find(self, places: Sequence[Place]) -> dict[str, str]:
        rows = await self._database.all(FIND_KEYS, people=places)
        return {row["person"]: row["wrapped"] for row in rows}

    async def _make(self, places: Sequence[Place]) -> dict[str, bytes]:
        """Make keys for those who have none; returns those that count.

        The places are in order, so that two batches with the same people do not wait for each other in a ring.
        """
        now = to_micros(self._clock.now())
        # Asked for once: each time costs a trip to the system.
        random_bytes = self._chance.randbytes((KEY_BYTES + NONCE_BYTES) * len(places))
        keys, rows = {}, []
        for number, (its_slot, person) in enumerate(places):
            start = number * (KEY_BYTES + NONCE_BYTES)
            keys[person] = data_key = random_bytes[start : start + KEY_BYTES]
            nonce = random_bytes[start + KEY_BYTES : start + KEY_BYTES + NONCE_BYTES]
            rows.append((its_slot, person, self._wrapped(person, data_key, nonce), now))
        async with self._database.write(*{its_slot for its_slot, _ in places}) as tx:
            added = await tx.all(ADD_KEYS, made=rows)
        return {row["person"]: keys[row["person"]] for row in added}

    def _wrapped(self, person: str, data_key: bytes, nonce: bytes) -> str:
        """A new key, wrapped: version, id of the master key, nonce, and the key under AES-256-GCM."""
        head = WRAPPED_VERSION + self._key_id
        sealed = self._wrapping.encrypt(nonce, data_key, _bound_to(head, person, "person key"))
        return _to_text(head + nonce + sealed)

    def _unwrapped(self, person: str, wrapped: str) -> Box | None:
        if wrapped == ERASED:
            return None
        version, key_id, nonce, rest = _parts(wrapped, 1, KEY_ID_BYTES, NONCE_BYTES)
        if version != WRAPPED_VERSION or key_id != self._key_id:
            raise SealBroken("a person's key was wrapped under another master key than this one")
        try:
            data_key = self._wrapping.decrypt(nonce, rest, _bound_to(version + key_id, person, "person key"))
        except InvalidTag as error:
            raise SealBroken("a person's wrapped key does not open") from error
        return self._boxed(person, data_key)

    def _boxed(self, person: str, data_key: bytes) -> Box:
        return Box(person=person, data_key=data_key, chance=self._chance)


_UNKNOWN = Box(person="", data_key=bytes(KEY_BYTES))
"""Stands for a person whom the cache does not know; None stands for one who was erased."""


def slot_of_person(*, person: str) -> int:
    """Where the person's key is kept: with the person's things if it is an id, else by hash."""
    return slot_of(person) if is_id(person) else slot_of_value(person)


def derived_key(*, master: bytes, purpose: str) -> bytes:
    """A key for one purpose (HKDF-SHA256, RFC 5869): what leaks of it says nothing of the master or the others."""
    if len(master) != KEY_BYTES:
        raise ValueError(f"a master key has {KEY_BYTES} bytes, not {len(master)}")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"hansa 1 {purpose}".encode()).derive(master)


def looks_sealed(text: str) -> bool:
    """Whether a text looks like what a Box has sealed; what only looks so is taken for it."""
    if not _BASE64URL.fullmatch(text):
        return False
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return False
    return len(data) >= _SHORTEST_SEALED and data.startswith(SEALED_VERSION)


def _place(person: str) -> Place:
    return slot_of_person(person=person), person


def _bound_to(head: bytes, person: str, context: str) -> bytes:
    """What a sealed value is tied to; msgpack, so that no two pairs look alike."""
    return msgspec.msgpack.encode((head, person, context))


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _parts(text: str, *sizes: int) -> list[bytes]:
    """The leading parts of the given sizes, and the rest."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SealBroken("a sealed value is not base64url") from error
    # The last character of base64 has spare bits: only one spelling of each value is accepted.
    if len(data) < sum(sizes) or _to_text(data) != text:
        raise SealBroken("a sealed value is cut short")
    parts, position = [], 0
    for size in sizes:
        parts.append(data[position : position + size])
        position += size
    return [*parts, data[position:]]
