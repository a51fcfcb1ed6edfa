"""The bus over Redis Streams: a stream per service that says something, a group per service that hears.

What is put off waits in a sorted set by the moment when it is due, and returns through a stream of the hearing
service's own. An entry is acknowledged in the same transaction that puts it off; what a process leaves behind when it
dies is claimed by another one after a while.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.groups import Group
from hansa.platform.messaging.port import BusUnusable, Listener, NotPublished, Subscriber, service_of
from hansa.platform.messaging.redis_streams.entries import fields_of
from hansa.platform.messaging.redis_streams.listening import Listening
from hansa.platform.messaging.redis_streams.reading import MOST_DELIVERIES, Names, Reading

ANSWER_WITHIN_S = 5.0
CLAIM_IDLE_S = 30.0
"""How long a process may be silent about what it took until another one takes it."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0

log = structlog.get_logger()


class RedisBus:
    """See the module. `namespace` stands before every key; it may stand in the address, too, as `?namespace=…`."""

    has_broker = True

    def __init__(
        self,
        *,
        url: str,
        clock: Clock,
        chance: random.Random,
        patience: Patience | None = None,
        namespace: str = "",
        claim_idle_s: float = CLAIM_IDLE_S,
    ) -> None:
        self._url, from_url = _without_namespace(url)
        self._names = Names(namespace or from_url)
        self._clock = clock
        self._chance = chance
        self._patience = patience or Patience()
        self._claim_idle_s = claim_idle_s
        self._groups: dict[str, Group] = {}
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._publishing: Any = None
        self._is_declared = False
        self._tasks: list[asyncio.Task[None]] = []
        self._readings: list[Reading] = []
        self._listening: Listening | None = None
        self._is_closed = False

    def subscribe(self, *, consumer: str, type: str, subscriber: Subscriber) -> None:
        service = service_of(consumer)
        group = self._groups.get(service)
        if group is None:
            group = self._groups[service] = Group(
                service, patience=self._patience, clock=self._clock, most_deliveries=MOST_DELIVERIES
            )
        group.add(consumer=consumer, type=type, subscriber=subscriber)

    def listen(self, *, type: str, listener: Listener) -> None:
        self._listeners[type].append(listener)

    async def start(self) -> None:
        listening = self._listening = Listening(
            client=self._client(), names=self._names, listeners=self._listeners, clock=self._clock
        )
        try:
            await self._declare()
            await listening.begin(is_first=True)
        except (AuthenticationError, NoPermissionError) as error:
            raise BusUnusable(f"Redis refuses the bus: {error}") from error
        except ResponseError as error:
            raise BusUnusable(f"Redis cannot be used as a bus (version 6.2 or later is needed): {error}") from error
        except (RedisError, OSError) as error:
            log.warning("Redis does not answer; it is tried again", error=type(error).__name__)
        self._readings = [
            Reading(
                client=self._client(),
                names=self._names,
                group=group,
                clock=self._clock,
                chance=self._chance,
                patience=self._patience,
                claim_idle_s=self._claim_idle_s,
            )
            for group in self._groups.values()
        ]
        runs = [work for reading in self._readings for work in (reading.take, reading.look_after)]
        self._tasks += [asyncio.create_task(self._insist(run)) for run in (*runs, listening.take)]

    async def publish(self, batch: Sequence[Envelope]) -> None:
        if not batch:
            return
        if self._publishing is None:
            self._publishing = self._client()
        async with asyncio.timeout(2 * ANSWER_WITHIN_S):
            if not self._is_declared:
                await self._declare()
            pipeline = self._publishing.pipeline(transaction=False)
            for envelope in batch:
                pipeline.xadd(self._names.stream(envelope.source), fields_of(envelope))
            answers = await pipeline.execute(raise_on_error=False)
        refused = [
            (envelope, answer) for envelope, answer in zip(batch, answers, strict=True) if isinstance(answer, Exception)
        ]
        if refused:
            raise NotPublished([envelope for envelope, _ in refused], str(refused[0][1]))

    async def close(self) -> None:
        self._is_closed = True  # the client swallows a cancellation now and then
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for reading in self._readings:
            with suppress(RedisError, OSError, TimeoutError):
                await reading.leave()
        if self._listening is not None:
            await self._listening.close()
        if self._publishing is not None:
            await self._publishing.aclose()
            self._publishing = None

    async def _declare(self) -> None:
        """Every group exists from its stream's beginning on, so that nothing is published before it hears."""
        client = self._client()
        try:
            for group in self._groups.values():
                await self._names.declare(client, group)
        finally:
            await client.aclose()
        self._is_declared = True

    async def _insist(self, run: Any) -> None:
        """Do it again and again, through lost connections and lost data."""
        pause_s = FIRST_PAUSE_S
        while not self._is_closed:
            try:
                await run()
                pause_s = FIRST_PAUSE_S
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("Redis does not answer; it is tried again", error=type(error).__name__)
                await self._clock.sleep(pause_s * self._chance.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                with suppress(RedisError, OSError, TimeoutError):
                    await self._declare()  # a failover, or somebody's FLUSHALL, may have lost the groups
            except Exception:
                log.exception("the bus stumbled")
                await self._clock.sleep(pause_s)

    def _client(self) -> Any:
        """A connection of its own. Its types promise either an answer or a future of it, so it is used untyped."""
        return Redis.from_url(
            self._url,
            socket_timeout=ANSWER_WITHIN_S,
            socket_connect_timeout=ANSWER_WITHIN_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )


def _without_namespace(url: str) -> tuple[str, str]:
    """Raises ValueError for an address that is none; its text does not repeat it, for there may be a password in it."""
    try:
        parts = urlsplit(url)
        is_address = (
            bool(parts.hostname) and parts.port != 0 and parts.path.strip("/").isdigit() | (parts.path in ("", "/"))
        )
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError("must be `redis://:password@host:port/0`, with what is special in the password as %40")
    query: Mapping[str, str] = dict(parse_qsl(parts.query))
    rest = {name: value for name, value in query.items() if name != "namespace"}
    return urlunsplit(parts._replace(query=urlencode(rest))), query.get("namespace", "")
