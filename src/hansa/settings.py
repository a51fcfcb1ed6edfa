"""One frozen struct of settings; an empty file means everything embedded, in one process.

Read from a TOML file (`HANSA_CONFIG`, else `hansa.toml` in the working folder if it is there) and from the
environment, which wins: the setting `staff_email` is `HANSA_STAFF_EMAIL`, lists are separated by commas.
"""

import os
import tomllib
from collections.abc import Mapping
from email.utils import parseaddr, quote
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from hansa.kernel.address import Country
from hansa.kernel.channel import MAIN, Channel
from hansa.kernel.money import Currency

NO_SETTINGS = frozenset(
    {"HANSA_CONFIG", "HANSA_NO_SKIPS", "HANSA_POSTGRES_BIN", "HANSA_CHROMIUM", "HANSA_RABBITMQ_HOME"}
)
"""Variables that are called like settings, and mean something else."""


class SettingsInvalid(Exception):
    """A setting is unknown or not what it must be; the text says which."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set, and what it is when it is not."""

    host: str = "127.0.0.1"
    """The address to listen on. By default only this machine can reach the shop; `0.0.0.0` lets everybody."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8000
    """The port to listen on."""
    data: Annotated[str, msgspec.Meta(min_length=1)] = "data"
    """The folder that the shop owns: databases, the master key, pictures, transfers, mails. Only one process at a time
    can have it. Back it up whole, while the shop is stopped: without the master key nothing personal can be read."""
    database: str = "sqlite:"
    """`sqlite:` (files in the data folder) or `postgresql://user:password@host/name`, version 15 or later, by a user
    who may create roles and schemas. The data folder is needed in either case."""
    bus: str = "local:"
    """How events travel from service to service. `local:` is within the process.
    `amqp://user:password@host:port/virtual-host` (or `amqps://`) is RabbitMQ, version 3.10 or later, by a user who may
    configure, write and read there; `?namespace=shop1` stands before all names, for shops that share a broker, and
    `&max_length=1000000` has a consumer's queue refuse more messages than that, which then wait in the outbox.
    `kafka://host:port,host:port` (or `kafkas://` over TLS, and `user:password@` before the hosts for SASL/PLAIN) is
    Kafka, version 3.9 or later, as somebody who may make topics there, with `?namespace=shop1`, too.
    `redis://:password@host:port/0` (or `rediss://`) is Redis, version 6.2 or later, for those who have nothing else: it
    may lose what it has confirmed (docs/messaging.md says when)."""
    cache: str = "memory:"
    """Where copies of what is read often are kept. `memory:` is in the process. Processes that share a database share a
    cache, too: `redis://:password@host:port/0` (or `rediss://`) is Redis, version 6.2 or later,
    `redis+sentinel://:password@host:port,host:port/name/0` the one that Sentinels call master, and
    `redis+cluster://:password@host:port,host:port` a cluster; `memcached://host:port,host:port` is Memcached, version
    1.6, with the keys spread over the servers. `?namespace=shop1` stands before all keys. Nothing is there only: if it
    is gone, the shop goes on (docs/caching.md)."""
    cache_memory_mb: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 8
    """How much of it each process keeps in its own memory, in megabytes."""
    mail: str = "folder:"
    """How mails go out: `folder:` writes them into the data folder, as files; `smtp://user:password@host:port` sends
    them over STARTTLS (port 587 if none is named), `smtps://…` over TLS (465)."""
    mail_from: str = "Hansa <shop@example.com>"
    """Whom mails are from. As long as it is left as it is, its name is that of the shop."""
    staff_email: str = ""
    """The e-mail address of a staff account that is there after the start, if the password is set too. The demo makes
    one for `staff@example.com` by itself, and prints its password once."""
    staff_password: str = ""
    """The password of that account, set anew at each start."""
    countries: tuple[Country, ...] = ()
    """Countries sold to (ISO 3166-1 alpha-2); empty means all that shipping has rates for."""
    currencies: Annotated[tuple[Currency, ...], msgspec.Meta(min_length=1)] = ("USD", "EUR", "CNY")
    """Currencies sold in (ISO 4217); the first is the one of whoever asks for none. A product is for sale in those that
    it has a price in."""
    locales: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("en", "zh")
    """Languages of the shop (BCP 47); the first is the one of whoever asks for none that the shop has."""
    webhooks_to_private_addresses: bool = False
    """Whether webhooks may go to addresses of this machine and its network, and over http. Leave it off where whoever
    runs the shop and whoever makes webhooks are not the same people: what is behind the shop could be reached."""
    follow_mqtt_url: Annotated[str, msgspec.Meta(max_length=300)] = ""
    """Where browsers and devices reach RabbitMQ's plugin for MQTT, as `mqtts://broker.example.com:8883` or
    `wss://broker.example.com/mqtt`. With it, or the next one, and RabbitMQ as `bus`, buyers can follow their orders;
    docs/following.md says what RabbitMQ must be told first. Empty offers it to nobody."""
    follow_stomp_url: Annotated[str, msgspec.Meta(max_length=300)] = ""
    """The same for its plugin for STOMP, as `wss://broker.example.com/stomp` or `stomp+ssl://broker.example.com:61614`.
    """
    sandbox_payments: bool = True
    """Whether the sandbox provider, which moves no real money, is offered. Turn it off before you sell."""
    public_url: Annotated[str, msgspec.Meta(max_length=300)] = ""
    """Where people reach the shop, as `https://shop.example.com`: links in mails and pages begin with it. Empty means
    the address that it listens on."""
    trusted_proxies: tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F.:]+$(?!\n)")], ...] = ()
    """Addresses of the proxies in front, whose X-Forwarded-For is believed. Without it a proxy's visitors share one
    address, and one limit of failed sign-ins."""
    shop_name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)] = "Hansa"
    """What the shop is called on its pages."""
    shop_texts: str = ""
    """A folder of the shop's own texts, `<language>/*.toml`, which stand in for those of its pages."""
    picture_hosts: tuple[Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]+(:[0-9]+)?$(?!\n)")], ...] = ()
    """Other hosts from which pages may show pictures of products; none by default."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is logged: this and all that is graver. Logs go to standard error."""
    log_json: bool = True
    """Whether a line of the log is a JSON object, for machines, or made for people."""

    @property
    def public_address(self) -> str:
        """The beginning of every link to the shop, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"

    @property
    def sender(self) -> str:
        """Whom mails are from: under the shop's name, unless there is another."""
        own = Settings()
        if self.mail_from != own.mail_from or self.shop_name == own.shop_name:
            return self.mail_from
        return f'"{quote(" ".join(self.shop_name.split()))}" <{parseaddr(own.mail_from)[1]}>'

    @property
    def folder(self) -> Path:
        return Path(self.data)

    @property
    def channel(self) -> Channel:
        return Channel(name=MAIN, countries=self.countries, currencies=self.currencies, locales=self.locales)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. Raises SettingsInvalid with the setting's name."""
    file = Path(environment.get("HANSA_CONFIG", "hansa.toml"))
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"{file} is not valid TOML: {error}") from None
    elif "HANSA_CONFIG" in environment:
        raise SettingsInvalid(f"HANSA_CONFIG names {file}, which does not exist")
    for field in msgspec.structs.fields(Settings):
        if (text := environment.get(f"HANSA_{field.name.upper()}")) is not None:
            is_list = isinstance(field.default, tuple)
            values[field.name] = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`").partition("[")[0]
        where = f"{name} (HANSA_{name.upper()})" if name else "the settings file"
        raise SettingsInvalid(f"{where} is wrong: {reason}") from None
    if settings.public_url and not _is_origin(settings.public_url):
        raise SettingsInvalid(
            "public_url (HANSA_PUBLIC_URL) is wrong: give scheme, host and port only, as in https://shop.example.com"
        )
    if wrong := next((each for each in settings.trusted_proxies if not _is_address(each)), None):
        raise SettingsInvalid(f"trusted_proxies (HANSA_TRUSTED_PROXIES) is wrong: {wrong} is no IP address")
    return settings


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that are called like settings and are none, probably misspelt."""
    known = NO_SETTINGS | {f"HANSA_{name.upper()}" for name in Settings.__struct_fields__}
    return sorted(name for name in environment if name.startswith("HANSA_") and name not in known)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_origin(url: str) -> bool:
    """Whether it is an http or https address of a host and nothing on it; a slash at its end does no harm."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url and not set(url) & set("\\\"'<>@?#")
    return (
        has_port and is_plain and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")
    )
