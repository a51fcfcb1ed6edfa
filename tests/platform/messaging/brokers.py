"""What a behaviour test needs of any bus: processes that publish and hear, on a part of the broker of its own."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Protocol

import msgspec

from hansa.kernel.clock import SystemClock
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids
from hansa.platform.messaging.digesting import Patience
from hansa.platform.messaging.port import Bus

QUICK = Patience(delays_s=(0.2, 0.4), attempts=3, stalls_s=(0.01,))
PATIENCE_S = 20.0
_IDS = Ids(clock=SystemClock())


class Counted(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "counter.number_counted.v1"
    number: int
    filling: str = ""


class Skipped(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "counter.number_skipped.v1"
    number: int


class Broker(Protocol):
    """One test's part of a broker."""

    has_broker: bool

    def bus(self, *, patience: Patience = QUICK) -> Bus:
        """The bus of another process; it is closed at the end of the test. Within one process it is always the same."""
        ...

    async def smuggle(self, *, consumer: str, type: str, body: bytes, attributes: dict[str, str]) -> None:
        """Bring a message to a consumer as somebody else might send it: attributes are those of CloudEvents, without a
        prefix. Only where there is a broker."""
        ...


class Recorder:
    """A subscriber that notes what it gets and does as it is told."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self.parked: list[tuple[Envelope, str, int]] = []
        self.fail: Callable[[Envelope], Exception | None] = lambda envelope: None

    @property
    def numbers(self) -> list[int]:
        return [number_of(envelope) for envelope in self.got]

    async def deliver(self, batch: Sequence[Envelope]) -> None:
        for envelope in batch:
            if (error := self.fail(envelope)) is not None:
                raise error
        self.got += batch

    async def park(self, envelope: Envelope, *, error: str, attempts: int) -> None:
        self.parked.append((envelope, error, attempts))


class Hearing:
    """A listener that notes what it hears."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self.missed_times = 0

    def hear(self, batch: Sequence[Envelope]) -> None:
        self.got += batch

    def missed(self) -> None:
        self.missed_times += 1


def counted(number: int, *, slot: int = 7, aggregate: str | None = None, filling: str = "") -> Envelope:
    return _envelope(Counted(number=number, filling=filling), number, slot, aggregate)


def skipped(number: int) -> Envelope:
    return _envelope(Skipped(number=number), number, 7, None)


def number_of(envelope: Envelope) -> int:
    return msgspec.json.decode(envelope.body, type=Skipped).number


async def until(condition: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> None:
    """Return when the condition holds; raise TimeoutError if it never does."""
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.01)


def _envelope(event: Event, number: int, slot: int, aggregate: str | None) -> Envelope:
    return Envelope(
        id=_IDS.new(slot=slot),
        type=event.type,
        source="counter",
        time=datetime(2026, 11, 23, 8, 0, 0, number % 1_000_000, tzinfo=UTC),
        slot=slot,
        aggregate=aggregate or str(number + 1),
        version=number + 1,
        channel="main",
        correlation="abc-1",
        body=msgspec.Raw(msgspec.json.encode(event)),
    )
