"""64-bit identifiers that carry their time and their slot, and the public names made of them.

Layout, from the highest bit: 41 bits of milliseconds since 2024-01-01, 12 bits of slot, 10 bits of sequence.
Identifiers travel as decimal strings (JSON numbers lose precision past 2^53) and rest as 64-bit integers.
"""

import base64
import hashlib
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from hansa.kernel.clock import Clock
from hansa.kernel.errors import Fault

SLOTS = 4096
SEQUENCES = 1024
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
LARGEST = 2**63 - 1

Id = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,18}$(?!\n)")]
"""A decimal 64-bit identifier, as a string."""

_MILLISECOND = timedelta(milliseconds=1)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CROCKFORD_CHECK = _CROCKFORD + "*~$=U"


class BlockLost(Fault):
    """Somebody else may make identifiers in our block by now."""


class Ids:
    """Makes identifiers. `sequences` is the block of the last ten bits that this process has leased.

    Without a `chance`, secrets and tokens are the operating system's: `SystemRandom` keeps no state that could be
    seeded or guessed, its bytes are those of `os.urandom`, as with the module `secrets`. A seeded one is for
    simulators.
    """

    def __init__(
        self, *, clock: Clock, sequences: range = range(SEQUENCES), chance: random.Random | None = None
    ) -> None:
        self._clock = clock
        self._chance = chance or random.SystemRandom()
        self._sequences = sequences
        self._millisecond = 0
        self._used = 0
        self._until = math.inf

    def use(self, sequences: range, *, until: float) -> None:
        """Make identifiers in this block from now on, until that moment of the monotonic clock."""
        if sequences != self._sequences:
            self._sequences, self._used = sequences, 0
        self._until = until

    def new(self, *, slot: int) -> str:
        """A fresh identifier in a slot. When a millisecond's block is used up, the next one is borrowed;
        when the clock steps back, the last millisecond goes on: an identifier never repeats in a process. Raises
        BlockLost."""
        now = (self._clock.now() - EPOCH) // _MILLISECOND
        if now > self._millisecond:
            if self._until != math.inf and self._clock.monotonic() >= self._until:
                raise BlockLost("the block of ids ran out, and could not be renewed")
            self._millisecond, self._used = now, 0
        elif self._used == len(self._sequences):
            self._millisecond, self._used = self._millisecond + 1, 0
        sequence = self._sequences[self._used]
        self._used += 1
        return str(self._millisecond << 22 | slot << 10 | sequence)

    def secret(self) -> str:
        """80 random bits in base32, lower case: what makes a guest's name unguessable."""
        return _base32(int.from_bytes(self._chance.randbytes(10)), 16).lower()

    def token(self) -> str:
        """256 random bits in base64url, for sessions."""
        return base64.urlsafe_b64encode(self._chance.randbytes(32)).decode().rstrip("=")


def slot_of(identifier: str) -> int:
    """The slot that an identifier was born in."""
    return (int(identifier) >> 10) & (SLOTS - 1)


def moment_of(identifier: str) -> datetime:
    """The millisecond that an identifier was made in."""
    return EPOCH + (int(identifier) >> 22) * _MILLISECOND


def first_id_at(moment: datetime) -> int:
    """The smallest that an identifier made in this millisecond, or later, can be, as far as identifiers go."""
    return min(max((moment - EPOCH) // _MILLISECOND, 0) << 22, LARGEST)


def is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 19 and int(text) <= LARGEST


def slot_of_value(*parts: str) -> int:
    """The slot of a value that is not an identifier (an e-mail's hash, a sku, a slug)."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % SLOTS


def guest_name(identifier: str, secret: str) -> str:
    """What a guest's thing is called: possession of the whole name is the right to it."""
    return f"{identifier}-{secret}" if secret else identifier


def split_name(name: str) -> tuple[str, str] | None:
    """A name's identifier and secret (empty for members' things), or None if it cannot be a name."""
    identifier, _, secret = name.partition("-")
    if not is_id(identifier) or len(secret) > 64:
        return None
    return identifier, secret


def order_number(identifier: str) -> str:
    """The identifier as customers see it: Crockford base32 in groups, the last character a check (modulo 37)."""
    value = int(identifier)
    text = _base32(value, 13) + _CROCKFORD_CHECK[value % 37]
    return f"{text[:5]}-{text[5:10]}-{text[10:]}"


def _base32(value: int, width: int) -> str:
    return "".join([_CROCKFORD[(value >> shift) & 31] for shift in range(5 * (width - 1), -1, -5)])
