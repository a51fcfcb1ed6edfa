"""Which server has the keys: the one of the address, or the master that Sentinels name."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from redis.asyncio import Sentinel
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ReadOnlyError, ResponseError

from hansa.platform.cache.redis_store.address import Address
from hansa.platform.cache.redis_store.pool import MOST_CONNECTIONS, Pool
from hansa.platform.cache.redis_store.wire import OPEN_WITHIN_S, connection

SENTINEL_WITHIN_S = 0.3
"""How long one Sentinel may be silent until the next is asked."""


class Servers(Protocol):
    """See the module. Everything but `slot` and `close` raises the library's errors, TimeoutError, or CacheTrouble."""

    def slot(self, name: bytes) -> int:
        """Keys of the same slot may be asked for together."""
        ...

    async def ask(self, slot: int, command: bytes) -> Any: ...

    async def pools(self) -> Sequence[Pool]:
        """Together they have all keys."""
        ...

    async def connect(self) -> Connection:
        """A connection of its own to where everything that is published is heard."""
        ...

    async def confirm(self, connection: Connection) -> None:
        """Raise if what is published may not be heard through the connection any more, though it is alive."""
        ...

    async def suspect(self) -> None:
        """Something was lost: use no connection that is older than this."""
        ...

    async def close(self) -> None: ...


class OneServer:
    """That of the address."""

    def __init__(self, address: Address, *, most_connections: int = MOST_CONNECTIONS) -> None:
        self._address = address
        self._pool = Pool(open=self.connect, most=most_connections)

    def slot(self, name: bytes) -> int:
        return 0

    async def ask(self, slot: int, command: bytes) -> Any:
        return await self._pool.ask(command)

    async def pools(self) -> Sequence[Pool]:
        return [self._pool]

    async def connect(self) -> Connection:
        return await opened(self._address, self._address.nodes[0])

    async def confirm(self, connection: Connection) -> None:
        """The server is the only one that there is."""

    async def suspect(self) -> None:
        await self._pool.forget()

    async def close(self) -> None:
        await self._pool.close()


class MasterOfSentinels(OneServer):
    """Each new connection goes to the master of the moment; the old ones are given up when it has changed."""

    def __init__(self, address: Address, *, most_connections: int = MOST_CONNECTIONS) -> None:
        super().__init__(address, most_connections=most_connections)
        self._sentinels: Any = Sentinel(  # type: ignore[no-untyped-call]
            address.nodes,
            sentinel_kwargs={
                "username": address.sentinel_username,
                "password": address.sentinel_password,
                "ssl": address.is_secured,
                "protocol": 2,
                "socket_timeout": SENTINEL_WITHIN_S,
                "socket_connect_timeout": SENTINEL_WITHIN_S,
                "retry": Retry(NoBackoff(), 0),
                "driver_info": None,
            },
        )
        self._asking = asyncio.Lock()
        self._master: tuple[str, int] | None = None

    async def ask(self, slot: int, command: bytes) -> Any:
        try:
            return await self._pool.ask(command)
        except ReadOnlyError:  # it was the master once
            await self._pool.forget()
            raise

    async def connect(self) -> Connection:
        node = await self._locate()
        fresh = await opened(self._address, node)
        try:
            await fresh.send_command("ROLE", check_health=False)
            role = await fresh.read_response(disable_decoding=True)
            if role[0] != b"master":  # what the Sentinels say may be older than what the server knows
                raise Lost("not the master")
        except BaseException:
            await fresh.disconnect(nowait=True)
            raise
        return fresh

    async def confirm(self, connection: Connection) -> None:
        if await self._locate() != (connection.host, connection.port):
            raise Lost("another server is the master now")

    async def close(self) -> None:
        await super().close()
        await self._sentinels.aclose()

    async def _locate(self) -> tuple[str, int]:
        async with self._asking:  # the library's clients are asked by one at a time
            host, port = await self._sentinels.discover_master(self._address.master)
        master = (str(host), int(port))
        if self._master is not None and master != self._master:
            await self._pool.forget()
        self._master = master
        return master


async def opened(address: Address, node: tuple[str, int]) -> Connection:
    """An open connection, in at most OPEN_WITHIN_S."""
    fresh = connection(address, node)
    try:
        async with asyncio.timeout(OPEN_WITHIN_S):
            await fresh.connect()  # type: ignore[no-untyped-call]
    except ResponseError as error:  # as for a wrong database; what is said may name the user
        await fresh.disconnect(nowait=True)
        raise Lost(type(error).__name__) from None
    except BaseException:
        await fresh.disconnect(nowait=True)
        raise
    return fresh
