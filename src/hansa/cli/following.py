"""`hansa follow-key`: what RabbitMQ must know so that it takes the passes with which buyers follow their orders."""

import argparse
from typing import Any

from hansa.cli.answers import say
from hansa.cli.opening import assert_shop
from hansa.platform.security.key_file import master_key
from hansa.settings import Settings


def add_to(commands: Any) -> None:
    key = commands.add_parser("follow-key", help="print the public key of following, or RabbitMQ's lines for it")
    key.add_argument(
        "--settings", metavar="FILE", help="instead, lines for rabbitmq.conf, when the key lies in FILE over there"
    )
    key.set_defaults(act=_follow_key)


async def _follow_key(settings: Settings, options: argparse.Namespace) -> int:
    # Loads a client of RabbitMQ, which no other command needs.
    from hansa.platform.messaging.rabbitmq.following import FollowKey

    assert_shop(settings)
    key = FollowKey(master=master_key(settings.folder / "master.key"))
    say("\n".join(key.settings(options.settings)) if options.settings else key.public_pem.rstrip())
    return 0
