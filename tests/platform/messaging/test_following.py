"""What a pass says, and what becomes of notices that nobody can be told."""

import os
import random
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from hansa.adapters import following_of
from hansa.kernel.event import Envelope
from hansa.kernel.ids import Ids
from hansa.platform.messaging.following import STALE, Notice, Pass, Teller
from hansa.platform.messaging.rabbitmq.address import address_of
from hansa.platform.messaging.rabbitmq.following import (
    FollowKey,
    RabbitFollowing,
    body_of,
    mqtt_queues,
    scopes,
    vhost_of,
)
from hansa.services.orders.events import OrderCancelled
from hansa.settings import Settings, SettingsInvalid
from tests.clocks import ManualClock
from tests.ports import free_port

MASTER = bytes(range(32))
ORDER = "404249990984796160"
NAMES = st.text(min_size=1, max_size=12)


def following(
    *, url: str = "amqp://u:p@localhost/", mqtt: str = "mqtts://b", stomp: str = "wss://b/stomp"
) -> RabbitFollowing:
    clock = ManualClock()
    return RabbitFollowing(
        bus_url=url,
        mqtt_url=mqtt,
        stomp_url=stomp,
        key=FollowKey(master=MASTER),
        clock=clock,
        ids=Ids(clock=clock, chance=random.Random(3)),
    )


def claims_in(made: Pass) -> dict[str, Any]:
    key = ECKey.import_key(FollowKey(master=MASTER).public_pem)
    return dict(jwt.decode(made.token, key, algorithms=["ES256"]).claims)


def envelope(event: Any = None, **more: Any) -> Envelope:
    said = event or OrderCancelled(order_id=ORDER, reason="buyer")
    facts: dict[str, Any] = {
        "id": "404249991374867456",
        "type": "orders.order_cancelled.v1",
        "source": "orders",
        "time": ManualClock().now(),
        "slot": 7,
        "aggregate": ORDER,
        "version": 3,
        "subject": "391249990984796160",
        "session": "a visit",
        "correlation": "a request",
        "traceparent": "00-1-2-03",
        "body": msgspec.Raw(msgspec.json.encode(said)),
    }
    return Envelope(**{**facts, **more})


def opens(scope: str, *, permission: str, vhost: str, name: str, key: str | None = None) -> bool:
    """As RabbitMQ decides: `key` is given where a topic is asked for, and left out for a queue or an exchange."""
    granted, _, pattern = scope.partition(":")
    parts = pattern.split("/")
    asked = [vhost, name, *([] if key is None else [key])]
    if granted != permission or len(parts) < len(asked):
        return False
    return all(
        re.fullmatch(".*".join(re.escape(unquote_plus(piece)) for piece in part.split("*")), text, re.DOTALL)
        for part, text in zip(parts, asked, strict=False)
    )


# What a pass opens


@given(vhost=NAMES, queue=NAMES, other=NAMES, permission=st.sampled_from(["configure", "write", "read"]))
def test_of_queues_a_pass_opens_its_own_alone(vhost: str, queue: str, other: str, permission: str):
    given = scopes(vhost=vhost, queues=[queue], topic="order.1")

    def is_open(name: str, where: str = vhost) -> bool:
        return any(opens(scope, permission=permission, vhost=where, name=name) for scope in given)

    assert is_open(queue)
    assert is_open(other) == (other == queue)
    assert is_open(queue, where=other) == (other == vhost)
    assert is_open("amq.topic") == (permission == "read" or queue == "amq.topic")


@given(
    vhost=NAMES,
    key=st.text(alphabet="order.12*#", max_size=14),
    permission=st.sampled_from(["configure", "write", "read"]),
    exchange=st.sampled_from(["amq.topic", "orders", "amq.fanout", ""]),
)
def test_of_topics_a_pass_opens_what_is_below_its_own_alone(vhost: str, key: str, permission: str, exchange: str):
    given = scopes(vhost=vhost, queues=["mine"], topic="order.12")

    is_open = any(opens(scope, permission=permission, vhost=vhost, name=exchange, key=key) for scope in given)

    assert is_open == (permission == "read" and exchange == "amq.topic" and key.startswith("order.12."))


def test_a_token_says_for_whom_until_when_and_nothing_more():
    made = following().admit(kind="order", id=ORDER)

    claims = claims_in(made)
    assert made.mqtt is not None
    assert made.stomp is not None
    assert made.mqtt.client_id.startswith(f"follow-{ORDER}-")
    own = [*mqtt_queues(made.mqtt.client_id), made.stomp.queue]
    assert claims.pop("scope") == [f"hansa.{scope}" for scope in scopes(vhost="/", queues=own, topic=f"order.{ORDER}")]
    started = int(ManualClock().now().timestamp())
    assert claims == {"aud": ["hansa"], "sub": f"order.{ORDER}", "iat": started, "exp": started + 3600}
    assert made.expires_at == ManualClock().now() + timedelta(hours=1)


def test_a_pass_is_for_the_doors_that_there_are():
    by_mqtt = following(stomp="").admit(kind="order", id=ORDER)
    by_stomp = following(mqtt="").admit(kind="order", id=ORDER)

    assert by_mqtt.stomp is None
    assert by_stomp.mqtt is None
    assert not [scope for scope in claims_in(by_mqtt)["scope"] if "/follow-" in scope]
    assert not [scope for scope in claims_in(by_stomp)["scope"] if "mqtt" in scope]


