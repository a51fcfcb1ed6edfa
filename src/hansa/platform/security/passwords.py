"""Password hashes: Argon2id in a few threads, with a bound on how many may wait for them."""

import asyncio
import base64
import random
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError

from hansa.kernel.errors import BusinessError, Fault, Kind

T = TypeVar("T")

# OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB of memory, two passes, one lane.
MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
HASH_BYTES = 32
SALT_BYTES = 16


class TooBusy(BusinessError, code="security.busy", kind=Kind.TOO_MANY):
    """Too many passwords are being checked at this moment; try again in a few seconds."""


class Passwords:
    """Hashes and verifies passwords outside the loop; each costs tens of milliseconds and 19 MiB on purpose.

    Without a `chance`, salts are the operating system's: `SystemRandom` keeps no state that could be seeded or guessed,
    its bytes are those of `os.urandom`, as with the module `secrets`. A seeded one is for simulators.
    """

    def __init__(
        self,
        *,
        threads: int = 2,
        waiting: int = 64,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        lanes: int = LANES,
        chance: random.Random | None = None,
    ) -> None:
        self._chance = chance or random.SystemRandom()
        self._hasher = PasswordHasher(
            time_cost=passes,
            memory_cost=memory_kib,
            parallelism=lanes,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
            type=Type.ID,
        )
        self._nobody = _unmatchable(memory_kib=memory_kib, passes=passes, lanes=lanes, chance=self._chance)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="passwords")
        self._free = asyncio.Semaphore(threads)
        self._waiting = 0
        self._most_waiting = waiting

    async def hash(self, *, password: str) -> str:
        """The hash to keep. Raises TooBusy."""
        # Drawn here and not in the thread: with a seeded chance the same calls have the same salts.
        salt = self._chance.randbytes(SALT_BYTES)
        return await self._in_thread(lambda: self._hasher.hash(_prepared(password), salt=salt))

    async def verify(self, *, password: str, hashed: str | None) -> bool:
        """Whether the password is the one that was hashed. Raises TooBusy.

        None stands for an account that does not exist: it takes as long as a wrong password does, so that the time
        tells nobody who has an account here.
        """
        return await self._in_thread(lambda: self._matches(hashed or self._nobody, password))

    def needs_rehash(self, hashed: str) -> bool:
        """Whether a hash was made at another cost than is asked now; hash again when its owner signs in."""
        try:
            return self._hasher.check_needs_rehash(hashed)
        except InvalidHashError as error:
            raise Fault("a kept password hash is damaged") from error

    def close(self) -> None:
        """Let what has begun finish, and take nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, _prepared(password))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, Argon2Error) as error:
            raise Fault("a kept password hash is damaged") from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._free.locked() and self._waiting >= self._most_waiting:
            raise TooBusy()
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        # A caller who gives up does not stop the thread: its place is free only when the hash is done.
        running.add_done_callback(self._done)
        return await asyncio.shield(running)

    def _done(self, running: "asyncio.Future[Any]") -> None:
        self._free.release()
        if not running.cancelled():
            running.exception()  # seen: if the caller gave up, nobody else will look at it


def _prepared(password: str) -> bytes:
    """The same bytes for the same characters, however a keyboard composes them (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")


def _unmatchable(*, memory_kib: int, passes: int, lanes: int, chance: random.Random) -> str:
    """A well-formed hash that no password has: random bytes, so that nothing need be computed at the start."""
    salt, digest = (_base64(chance.randbytes(size)) for size in (SALT_BYTES, HASH_BYTES))
    hashed = f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${digest}"
    extract_parameters(hashed)
    return hashed


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
