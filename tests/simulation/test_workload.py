"""The workload does what it is for: all kinds of things come about, a lie is noticed, and a seed is the same crowd."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.shops import opened_shop
from tests.simulation.workload import crowd, scene
from tests.simulation.workload.answers import wrong_with, wrong_with_change
from tests.simulation.workload.door import Door, History, NoReply, Reply
from tests.simulation.workload.http_door import HttpDoor
from tests.simulation.workload.journal import Journal, KnownCart, KnownOrder
from tests.simulation.workload.size import Size

HASTE = 30
"""How much faster than in the plan real time goes by."""
ENDS = (
    "POST /orders 201 placed",
    "POST /orders 201 pending",
    "POST /orders 402 payments.declined",
    "POST /orders 409 inventory.out_of_stock",
    "POST /orders 409 orders.cart_ordered",
    "POST /orders 409 orders.not_for_sale",
    "POST /orders 422 idempotency.key_reused",
    "POST /orders/*/cancel 200 cancelled",
    "POST /orders/*/cancel 409 orders.conflict",
    "POST /carts/*/claim 200",
    "PUT /carts/*/lines/* 200",
    "PUT /admin/inventory/* 200",
    "PATCH /admin/products/* 200",
    "GET /orders 200",
    "tabs changed a cart at once",
    "two tabs set one line",
    "an order asked for again with its key",
)
"""What comes about in any large crowd, however fast the machine is."""
SEEDS = range(3, 9)
"""Crowds that may come until everything has come about; the first one is enough on a machine that is not busy."""
SMALL = Size(shoppers=6, steps=2, staff=1, staff_steps=2, imports=1, over_s=1)
ORDER: dict[str, Any] = {
    "id": "1",
    "status": "placed",
    "reason": None,
    "currency": "USD",
    "lines": [
        {
            "sku": "MUG",
            "quantity": 2,
            "unit_price": {"amount": 333, "currency": "USD"},
            "total": {"amount": 666, "currency": "USD"},
            "fulfilled": 0,
            "returned": 0,
        }
    ],
    "subtotal": {"amount": 666, "currency": "USD"},
    "adjustments": [{"amount": {"amount": 599, "currency": "USD"}, "included": False}],
    "total": {"amount": 1265, "currency": "USD"},
    "payments": [{"captured": 1265, "refunded": 0}],
    "refunds": [],
}
NOTHING = {"lines": [], "adjustments": [], "subtotal": {"amount": 0}, "total": {"amount": 0}}
ASKED = {"lines": [{"sku": "MUG", "quantity": 2}], "payment": {"token": "tok_success"}, "currency": "USD"}


def missing(met: Mapping[str, int]) -> list[str]:
    """What has not come about yet."""
    by_staff = ("POST /admin/orders/*/refunds 201", "POST /admin/orders/*/fulfilments 201")
    return [
        *(end for end in ENDS if not met.get(end)),
        *(start for start in by_staff if not any(end.startswith(start) for end in met)),
    ]


class SilentDoor:
    """A shop that never answers."""

    async def request(
        self, verb: str, path: str, body: Any = None, *, token: str = "", key: str = "", version: int | None = None
    ) -> Reply:
        raise NoReply("nobody is there")


class LyingDoor:
    """A shop that says one and the same to everything."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)

    async def request(
        self, verb: str, path: str, body: Any = None, *, token: str = "", key: str = "", version: int | None = None
    ) -> Reply:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def door_to(door: Door) -> Callable[[str], Door]:
    return lambda actor: door


async def no_time(seconds: float) -> None:
    await asyncio.sleep(0)


async def requests_of(*, seed: int, size: Size) -> dict[str, list[tuple[str, str, str, str]]]:
    """Everything asked of a silent shop, by actor."""
    history = History(lambda: 0.0)
    await crowd.run(lambda actor: history.door(SilentDoor(), actor=actor), seed=seed, size=size, pause=no_time)
    asked = defaultdict(list)
    for each in history.operations:
        asked[each.actor].append((each.verb, each.path, repr(each.body), each.key))
    return dict(asked)


