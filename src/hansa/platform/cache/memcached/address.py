"""Where the servers of Memcached are, and what stands before every key in them."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import parse_qsl, urlsplit

USUAL_PORT = 11211
USUAL_NAMESPACE = "hansa"
MOST_SERVERS = 64
_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,24}")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Of one server."""

    host: str
    port: int = USUAL_PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Address:
    """What the setting says. All processes must be given the same servers by the same names, in any order: where a key
    is follows from them."""

    places: tuple[Place, ...]
    namespace: str = USUAL_NAMESPACE

    @classmethod
    def of(cls, url: str) -> "Address":
        """From `memcached://host:port,host:port?namespace=…`. Raises ValueError, whose text does not repeat what it was
        given."""
        if not url.isascii() or any(sign <= " " for sign in url):
            raise ValueError("must be ASCII without blanks")
        try:
            parts = urlsplit(url)
        except ValueError:  # whose text would repeat what was given
            raise ValueError("is no URL") from None
        if parts.scheme != "memcached":
            raise ValueError("must begin with `memcached://`")
        if "@" in parts.netloc:
            raise ValueError("must not have a user or a password: Memcached knows none")
        if parts.path not in ("", "/") or parts.fragment:
            raise ValueError("must have nothing after the servers but `?namespace=…`")
        places = tuple(_place(text, number) for number, text in enumerate(parts.netloc.split(","), start=1))
        if len(set(places)) < len(places):
            raise ValueError("names a server twice")
        if len(places) > MOST_SERVERS:
            raise ValueError(f"must not name more than {MOST_SERVERS} servers")
        return cls(places=places, namespace=_namespace(parts.query))

    def __str__(self) -> str:
        return f"memcached://{','.join(map(str, self.places))}?namespace={self.namespace}"


def _place(text: str, number: int) -> Place:
    if not text:
        raise ValueError(f"has no name where server {number} should be")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        try:
            host = str(IPv6Address(host))
        except AddressValueError:
            raise ValueError(f"has no IPv6 address in the brackets of server {number}") from None
        if not bracket or "%" in host or rest[:1] not in ("", ":"):
            raise ValueError(f"must have `[address]:port` as server {number}")
        return Place(host=host, port=_port(rest[1:], number) if rest else USUAL_PORT)
    host, colon, port = text.lower().partition(":")
    if _HOST.fullmatch(host) is None:
        raise ValueError(f"has no name of a host as server {number}")
    return Place(host=host, port=_port(port, number) if colon else USUAL_PORT)


def _port(text: str, number: int) -> int:
    if _PORT.fullmatch(text) is None or not 0 < int(text) < 65_536:
        raise ValueError(f"must have a port from 1 to 65535 behind server {number}")
    return int(text)


def _namespace(query: str) -> str:
    if not query:
        return USUAL_NAMESPACE
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        pairs = []
    if [name for name, _ in pairs] != ["namespace"]:
        raise ValueError("must have nothing behind `?` but `namespace=…`, once")
    namespace = pairs[0][1]
    if _NAMESPACE.fullmatch(namespace) is None:
        raise ValueError("must have a namespace of 1 to 24 letters, digits, dots, dashes and underscores")
    return namespace
