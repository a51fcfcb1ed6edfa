"""What all tests share: deterministic Hypothesis, real servers on demand, and no quiet skips where none may be."""

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from hansa.platform.telemetry import logs
from tests import servers
from tests.kafka_server import KafkaServer
from tests.memcached_server import MemcachedServer
from tests.rabbitmq_server import RabbitServer
from tests.redis_server import RedisServer
from tests.redis_sets import RedisCluster, RedisSentinels

logs.configure(level="WARNING", as_json=True)
settings.register_profile("hansa", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("hansa")

NO_SKIPS = os.environ.get("HANSA_NO_SKIPS", "") not in ("", "0")

COSTLY = (
    "tests/browser",
    "tests/chaos/cache",
    "tests/chaos/messages",
    "tests/chaos/test_under_fire.py",
    "tests/simulation/test_seeds.py",
    "tests/simulation/test_planted.py",
    "tests/system/following",
    "tests/system/test_cache_commands.py",
    "tests/system/test_main_job.py",
)
"""What takes longest, files or whole folders: it is begun first, so that no process ends long before the other."""

_database_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """One PostgreSQL for the whole run, started when the first test asks for it."""
    try:
        server = servers.PostgresServer()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres_dsn(postgres_server: servers.PostgresServer) -> Iterator[str]:
    """The address of a fresh and empty database, which goes with the test."""
    postgres_server.start()  # a test before this one may have killed it
    name = f"test_{next(_database_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.start()
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for all tests of this process."""
    try:
        server = RedisServer()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def memcached_servers() -> Iterator[tuple[MemcachedServer, MemcachedServer]]:
    """Two Memcached for all tests of this process, which hold the keys together."""
    try:
        both = MemcachedServer(), MemcachedServer()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    yield both
    for server in both:
        server.stop()


@pytest.fixture(scope="session")
def redis_sentinels() -> Iterator[RedisSentinels]:
    """One master with a replica and Sentinels for all tests of this process."""
    try:
        servers_ = RedisSentinels()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    yield servers_
    servers_.stop()


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """One Cluster of Redis for all tests of this process."""
    try:
        servers_ = RedisCluster()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    yield servers_
    servers_.stop()


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitServer]:
    """One RabbitMQ for all tests of this process, started when the first one needs it."""
    try:
        server = RabbitServer()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    """One Kafka for all tests of this process."""
    try:
        server = KafkaServer()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    server.start()
    yield server
    server.stop()


BROKERS = ("rabbitmq", "kafka", "redis")
_namespaces = itertools.count(1)


@pytest.fixture
def bus_at(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The setting `bus` for a broker, or for none, with a namespace that nobody else has."""

    def address(name: str) -> str:
        if name == "local":
            return "local:"
        server: RabbitServer | KafkaServer | RedisServer = request.getfixturevalue(f"{name}_server")
        server.start()
        address = f"kafka://{server.address}/" if isinstance(server, KafkaServer) else server.url
        return f"{address}?namespace=shop{next(_namespaces)}"

    return address


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Deals files out to processes: the tests of one share what is costly to make.

    So do those of a costly folder, as with the browser and the furnished shop.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        folder, _, _ = file.rpartition("/")
        return folder if folder in COSTLY else file

    def _assign_work_unit(self, node: Any) -> None:
        costly = next((scope for scope in COSTLY if scope in self.workqueue), None)
        if costly is not None:
            self.workqueue.move_to_end(costly, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    return FilesTogether(config, log)


class SkipsFail:
    """Makes a run with a skipped test a failed one, and names the tests."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def _note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.skipped.append(f"{report.nodeid}: {reason}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skipped:
            terminalreporter.section("HANSA_NO_SKIPS is set, and yet were skipped", red=True)
            for line in self.skipped:
                terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    if NO_SKIPS:
        config.pluginmanager.register(SkipsFail(), "hansa-skips-fail")
