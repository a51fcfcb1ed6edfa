"""The brokers as processes under fire: killed, frozen, started again, and reached through a line that can be cut."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import psutil

from tests.kafka_server import KafkaServer
from tests.ports import HOST
from tests.rabbitmq_server import RabbitServer
from tests.redis_server import RedisServer


class Server(Protocol):
    """What every broker of the tests can do."""

    @property
    def port(self) -> int: ...

    @property
    def process_ids(self) -> list[int]:
        """Of what was started; they may have started others."""
        ...

    def start(self) -> None:
        """Return when it answers; harmless if it does."""
        ...

    def kill(self) -> None: ...

    def stop(self) -> None:
        """For good."""
        ...


@dataclass(frozen=True, kw_only=True)
class Broker:
    """One broker, and how to reach it: `address` is for the setting `bus`, by the port."""

    server: Server
    address: Callable[[int], str]
    is_behind_a_line: bool = True
    """Whether clients stay on the address that they are given; Kafka tells them another one."""

    def send(self, number: signal.Signals) -> None:
        """To every process of it; whoever starts others comes first."""
        for process_id in self.server.process_ids:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                for each in (process_id, *(child.pid for child in psutil.Process(process_id).children(recursive=True))):
                    with suppress(ProcessLookupError):
                        os.kill(each, number)


def rabbitmq() -> Broker:
    server = RabbitServer()
    return Broker(server=server, address=lambda port: server.url_of(port=port))


def kafka() -> Broker:
    return Broker(server=KafkaServer(), address=lambda port: f"kafka://{HOST}:{port}", is_behind_a_line=False)


def redis() -> Broker:
    """With each write on the disk before it is answered: without that it may lose what it has confirmed."""
    server = RedisServer("--appendfsync", "always")
    return Broker(server=server, address=lambda port: f"redis://{HOST}:{port}/0")


BROKERS: dict[str, Callable[[], Broker]] = {"rabbitmq": rabbitmq, "kafka": kafka, "redis": redis}
"""Each raises ServerMissing where it is not installed."""