async def test_a_crowd_does_everything_and_an_honest_shop_gives_no_reason_to_complain(tmp_path: Path) -> None:
    async def hurry(seconds: float) -> None:
        await asyncio.sleep(seconds / HASTE)

    met: dict[str, int] = defaultdict(int)
    async with opened_shop(folder=tmp_path) as shop:
        door = HttpDoor(shop.session)
        history = History(time.monotonic)
        token = await shop.staff()
        await scene.set_scene(door, staff_token=token)
        await scene.set_scene(door, staff_token=token)
        for seed in SEEDS:
            size = Size(shoppers=40, steps=4, staff=5, staff_steps=10)
            journal = await crowd.run(
                lambda actor: history.door(door, actor=actor), seed=seed, size=size, pause=hurry, has_search=True
            )
            await crowd.come_back(lambda actor: history.door(door, actor=actor), journal=journal, pause=hurry)

            assert journal.complaints == []
            assert journal.open == []
            assert journal.orders
            for what, times in journal.met.items():
                met[what] += times
            if not missing(met):
                break

    assert missing(met) == []
    assert all(operation.status is not None for operation in history.operations)


async def test_a_seed_is_the_same_crowd() -> None:
    first = await requests_of(seed=1, size=SMALL)

    assert first == await requests_of(seed=1, size=SMALL)
    assert first != await requests_of(seed=2, size=SMALL)


async def test_without_one_of_them_and_with_fewer_steps_the_others_do_what_they_did() -> None:
    whole = await requests_of(seed=1, size=SMALL)
    without = await requests_of(seed=1, size=Size(shoppers=6, steps=1, without=("shopper-3",), over_s=1))

    assert "shopper-3" not in without
    for number in (0, 1, 2, 4, 5):
        fewer = without[f"shopper-{number}"]
        assert fewer == whole[f"shopper-{number}"][: len(fewer)]


async def test_every_command_has_a_key_and_a_repetition_is_the_same_request() -> None:
    bodies = defaultdict(set)
    for asked in (await requests_of(seed=1, size=Size(shoppers=30, steps=1))).values():
        for verb, path, body, key in asked:
            assert (verb == "GET") == (not key)
            bodies[verb, key].add((path, body))
    several = [key for (verb, key), seen in bodies.items() if verb != "GET" and len(seen) > 1]
    most = max(len(seen) for (verb, _), seen in bodies.items() if verb != "GET")

    assert most <= 2, "only who means to uses a key for two orders"
    assert len(several) < len(bodies) / 4


async def test_a_silent_shop_makes_nobody_stumble_and_is_complained_of_when_all_is_quiet() -> None:
    journal = await crowd.run(lambda actor: SilentDoor(), seed=1, size=SMALL, pause=no_time)

    assert journal.complaints == []
    assert journal.open

    uncertain = len(journal.open)
    await crowd.come_back(lambda actor: SilentDoor(), journal=journal, pause=no_time, attempts=2)

    assert [complaint.check for complaint in journal.complaints] == ["certain"] * uncertain


async def test_a_shop_that_breaks_without_a_name_for_it_is_complained_of() -> None:
    nameless = Reply(500, {"code": "fault.internal", "status": 500})

    journal = await crowd.run(lambda actor: LyingDoor(nameless), seed=1, size=SMALL, pause=no_time)

    assert {complaint.check for complaint in journal.complaints} == {"answers"}


async def test_an_answer_of_no_shape_is_a_complaint_and_no_crash() -> None:
    journal = await crowd.run(lambda actor: LyingDoor(Reply(201, [])), seed=1, size=SMALL, pause=no_time)

    assert journal.complaints


async def test_an_order_that_is_gone_or_alive_again_is_complained_of() -> None:
    for reply in (Reply(404, {"code": "orders.not_found"}), Reply(200, ORDER)):
        journal = Journal()
        journal.orders["1"] = KnownOrder(name="1", actor="shopper-0", token="", is_cancelled=True)

        door = LyingDoor(reply)
        await crowd.come_back(door_to(door), journal=journal, pause=no_time)

        assert "durable" in {complaint.check for complaint in journal.complaints}


