"""A buyer follows an order through the broker itself, as far as its notices and not a step further."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest

from hansa.kernel.ids import order_number
from hansa.platform.messaging.following import MqttDoor, StompDoor
from hansa.platform.messaging.rabbitmq.following import mqtt_queues
from tests.followed_server import PATIENCE_S, FollowedServer, mqtt_client, stomp_client
from tests.shops import OpenedShop, opened_shop

GUIDE = Path(__file__).parents[3] / "docs" / "following.md"
_namespaces = count(1)


@pytest.fixture
async def shop(server: FollowedServer, tmp_path: Path) -> AsyncIterator[OpenedShop]:
    async with followed_shop(server, tmp_path / "shop") as opened:
        await opened.put_product("HAT", stock=100)
        yield opened


@asynccontextmanager
async def followed_shop(server: FollowedServer, folder: Path) -> AsyncIterator[OpenedShop]:
    server.give_key_to(folder)
    bus = f"{server.rabbit.url}?namespace=followed{next(_namespaces)}"
    async with opened_shop(
        folder=folder, wire="twice", bus=bus, follow_mqtt_url=server.mqtt_url, follow_stomp_url=server.stomp_url
    ) as opened:
        yield opened


async def ordered(shop: OpenedShop, *, pay: str = "tok_success", token: str | None = None) -> str:
    status, order = await shop.order("HAT", quantity=2, pay=pay, token=token)
    assert status == 201, order
    name: str = order["id"]
    return name


async def pass_for(shop: OpenedShop, order: str, *, token: str | None = None) -> Any:
    status, answer = await shop.request("POST", f"/orders/{order}/follow", token=token)
    assert status == 201, answer
    return answer


async def cancel(shop: OpenedShop, order: str) -> None:
    status, answer = await shop.request("POST", f"/orders/{order}/cancel")
    assert status == 200, answer


async def next_of(client: aiomqtt.Client) -> tuple[str, dict[str, Any]]:
    async with asyncio.timeout(PATIENCE_S):
        message = await anext(client.messages)
    return str(message.topic), msgspec.json.decode(bytes(message.payload))


@pytest.mark.parametrize("by_websocket", [False, True], ids=["tcp", "websocket"])
async def test_a_guest_hears_by_mqtt_of_the_own_order(shop: OpenedShop, server: FollowedServer, by_websocket: bool):
    order = await ordered(shop, pay="tok_late")
    given = await pass_for(shop, order)
    door = msgspec.convert(given["mqtt"], MqttDoor)
    async with mqtt_client(server, door, given["token"], by_websocket=by_websocket) as client:
        await client.subscribe(door.topic, qos=1)
        placed = await next_of(client)
        await cancel(shop, order)
        cancelled = await next_of(client)

    number, _, _ = order.partition("-")
    assert [topic.rpartition("/")[2] for topic, _ in (placed, cancelled)] == ["placed", "cancelled"]
    for topic, event in (placed, cancelled):
        assert topic.startswith(door.topic.removesuffix("+"))
        assert event["subject"] == number
        assert event["data"]["number"] == order_number(number)
    assert int(placed[1]["aggregateversion"]) < int(cancelled[1]["aggregateversion"])


@pytest.mark.parametrize("by_websocket", [False, True], ids=["tcp", "websocket"])
async def test_a_guest_hears_by_stomp_of_the_own_order(shop: OpenedShop, server: FollowedServer, by_websocket: bool):
    order = await ordered(shop, pay="tok_late")
    given = await pass_for(shop, order)
    door = msgspec.convert(given["stomp"], StompDoor)
    async with stomp_client(server, door, given["token"], by_websocket=by_websocket) as client:
        await client.subscribe(door.destination, {"x-queue-name": door.queue})
        placed = await client.hear()
        await cancel(shop, order)
        cancelled = await client.hear()

    assert [place.rpartition(".")[2] for place, _ in (placed, cancelled)] == ["placed", "cancelled"]


async def test_a_member_and_the_parcels_of_the_order(shop: OpenedShop, server: FollowedServer):
    member, staff = await shop.member("m@example.com"), await shop.staff()
    order = await ordered(shop, token=member)
    given = await pass_for(shop, order, token=member)
    door = msgspec.convert(given["mqtt"], MqttDoor)
    async with mqtt_client(server, door, given["token"]) as client:
        await client.subscribe(door.topic)
        for pieces in (1, 1):
            body = {"lines": [{"sku": "HAT", "quantity": pieces}]}
            status, _ = await shop.request("POST", f"/admin/orders/{order}/fulfilments", body, token=staff)
            assert status == 201
        # It may still hear that it was placed, as that may have been told after it began to listen.
        heard = [topic.rpartition("/")[2] for topic, _ in [await next_of(client), await next_of(client)]]
        if heard[0] == "placed":
            heard = [heard[1], (await next_of(client))[0].rpartition("/")[2]]

    assert heard == ["fulfilled", "completed"]


async def test_a_notice_is_a_cloud_event_that_says_nothing_of_the_person(shop: OpenedShop, server: FollowedServer):
    member = await shop.member("m@example.com")
    order = await ordered(shop, pay="tok_late", token=member)
    given = await pass_for(shop, order, token=member)
    door = msgspec.convert(given["mqtt"], MqttDoor)
    async with mqtt_client(server, door, given["token"]) as client:
        await client.subscribe(door.topic)
        _, event = await next_of(client)

    assert event.pop("time").endswith("Z")
    assert event.pop("id").isdigit()
    assert int(event.pop("aggregateversion")) > 1
    assert event == {
        "specversion": "1.0",
        "source": "orders",
        "type": "orders.order_placed.v1",
        "subject": order,
        "datacontenttype": "application/json",
        "data": {"number": order_number(order), "what": "placed"},
    }


async def test_a_device_that_was_away_for_a_moment_is_told_then(shop: OpenedShop, server: FollowedServer):
    order = await ordered(shop)
    given = await pass_for(shop, order)
    door = msgspec.convert(given["mqtt"], MqttDoor)
    async with mqtt_client(server, door, given["token"], clean_session=False) as client:
        await client.subscribe(door.topic, qos=1)
    await cancel(shop, order)
    async with mqtt_client(server, door, given["token"], clean_session=False) as client:
        heard = [await next_of(client)]
        if heard[0][0].endswith("/placed"):
            heard.append(await next_of(client))

    assert heard[-1][0].endswith("/cancelled")


async def test_what_a_device_leaves_behind_is_held_by_the_policy_that_is_recommended(
    shop: OpenedShop, server: FollowedServer
):
    command = re.search(
        r"rabbitmqctl set_policy (\w+) '(.*?)' \\\n +'(.*?)' --apply-to queues", GUIDE.read_text("utf-8")
    )
    assert command is not None
    await asyncio.to_thread(server.rabbit.control, "set_policy", *command.groups(), "--apply-to", "queues")
    given = await pass_for(shop, await ordered(shop))
    door = msgspec.convert(given["mqtt"], MqttDoor)
    async with mqtt_client(server, door, given["token"], clean_session=False) as client:
        await client.subscribe(door.topic, qos=1)

    rows = await asyncio.to_thread(server.rabbit.listed, "queues", "name", "policy")
    policies = {row["name"]: row["policy"] for row in rows}
    assert policies[mqtt_queues(door.client_id)[1]] == "following"
    assert not [name for name, policy in policies.items() if policy and "follow-" not in name]


async def test_each_pass_is_another_one_and_lives_for_an_hour(shop: OpenedShop):
    order = await ordered(shop)

    first, second = await pass_for(shop, order), await pass_for(shop, order)

    assert first["mqtt"]["topic"] == second["mqtt"]["topic"]
    assert first["mqtt"]["client_id"] != second["mqtt"]["client_id"]
    assert first["stomp"]["queue"] != second["stomp"]["queue"]
    assert first["token"] != second["token"]
    assert order.partition("-")[2] not in msgspec.json.encode(first["mqtt"]).decode(), "the guest's secret stays one"


async def test_a_token_is_never_in_the_broker_s_log(shop: OpenedShop, server: FollowedServer):
    given = await pass_for(shop, await ordered(shop))
    door = msgspec.convert(given["stomp"], StompDoor)
    async with stomp_client(server, door, given["token"]) as client:
        await client.subscribe(door.destination, {"x-queue-name": door.queue})

    assert given["token"] not in server.rabbit.log()
    assert given["token"].rpartition(".")[2] not in server.rabbit.log()


async def test_somebody_else_s_order_is_not_there(shop: OpenedShop):
    ada, bob = await shop.member("a@example.com"), await shop.member("b@example.com")
    of_guest, of_ada = await ordered(shop), await ordered(shop, token=ada)

    for order, token in (
        (of_guest.partition("-")[0], None),
        (of_guest.partition("-")[0], ada),
        (f"{of_guest[:-1]}{'a' if of_guest[-1] != 'a' else 'b'}", None),
        (of_ada, None),
        (of_ada, bob),
        (of_ada, await shop.staff()),
        ("17", ada),
        ("%23", ada),
    ):
        status, answer = await shop.request("POST", f"/orders/{order}/follow", token=token)
        assert (status, answer["code"]) == (404, "orders.not_found"), order


async def test_a_shop_without_rabbitmq_says_so_to_the_owner_alone(tmp_path: Path):
    async with opened_shop(folder=tmp_path / "shop") as shop:
        await shop.put_product("HAT", stock=10)
        order = await ordered(shop)

        status, answer = await shop.request("POST", f"/orders/{order}/follow")
        assert (status, answer["code"]) == (409, "orders.not_followable")
        status, answer = await shop.request("POST", f"/orders/{order.partition('-')[0]}/follow")
        assert (status, answer["code"]) == (404, "orders.not_found")


async def test_orders_that_nobody_follows_leave_nothing_behind(shop: OpenedShop, server: FollowedServer):
    orders = await asyncio.gather(*(ordered(shop) for _ in range(20)))
    given = await pass_for(shop, orders[0])
    door = msgspec.convert(given["mqtt"], MqttDoor)
    namespace = door.topic.partition("/")[0]
    async with mqtt_client(server, door, given["token"]) as client:
        await client.subscribe(door.topic)
        await cancel(shop, orders[0])
        while not (await next_of(client))[0].endswith("/cancelled"):
            pass

    async with asyncio.timeout(PATIENCE_S):
        while True:
            rows = await asyncio.to_thread(server.rabbit.listed, "queues", "name", "messages")
            queues = {row["name"]: row["messages"] for row in rows}
            told = [name for name in queues if name.startswith(f"{namespace}.orders.follow_")]
            assert len(told) == 4
            if not any(queues[name] for name in told):
                break
    assert not [name for name in queues for order in orders if order.partition("-")[0] in name]
