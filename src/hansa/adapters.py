"""From settings to adapters: which database, which mail, which payment providers a shop speaks to."""

import random
from pathlib import Path
from urllib.parse import urlsplit

from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids
from hansa.platform.cache.port import Store
from hansa.platform.database.port import Database
from hansa.platform.database.sqlite import SqliteDatabase
from hansa.platform.mail.folder import FolderMailer
from hansa.platform.mail.port import Mailer
from hansa.platform.mail.smtp import Security, SmtpMailer, SmtpSettings
from hansa.platform.messaging.following import MQTT_SCHEMES, STOMP_SCHEMES, Following, is_address_of
from hansa.platform.messaging.local import LocalBus, Mischief
from hansa.platform.messaging.port import Bus
from hansa.platform.outgoing.late import LatePoster
from hansa.platform.outgoing.port import Poster
from hansa.platform.providers.payments import PaymentProvider
from hansa.platform.providers.sandbox import SandboxProvider
from hansa.platform.security.sealing import derived_key
from hansa.settings import Settings, SettingsInvalid


def database_target(settings: Settings, name: str) -> Path | str:
    """A file for SQLite, an address for PostgreSQL. Raises SettingsInvalid."""
    if settings.database == "sqlite:":
        return settings.folder / "databases" / f"{name}.db"
    if settings.database.startswith(("postgresql://", "postgres://")):
        return settings.database
    raise SettingsInvalid("database must be `sqlite:` or `postgresql://…`")


def database_of(settings: Settings, name: str, clock: Clock, ids: Ids) -> Database:
    target = database_target(settings, name)
    if isinstance(target, Path):
        return SqliteDatabase(name=name, path=target, clock=clock, ids=ids)
    # Imported here because an embedded shop should not wait for a driver that it does not use.
    from hansa.platform.database.postgres import PostgresDatabase

    return PostgresDatabase(name=name, dsn=target, clock=clock, ids=ids)


def bus_of(settings: Settings, clock: Clock, chance: random.Random, mischief: Mischief | None = None) -> Bus:
    if settings.bus == "local:":
        return LocalBus(clock=clock, chance=chance, mischief=mischief)
    if settings.bus.startswith(("amqp://", "amqps://")):
        # Imported here, as each of them, because an embedded shop should not wait for a client that it does not use.
        from hansa.platform.messaging.rabbitmq.bus import RabbitBus

        try:
            return RabbitBus(url=settings.bus, clock=clock, chance=chance)
        except ValueError as error:
            raise SettingsInvalid(f"bus {error}") from None
    if settings.bus.startswith(("kafka://", "kafkas://")):
        from hansa.platform.messaging.kafka.bus import KafkaBus
        from hansa.platform.messaging.kafka.servers import Servers

        try:
            return KafkaBus(servers=Servers.of(settings.bus), clock=clock, chance=chance)
        except ValueError as error:
            raise SettingsInvalid(f"bus {error}") from None
    if settings.bus.startswith(("redis://", "rediss://")):
        from hansa.platform.messaging.redis_streams.bus import RedisBus

        try:
            return RedisBus(url=settings.bus, clock=clock, chance=chance)
        except ValueError as error:
            raise SettingsInvalid(f"bus {error}") from None
    raise SettingsInvalid("bus must be `local:`, `amqp://…`, `kafka://…` or `redis://…`")


def cache_of(settings: Settings, clock: Clock, chance: random.Random) -> Store | None:
    """What processes share; None for memory alone. Raises SettingsInvalid."""
    if settings.cache == "memory:":
        return None
    try:
        if settings.cache.startswith(("redis://", "rediss://", "redis+sentinel://", "redis+cluster://")):
            # Imported here because an embedded shop should not wait for a client that it does not use.
            from hansa.platform.cache.redis_store.store import RedisStore

            return RedisStore(address=settings.cache, clock=clock, chance=chance)
        if settings.cache.startswith("memcached://"):
            from hansa.platform.cache.memcached.store import MemcachedStore

            return MemcachedStore(address=settings.cache, clock=clock, chance=chance)
    except ValueError as error:
        raise SettingsInvalid(f"cache {error}") from None
    raise SettingsInvalid(
        "cache must be `memory:`, `redis://…`, `redis+sentinel://…`, `redis+cluster://…` or `memcached://…`"
    )


def following_of(settings: Settings, master: bytes, clock: Clock, ids: Ids) -> Following | None:
    """None where nobody is told how to reach a broker. Raises SettingsInvalid."""
    for name, url, schemes in (
        ("follow_mqtt_url", settings.follow_mqtt_url, MQTT_SCHEMES),
        ("follow_stomp_url", settings.follow_stomp_url, STOMP_SCHEMES),
    ):
        if url and not is_address_of(url, schemes):
            raise SettingsInvalid(f"{name} must be {' or '.join(f'`{scheme}://…`' for scheme in schemes)}")
        if url and not settings.bus.startswith(("amqp://", "amqps://")):
            raise SettingsInvalid(f"{name} is for shops whose `bus` is RabbitMQ (`amqp://…`)")
    if not settings.follow_mqtt_url and not settings.follow_stomp_url:
        return None
    from hansa.platform.messaging.rabbitmq.following import FollowKey, RabbitFollowing

    try:
        return RabbitFollowing(
            bus_url=settings.bus,
            mqtt_url=settings.follow_mqtt_url,
            stomp_url=settings.follow_stomp_url,
            key=FollowKey(master=master),
            clock=clock,
            ids=ids,
        )
    except ValueError as error:
        raise SettingsInvalid(f"bus {error}") from None


def mailer_of(settings: Settings, clock: Clock) -> Mailer:
    if settings.mail == "folder:":
        return FolderMailer(folder=settings.folder / "mails", sender=settings.sender, clock=clock)
    address = urlsplit(settings.mail)
    security = {"smtp": Security.STARTTLS, "smtps": Security.TLS}.get(address.scheme)
    if security is None or not address.hostname:
        raise SettingsInvalid("mail must be `folder:`, `smtp://…` or `smtps://…`")
    return SmtpMailer(
        settings=SmtpSettings(
            host=address.hostname,
            port=address.port or (465 if security is Security.TLS else 587),
            security=security,
            username=address.username or "",
            password=address.password or "",
            sender=settings.sender,
        ),
        clock=clock,
    )


def poster_of(settings: Settings) -> Poster:
    return LatePoster(may_be_private=settings.webhooks_to_private_addresses)


def providers_of(settings: Settings, master: bytes, clock: Clock) -> dict[str, PaymentProvider]:
    if not settings.sandbox_payments:
        return {}
    sandbox = SandboxProvider(
        folder=settings.folder / "sandbox-provider",
        webhook_url=f"http://{settings.host}:{settings.port}/api/v1/webhooks/payments/sandbox",
        secret=derived_key(master=master, purpose="payments.sandbox.webhook"),
        clock=clock,
    )
    return {sandbox.name: sandbox}
