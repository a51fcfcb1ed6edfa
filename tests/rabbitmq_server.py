"""A real RabbitMQ for tests: a private one, on free ports and in a temporary folder, gone when the tests are."""

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import psutil

from tests.ports import HOST, free_port
from tests.servers import ServerMissing, end_with_parent, kill_with_descendants, wait_until

# Debian's own `rabbitmq-server` on the path serves the system-wide one only; these are the programs it stands for.
HOME = Path(os.environ.get("HANSA_RABBITMQ_HOME", "/usr/lib/rabbitmq"))
ACCOUNT = "rabbitmq"
NODE = "hansa@localhost"
START_TIMEOUT_S = 90
CONTROL_TIMEOUT_S = 60
SCHEDULERS = "+S 1:1 +SDcpu 1:1 +SDio 1 +A 1"
MEMORY_HIGH_WATERMARK = "512MB"
NOBODY = "nobody"
"""A user who may log in and do nothing."""
PASSWORD = "swordfish"


class _Identity(TypedDict, total=False):
    """Under whose name a program runs, for subprocess."""

    user: int
    group: int
    extra_groups: list[int]


class RabbitServer:
    """One RabbitMQ with its data, which may be killed and started again.

    `settings` are more lines of its configuration, in which `{folder}` stands for where `files` are, by their names.
    """

    def __init__(
        self, *, plugins: Sequence[str] = (), settings: Sequence[str] = (), files: Mapping[str, str] | None = None
    ) -> None:
        self._programs = _programs()
        self.port = free_port()
        self._names_port = free_port()
        self._distribution_port = free_port()
        self._account = _account()
        self._folder = Path(tempfile.mkdtemp(prefix="hansa-rabbitmq-", dir="/tmp"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._write_configuration(plugins, settings, files or {})

    @property
    def url(self) -> str:
        return self.url_of()

    def url_of(self, *, user: str = "guest", password: str = "guest", port: int | None = None, host: str = HOST) -> str:
        return f"amqp://{user}:{password}@{host}:{port or self.port}/"

    @property
    def process_ids(self) -> list[int]:
        """Of what was started; they may have started others."""
        return [process.pid for process in self._processes]

    @property
    def is_up(self) -> bool:
        """The port is opened last of all; it must be ours, and not one of somebody else who took the number."""
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
            for connection in _connections(self._processes[-1].pid)
        )

    def start(self) -> None:
        """Start on the data that is there, on the same ports as before; return when it takes connections."""
        if self._processes:
            return
        self.launch()
        server = self._processes[-1]
        wait_until(lambda: server.poll() is not None or self.is_up, timeout_s=START_TIMEOUT_S)
        if server.poll() is not None or not self.is_up:
            self.kill()
            raise RuntimeError(f"RabbitMQ did not start:\n{self.log()[-4000:]}")

    def launch(self) -> None:
        """Start, and do not wait until it `is_up`."""
        # A daemon of its own, as the one that RabbitMQ would start outlives it.
        self._spawn("epmd", "-port", str(self._names_port), "-address", HOST)
        self._spawn(str(self._programs / "rabbitmq-server"))

    def kill(self) -> None:
        """End every process at once, as a power cut does; the data stays as it is."""
        processes, self._processes = self._processes, []
        for process in processes:
            kill_with_descendants(process)

    def stop(self) -> None:
        """End for good and remove the data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def control(self, *arguments: str) -> str:
        """What `rabbitmqctl` says; it takes a second or two to say anything."""
        done = subprocess.run(
            [str(self._programs / "rabbitmqctl"), "--quiet", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONTROL_TIMEOUT_S,
            cwd=self._folder,
            env=self._environment(),
            check=False,
            **self._identity(),
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def listed(self, what: str, *columns: str) -> list[dict[str, Any]]:
        """Rows of `rabbitmqctl list_…`."""
        rows: list[dict[str, Any]] = json.loads(self.control(f"list_{what}", *columns, "--formatter", "json"))
        return rows

    def log(self) -> str:
        """What the server has said since it was created."""
        file = self._folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _write_configuration(self, plugins: Sequence[str], settings: Sequence[str], files: Mapping[str, str]) -> None:
        lines = (
            f"listeners.tcp.1 = {HOST}:{self.port}",
            f"vm_memory_high_watermark.absolute = {MEMORY_HIGH_WATERMARK}",
            "disk_free_limit.absolute = 10MB",
            "log.console = true",
            "log.console.level = warning",
            f"load_definitions = {self._folder}/definitions.json",
            *(setting.replace("{folder}", str(self._folder)) for setting in settings),
        )
        for name, content in files.items():
            (self._folder / name).write_text(content)
        (self._folder / "rabbitmq.conf").write_text("\n".join([*lines, ""]))
        (self._folder / "definitions.json").write_text(json.dumps(_definitions()))
        (self._folder / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n")
        (self._folder / ".erlang.cookie").write_text(secrets.token_hex(16))
        (self._folder / ".erlang.cookie").chmod(0o400)
        if self._account is not None:
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _spawn(self, *command: str) -> None:
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server themselves
                preexec_fn=end_with_parent(signal.SIGKILL),
                **self._identity(),
            )
        self._processes.append(process)

    def _environment(self) -> dict[str, str]:
        """Nothing of a system-wide RabbitMQ, nor of the caller's language, reaches this one."""
        folder = str(self._folder)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": folder,
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_CRASH_DUMP": "/dev/null",
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{SCHEDULERS} -kernel inet_dist_use_interface {{127,0,0,1}}",
            "RABBITMQ_CTL_ERL_ARGS": SCHEDULERS,
            # The script is to become the server and not its parent, which a signal would end alone.
            "detached": "yes",
        }

    def _identity(self) -> _Identity:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


def _programs() -> Path:
    """The folder of RabbitMQ's own scripts."""
    folder = HOME / "bin"
    if not (folder / "rabbitmq-server").exists() or shutil.which("epmd") is None:
        raise ServerMissing(
            f"RabbitMQ is not installed: no rabbitmq-server in {folder}, or no epmd on the path "
            "(Debian: apt-get install rabbitmq-server; elsewhere set HANSA_RABBITMQ_HOME)"
        )
    return folder


def _account() -> pwd.struct_passwd | None:
    """Who it runs as where the tests are root's, or None for who we are."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        return None


def _definitions() -> dict[str, Any]:
    """Who may use it: they are there before it takes connections."""
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {"name": "guest", "password": "guest", "tags": "administrator"},
            {"name": NOBODY, "password": PASSWORD, "tags": ""},
        ],
        "permissions": [
            {"user": "guest", "vhost": "/", **everything},
            {"user": NOBODY, "vhost": "/", "configure": "^$", "write": "^$", "read": "^$"},
        ],
    }


def _connections(process_id: int) -> list[Any]:
    try:
        return list(psutil.Process(process_id).net_connections(kind="tcp"))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
