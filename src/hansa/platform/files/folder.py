"""Media in a folder: `<folder>/<first two digits of the digest>/<name>`."""

import asyncio
import errno
import os
import secrets
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hansa.kernel.errors import Fault, StorageFull
from hansa.platform.files import names
from hansa.platform.files.port import LARGEST_FILE

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class FolderFiles:
    """Writes a file under another name first, so that a crash leaves the file whole or a scrap that nobody asks for."""

    def __init__(self, *, folder: Path) -> None:
        self._folder = folder

    async def put(self, *, contents: Mapping[str, bytes]) -> None:
        by_folder: dict[Path, dict[str, bytes]] = defaultdict(dict)
        for name, content in contents.items():
            if len(content) > LARGEST_FILE:
                raise ValueError(f"{name} is too large to be kept")
            by_folder[self._path(name).parent][name] = content
        try:
            await asyncio.to_thread(_keep_all, by_folder)
        except OSError as error:
            kind = StorageFull if error.errno in _NO_ROOM else Fault
            raise kind(f"a picture could not be written: {error.strerror}") from error

    async def read(self, *, name: str) -> bytes | None:
        # Read on the loop: the file lies in the system's memory as a rule, and a hop to a thread would cost ten times
        # as much. The bound keeps the exception short.
        try:
            with self._path(name).open("rb") as file:
                content = file.read(LARGEST_FILE + 1)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        except OSError as error:
            raise Fault(f"a picture could not be read: {error.strerror}") from error
        return content if len(content) <= LARGEST_FILE else None

    def _path(self, name: str) -> Path:
        """Where a name's file is. Raises ValueError for what is not a name, so that no path leads out of the folder."""
        said = names.read(name)
        if said is None:
            raise ValueError(f"{name!r} is not the name of a picture")
        return self._folder / said.digest[:2] / name


def _keep_all(by_folder: Mapping[Path, Mapping[str, bytes]]) -> None:
    """Each folder's entries are made durable once, however many files are new in it."""
    for folder, contents in by_folder.items():
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if is_new:
            _sync(folder.parent)
        new = [name for name, content in contents.items() if _keep(folder, name, content)]
        if new:
            _sync(folder)


def _keep(folder: Path, name: str, content: bytes) -> bool:
    """Whether the file was not there yet."""
    final = folder / name
    if final.exists():
        return False
    draft = folder / f".{secrets.token_hex(8)}.part"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, final)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
