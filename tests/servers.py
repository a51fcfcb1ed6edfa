"""Real servers for tests: private ones, on free ports and in temporary folders, gone when the tests are."""

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypedDict

import psutil

from tests.ports import free_port

POSTGRES_BIN = Path(os.environ.get("HANSA_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))
START_TIMEOUT_S = 60
START_ATTEMPTS = 5
STOP_TIMEOUT_S = 10
POLL_S = 0.01

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "fsync": "on",
    "shared_buffers": "128MB",
    "checkpoint_timeout": "30min",
    "max_wal_size": "4GB",
    "log_checkpoints": "off",
    "timezone": "UTC",
}

# What still runs, with the process that started it: a fork must not stop the servers of its parent.
_running: dict["PostgresServer", int] = {}


class _Identity(TypedDict, total=False):
    """Under whose name a program runs, for subprocess."""

    user: int
    group: int
    extra_groups: list[int]


class ServerMissing(Exception):
    """The programs of a server are not installed."""


class PostgresServer:
    """One PostgreSQL with its data, which may be killed and started again."""

    def __init__(self) -> None:
        missing = [name for name in ("postgres", "initdb", "psql") if not (POSTGRES_BIN / name).exists()]
        if missing:
            raise ServerMissing(
                f"PostgreSQL is not installed: no {', '.join(missing)} in {POSTGRES_BIN} "
                "(Debian: apt-get install postgresql-15; elsewhere set HANSA_POSTGRES_BIN)"
            )
        self.port = 0
        self._account = _unprivileged_account()
        self._folder = Path(tempfile.mkdtemp(prefix="hansa-postgres-", dir=_reachable_folder(self._account)))
        self._process: subprocess.Popen[bytes] | None = None
        _stop_with_this_process(self)
        try:
            if self._account is not None:
                os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
            self._create_data()
        except BaseException:
            self.stop()
            raise

    @property
    def dsn(self) -> str:
        """The address of the database that is always there."""
        return self.dsn_of(name="postgres")

    def dsn_of(self, *, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start on the data that is there, on the same port as before; return when it answers."""
        if self.is_running:
            return
        if self.port:
            self._start_once()
            return
        for attempt in range(START_ATTEMPTS):
            self.port = free_port()
            try:
                self._start_once()
            except RuntimeError:  # somebody else may have taken the port meanwhile
                if attempt == START_ATTEMPTS - 1:
                    raise
            else:
                return

    def kill(self) -> None:
        """End every process at once, as a power cut does; the data stays as it is."""
        if self._process is None:
            return
        # Until the last one is gone, it holds the shared memory and with it the data folder.
        kill_with_descendants(self._process)
        self._process = None

    def stop(self) -> None:
        """End for good and remove the data."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # what `pg_ctl stop -m immediate` sends
            try:
                self._process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)
        _running.pop(self, None)

    def create_database(self, name: str) -> str:
        """Create an empty database and return its address."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self.dsn_of(name=name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement as the superuser and return its rows, as lines of columns parted by bars."""
        done = self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.dsn_of(name=database))
        return done.stdout.strip()

    def log(self) -> str:
        """What the server has said since it was created."""
        file = self._folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _create_data(self) -> None:
        self._run(
            *("initdb", "--pgdata", str(self._data), "--username=postgres", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
        lines = [f"{name} = '{value}'" for name, value in SETTINGS.items()]
        lines.append(f"unix_socket_directories = '{self._folder}'")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join(["", *lines, ""]))

    def _start_once(self) -> None:
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(POSTGRES_BIN / "postgres"), "-D", str(self._data), "-p", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server themselves
                preexec_fn=end_with_parent(),
                **self._identity(),
            )
        self._process = process
        wait_until(lambda: process.poll() is not None or self._is_ready(), timeout_s=START_TIMEOUT_S)
        if not self._is_ready():
            self.kill()
            raise RuntimeError(f"PostgreSQL did not start:\n{self.log()[-4000:]}")

    def _is_ready(self) -> bool:
        """Read what pg_ctl reads: the process writes its number first and its state last."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        process = self._process
        return process is not None and len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(POSTGRES_BIN / program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=self._environment(),
            check=False,
            **self._identity(),
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")
        return done

    def _environment(self) -> dict[str, str]:
        """Neither the caller's PG… variables nor its language reach the server."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._folder), "LC_ALL": "C.UTF-8"}

    def _identity(self) -> "_Identity":
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL, stopped and removed at the end."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _unprivileged_account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: who it runs as then, or None for who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerMissing("PostgreSQL does not run as root, and there is no account named postgres")


def _reachable_folder(account: pwd.struct_passwd | None) -> str:
    """A folder for temporary files that the account can reach: a root's TMPDIR is often its own."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        path = Path(folder).resolve()
        if account is None or all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents)):
            return str(path)
    raise ServerMissing("no folder for temporary files that other accounts can reach")


def end_with_parent(by: signal.Signals = signal.SIGQUIT) -> Callable[[], None] | None:
    """On Linux the kernel stops the server even when the tests are killed.

    It does so when the starting thread ends, hence for the main thread only.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None).prctl
    set_parent_death_signal = 1
    return lambda: prctl(set_parent_death_signal, by)


def _stop_with_this_process(server: PostgresServer) -> None:
    if not _running:
        atexit.register(_stop_all)
        if threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        ):
            signal.signal(signal.SIGTERM, _interrupt)
    _running[server] = os.getpid()


def _stop_all() -> None:
    for server, owner in list(_running.items()):
        if owner == os.getpid():
            server.stop()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """A terminated test run ends as an interrupted one does: in order, fixtures first."""
    raise KeyboardInterrupt("terminated")


def kill_with_descendants(process: subprocess.Popen[bytes]) -> None:
    """Return when none of them is left."""
    victims = _descendants(process.pid)
    process.kill()
    process.wait()
    for victim in victims:
        _kill(victim)
    wait_until(lambda: not any(_is_alive(victim) for victim in victims), timeout_s=STOP_TIMEOUT_S)


def _descendants(process_id: int) -> list[psutil.Process]:
    try:
        return psutil.Process(process_id).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _is_alive(process: psutil.Process) -> bool:
    """A zombie that nobody has buried yet holds nothing any more."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(POLL_S)
