"""A pass opens the notices of one order: whatever else its holder tries, by whichever protocol, is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from hansa.platform.messaging.rabbitmq.following import mqtt_queues
from tests.followed_server import Refused, StompClient, mqtt_client, mqtt_closed, stomp_client
from tests.system.following.conftest import ELSEWHERE, PRIVATE, World, as_holder, as_shop


def wider_topics(order: str, other: str) -> list[str]:
    """Of what is not of the order, some or all."""
    return [f"order.{other}.*", "order.*.*", "order.#", "#", "*.*.*", "*.#", f"order.{order}", f"order.{order}0.*", ""]


async def bind(world: World, exchange: str, topic: str) -> None:
    async with as_holder(world) as channel:
        queue = await channel.declare_queue(world.stomp.queue, auto_delete=True, exclusive=True)
        await queue.bind(exchange, topic)


async def publish(world: World, exchange: str, key: str) -> None:
    async with as_holder(world) as channel:
        found = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        await found.publish(aio_pika.Message(b"forged"), key, mandatory=False)


async def bind_exchange(world: World, arguments: dict[str, str]) -> None:
    """An exchange of the name that its queue may have."""
    async with as_holder(world) as channel:
        own = await channel.declare_exchange(
            world.stomp.queue, aio_pika.ExchangeType.TOPIC, auto_delete=True, arguments=dict(arguments)
        )
        await own.bind("amq.topic", "#")


async def insist(client: StompClient, place: str) -> None:
    """Say it twice, as the first one's receipt may come before its refusal."""
    await client.say(place)
    await client.say(place)


async def test_the_pass_does_open_what_it_is_for(world: World):
    """By every door, so that what is refused below is refused for what it is."""
    await bind(world, "amq.topic", f"order.{world.order}.*")
    async with stomp_client(world.server, world.stomp, world.token) as by_stomp:
        await by_stomp.subscribe(world.stomp.destination, {"x-queue-name": world.stomp.queue})
    async with as_shop(world.server) as shop, mqtt_client(world.server, world.mqtt, world.token) as client:
        await client.subscribe(world.mqtt.topic)
        topics = await shop.get_exchange("amq.topic")
        await topics.publish(aio_pika.Message(b"other"), f"order.{world.victims_order}.placed")
        await topics.publish(aio_pika.Message(b"own"), f"order.{world.order}.placed")
        message = await anext(client.messages)

    assert message.payload == b"own"


# Topics


async def test_no_other_topic_is_read_by_mqtt(world: World):
    for topic in wider_topics(world.order, world.victims_order)[:-1]:
        asked = topic.replace(".", "/").replace("*", "+")
        async with mqtt_client(world.server, world.mqtt, world.token) as client:
            await mqtt_closed(client, asyncio.ensure_future(client.subscribe(asked, qos=1)))


async def test_no_other_topic_is_read_by_stomp(world: World):
    for topic in wider_topics(world.order, world.victims_order):
        for place in (f"/exchange/amq.topic/{topic}", f"/topic/{topic}"):
            async with stomp_client(world.server, world.stomp, world.token) as client:
                with pytest.raises(Refused):
                    await client.subscribe(place, {"x-queue-name": world.stomp.queue})


async def test_no_other_topic_and_no_exchange_is_bound_to_by_amqp(world: World):
    places = [("amq.topic", topic) for topic in wider_topics(world.order, world.victims_order)]
    for exchange, topic in [*places, ("orders", "#"), ("amq.fanout", ""), ("amq.rabbitmq.trace", "#")]:
        with pytest.raises(Refused, match="refused"):
            await bind(world, exchange, topic)


# Publishing


async def test_nothing_is_published_by_mqtt(world: World):
    for topic in (world.mqtt.topic.replace("+", "placed"), f"order/{world.victims_order}/placed", "x"):
        async with mqtt_client(world.server, world.mqtt, world.token) as client:
            await mqtt_closed(client, asyncio.ensure_future(client.publish(topic, "forged", qos=1)))


async def test_nothing_is_published_by_stomp(world: World):
    for place in (
        f"/topic/order.{world.order}.placed",
        f"/exchange/amq.topic/order.{world.victims_order}.placed",
        "/exchange/orders/order.placed.v1",
        f"/queue/{PRIVATE}",
        f"/amq/queue/{PRIVATE}",
        f"/queue/{world.stomp.queue}",
    ):
        async with stomp_client(world.server, world.stomp, world.token) as client:
            with pytest.raises(Refused):
                await insist(client, place)


