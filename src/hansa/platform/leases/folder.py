"""The data folder has one owner: a lock that dies with the process, and a note of where the owner can be reached."""

import fcntl
import os
from pathlib import Path
from typing import IO

import msgspec

LOCK = "owner.lock"
NOTE = "owner.json"


class FolderOwned(Exception):
    """Another process owns the folder."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Where the owning process listens for commands, and the token that proves a caller could read the folder."""

    process: int
    address: str
    token: str


class OwnedFolder:
    """Ownership, held until `release` or the end of the process, however it ends."""

    def __init__(self, folder: Path, lock: IO[str]) -> None:
        self._folder = folder
        self._lock = lock

    def announce(self, owner: Owner) -> None:
        """Tell other commands where to turn to; only the folder's user can read it."""
        draft = self._folder / f"{NOTE}.new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(owner))
        draft.replace(self._folder / NOTE)

    def release(self) -> None:
        (self._folder / NOTE).unlink(missing_ok=True)
        self._lock.close()


def own(folder: Path) -> OwnedFolder:
    """Take the folder (made if missing, for its user alone). Raises FolderOwned."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (folder / LOCK).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise FolderOwned(f"{folder} is in use by another Hansa process") from None
    (folder / NOTE).unlink(missing_ok=True)  # left by an owner who was killed: nobody listens there any more
    return OwnedFolder(folder, lock)


def find_owner(folder: Path) -> Owner | None:
    """Where the folder's owner listens, or None. Try `own` first: the note of an owner that was killed stays behind."""
    try:
        return msgspec.json.decode((folder / NOTE).read_bytes(), type=Owner)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
