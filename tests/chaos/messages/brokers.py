"""The brokers as processes under fire: killed, frozen, started again, and reached through a line that can be cut."""

import os
import signal
from contextlib import suppress
from typing import Protocol

import psutil

from tests.kafka_server import KafkaServer
from tests.ports import HOST
from tests.rabbitmq_server import RabbitServer
from tests.redis_server import RedisServer


class Broker(Protocol):
    """One broker, how to break it, and how to reach it."""

    is_behind_a_line: bool
    """Whether clients stay on the address that they are given; Kafka tells them another one."""

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

    def send(self, number: signal.Signals) -> None:
        """To every process of it."""
        ...

    def address(self, port: int) -> str:
        """For the setting `bus`, on this port."""
        ...


class Rabbit:
    """RabbitMQ."""

    is_behind_a_line = True

    def __init__(self) -> None:
        self._server = RabbitServer()

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.kill()

    def stop(self) -> None:
        self._server.stop()

    @property
    def process_ids(self) -> list[int]:
        return self._server.process_ids

    def send(self, number: signal.Signals) -> None:
        signal_all(self.process_ids, number)

    def address(self, port: int) -> str:
        return self._server.url_of(port=port)


class Kafka:
    """Kafka."""

    is_behind_a_line = False

    def __init__(self) -> None:
        self._server = KafkaServer()

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.kill()

    def stop(self) -> None:
        self._server.stop()

    @property
    def process_ids(self) -> list[int]:
        return [self._server.process_id]

    def send(self, number: signal.Signals) -> None:
        signal_all(self.process_ids, number)

    def address(self, port: int) -> str:
        return f"kafka://{HOST}:{port}"


class RedisStreams:
    """Redis, with each write on the disk before it is answered: without that it may lose what it has confirmed."""

    is_behind_a_line = True

    def __init__(self) -> None:
        self._server = RedisServer("--appendfsync", "always")

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.kill()

    def stop(self) -> None:
        self._server.stop()

    @property
    def process_ids(self) -> list[int]:
        return [self._server.process_id]

    def send(self, number: signal.Signals) -> None:
        signal_all(self.process_ids, number)

    def address(self, port: int) -> str:
        return f"redis://{HOST}:{port}/0"


BROKERS: dict[str, type[Broker]] = {"rabbitmq": Rabbit, "kafka": Kafka, "redis": RedisStreams}


def signal_all(process_ids: list[int], number: signal.Signals) -> None:
    """To processes and all that they have started; whoever starts others comes first."""
    for process_id in process_ids:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            everybody = [process_id, *(child.pid for child in psutil.Process(process_id).children(recursive=True))]
            for each in everybody:
                with suppress(ProcessLookupError):
                    os.kill(each, number)
