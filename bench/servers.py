"""The programs that a run starts on this machine: nginx, the shop, PostgreSQL. All end with it, whatever happens."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.ports import free_port
from tests.servers import POSTGRES_BIN, PostgresServer, end_with_parent

START_S = 90.0
STOP_S = 30.0
LOOK_S = 0.05
STAFF_EMAIL = "staff@example.com"
FOLDERS = f"/usr/sbin:/usr/local/sbin:{os.environ.get('PATH', os.defpath)}"
"""Where programs are looked for: nginx is not in the way of those who are not root."""


class NotInstalled(Exception):
    """A program is missing; the text says how to get it."""


class NotStarted(Exception):
    """A program ended or did not answer in time; the text is what it said."""


def find_program(name: str) -> str:
    """Where it is. Raises NotInstalled."""
    if name == "pgbench" and (POSTGRES_BIN / name).exists():
        return str(POSTGRES_BIN / name)
    found = shutil.which(name, path=FOLDERS)
    if found is None:
        raise NotInstalled(
            f"{name} is missing: tests/install-servers installs it (Debian: nginx-light, wrk, postgresql)"
        )
    return found


class Program:
    """A process that ends when this one does."""

    def __init__(self, *, output: Path) -> None:
        self.output = output
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int:
        assert self.process is not None
        return self.process.pid

    def said(self) -> str:
        return self.output.read_text(errors="replace")[-4000:] if self.output.exists() else ""

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """In order; by force if that takes too long."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def _launch(self, command: Sequence[str], *, environment: Mapping[str, str], ready: str) -> float:
        """Start it and wait until the address is answered; how many seconds that took. Raises NotStarted."""
        began = time.monotonic()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_parent(),
            )
        while time.monotonic() - began < START_S:
            if self.process.poll() is not None:
                raise NotStarted(f"{command[0]} ended with {self.process.returncode}: {self.said()}")
            try:
                with urllib.request.urlopen(ready, timeout=1):
                    return time.monotonic() - began
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(LOOK_S)
        raise NotStarted(f"{command[0]} did not answer within {START_S:.0f} s: {self.said()}")


class Shop(Program):
    """`hansa serve` on a folder and a free port; the same port again when it is started again."""

    def __init__(self, folder: Path, *, database: str = "sqlite:") -> None:
        super().__init__(output=folder.parent / f"{folder.name}.out")
        self.folder = folder
        self.database = database
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HANSA_")},
            "HANSA_PORT": str(self.port),
            "HANSA_DATA": str(folder),
            "HANSA_DATABASE": database,
            "HANSA_STAFF_EMAIL": STAFF_EMAIL,
            "HANSA_STAFF_PASSWORD": self.password,
            "HANSA_LOG_LEVEL": "ERROR",
            "HANSA_CONFIG": os.devnull,
        }

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def is_embedded(self) -> bool:
        return self.database == "sqlite:"

    def start(self, *, command: str = "serve") -> float:
        return self._launch(
            [sys.executable, "-m", "hansa.cli", command],
            environment=self.environment,
            ready=f"{self.address}/readyz",
        )

    def import_products(self, file: Path, *options: str) -> None:
        """While it serves."""
        done = subprocess.run(
            [sys.executable, "-m", "hansa.cli", "import", "products", str(file), *options],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotStarted(f"the import of {file.name} failed: {done.stdout}{done.stderr}")


class Nginx(Program):
    """nginx with one worker, serving files as fast as it can: files stay open, and requests are not logged."""

    def __init__(self, folder: Path) -> None:
        super().__init__(output=folder / "nginx.out")
        self.folder = folder
        self.root = folder / "files"
        self.root.mkdir(parents=True)
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, name: str, body: bytes) -> None:
        """Serve these bytes as /name."""
        (self.root / name).write_bytes(body)

    def start(self) -> float:
        self.put("ready.json", b"{}")
        settings = self.folder / "nginx.conf"
        settings.write_text(nginx_settings(folder=self.folder, port=self.port, user=_nginx_user()))
        return self._launch(
            [find_program("nginx"), "-p", str(self.folder), "-c", str(settings)],
            environment=os.environ,
            ready=f"{self.address}/ready.json",
        )

    def stop(self) -> None:
        """nginx drains on SIGQUIT and drops everything on SIGINT, which is what is wanted here."""
        super().stop()


def nginx_settings(*, folder: Path, port: int, user: str) -> str:
    """Its settings file. Nothing is compressed: the client of the measurement asks for none."""
    return f"""\
{f"user {user};" if user else ""}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 4096; }}
http {{
    types {{ application/json json; text/html html; }}
    access_log off;
    sendfile on;
    open_file_cache max=100 inactive=1h;
    tcp_nopush on;
    keepalive_timeout 65;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
    }}
}}
"""


def _nginx_user() -> str:
    """Whom its worker runs as where we are root: else it would be one who cannot read our folders."""
    return "root" if os.geteuid() == 0 else ""


class Postgres(PostgresServer):
    """The private PostgreSQL of the tests, and what a measurement must know of it."""

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def data(self) -> Path:
        return self._data

    @property
    def version(self) -> str:
        return self.execute("SHOW server_version").split()[0]

    def assert_durable(self) -> None:
        """A run with fsync off would compare nothing."""
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            if self.execute(f"SHOW {name}") != "on":
                raise NotStarted(f"PostgreSQL runs without {name}")
