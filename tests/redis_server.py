"""A private Redis for tests: durable, on a port of its own, gone with the process that started it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.ports import HOST, free_port
from tests.servers import ServerMissing, end_with_parent, wait_until

PROGRAM = "redis-server"
START_TIMEOUT_S = 30


class RedisServer:
    """Started when it is needed; `kill` and `start` may follow each other, the data stays."""

    def __init__(self, *options: str) -> None:
        found = shutil.which(PROGRAM)
        if found is None:
            raise ServerMissing("redis-server is missing: tests/install-servers installs it")
        self._program = found
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="hansa-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def start(self) -> None:
        """Return when it answers; nothing to do if it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            [
                *(self._program, "--port", str(self.port), "--bind", HOST, "--dir", str(self._folder)),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", *self._options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=end_with_parent(),
        )
        log.close()
        wait_until(self._answers, timeout_s=START_TIMEOUT_S)
        if not self._answers():
            text = (self._folder / "log").read_text(errors="replace")
            self.stop()
            raise RuntimeError(f"Redis did not start:\n{text[-4000:]}")

    def kill(self) -> None:
        """As when the machine loses its power, but for what the system had not written yet."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def process_ids(self) -> list[int]:
        return [] if self._process is None else [self._process.pid]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It neither answers nor ends."""
        (process_id,) = self.process_ids
        os.kill(process_id, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process_id, signal.SIGCONT)

    def ask(self, act: Callable[["Redis"], Any]) -> Any:
        """Have something done through a plain client."""
        client = Redis(host=HOST, port=self.port, socket_timeout=5)
        try:
            return act(client)
        finally:
            client.close()

    def _answers(self) -> bool:
        try:
            return bool(self.ask(lambda client: client.ping()))
        except (RedisError, OSError):
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(timeout=30)
        self._process = None


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """A running Redis, stopped and removed at the end."""
    server = RedisServer(*options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
