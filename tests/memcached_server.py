"""A private Memcached for tests: on a port of its own, gone with the process that started it."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import HOST, free_port
from tests.servers import ServerMissing, end_with_parent, wait_until

PROGRAM = "memcached"
START_TIMEOUT_S = 30
MEGABYTES = 64


class MemcachedServer:
    """Started when it is needed; `kill` and `start` may follow each other, and nothing is left of what it held."""

    def __init__(self, *options: str, megabytes: int = MEGABYTES) -> None:
        found = shutil.which(PROGRAM) or shutil.which(PROGRAM, path="/usr/bin:/usr/sbin")
        if found is None:
            raise ServerMissing("memcached is missing: tests/install-servers installs it")
        self._program = found
        self._options = (*options, "-m", str(megabytes))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def place(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Return when it answers; nothing to do if it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        account = ("-u", "root") if os.geteuid() == 0 else ()  # else it refuses to run as root
        self._process = subprocess.Popen(
            [self._program, "-l", HOST, "-p", str(self.port), "-U", "0", "-t", "2", *account, *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent(signal.SIGTERM),
        )
        wait_until(self._answers, timeout_s=START_TIMEOUT_S)
        if not self._answers():
            self.stop()
            raise RuntimeError("Memcached did not start")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    @property
    def process_ids(self) -> list[int]:
        return [] if self._process is None else [self._process.pid]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It neither answers nor ends."""
        (process_id,) = self.process_ids
        os.kill(process_id, signal.SIGSTOP)
        wait_until(lambda: _is_stopped(process_id), timeout_s=START_TIMEOUT_S)  # each of its threads by itself
        try:
            yield
        finally:
            os.kill(process_id, signal.SIGCONT)

    def ask(self, command: bytes, *, until: bytes = b"\r\n") -> bytes:
        """What it says to a command, such as `flush_all`, to the first answer that ends so."""
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(command + b"\r\n")
            answer = b""
            while not answer.endswith(until):
                chunk = connection.recv(1 << 20)
                if not chunk:
                    raise ConnectionError("Memcached hung up")
                answer += chunk
            return answer

    def get(self, name: str) -> bytes | None:
        """What it holds under a name. The value must not contain `END` at the end of a line."""
        head, _, rest = self.ask(b"get " + name.encode(), until=b"END\r\n").partition(b"\r\n")
        return rest[: int(head.split()[3])] if head.startswith(b"VALUE ") else None

    def set(self, name: str, value: bytes) -> None:
        answer = self.ask(b"set %b 0 0 %d\r\n%b" % (name.encode(), len(value), value))
        assert answer == b"STORED\r\n", answer

    def _answers(self) -> bool:
        try:
            return self.ask(b"version").startswith(b"VERSION ")
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(timeout=30)
        self._process = None


@contextmanager
def memcached_server(*options: str, megabytes: int = MEGABYTES) -> Iterator[MemcachedServer]:
    """A running Memcached, stopped at the end."""
    server = MemcachedServer(*options, megabytes=megabytes)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _is_stopped(process_id: int) -> bool:
    tasks = Path(f"/proc/{process_id}/task")
    if not tasks.exists():  # no Linux: it is soon
        return True
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir())
