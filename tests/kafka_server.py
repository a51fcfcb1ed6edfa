"""A real Kafka for tests: one process that is broker and controller, on free ports and in a temporary folder."""

import atexit
import base64
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.ports import HOST, free_port
from tests.servers import ServerMissing, end_with_parent, wait_until

PROJECT = Path(__file__).with_suffix(".xml")
CACHE = Path(__file__).parents[1] / "build" / "kafka"
FETCH_TIMEOUT_S = 600
START_TIMEOUT_S = 60
START_ATTEMPTS = 5
JAVA_OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "INSIDE",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    # After a power cut it waits until its former self has been given up.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "200",
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.enable": "false",
    "socket.request.max.bytes": str(100 * 1024 * 1024),
}
USER, PASSWORD = "shop", "not/so:secret"


class KafkaServer:
    """One Kafka with its data, which may be killed, halted and started again.

    `port` lets everybody in, `closed_port` only `USER` with `PASSWORD`, and `sealed_port` speaks TLS, with the
    certificate in `certificate`.
    """

    def __init__(self) -> None:
        self._libraries = _libraries()
        self.port = self.closed_port = self.sealed_port = 0
        self._folder = Path(tempfile.mkdtemp(prefix="hansa-kafka-"))
        self._process: subprocess.Popen[bytes] | None = None
        owner = os.getpid()
        atexit.register(lambda: self.stop() if os.getpid() == owner else None)  # not in a fork

    @property
    def process_ids(self) -> list[int]:
        return [] if self._process is None else [self._process.pid]

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def certificate(self) -> Path:
        return self._folder / "certificate.pem"

    def start(self) -> None:
        """Start on the data that is there, on the same ports as before; return when it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        if self.port:
            self._start_once()
            return
        for attempt in range(START_ATTEMPTS):
            self.port, self.closed_port, self.sealed_port = free_port(), free_port(), free_port()
            self._format(controller=free_port())
            try:
                self._start_once()
            except RuntimeError:  # somebody else may have taken a port meanwhile
                if attempt == START_ATTEMPTS - 1:
                    raise
            else:
                return

    def kill(self) -> None:
        """End it at once, as a power cut does; the data stays as it is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def halt(self) -> None:
        """It hears connections and says nothing, until it is resumed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on, if it was halted."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End for good and remove the data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """What the server has said since it was created."""
        file = self._folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _format(self, *, controller: int) -> None:
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        listeners = f"INSIDE://{HOST}:{self.port},CLOSED://{HOST}:{self.closed_port},SEALED://{HOST}:{self.sealed_port}"
        _write_key(self._folder / "key.pem", self.certificate)
        jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required "
        lines = [f"{name}={value}" for name, value in SETTINGS.items()]
        lines += [
            f"listeners={listeners},CONTROLLER://{HOST}:{controller}",
            f"advertised.listeners={listeners}",
            f"controller.quorum.voters=1@{HOST}:{controller}",
            "listener.security.protocol.map=INSIDE:PLAINTEXT,CLOSED:SASL_PLAINTEXT,SEALED:SSL,CONTROLLER:PLAINTEXT",
            "listener.name.sealed.ssl.keystore.type=PEM",
            f"listener.name.sealed.ssl.keystore.location={self._folder / 'key.pem'}",
            "sasl.enabled.mechanisms=PLAIN",
            f'listener.name.closed.plain.sasl.jaas.config={jaas} user_{USER}="{PASSWORD}";',
            f"log.dirs={self._folder / 'data'}",
        ]
        (self._folder / "settings").write_text("\n".join(lines))
        cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "A")
        arguments = ["format", "--cluster-id", cluster, "--config", str(self._folder / "settings")]
        done = subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"Kafka could not format its storage:\n{done.stdout}{done.stderr}")

    def _start_once(self) -> None:
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*self._java(), "kafka.Kafka", str(self._folder / "settings")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server themselves
                preexec_fn=end_with_parent(signal.SIGKILL),  # at any other one it would only print its threads
            )
        self._process = process
        wait_until(lambda: process.poll() is not None or self._is_ready(), timeout_s=START_TIMEOUT_S)
        if process.poll() is not None or not self._is_ready():
            self.kill()
            raise RuntimeError(f"Kafka did not start:\n{self.log()[-4000:]}")

    def _is_ready(self) -> bool:
        return all(_answers(port) for port in (self.port, self.closed_port, self.sealed_port))

    def _java(self) -> list[str]:
        return ["java", *JAVA_OPTIONS, LOG_LEVEL, "-cp", f"{self._libraries}/*"]


def _libraries() -> Path:
    """Where the programs are; Maven fetches them the first time. Raises ServerMissing."""
    folder = CACHE / hashlib.sha256(PROJECT.read_bytes()).hexdigest()[:12]
    if folder.exists():
        return folder
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        raise ServerMissing(f"Kafka cannot be started: no {', '.join(missing)} (see tests/install-servers)")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other test processes want it, too
        if not folder.exists():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=CACHE))
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(PROJECT), "dependency:copy-dependencies"]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"]
    try:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise ServerMissing("Maven did not fetch Kafka in time") from error
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise ServerMissing(f"Maven could not fetch Kafka:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    unfinished.rename(folder)


def _write_key(key_file: Path, certificate_file: Path) -> None:
    """A key with a certificate that it has signed itself, together and the certificate alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kafka")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    certificate_file.write_bytes(certificate)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
