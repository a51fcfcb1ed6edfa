"""Which addresses may be reached at the wish of somebody who typed them in: public ones, in plain spelling.

What is not public is taken from IANA's registries of special-purpose addresses (RFC 6890 and its successors). The
ranges are written down here, since what `ipaddress` calls global has changed between versions of Python.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from hansa.platform.outgoing.port import Flaw

LONGEST_URL = 2_000
LONGEST_NAME = 253
FIRST_FREE_PORT = 1024
WELL_KNOWN_PORTS = frozenset({80, 443})
"""Below FIRST_FREE_PORT these are the web's; behind all others are mail servers, shells and the like."""

_PLAIN = re.compile(r"[!$-;=?-Z_a-z~\[\]]+", re.ASCII)
"""Without spaces, control characters, quotes, angle brackets, backslashes, carets, braces, bars, and `#`."""
_IN_BRACKETS = re.compile(r"\[[0-9a-f:.]+\](:[0-9]+)?", re.ASCII | re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII | re.IGNORECASE)
INSIDE = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "arpa", "onion"})
"""Last parts of names that lead to no public host."""

_NOT_PUBLIC_4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by a carrier's customers; some clouds keep their metadata there
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's metadata, at an address that is public by its looks
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to IPv6, withdrawn
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_UNICAST_6 = ip_network("2000::/3")
"""All of IPv6 that is given out. Loopback, link-local, unique local, mapped and translated (NAT64) addresses and
multicast are outside of it."""
_NOT_PUBLIC_6 = tuple(
    ip_network(text)
    for text in (
        "2001::/23",  # protocols, Teredo among them, which holds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation
    )
)


def flaw_of(url: str, *, may_be_private: bool) -> Flaw | None:
    """Why nothing is sent to a URL. `may_be_private` lets it be of http, and of any host and port."""
    if not 0 < len(url) <= LONGEST_URL or not _PLAIN.fullmatch(url):
        return "malformed"
    try:
        parts, port = urlsplit(url), urlsplit(url).port
    except ValueError:
        return "malformed"
    if parts.scheme not in (("https", "http") if may_be_private else ("https",)):
        return "scheme"
    if "@" in parts.netloc:
        return "credentials"
    if port == 0 or parts.netloc.endswith(":"):
        return "port"
    if port is not None and not may_be_private and port < FIRST_FREE_PORT and port not in WELL_KNOWN_PORTS:
        return "port"
    return _flaw_of_host(parts, may_be_private=may_be_private)


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet; what is no address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _NOT_PUBLIC_4)
    return parsed.scope_id is None and parsed in _UNICAST_6 and not any(parsed in network for network in _NOT_PUBLIC_6)


def _flaw_of_host(parts: SplitResult, *, may_be_private: bool) -> Flaw | None:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        if not _IN_BRACKETS.fullmatch(parts.netloc):
            return "host"
        try:
            IPv6Address(host)
        except ValueError:
            return "host"
        return None if may_be_private or is_public(host) else "private"
    labels = host.split(".")
    if len(host) > LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        return "host"
    if _NUMBER.fullmatch(labels[-1]):  # whatever ends in a number is an address (WHATWG URL): one, in plain spelling
        try:
            IPv4Address(host)
        except ValueError:
            return "host"
        return None if may_be_private or is_public(host) else "private"
    if may_be_private:
        return None
    return "host" if len(labels) == 1 or labels[-1].lower() in INSIDE else None
