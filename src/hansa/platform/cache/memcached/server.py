"""One server of Memcached, asked through emcache: in time, or not at all.

Each server has a client of its own. A client of several would hash keys to servers by itself, and what it does about
its connections would be done for all of them at once. What emcache (1.3) leaves to whoever uses it:

- It tries a lost server again after 1, 2, 4, … 60 seconds, each attempt inside the one before, so that it gives up for
  ever after some hundred. Here a client that has no connection is replaced when it is needed, at most once in
  `RENEW_AFTER_S`; until then whoever asks is told at once.
- A command whose connection is lost never ends. So every command has its time here.
- Answers are parted by their last bytes: a chunk of a value that ends like an answer would be taken for its end, and
  the rest for the answer to the next command. JSON cannot contain that; other values must be written in another way
  (`can_hold`). The statistics can be cut so, hence they are asked for on a connection that serves nothing else.
- An attempt to connect that fails just when it is cancelled goes on, and `close` waits for it: it is cancelled again.
- `cas` without a number (of a server that was started with -C) would send two commands in one. See `exchange`.

A command that is cancelled or takes too long ends its connection: a late answer finds nobody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import emcache
import structlog

from hansa.kernel.clock import Clock
from hansa.platform.cache.memcached.address import Place
from hansa.platform.cache.port import CacheTrouble

CONNECT_S = 1.0
RENEW_AFTER_S = 1.0
CLOSE_S = 0.2
MOST_CANCELLATIONS = 5
MOST_CONNECTIONS = 8
"""To each server. Whoever finds all of them busy waits, within the own time."""
_END_OF_ANSWER = b"END\r\n"

Answer = TypeVar("Answer")

log = structlog.get_logger()


class NoRoom(CacheTrouble):
    """The server could not find the memory for this item; otherwise it is well."""


class Server:
    """See the module."""

    def __init__(self, *, place: Place, clock: Clock, most_connections: int = MOST_CONNECTIONS) -> None:
        self.place = place
        self._address = emcache.MemcachedHostAddress(place.host, place.port)
        self._clock = clock
        self._most_connections = most_connections
        self._client: emcache.Client | None = None
        self._began = 0.0
        self._is_in_trouble = False
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to connect; nobody waits for it."""
        logging.getLogger("emcache").setLevel(logging.CRITICAL)  # it warns of every command that took too long
        await self._begin()

    async def ask(self, act: Callable[[emcache.Client], Awaitable[Answer]], *, within_s: float) -> Answer:
        """Have something done by the client. Raises CacheTrouble for whatever goes wrong."""
        client = await self._able()
        try:
            async with asyncio.timeout(within_s):
                answer = await act(client)
        except NoRoom:
            raise
        except TimeoutError:
            raise self._trouble("did not answer in time") from None
        except Exception as error:
            raise self._trouble(f"did not do it: {type(error).__name__}") from error
        if self._is_in_trouble:
            self._is_in_trouble = False
            log.info("Memcached answers again", server=str(self.place))
        return answer

    async def figures(self, *, within_s: float) -> dict[str, int]:
        """Bytes and keys that it holds."""
        client = await self._new_client(most_connections=1)
        try:
            async with asyncio.timeout(within_s):
                stats = await client.stats(self._address)
            return {"memory_bytes": int(stats["bytes"]), "keys": int(stats["curr_items"])}
        except Exception as error:
            raise CacheTrouble(f"Memcached at {self.place} says nothing of itself: {type(error).__name__}") from error
        finally:
            self._end(client)

    async def close(self) -> None:
        if self._client is not None:
            self._end(self._client)
            self._client = None
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _able(self) -> emcache.Client:
        """The client, if it has a connection or a chance to get one now."""
        if self._client is None:
            raise CacheTrouble("the store is not started, or closed")
        if self._is_in_trouble:
            pool = self._client.cluster_managment().connection_pool_metrics()[self._address]
            if pool.cur_connections == 0 and pool.connections_created_with_error > 0:
                if self._clock.monotonic() < self._began + RENEW_AFTER_S:
                    raise CacheTrouble(f"Memcached at {self.place} cannot be reached")
                self._end(self._client)
                return await self._begin()
        return self._client

    async def _begin(self) -> emcache.Client:
        self._began = self._clock.monotonic()
        self._client = client = await self._new_client(most_connections=self._most_connections)
        return client

    async def _new_client(self, *, most_connections: int) -> emcache.Client:
        return await emcache.create_client(
            [self._address],
            timeout=None,
            max_connections=most_connections,
            min_connections=1,
            purge_unused_connections_after=None,  # its timers would go on for ever
            connection_timeout=CONNECT_S,
            purge_unhealthy_nodes=False,
        )

    def _end(self, client: emcache.Client) -> None:
        """Close it aside: what it is doing for others may still end well."""
        task = asyncio.create_task(_closed(client), name="memcached.closing")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _trouble(self, what: str) -> CacheTrouble:
        if not self._is_in_trouble:
            self._is_in_trouble = True
            log.warning("Memcached is in trouble; it is tried again", server=str(self.place), what=what)
        return CacheTrouble(f"Memcached at {self.place} {what}")


def can_hold(value: bytes) -> bool:
    """Whether the value comes back whole; see the module."""
    return _END_OF_ANSWER not in value


async def add(client: emcache.Client, name: bytes, item: bytes, *, for_s: int) -> bool:
    """Keep an item if there is none of the name; whether that was so."""
    try:
        await client.add(name, item, exptime=for_s)
    except emcache.NotStoredStorageCommandError:
        return False
    except emcache.StorageCommandError as error:
        raise _meant(error) from error
    return True


async def fetch(client: emcache.Client, name: bytes) -> tuple[bytes, int] | None:
    """An item, and the number of its state."""
    found = await client.gets(name)
    if found is None:
        return None
    if not found.cas:
        raise CacheTrouble("Memcached was started without compare-and-set (-C)")
    return found.value, found.cas


async def exchange(client: emcache.Client, name: bytes, item: bytes, *, state: int, for_s: int) -> bool:
    """Keep an item in place of that in a state; False if that has changed or is gone."""
    try:
        await client.cas(name, item, state, exptime=for_s)
    except emcache.NotStoredStorageCommandError:
        return False
    except emcache.StorageCommandError as error:
        if "NOT_FOUND" in str(error):  # it has no other way to say so
            return False
        raise _meant(error) from error
    return True


async def delete(client: emcache.Client, name: bytes) -> None:
    with suppress(emcache.NotFoundCommandError):
        await client.delete(name)


def _meant(error: emcache.StorageCommandError) -> Exception:
    text = str(error)
    return NoRoom("no room for the item") if "out of memory" in text or "too large" in text else error


async def _closed(client: emcache.Client) -> None:
    closing = asyncio.create_task(client.close())
    for _ in range(MOST_CANCELLATIONS):
        done, _pending = await asyncio.wait([closing], timeout=CLOSE_S)
        if done:
            break
        closing.cancel()
    if closing.done() and not closing.cancelled():
        closing.exception()  # that of a task which it has cancelled
