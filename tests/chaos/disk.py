"""A disk that is full for a while: a small tmpfs over a folder, or, where none may be mounted, a limit on files."""

import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

PIECE = bytes(256 * 1024)
FILLER = "filler"
RATION = 256 * 1024
"""How long a rationed file may be."""


class Disk(Protocol):
    """Where something keeps its files."""

    what: str
    """What kind of disk it is, for people."""

    def fill(self) -> bool:
        """Leave no room; whether there is none now."""
        ...

    def free(self) -> None:
        """Give the room back."""
        ...

    def close(self) -> None: ...


class SmallDisk:
    """A tmpfs over a folder, with what was in the folder; it survives processes, as a disk does."""

    def __init__(self, folder: Path, *, megabytes: int) -> None:
        self.what = f"tmpfs of {megabytes} MB"
        self._folder = folder
        owner = folder.stat()
        with tempfile.TemporaryDirectory() as aside:
            kept = Path(aside) / "kept"
            _copy(folder, kept)
            options = f"size={megabytes}m,mode={owner.st_mode & 0o7777:o},uid={owner.st_uid},gid={owner.st_gid}"
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True
            )
            _copy(kept, folder)

    @property
    def room(self) -> int:
        """Bytes that are free."""
        state = os.statvfs(self._folder)
        return state.f_bavail * state.f_frsize

    def fill(self) -> bool:
        with (self._folder / FILLER).open("ab", buffering=0) as filler:
            for piece in (PIECE, bytes(4096)):
                with suppress(OSError):
                    while filler.write(piece) == len(piece):
                        pass
        return self.room == 0

    def free(self) -> None:
        (self._folder / FILLER).unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self._folder)], check=False, capture_output=True)


class Rationed:
    """No room for longer files, by a limit on the processes that write them; they see the errors of a broken disk."""

    def __init__(self, processes: Callable[[], Sequence[int]]) -> None:
        self.what = f"no rights to mount a tmpfs: files limited to {RATION // 1024} kB instead"
        self._processes = processes

    def fill(self) -> bool:
        self._limit(RATION)
        return bool(self._processes())

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def close(self) -> None:
        return

    def _limit(self, most: int) -> None:
        for process in self._processes():
            with suppress(ProcessLookupError, PermissionError):
                resource.prlimit(process, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def small_disk(folder: Path, *, megabytes: int, processes: Callable[[], Sequence[int]]) -> Disk:
    """A disk for a folder that nobody writes to yet."""
    try:
        return SmallDisk(folder, megabytes=megabytes)
    except (OSError, subprocess.CalledProcessError):
        return Rationed(processes)


def _copy(source: Path, target: Path) -> None:
    """With owners and modes."""
    target.mkdir(exist_ok=True)
    subprocess.run(["cp", "--archive", f"{source}/.", str(target)], check=True)
