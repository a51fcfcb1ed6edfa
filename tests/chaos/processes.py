"""The shop and its database as processes that are killed, stopped, started again, and lied to about the time."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.served import Served, pause
from tests.servers import PostgresServer

LIBRARY = "libfaketime.so.1"
PATIENCE_S = 60.0
"""How long a process may need until it is up again; it is a promise, too."""
PAUSE_S = 0.2
"""Between two attempts to start something."""
DATABASE_SETTINGS = {"max_wal_size": "128MB", "checkpoint_timeout": "30s", "shared_buffers": "32MB"}
"""Checkpoints often, as a small disk needs them, and so that crashes come at every stage of one."""


class FaketimeMissing(Exception):
    """libfaketime is not installed."""


class NotStarting(Exception):
    """Something does not come up again, though nothing hinders it any more."""


def find_faketime() -> Path:
    """Where Debian keeps the library. Raises FaketimeMissing."""
    for folder in sorted(Path("/usr/lib").glob("*/faketime")):
        if (folder / LIBRARY).exists():
            return folder / LIBRARY
    raise FaketimeMissing(f"{LIBRARY} is missing (Debian: apt-get install libfaketime): tests/install-servers gets it")


class WallClock:
    """The wall clock of one process, wrong by so many seconds; its monotonic clock stays right."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._library = find_faketime()
        self.offset_s = 0
        self.highest_s = 0
        self.set(0)

    def set(self, offset_s: int) -> None:
        self.offset_s = offset_s
        self.highest_s = max(self.highest_s, offset_s)
        draft = self._file.with_name(f"{self._file.name}.new")
        draft.write_text(f"{offset_s:+d}")
        draft.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else timed waits of threads end at once, and Python spins
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


class ShopProcess(Served):
    """`hansa serve`, which may be stopped in its tracks."""

    def __init__(self, folder: Path, *, clock: WallClock, database: str) -> None:
        super().__init__(folder, command="serve", database=database)
        self.environment |= clock.environment
        self.environment["HANSA_LOG_LEVEL"] = "WARNING"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def process_ids(self) -> Sequence[int]:
        return [self.process.pid] if self.process is not None and self.is_running else []

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """As Ctrl-C does; the end is not awaited."""
        self._send(signal.SIGINT)

    def _send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


class DatabaseProcess(PostgresServer):
    """A PostgreSQL server that may be stopped in its tracks, with all of its processes."""

    def __init__(self) -> None:
        super().__init__()
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in DATABASE_SETTINGS.items())

    @property
    def data(self) -> Path:
        return self._data

    @property
    def process_ids(self) -> Sequence[int]:
        return [process.pid for process in self._everybody()]

    def freeze(self) -> None:
        for process in self._everybody():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self._everybody():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def halt(self) -> None:
        """End in order, though with everybody thrown out; the data stays."""
        if self._process is not None and self.is_running:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE_S)

    def _everybody(self) -> Iterator[psutil.Process]:
        """The postmaster first: whoever it starts then is not missed."""
        if self._process is None or not self.is_running:
            return
        postmaster = psutil.Process(self._process.pid)
        yield postmaster
        with suppress(psutil.NoSuchProcess):
            yield from postmaster.children(recursive=True)


def insist(
    start: Callable[[], object], *, what: str, is_wanted: Callable[[], bool], patience_s: float = PATIENCE_S
) -> int:
    """Start something that may still be hindered, until it is up; how many attempts that took. Raises NotStarting."""
    began = time.monotonic()
    attempts = 0
    while is_wanted():
        attempts += 1
        try:
            start()
        except (AssertionError, RuntimeError) as error:
            if time.monotonic() - began > patience_s:
                raise NotStarting(f"{what} does not start again within {patience_s:.0f} s: {error}") from error
            pause(PAUSE_S)
        else:
            return attempts
    return attempts