async def test_nothing_is_published_by_amqp(world: World):
    for exchange, key in (
        ("amq.topic", f"order.{world.order}.placed"),
        ("amq.topic", f"order.{world.victims_order}.placed"),
        ("orders", "order.placed.v1"),
        ("amq.direct", "x"),
        ("", PRIVATE),
        ("", world.stomp.queue),
    ):
        with pytest.raises(Refused, match="refused"):
            await publish(world, exchange, key)

    async with as_shop(world.server) as shop:
        queue = await shop.declare_queue(PRIVATE, passive=True)
        assert queue.declaration_result.message_count == 0


# Queues


async def test_no_other_queue_is_made_or_read(world: World):
    assert world.victim.stomp is not None
    assert world.victim.mqtt is not None
    others = [world.victim.stomp.queue, *mqtt_queues(world.victim.mqtt.client_id)]

    async def heed(message: Any) -> None: ...

    async def consume(channel: AbstractChannel, name: str) -> Any:
        return await (await channel.get_queue(name, ensure=False)).consume(heed)

    async def get(channel: AbstractChannel, name: str) -> Any:
        return await (await channel.get_queue(name, ensure=False)).get()

    async def purge(channel: AbstractChannel, name: str) -> Any:
        return await (await channel.get_queue(name, ensure=False)).purge()

    async def delete(channel: AbstractChannel, name: str) -> Any:
        return await channel.queue_delete(name)

    async def declare(channel: AbstractChannel, name: str) -> Any:
        return await channel.declare_queue(name, durable=True)

    acts: list[Callable[[AbstractChannel, str], Awaitable[Any]]] = [consume, get, purge, delete, declare]
    async with as_shop(world.server) as shop:
        for name in others:
            await shop.declare_queue(name, durable=True)
        for name in (*others, PRIVATE):
            for act in acts:
                with pytest.raises(Refused, match="refused"):
                    async with as_holder(world) as channel:
                        await act(channel, name)
        for name in others:
            await shop.queue_delete(name)
    for name in ("mine", f"{world.stomp.queue}x", ""):
        with pytest.raises(Refused, match="refused"):
            async with as_holder(world) as channel:
                await channel.declare_queue(name)


async def test_what_is_its_own_leads_nowhere_else(world: World):
    for arguments in (
        {"x-dead-letter-exchange": "orders"},
        {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": PRIVATE},
    ):
        with pytest.raises(Refused, match="refused"):
            async with as_holder(world) as channel:
                await channel.declare_queue(world.stomp.queue, auto_delete=True, arguments=dict(arguments))
    for exchange in ({"alternate-exchange": "orders"}, {}):
        with pytest.raises(Refused, match="refused"):
            await bind_exchange(world, exchange)


async def test_a_private_queue_is_not_read_by_stomp(world: World):
    for place, name in (
        (f"/queue/{PRIVATE}", ""),
        (f"/amq/queue/{PRIVATE}", ""),
        (world.stomp.destination, PRIVATE),
        (world.stomp.destination, f"{world.stomp.queue}x"),
    ):
        async with stomp_client(world.server, world.stomp, world.token) as client:
            with pytest.raises(Refused):
                await client.subscribe(place, {"x-queue-name": name} if name else {})
    async with stomp_client(world.server, world.stomp, world.token) as client:
        with pytest.raises(Refused):
            await client.subscribe(world.stomp.destination, {})


async def test_nobody_takes_over_another_s_session(world: World):
    """Neither what waits for it, nor the right to begin it anew."""
    theirs = world.victim.mqtt
    assert theirs is not None
    async with mqtt_client(world.server, theirs, world.victim.token, clean_session=False) as client:
        await client.subscribe(theirs.topic, qos=1)
    async with as_shop(world.server) as shop:
        topics = await shop.get_exchange("amq.topic")
        await topics.publish(aio_pika.Message(b"theirs"), f"order.{world.victims_order}.placed")

    for clean in (True, False):
        with pytest.raises(Refused):
            async with mqtt_client(
                world.server, world.mqtt, world.token, client_id=theirs.client_id, clean_session=clean
            ):
                pass

    async with mqtt_client(world.server, theirs, world.victim.token, clean_session=False) as client:
        assert (await anext(client.messages)).payload == b"theirs"


async def test_a_client_of_another_name_subscribes_to_nothing(world: World):
    async with mqtt_client(world.server, world.mqtt, world.token, client_id="follow-me") as client:
        await mqtt_closed(client, asyncio.ensure_future(client.subscribe(world.mqtt.topic)))


async def test_another_virtual_host_is_closed(world: World):
    with pytest.raises(Refused):
        async with mqtt_client(world.server, world.mqtt, world.token, username=f"{ELSEWHERE}:follow"):
            pass
    with pytest.raises(Refused):
        async with stomp_client(world.server, world.stomp, world.token, host=ELSEWHERE):
            pass
    with pytest.raises(Refused):
        async with as_holder(world, vhost=ELSEWHERE):
            pass
