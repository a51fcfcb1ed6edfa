"""One RabbitMQ that lets orders be followed, for all tests of this folder, and somebody who has a pass."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError

from hansa.kernel.clock import SystemClock
from hansa.kernel.ids import Ids
from hansa.platform.messaging.following import MqttDoor, Pass, StompDoor
from hansa.platform.messaging.rabbitmq.following import FollowKey, RabbitFollowing
from tests.followed_server import FollowedServer, Refused
from tests.servers import ServerMissing

ELSEWHERE = "elsewhere"
PRIVATE = "notifications.order_placed"
IDS = Ids(clock=SystemClock())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowedServer]:
    try:
        server = FollowedServer(tmp_path_factory.mktemp("key"))
    except ServerMissing as missing:
        pytest.skip(str(missing))
    server.rabbit.start()
    yield server
    server.rabbit.stop()


@dataclass(frozen=True, kw_only=True)
class World:
    """The pass of somebody who wants more, what it was made for, and somebody else's pass."""

    server: FollowedServer
    order: str
    token: str
    mqtt: MqttDoor
    stomp: StompDoor
    victim: Pass

    @property
    def victims_order(self) -> str:
        assert self.victim.mqtt is not None
        return self.victim.mqtt.topic.split("/")[1]


@pytest.fixture(scope="session")
def furnished(server: FollowedServer) -> FollowedServer:
    """With a second virtual host, whose door stands open to the broker's own user."""
    server.rabbit.control("add_vhost", ELSEWHERE)
    server.rabbit.control("set_permissions", "-p", ELSEWHERE, "guest", ".*", ".*", ".*")
    return server


@pytest.fixture
async def world(furnished: FollowedServer) -> AsyncIterator[World]:
    following = RabbitFollowing(
        bus_url=furnished.rabbit.url,
        mqtt_url=furnished.mqtt_url,
        stomp_url=furnished.stomp_url,
        key=FollowKey(master=furnished.master),
        clock=SystemClock(),
        ids=IDS,
    )
    order = IDS.new(slot=7)
    made = following.admit(kind="order", id=order)
    assert made.mqtt is not None
    assert made.stomp is not None
    async with as_shop(furnished) as channel:
        await channel.declare_exchange("orders", aio_pika.ExchangeType.TOPIC, durable=True)
        await channel.declare_queue(PRIVATE, durable=True)
    yield World(
        server=furnished,
        order=order,
        token=made.token,
        mqtt=made.mqtt,
        stomp=made.stomp,
        victim=following.admit(kind="order", id=IDS.new(slot=8)),
    )
    await following.close()


@asynccontextmanager
async def as_shop(server: FollowedServer) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(server.rabbit.url) as connection:
        yield await connection.channel()


@asynccontextmanager
async def as_holder(world: World, *, token: str | None = None, vhost: str = "/") -> AsyncIterator[AbstractChannel]:
    """By AMQP itself, should its port be open to them: nothing is looser there. Raises Refused."""
    try:
        async with await aio_pika.connect(
            host="127.0.0.1",
            port=world.server.rabbit.port,
            login="follow",
            password=token or world.token,
            virtualhost=vhost,
        ) as connection:
            yield await connection.channel()
    except (AMQPError, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and (task := asyncio.current_task()) and task.cancelling():
            raise
        raise Refused(str(error)) from error
