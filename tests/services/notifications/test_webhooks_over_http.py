"""Webhooks over the public API, in a whole shop, with a receiver that is really there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from hansa.platform.outgoing.late import LatePoster
from tests.platform.outgoing.receiver import Receiver, answer, receiving
from tests.shops import OpenedShop, opened_shop

PLACED = "orders.order_placed.v1"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenedShop]:
    """As if `webhooks_to_private_addresses` was set."""
    monkeypatch.setattr("hansa.compose.poster_of", lambda settings: LatePoster(may_be_private=True))
    async with opened_shop(folder=tmp_path / "shop") as opened:
        yield opened


async def arrived(receiver: Receiver, *, count: int) -> None:
    async with asyncio.timeout(30):
        while len(receiver.got) < count:
            await asyncio.sleep(0.01)


async def test_what_is_ordered_arrives_signed_once_and_without_personal_data(shop: OpenedShop, receiver: Receiver):
    await shop.put_product("HAT")
    staff = await shop.staff()
    status, made = await shop.request("POST", "/admin/webhooks", {"url": receiver.url, "types": [PLACED]}, token=staff)
    assert status == 201, made
    orders = [(await shop.order("HAT"))[1] for _ in range(5)]
    await arrived(receiver, count=5)

    told = [Verifier(made["secret"]).verify(got.body, got.headers) for got in receiver.got]
    assert sorted(each["data"]["number"] for each in told) == sorted(order["number"] for order in orders)
    assert {each["type"] for each in told} == {PLACED}
    everything = b"".join(got.body for got in receiver.got)
    for personal in (b"ada@example.com", b"Byron", b"St James", b"contact"):
        assert personal not in everything
    assert len({got.id for got in receiver.got}) == 5


async def test_everything_that_a_webhook_can_be_asked_is_answered(shop: OpenedShop, receiver: Receiver):
    staff = await shop.staff()
    receiver.always(answer(500))
    _, made = await shop.request("POST", "/admin/webhooks", {"url": receiver.url, "types": [PLACED]}, token=staff)
    own = f"/admin/webhooks/{made['webhook']['id']}"
    assert (await shop.request("GET", "/admin/webhooks", token=staff))[1]["items"] == [made["webhook"]]
    _, types = await shop.request("GET", "/admin/webhooks/event-types", token=staff)
    assert {"type": PLACED, "summary": "Money is certain and the pieces are sold."} in types["items"]

    status, pinged = await shop.request("POST", f"{own}/ping", token=staff)
    assert (status, pinged["state"]) == (201, "due")
    await arrived(receiver, count=1)
    status, replayed = await shop.request("POST", f"{own}/deliveries/{pinged['event_id']}/replay", token=staff)
    assert (status, replayed["event_id"]) == (200, pinged["event_id"])
    status, page = await shop.request("GET", f"/admin/webhooks/deliveries?webhook_id={own[16:]}&limit=1", token=staff)
    assert (status, len(page["items"])) == (200, 1)
    _, shown = await shop.request("GET", f"{own}/deliveries/{pinged['event_id']}", token=staff)
    assert msgspec.json.decode(shown["body"])["type"] == "notifications.ping.v1"
    _, again = await shop.request("POST", f"{own}/replay", {"since": "2026-01-01T00:00:00Z"}, token=staff)
    assert again == {"count": 0}
    status, soon = await shop.request("POST", f"{own}/replay", {"since": "2026-01-01T00:00:00Z"}, token=staff)
    assert (status, soon["code"]) == (429, "notifications.replay_too_soon")

    _, revealed = await shop.request("POST", f"{own}/reveal", token=staff)
    _, rotated = await shop.request("POST", f"{own}/rotate", token=staff)
    assert revealed["secret"] == made["secret"] != rotated["secret"]
    status, _ = await shop.request("PATCH", own, {"is_paused": True}, token=staff, headers={"If-Match": '"1"'})
    assert status == 412
    status, paused = await shop.request("PATCH", own, {"is_paused": True}, token=staff)
    assert (status, paused["state"]) == (200, "paused")
    status, asleep = await shop.request("POST", f"{own}/ping", token=staff)
    assert (status, asleep["code"]) == (409, "notifications.webhook_asleep")
    assert (await shop.request("DELETE", own, token=staff))[0] == 204
    assert (await shop.request("GET", own, token=staff))[0] == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "request.invalid"),
        ({"url": ""}, "request.invalid"),
        ({"url": "x" * 2001}, "request.invalid"),
        ({"url": "ftp://example.com"}, "notifications.webhook_invalid"),
        ({"url": "https://example.com", "types": ["x"]}, "notifications.webhook_invalid"),
        ({"url": "https://example.com", "types": ["x"] * 101}, "request.invalid"),
        ({"url": "https://example.com", "description": "x" * 201}, "request.invalid"),
    ],
)
async def test_what_cannot_be_is_refused(shop: OpenedShop, body: object, code: str):
    status, problem = await shop.request("POST", "/admin/webhooks", body, token=await shop.staff())

    assert (status, problem["code"]) == (400, code)


async def test_a_shop_whose_settings_do_not_allow_it_sends_nothing_inside(tmp_path: Path, receiver: Receiver):
    async with opened_shop(folder=tmp_path / "shop") as strict:
        status, problem = await strict.request(
            "POST", "/admin/webhooks", {"url": receiver.url}, token=await strict.staff()
        )

    assert (status, problem["reason"]) == (400, "scheme")
    assert receiver.connections == 0