async def test_another_answer_to_the_same_key_is_complained_of() -> None:
    journal = await crowd.run(
        lambda actor: LyingDoor(Reply(402, {"code": "payments.declined", "order_id": actor})),
        seed=1,
        size=Size(shoppers=20, steps=1, staff=0, imports=0),
        pause=no_time,
    )
    assert not [complaint for complaint in journal.complaints if complaint.check == "key"]

    other = Reply(402, {"code": "payments.declined", "order_id": "another"})
    await crowd.come_back(lambda actor: LyingDoor(other), journal=journal, pause=no_time)

    assert "key" in {complaint.check for complaint in journal.complaints}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, {"code": "fault.internal"}),
        Reply(503, {"code": "orders.tired"}),
        Reply(400, None),
        Reply(409, {"code": "products.slug_taken"}),
        Reply(404, {"code": "orders.not_found"}),
        Reply(422, {"code": "idempotency.key_reused"}),
        Reply(201, None),
        Reply(201, ORDER | {"status": "rejected"}),
        Reply(201, ORDER | {"status": "cancelled", "reason": "payments.declined"}),
        Reply(201, ORDER | {"total": {"amount": 1264, "currency": "USD"}}),
        Reply(201, ORDER | {"subtotal": {"amount": 1265, "currency": "USD"}, "adjustments": []}),
        Reply(201, ORDER | {"lines": []}),
        Reply(201, ORDER | {"currency": "EUR"}),
        Reply(201, ORDER | {"payments": [{"captured": 1265, "refunded": 0}] * 2}),
        Reply(201, ORDER | {"payments": [{"captured": 0, "refunded": 1}]}),
    ],
)
def test_what_no_shop_may_answer_to_an_order(reply: Reply) -> None:
    assert wrong_with("POST", "/orders", ASKED, reply)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(201, ORDER),
        Reply(201, ORDER | {"status": "pending"}),
        Reply(503, {"code": "fault.deadline"}),
        Reply(507, {"code": "storage.full"}),
        Reply(502),
        Reply(409, {"code": "idempotency.in_flight"}),
        Reply(409, {"code": "inventory.out_of_stock"}),
    ],
)
def test_what_a_shop_may_answer_to_an_order(reply: Reply) -> None:
    assert wrong_with("POST", "/orders", ASKED, reply) is None


async def test_a_version_that_goes_back_is_complained_of() -> None:
    journal = Journal()
    journal.versions["orders/1"] = 7
    journal.orders["1"] = KnownOrder(name="1", actor="shopper-0", token="")

    await crowd.come_back(door_to(LyingDoor(Reply(200, ORDER | {"version": 6}))), journal=journal, pause=no_time)

    assert [complaint.check for complaint in journal.complaints] == ["durable"]


@pytest.mark.parametrize(
    ("one", "other", "is_wrong"),
    [
        ((2, "placed"), (1, "pending"), False),
        ((2, "placed"), (5, "completed"), False),
        ((3, "placed"), (3, "placed"), False),
        ((3, "placed"), (3, "cancelled"), True),
        ((2, "rejected"), (3, "placed"), True),
        ((3, "placed"), (2, "cancelled"), True),
        ((2, "completed"), (3, "cancelled"), True),
    ],
)
def test_which_states_of_an_order_may_follow_which(one: Any, other: Any, is_wrong: bool) -> None:
    assert bool(wrong_with_change(one, other)) == is_wrong


async def test_a_cart_that_has_lost_a_line_is_complained_of() -> None:
    journal = Journal()
    journal.carts["1-x"] = KnownCart(name="1-x", actor="shopper-0", token="", lines={"MUG": (2, 3)})
    empty = {"id": "1-x", "lines": [], "unavailable": [], "quote": NOTHING, "version": 3}

    await crowd.come_back(door_to(LyingDoor(Reply(200, empty))), journal=journal, pause=no_time)

    assert [complaint.check for complaint in journal.complaints] == ["durable"]


def test_stock_below_zero_and_carts_with_a_line_twice_are_wrong() -> None:
    level = {"on_hand": 1, "reserved": 2, "available": -1, "sold": 0}
    line = {"sku": "MUG", "quantity": 1}
    cart = {"lines": [line, line], "unavailable": [], "quote": {"lines": []}}

    assert wrong_with("GET", "/admin/inventory/MUG", None, Reply(200, level | {"levels": [level]}))
    assert wrong_with("GET", "/carts/1", None, Reply(200, cart))
