"""Messages on their way to the broker: in flight together, each confirmed, refused or not heard of in bounded time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import DeliveryError, PublishError

from hansa.platform.messaging.rabbitmq.address import Address
from hansa.platform.messaging.rabbitmq.connecting import Line, Unreachable, connect, trouble
from hansa.platform.messaging.rabbitmq.messages import Outgoing
from hansa.platform.messaging.rabbitmq.topology import Topology, declare_exchange

CONFIRM_S = 10.0
BLOCKED_S = 1.0
"""How long is waited for a broker that is short of memory or disk space, before anything is sent to it."""
SETUP_S = 30.0
MOST_IN_FLIGHT = 256
"""Messages of one publication."""
NOT_SENT = "what was before it failed"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A message that is not certain to be safe, and why."""

    outgoing: Outgoing
    reason: str


class _Channel:
    """What there is to publish on, as long as its line holds."""

    def __init__(self, line: Line, channel: AbstractChannel) -> None:
        self.line = line
        self.channel = channel
        self.exchanges: dict[str, AbstractExchange] = {}
        self.is_topology_doubtful = False


class Publisher:
    """One channel of a connection of its own: a broker in need stops reading from those who publish, and consumers must
    be able to acknowledge all the same."""

    def __init__(self, *, address: Address, topology: Topology) -> None:
        self._address = address
        self._topology = topology
        self._current: _Channel | None = None
        self._opening: asyncio.Task[_Channel] | None = None
        self._farewells: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def publish(self, messages: Sequence[Outgoing]) -> list[Failed]:
        """The messages that failed. Raises Unreachable, or BusUnusable, when nothing has been sent."""
        failed: list[Failed] = []
        for start in range(0, len(messages), MOST_IN_FLIGHT):
            window = messages[start : start + MOST_IN_FLIGHT]
            if failed:  # in their order, so not before those that must be sent anew
                failed += [Failed(outgoing=outgoing, reason=NOT_SENT) for outgoing in window]
                continue
            try:
                failed += await self._send(window)
            except Unreachable as error:
                if start == 0:
                    raise
                failed += [Failed(outgoing=outgoing, reason=str(error)) for outgoing in window]
        return failed

    async def close(self) -> None:
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        self._part()
        if self._farewells:
            await asyncio.wait(self._farewells)

    async def _send(self, window: Sequence[Outgoing]) -> list[Failed]:
        current = await self._channel()
        if await current.line.is_blocked(patience_s=BLOCKED_S):
            raise Unreachable("RabbitMQ takes no messages: it is short of memory or disk space")
        with trouble():
            exchanges = [await self._exchange(current, outgoing) for outgoing in window]
        outcomes = await asyncio.gather(
            *(
                exchange.publish(
                    outgoing.message, outgoing.routing_key, mandatory=outgoing.is_mandatory, timeout=CONFIRM_S
                )
                for exchange, outgoing in zip(exchanges, window, strict=True)
            ),
            return_exceptions=True,
        )
        failed = [
            Failed(outgoing=outgoing, reason=_reason(outcome, outgoing))
            for outcome, outgoing in zip(outcomes, window, strict=True)
            if isinstance(outcome, BaseException)
        ]
        current.is_topology_doubtful |= any(isinstance(outcome, PublishError) for outcome in outcomes)
        is_odd = any(isinstance(each, BaseException) and not isinstance(each, DeliveryError) for each in outcomes)
        # A blocked connection is kept: another one would be filled up and be blocked just so.
        if is_odd and not await current.line.is_blocked(patience_s=0):
            self._part(current)
        return failed

    async def _exchange(self, current: _Channel, outgoing: Outgoing) -> AbstractExchange:
        """Of a service that nobody here listens to it may be missing, and to publish to it would end the channel."""
        name = outgoing.exchange
        if name not in current.exchanges:
            if outgoing.is_mandatory:
                found = await current.channel.get_exchange(name, ensure=False)
            else:
                found = await declare_exchange(current.channel, name, ExchangeType.TOPIC)
            current.exchanges[name] = found
        return current.exchanges[name]

    async def _channel(self) -> _Channel:
        """The channel there is, or another one; everybody who asks meanwhile waits for the same attempt."""
        current = self._current
        if current is not None and (current.line.lost.is_set() or current.is_topology_doubtful):
            self._part(current)
            current = None
        if current is not None:
            return current
        if self._is_closed:
            raise Unreachable("the bus is closed")
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open(), name="rabbitmq-publisher")
            self._opening.add_done_callback(_look_at)
        return await asyncio.shield(self._opening)

    async def _open(self) -> _Channel:
        line = await connect(self._address, purpose="publisher")
        try:
            with trouble():
                async with asyncio.timeout(SETUP_S):
                    await self._topology.declare(line)
                    self._current = _Channel(line, await line.channel(confirms=True))
        except BaseException:
            self._say_goodbye(line)
            raise
        return self._current

    def _part(self, from_: _Channel | None = None) -> None:
        """Use it no more, if it is still the one."""
        current = self._current
        if current is not None and from_ in (None, current):
            self._current = None
            self._say_goodbye(current.line)

    def _say_goodbye(self, line: Line) -> None:
        task = asyncio.create_task(line.close(), name="rabbitmq-farewell")
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


def _reason(outcome: BaseException, outgoing: Outgoing) -> str:
    if isinstance(outcome, PublishError):
        return f"no queue takes {outgoing.routing_key} of {outgoing.exchange}"
    if isinstance(outcome, DeliveryError):
        return "RabbitMQ refuses it: a queue is full, or could not store it"
    if isinstance(outcome, TimeoutError):
        return f"no confirmation in {CONFIRM_S:g} s"
    return f"the connection has ended ({type(outcome).__name__})"


def _look_at(opening: asyncio.Task[_Channel]) -> None:
    """Whoever waited for it may be gone; its error is not news to the event loop."""
    if not opening.cancelled():
        opening.exception()
