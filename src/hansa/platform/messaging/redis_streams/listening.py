"""What every process hears: it reads the streams from their end on, by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.platform.messaging.cloudevents import Unreadable, read_one
from hansa.platform.messaging.port import Listener, service_of
from hansa.platform.messaging.redis_streams.entries import read
from hansa.platform.messaging.redis_streams.reading import BATCH, BLOCK_MS, Names


class Listening:
    """See the module. `take` does one round; after one that failed it begins anew at the end."""

    def __init__(self, *, client: Any, names: Names, listeners: Mapping[str, Sequence[Listener]], clock: Clock) -> None:
        self._client = client
        self._names = names
        self._listeners = listeners
        self._clock = clock
        self._heard: dict[str, bytes | str] | None = None

    async def begin(self, *, is_first: bool = False) -> None:
        """From here on nothing is missed without `missed` being said; what was before the `first` time is known not to
        have been heard."""
        heard: dict[str, bytes | str] = {}
        for source in sorted({service_of(type_) for type_ in self._listeners}):
            stream = self._names.stream(source)
            last = await self._client.xrevrange(stream, count=1)
            heard[stream] = last[0][0] if last else "0-0"
        if not is_first:
            self._say_missed()
        self._heard = heard

    def _say_missed(self) -> None:
        for listener in {id(each): each for some in self._listeners.values() for each in some}.values():
            listener.missed()

    async def close(self) -> None:
        await self._client.aclose()

    async def take(self) -> None:
        if not self._listeners:
            await self._clock.sleep(BLOCK_MS / 1000)
            return
        if self._heard is None:
            await self.begin()
        heard, self._heard = self._heard, None  # as long as it is not known how far this round gets
        assert heard is not None
        for stream, entries in await self._client.xread(heard, count=BATCH, block=BLOCK_MS) or ():
            for _, fields in entries:
                self._tell(fields)
            heard[stream.decode()] = entries[-1][0]
        self._heard = heard

    def _tell(self, fields: Mapping[bytes, bytes]) -> None:
        entry = read(fields)
        listeners = self._listeners.get(entry.attributes.get("type", ""), ())
        if not listeners:
            return
        try:
            envelope: Envelope = read_one(entry.attributes, entry.body)
        except Unreadable:
            self._say_missed()
            return
        for listener in listeners:
            listener.hear([envelope])
