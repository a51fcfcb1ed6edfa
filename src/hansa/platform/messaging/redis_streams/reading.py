"""What a process reads for one service: new entries, those that are due again, and those that a dead process took."""

import random
import secrets
from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from hansa.kernel.clock import Clock
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.groups import Entry, Group, PutOff
from hansa.platform.messaging.redis_streams.entries import read, written

BATCH = 256
BLOCK_MS = 1000
MOST_DUE = 256
LOOK_EVERY_S = 0.2
"""For what is due again, and so how late it may be."""
CLAIM_EVERY = 10
"""Looks after which those of the dead are claimed."""
TRIM_EVERY = 300
"""Looks after which streams lose what every group is done with."""
MOST_DELIVERIES = 16
"""How often an entry is handed out, until it is thought to kill whoever takes it, and parked."""
RETURN_DUE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do
    redis.call('XADD', KEYS[2], '*', unpack(cjson.decode(member)))
    redis.call('ZREM', KEYS[1], member)
end
return #due
"""
"""At once, so that what is due is in one place or the other."""


class Names:
    """What keys are called, and how groups come to be."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{namespace}:" if namespace else ""

    def stream(self, service: str) -> str:
        """What a service has said."""
        return f"{self._prefix}events:{service}"

    def again(self, service: str) -> str:
        """What one service is offered again."""
        return f"{self._prefix}again:{service}"

    def waiting(self, service: str) -> str:
        """What waits until it is due for it."""
        return f"{self._prefix}waiting:{service}"

    def streams_of(self, group: Group) -> list[str]:
        return [*(self.stream(source) for source in group.sources), self.again(group.service)]

    async def declare(self, client: Any, group: Group) -> None:
        for stream in self.streams_of(group):
            try:
                await client.xgroup_create(stream, group.service, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


class Reading:
    """See the module. `take` and `look_after` do one round each."""

    def __init__(
        self,
        *,
        client: Any,
        names: Names,
        group: Group,
        clock: Clock,
        chance: random.Random,
        patience: Patience,
        claim_idle_s: float,
    ) -> None:
        self._client = client
        self._names = names
        self._group = group
        self._clock = clock
        self._chance = chance
        self._patience = patience
        self._claim_idle_ms = int(claim_idle_s * 1000)
        self._process = secrets.token_hex(8)  # no two processes may have the same, whatever their seeds
        self._streams = names.streams_of(group)
        self._looks = 0

    async def take(self) -> None:
        """Wait for entries, and digest them."""
        found = await self._client.xreadgroup(
            self._group.service, self._process, dict.fromkeys(self._streams, ">"), count=BATCH, block=BLOCK_MS
        )
        for stream, entries in found or ():
            await self._digest(stream, [(entry_id, read(fields)) for entry_id, fields in entries])

    async def look_after(self) -> None:
        """Bring back what is due, and now and then what the dead have left, and let go of what everybody is done
        with."""
        await self._clock.sleep(LOOK_EVERY_S)
        self._looks += 1
        now_ms = int(self._clock.now().timestamp() * 1000)
        waiting, again = self._names.waiting(self._group.service), self._names.again(self._group.service)
        await self._client.eval(RETURN_DUE, 2, waiting, again, now_ms, MOST_DUE)
        if self._looks % CLAIM_EVERY == 0:
            for stream in self._streams:
                await self._claim(stream)
        if self._looks % TRIM_EVERY == 0:
            for stream in self._streams:
                await self._trim(stream)

    async def leave(self) -> None:
        """Let others have at once what was taken and not acknowledged, and be forgotten."""
        for stream in self._streams:
            ours = await self._client.xpending_range(
                stream, self._group.service, min="-", max="+", count=10 * BATCH, consumername=self._process
            )
            if ours:
                ids = [entry["message_id"] for entry in ours]
                idle = {"idle": 1000 * self._claim_idle_ms, "justid": True}
                await self._client.xclaim(stream, self._group.service, self._process, 0, ids, **idle)
            else:
                await self._client.xgroup_delconsumer(stream, self._group.service, self._process)
        await self._client.aclose()

    async def _claim(self, stream: str) -> None:
        """Each by itself: one that kills whoever takes it shall not count against those beside it."""
        for _ in range(BATCH):
            _, entries, *_ = await self._client.xautoclaim(
                stream, self._group.service, self._process, self._claim_idle_ms, count=1
            )
            if not entries:
                return
            ((entry_id, fields),) = entries
            pending = await self._client.xpending_range(
                stream, self._group.service, min=entry_id, max=entry_id, count=1, consumername=self._process
            )
            times = pending[0]["times_delivered"] if pending else 1
            await self._digest(stream, [(entry_id, read(fields, deliveries=times))])

    async def _digest(self, stream: str, entries: Sequence[tuple[bytes, Entry]]) -> None:
        put_off = await self._group.digest([entry for _, entry in entries])
        pipeline = self._client.pipeline(transaction=True)
        if put_off:
            pipeline.zadd(
                self._names.waiting(self._group.service), {written(each): self._due(each) for each in put_off}
            )
        pipeline.xack(stream, self._group.service, *(entry_id for entry_id, _ in entries))
        if stream == self._names.again(self._group.service):
            pipeline.xdel(stream, *(entry_id for entry_id, _ in entries))
        await pipeline.execute()

    def _due(self, put_off: PutOff) -> int:
        """In milliseconds since 1970."""
        delay_s = self._patience.delays_s[self._patience.delay_of(put_off.delivery)]
        delay_s *= 1 - self._chance.uniform(0, self._patience.jitter)
        return int((self._clock.now().timestamp() + delay_s) * 1000)

    async def _trim(self, stream: str) -> None:
        """Up to the oldest entry that some group has still to do with."""
        done: list[tuple[int, int]] = []
        for group in await self._client.xinfo_groups(stream):
            pending = await self._client.xpending(stream, group["name"])
            oldest = pending["min"] if pending["pending"] else group["last-delivered-id"]
            done.append(_position(oldest))
        if done:
            milliseconds, number = min(done)
            await self._client.xtrim(stream, minid=f"{milliseconds}-{number}", approximate=True)


def _position(entry_id: bytes | str) -> tuple[int, int]:
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number or 0)
