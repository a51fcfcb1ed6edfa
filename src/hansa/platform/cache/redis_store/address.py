"""Where a Redis is, as the setting says it: one server, the Sentinels that know it, or some nodes of a Cluster."""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

PORT = 6379
SENTINEL_PORT = 26379
MOST_NODES = 64
FORMS = (
    "must be `redis://user:password@host:port/0`, `redis+sentinel://user:password@host:port,host:port/MASTER/0` or "
    "`redis+cluster://user:password@host:port,host:port` (`rediss` with TLS), with what is special in the password as "
    "%40, and may end with `?namespace=NAME`"
)
_NAMESPACE = re.compile(r"[A-Za-z0-9._:-]{1,40}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_DATABASE = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, kw_only=True)
class Address:
    """`nodes` are the server itself, Sentinels if there is a `master`, or some of a Cluster's."""

    nodes: tuple[tuple[str, int], ...]
    master: str = ""
    """As the Sentinels call it."""
    is_cluster: bool = False
    is_secured: bool = False
    """By TLS, whose certificate is checked."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    database: int = 0
    namespace: str = ""


def parse(address: str) -> Address:
    """Raises ValueError for an address that is none; its text does not repeat it, for there may be a password in it."""
    parsed = None
    with suppress(ValueError):
        parsed = _parse(address)
    if parsed is None:  # outside of the handler, so that no error with parts of the address stands behind this one
        raise ValueError(FORMS)
    return parsed


def _parse(address: str) -> Address:
    if not (address.isascii() and address.isprintable()) or " " in address:
        raise ValueError("something that must be written as %20")
    parts = urlsplit(address)
    security, _, form = parts.scheme.partition("+")
    if security not in ("redis", "rediss") or form not in ("", "sentinel", "cluster") or parts.fragment:
        raise ValueError("another scheme, or a fragment")
    credentials, at, hosts = parts.netloc.rpartition("@")
    username, colon, password = credentials.partition(":")
    if "@" in credentials or bool(at) != bool(colon):
        raise ValueError("credentials that are none")
    nodes = tuple(_node(part, SENTINEL_PORT if form == "sentinel" else PORT) for part in hosts.split(","))
    if len(nodes) > MOST_NODES or (not form and len(nodes) > 1):
        raise ValueError("too many nodes")
    master, database = _path(parts.path, form)
    query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    options = dict(query)
    known = {"namespace"} | ({"sentinel_username", "sentinel_password"} if form == "sentinel" else set())
    if len(options) != len(query) or not options.keys() <= known:
        raise ValueError("options that are not known, or twice")
    namespace = options.get("namespace", "")
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise ValueError("another kind of namespace")
    return Address(
        nodes=nodes,
        master=master,
        is_cluster=form == "cluster",
        is_secured=security == "rediss",
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_username=options.get("sentinel_username") or None,
        sentinel_password=options.get("sentinel_password") or None,
        database=database,
        namespace=namespace,
    )


def _node(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    host = text.removesuffix(f":{parts.port}") if parts.port is not None else text
    if not _HOST.fullmatch(host) or parts.port == 0:
        raise ValueError("no host, or no port")
    return host.strip("[]"), parts.port or default_port


def _path(path: str, form: str) -> tuple[str, int]:
    steps = [unquote(step) for step in path.strip("/").split("/")] if path.strip("/") else []
    master = steps.pop(0) if form == "sentinel" and steps else ""
    if (form == "sentinel") != bool(master) or len(steps) > 1 or (steps and form == "cluster"):
        raise ValueError("another path")
    if steps and not _DATABASE.fullmatch(steps[0]):
        raise ValueError("no number of a database")
    return master, int(steps[0]) if steps else 0
