"""Where the broker is, and which part of it is ours: one URL says both."""

import re
from dataclasses import dataclass

from yarl import URL

SCHEMES = ("amqp", "amqps")
PORTS = {"amqp": 5672, "amqps": 5671}
HEARTBEAT_S = 15
"""A peer that is silent for some of these is dead; the URL may say otherwise (`?heartbeat=60`)."""
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, kw_only=True)
class Address:
    """What a URL says; `namespace` stands before every name, so that shops may share a broker."""

    url: URL
    namespace: str = ""
    most_messages: int | None = None
    """Messages that a queue of a consumer takes, before it refuses more; None for as many as there are."""

    @property
    def shown(self) -> str:
        """For logs and errors: no user, no password, no query."""
        url = self.url
        return f"{url.scheme}://{url.host}:{url.port or PORTS[url.scheme]}{url.raw_path}"

    def named(self, name: str) -> str:
        """The name that something has with the broker."""
        return f"{self.namespace}.{name}" if self.namespace else name

    def unnamed(self, name: str) -> str:
        """What is called so with the broker, without the namespace."""
        return name.removeprefix(f"{self.namespace}.") if self.namespace else name


def address_of(url: str, *, namespace: str = "") -> Address:
    """`amqp[s]://user:password@host:port/virtual-host?namespace=…&max_length=…`; what else is in the query goes to the
    client library, such as `heartbeat` and `cafile`. Raises ValueError, without the URL, which has a password."""
    try:
        parsed = URL(url)
        parsed_port = parsed.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parsed.scheme not in SCHEMES or not parsed.host or parsed_port == 0:
        raise ValueError("must be `amqp://…` or `amqps://…`, with a host")
    query = dict(parsed.query)
    namespace = query.pop("namespace", "") or namespace
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise ValueError("has a namespace that is not 1 to 60 letters, digits, - and _")
    most = query.pop("max_length", None)
    if most is not None and (not most.isascii() or not most.isdigit() or not 0 < int(most) < 2**31):
        raise ValueError("has a max_length that is no positive number")
    query.setdefault("heartbeat", str(HEARTBEAT_S))
    return Address(url=parsed.with_query(query), namespace=namespace, most_messages=int(most) if most else None)