def test_shops_that_share_a_broker_have_topics_of_their_own():
    made = following(url="amqp://u:p@localhost/a%2Fb?namespace=shop1").admit(kind="order", id=ORDER)

    assert made.mqtt is not None
    assert made.stomp is not None
    assert made.mqtt.topic == f"shop1/order/{ORDER}/+"
    assert made.mqtt.username == "a/b:follow"
    assert made.stomp.destination == f"/exchange/amq.topic/shop1.order.{ORDER}.*"
    assert made.stomp.host == "a/b"
    assert f"hansa.read:a%2Fb/amq.topic/shop1.order.{ORDER}.*" in claims_in(made)["scope"]


@pytest.mark.parametrize(
    ("url", "vhost"), [("amqp://h", "/"), ("amqp://h/", "/"), ("amqp://h/shop", "shop"), ("amqp://h/%2F", "/")]
)
def test_the_virtual_host_is_that_of_the_bus(url: str, vhost: str):
    assert vhost_of(address_of(url)) == vhost


# The key


def test_the_key_follows_from_the_master_key():
    same, other = FollowKey(master=MASTER), FollowKey(master=bytes(32))

    assert (same.public_pem, same.name) == (FollowKey(master=MASTER).public_pem, FollowKey(master=MASTER).name)
    assert same.public_pem != other.public_pem
    assert same.name != other.name


def test_the_command_prints_what_rabbitmq_must_know(tmp_path: Path):
    (tmp_path / "master.key").write_text(MASTER.hex())
    (tmp_path / "master.key").chmod(0o600)
    key = FollowKey(master=MASTER)

    def printed(*arguments: str) -> str:
        environment = {**os.environ, "HANSA_DATA": str(tmp_path)}
        command = [sys.executable, "-m", "hansa.cli", "follow-key", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert printed() == key.public_pem
    assert printed("--settings", "/etc/rabbitmq/key.pem").splitlines() == key.settings("/etc/rabbitmq/key.pem")


# Settings


def test_without_an_address_for_devices_nobody_follows():
    assert following_of(Settings(), MASTER, ManualClock(), Ids(clock=ManualClock())) is None
    assert following_of(Settings(bus="amqp://h"), MASTER, ManualClock(), Ids(clock=ManualClock())) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"follow_mqtt_url": "mqtts://broker"},
        {"follow_mqtt_url": "mqtts://broker", "bus": "kafka://h"},
        {"follow_mqtt_url": "stomp://broker", "bus": "amqp://h"},
        {"follow_stomp_url": "https://broker", "bus": "amqp://h"},
        {"follow_stomp_url": "wss://user:password@broker", "bus": "amqp://h"},
        {"follow_stomp_url": "wss://", "bus": "amqp://h"},
        {"follow_stomp_url": "wss://broker:0", "bus": "amqp://h"},
        {"follow_stomp_url": "wss://bro ker", "bus": "amqp://h"},
    ],
)
def test_an_address_that_cannot_be_is_refused_at_the_start(wrong: dict[str, str]):
    with pytest.raises(SettingsInvalid, match="follow_"):
        following_of(Settings(**wrong), MASTER, ManualClock(), Ids(clock=ManualClock()))  # type: ignore[arg-type]


# Notices


class Told:
    """Where notices go."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def admit(self, *, kind: str, id: str) -> Pass:
        raise NotImplementedError

    async def tell(self, notices: Any) -> None:
        self.notices += notices

    async def close(self) -> None: ...


def teller(told: Told, clock: ManualClock) -> Teller:
    return Teller(event=OrderCancelled, kind="order", says=lambda event: "cancelled", following=told, clock=clock)


async def test_what_happened_long_ago_and_what_nobody_can_read_is_not_told():
    told, clock = Told(), ManualClock()
    clock.advance(STALE.total_seconds())
    now = clock.now()

    await teller(told, clock).deliver(
        [
            envelope(id="1", time=now - STALE - timedelta(seconds=1)),
            envelope(id="2", time=now - STALE),
            envelope(id="3", time=now, body=msgspec.Raw(b"{}")),
            envelope(id="4", time=now, type="orders.order_cancelled.v2"),
            envelope(id="5", time=now),
        ]
    )

    assert [(notice.envelope.id, notice.what) for notice in told.notices] == [("2", "cancelled"), ("5", "cancelled")]


def test_a_notice_holds_nothing_personal():
    body = body_of(Notice(kind="order", envelope=envelope(), what="cancelled"))

    for secret in (b"391249990984796160", b"a visit", b"a request", b"00-1-2-03", b"buyer"):
        assert secret not in body


async def test_without_a_broker_nobody_is_told_and_nobody_is_held_up():
    silent = following(url=f"amqp://user:swordfish@127.0.0.1:{free_port()}/")
    notices = [Notice(kind="order", envelope=envelope(), what="cancelled")]

    with structlog.testing.capture_logs() as logs:
        await silent.tell(notices)
        await silent.tell(notices)
    await silent.close()

    assert [entry["event"] for entry in logs] == ["those who follow are not told"]
    assert "swordfish" not in str(logs)
