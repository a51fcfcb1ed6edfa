"""Commands as the bytes that are sent, connections as the library makes them, and which errors mean trouble."""

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hansa.platform.cache.redis_store.address import Address

OPEN_WITHIN_S = 1.0
TROUBLE = (RedisError, OSError, TimeoutError)
"""Whatever a server or the way to it may do; some of them say connection refused, some that it still loads."""


def pack(*parts: bytes) -> bytes:
    """A command in the protocol's form; the library's own way takes several times as long."""
    return b"*%d\r\n%b" % (len(parts), b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]))


def connection(address: Address, node: tuple[str, int]) -> Connection:
    """One that is not open yet. It repeats nothing, and waits for answers as long as whoever asks wants to."""
    host, port = node
    make = SSLConnection if address.is_secured else Connection
    return make(
        host=host,
        port=port,
        db=address.database,
        username=address.username,
        password=address.password,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=OPEN_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
    )
