"""What keeps media, and the two ways a picture may be refused."""

from collections.abc import Mapping
from typing import Protocol

LARGEST_FILE = 8 * 1024 * 1024
"""Bytes of one kept file; more is never written, and not read either."""


class Files(Protocol):
    """Keeps files under the names of `names`. A file is never changed: what has another content has another name."""

    async def put(self, *, contents: Mapping[str, bytes]) -> None:
        """Keep contents by name, durably, each whole or not at all; what is there already stays as it is.

        Raises ValueError for what is not a name, StorageFull where there is no room, Fault for other trouble.
        """
        ...

    async def read(self, *, name: str) -> bytes | None:
        """The content of a name, or None if nothing is kept under it."""
        ...


class NotAPicture(Exception):
    """The bytes are not a picture that can be shown; `reason` says why, in English."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooLarge(Exception):
    """The picture has more bytes or pixels than are looked at."""
