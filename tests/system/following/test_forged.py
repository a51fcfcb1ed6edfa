"""Tokens that the shop did not make, or not for this, or no longer vouches for, open no door."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hansa.platform.messaging.rabbitmq.following import FollowKey, claims_of, mqtt_queues, scopes
from tests.followed_server import Refused, mqtt_client, stomp_client
from tests.system.following.conftest import World, as_holder


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def claims(world: World, *, lives: timedelta = timedelta(hours=1)) -> dict[str, Any]:
    own = [*mqtt_queues(world.mqtt.client_id), world.stomp.queue]
    return claims_of(
        subject="x",
        scopes=scopes(vhost="/", queues=own, topic=f"order.{world.order}"),
        now=(now := datetime.now(UTC)),
        expires_at=now + lives,
    )


def tampered(world: World, key: FollowKey) -> str:
    head, _, signature = key.sign(claims(world)).split(".")
    wished = {**claims(world), "scope": ["hansa.read:*/*/*", "hansa.write:*/*/*", "hansa.configure:*/*", "hansa.tag:x"]}
    return f"{head}.{encoded(wished)}.{signature}"


def unsigned(world: World, key: FollowKey) -> str:
    return f"{encoded({'alg': 'none', 'kid': key.name})}.{encoded(claims(world))}."


def signed_by_another(world: World, key: FollowKey) -> str:
    stranger = FollowKey(master=b"another shop's, of 32 characters")
    stranger.name = key.name
    return stranger.sign(claims(world))


def of_unknown_key(world: World, key: FollowKey) -> str:
    return FollowKey(master=b"another shop's, of 32 characters").sign(claims(world))


def signed_with_what_is_public(world: World, key: FollowKey) -> str:
    """As a secret, in the hope that whoever checks it believes the header."""
    signed = f"{encoded({'alg': 'HS256', 'kid': key.name})}.{encoded(claims(world))}"
    digest = hmac.digest(key.public_pem.strip().encode(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def expired(world: World, key: FollowKey) -> str:
    return key.sign(claims(world, lives=timedelta(seconds=-1)))


def for_another_server(world: World, key: FollowKey) -> str:
    return key.sign({**claims(world), "aud": ["rabbitmq"]})


def no_token(world: World, key: FollowKey) -> str:
    return "swordfish"


@pytest.mark.parametrize(
    "forge",
    [
        tampered,
        unsigned,
        signed_by_another,
        of_unknown_key,
        signed_with_what_is_public,
        expired,
        for_another_server,
        no_token,
    ],
)
async def test_no_door_opens_to_a_token_that_is_not_ours(world: World, forge: Callable[[World, FollowKey], str]):
    token = forge(world, FollowKey(master=world.server.master))

    with pytest.raises(Refused):
        async with mqtt_client(world.server, world.mqtt, token):
            pass
    with pytest.raises(Refused):
        async with stomp_client(world.server, world.stomp, token):
            pass
    with pytest.raises(Refused):
        async with as_holder(world, token=token):
            pass


async def test_a_connection_that_outlives_its_pass_opens_nothing_more(world: World):
    token = FollowKey(master=world.server.master).sign(claims(world, lives=timedelta(seconds=3)))
    async with stomp_client(world.server, world.stomp, token) as client:
        is_over = False
        while not is_over:
            try:
                async with as_holder(world, token=token):
                    pass
            except Refused:
                is_over = True

        with pytest.raises(Refused):
            await client.subscribe(world.stomp.destination, {"x-queue-name": world.stomp.queue})
