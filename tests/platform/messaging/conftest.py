"""Every bus there is, for the one behaviour suite."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hansa.kernel.clock import SystemClock
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.local import LocalBus, Retries
from hansa.platform.messaging.port import Bus
from tests.platform.messaging import kafka_broker, rabbitmq_broker, redis_broker
from tests.platform.messaging.brokers import QUICK, Broker


class Local:
    """The bus within the process."""

    has_broker = False

    def __init__(self) -> None:
        self._bus: LocalBus | None = None

    def bus(self, *, patience: Patience = QUICK) -> Bus:
        if self._bus is None:
            retries = Retries(attempts=patience.attempts, first_s=0.01, longest_s=0.02)
            self._bus = LocalBus(clock=SystemClock(), chance=random.Random(3), retries=retries)
        return self._bus

    async def smuggle(self, *, consumer: str, type: str, body: bytes, attributes: dict[str, str]) -> None:
        raise NotImplementedError("nobody else can send anything here")


OUTSIDE: tuple[str, ...] = ("kafka", "rabbitmq", "redis")
"""Brokers, by the names under which `_opened` knows them."""


@asynccontextmanager
async def _opened(name: str, request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """A part of the broker of one's own."""
    if name == "local":
        yield Local()
    elif name == "redis":
        async with redis_broker.opened(request.getfixturevalue("redis_server")) as opened:
            yield opened
    elif name == "rabbitmq":
        async with rabbitmq_broker.opened(request.getfixturevalue("rabbitmq_server")) as opened:
            yield opened
    elif name == "kafka":
        async with kafka_broker.opened(request.getfixturevalue("kafka_server")) as opened:
            yield opened
    else:
        raise LookupError(name)


@pytest.fixture(params=["local", *OUTSIDE])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """Every bus."""
    async with _opened(request.param, request) as broker:
        yield broker


@pytest.fixture(params=OUTSIDE)
async def outside(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """Every bus with something between publishing and delivering."""
    async with _opened(request.param, request) as broker:
        yield broker
