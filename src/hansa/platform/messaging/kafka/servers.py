"""Where Kafka is and how to speak with it: addresses, credentials, patience, and how a connection is ended."""

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import structlog
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from hansa.platform.messaging.port import BusUnusable

SCHEMES = ("kafka", "kafkas")
USUAL_PORT = 9092
CLOSE_S = 2.0
"""How long a client may take to say good-bye; after that it is cut off."""
QUIET_S = 30.0
"""Between two lines about the same trouble."""
REFUSALS = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long Kafka and its clients wait for each other."""

    publish_s: float = 10
    """After which an event counts as not published."""
    request_s: float = 5
    session_s: float = 10
    """How long a process may be silent until its partitions go to others."""
    heartbeat_s: float = 3
    handover_s: float = 10
    """How long others wait for a process to finish its batch when partitions are dealt out anew."""
    first_pause_s: float = 1
    longest_pause_s: float = 10
    """Between attempts to reach a broker that does not answer."""
    look_around_s: float = 60
    """How long it may take to notice topics and partitions that somebody adds or removes."""


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Brokers to begin with, and as whom."""

    addresses: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    is_encrypted: bool = False
    namespace: str = ""

    @classmethod
    def of(cls, url: str) -> "Servers":
        """From `kafka://user:password@host:port,host:port?namespace=…`, with TLS if it is `kafkas`. Raises
        ValueError, whose text does not repeat what it was given."""
        try:
            parts = urlsplit(url)
        except ValueError:  # whose text would repeat what was given
            raise ValueError("is no URL") from None
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        addresses = tuple(_with_port(host) for host in hosts.split(",") if host)
        if parts.scheme not in SCHEMES or not addresses or parts.path.strip("/"):
            raise ValueError("must be `kafka://host:port,host:port` or `kafkas://…`")
        return cls(
            addresses=addresses,
            username=unquote(username),
            password=unquote(password),
            is_encrypted=parts.scheme == "kafkas",
            namespace=parse_qs(parts.query).get("namespace", [""])[0],
        )

    def options(self, timing: Timing, *, request_s: float | None = None) -> dict[str, Any]:
        """What every client is told."""
        return {
            "bootstrap_servers": list(self.addresses),
            "client_id": "hansa",
            "metadata_max_age_ms": int(timing.look_around_s * 1000),
            **self._common(request_s or timing.request_s),
        }

    async def try_out(self, *, request_s: float) -> None:
        """Connect once to the first that answers. Raises BusUnusable where that is refused, and KafkaConnectionError
        where nobody answers: clients tell only in their logs which of the two it was."""
        reason: object = "no address"
        for address in self.addresses:
            host, _, port = address.rpartition(":")
            try:
                connection = await create_conn(
                    host.strip("[]"), int(port), client_id="hansa", **self._common(request_s)
                )
            except REFUSALS as error:
                who = f"as {self.username}" if self.username else "without a user name"
                raise BusUnusable(f"Kafka at {address} lets nobody in {who}: {type(error).__name__}") from error
            except ssl.SSLError as error:
                raise BusUnusable(f"no TLS connection to Kafka at {address}: {error.reason}") from error
            except (KafkaError, OSError, TimeoutError) as error:
                reason = f"{type(error).__name__} at {address}"
            else:
                connection.close()
                return
        raise KafkaConnectionError(reason)

    def _common(self, request_s: float) -> dict[str, Any]:
        protocol = ("SASL_" if self.username else "") + ("SSL" if self.is_encrypted else "PLAINTEXT")
        options: dict[str, Any] = {
            "security_protocol": protocol,
            "ssl_context": ssl.create_default_context() if self.is_encrypted else None,
            "request_timeout_ms": int(request_s * 1000),
        }
        if self.username:
            options |= {
                "sasl_mechanism": "PLAIN",
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options


async def ended(client: Any) -> None:
    """Stop a consumer, or a producer all of whose records are settled; one that cannot do so in time, such as when no
    broker answers, is taken apart."""
    stopping = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait([stopping], timeout=CLOSE_S)
    finally:
        if not (stopping.done() and not stopping.cancelled() and stopping.exception() is None):
            stopping.cancel()
            with suppress(asyncio.CancelledError, KafkaError, OSError):
                await stopping
            await _taken_apart(client)


async def cut_off(producer: Any) -> None:
    """End a producer that has records which it would go on to send for ever; they are forgotten."""
    producer._closed = True  # it warns of producers that were not stopped, and stopping is to wait for those records
    await _taken_apart(producer)


async def _taken_apart(client: Any) -> None:
    """Neither client can be stopped without a broker: each part is ended by itself, twice, since the first
    cancellation only makes some of them wait for their requests. Parts that have ended do not mind."""
    connections = getattr(client, "client", None) or client._client
    sender, fetcher, coordinator = (getattr(client, name, None) for name in ("_sender", "_fetcher", "_coordinator"))
    tasks = [
        getattr(part, name, None)
        for part, names in (
            (sender, ("_sender_task",)),
            (fetcher, ("_fetch_task",)),
            (
                coordinator,
                ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task"),
            ),
            (connections, ("_sync_task",)),
        )
        for name in names
        if part is not None
    ]
    tasks += list(getattr(fetcher, "_pending_tasks", ()))
    running = [task for task in tasks if task is not None and not task.done()]
    for _ in range(2):
        for task in running:
            task.cancel()
        if running:
            _, running = await _waited(running)
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await connections.close()


async def _waited(tasks: list[Any]) -> tuple[list[Any], list[Any]]:
    done, pending = await asyncio.wait(tasks, timeout=CLOSE_S / 4)
    for task in done:
        if not task.cancelled():
            task.exception()  # it was about the broker that is not there
    return list(done), list(pending)


def tame() -> None:
    """The library tells at level ERROR of every lost connection, each client for itself, several times a second."""
    logger = logging.getLogger("aiokafka")
    if not any(isinstance(handler, _Seldom) for handler in logger.handlers):
        logger.handlers = [_Seldom()]
        logger.propagate = False
        logger.setLevel(logging.ERROR)


class _Seldom(logging.Handler):
    """Tells of ordinary trouble now and then, as a warning, and of what the library did not expect always."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not isinstance(record.exc_info[1], KafkaError | OSError | TimeoutError):
            log.error("the Kafka client stumbled", where=record.name, exc_info=record.exc_info)
        elif record.created - self._told_at >= QUIET_S:
            self._told_at = record.created
            log.warning("trouble with Kafka; it is tried again", where=record.name, said=record.getMessage())


def _with_port(host: str) -> str:
    port = host.rpartition("]")[2].partition(":")[2]
    if port and not port.isdigit():
        raise ValueError("names a port that is no number")
    return host if port else f"{host.rstrip(':')}:{USUAL_PORT}"
