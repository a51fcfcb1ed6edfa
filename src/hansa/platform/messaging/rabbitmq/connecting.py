"""Connections that say in bounded time whether they are there, and why not; nothing here says a password.

Plain connections of aio-pika and a loop of our own: its robust ones hang in `publish` while they reconnect, and declare
anew what they remember, so nobody would ever hear that the topology has become another one.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError, AuthenticationError, InvalidFrameError, ProbableAuthenticationError
from aiormq.abc import AbstractChannel as UnderlayChannel
from aiormq.abc import DeliveredMessage
from pamqp.exceptions import PAMQPException

from hansa.platform.messaging.port import BusUnusable
from hansa.platform.messaging.rabbitmq.address import Address

CONNECT_S = 5.0
FAREWELL_S = 2.0
"""For saying goodbye to a broker that may not be there any more."""


LIBRARIES = ("aio_pika", "aiormq")


class Unreachable(Exception):
    """The broker does not answer, or not any more."""


class Line:
    """A connection, and the news that it, or something that is needed on it, is lost, and why."""

    def __init__(self, connection: AbstractConnection) -> None:
        self.connection = connection
        self.lost = asyncio.Event()
        self.reason = ""
        connection.close_callbacks.add(self._note_loss)

    async def channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Another channel. If it closes, or RabbitMQ ends a consumer on it, the line counts as lost."""
        channel = self.connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await channel.initialize()
        channel.close_callbacks.add(self._note_loss)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(self._note_cancellation)
        return channel

    async def is_blocked(self, *, patience_s: float) -> bool:
        """Whether the broker takes no messages: it is short of memory or disk space."""
        transport = self.connection.transport
        if transport is None:
            return False
        try:
            async with asyncio.timeout(patience_s):
                await transport.ready()
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        """Does not raise, and does not wait long for a broker that is not there."""
        self.lost.set()
        with suppress(Exception), trouble():
            async with asyncio.timeout(FAREWELL_S):
                await self.connection.close()

    def _note_loss(self, _: object, error: BaseException | None) -> None:
        self.reason = self.reason or repr(error)
        self.lost.set()

    def _note_cancellation(self, _: object) -> None:
        self.reason = self.reason or "RabbitMQ ended a consumer, as it does when somebody deletes its queue"
        self.lost.set()


class Tap:
    """A consumer of a queue, on a channel of its own, below aio-pika's own messages, which cost half as much again.

    It can be opened once more with another prefetch, which is a new consumer: what the old one was sent stays its.
    """

    def __init__(
        self, line: Line, queue: str, callback: Callable[[DeliveredMessage], Coroutine[Any, Any, None]]
    ) -> None:
        self._line = line
        self._queue = queue
        self._callback = callback
        self._channel: UnderlayChannel | None = None
        self._tag = ""

    async def open(self, *, prefetch: int = 0, no_ack: bool = False) -> None:
        if self._channel is None:
            self._channel = await (await self._line.channel()).get_underlay_channel()
        else:
            await self._channel.basic_cancel(self._tag)
        await self._channel.basic_qos(prefetch_count=prefetch)
        opened = await self._channel.basic_consume(self._queue, self._callback, no_ack=no_ack)
        self._tag = opened.consumer_tag or ""


def hush() -> None:
    """What the libraries log of each attempt, with a traceback for each loss, the bus says once and in short."""
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.CRITICAL)


async def connect(address: Address, *, purpose: str) -> Line:
    """Raises Unreachable, and BusUnusable if the broker does not let us in."""
    try:
        with trouble():
            async with asyncio.timeout(CONNECT_S):
                return Line(
                    await aio_pika.connect(address.url, client_properties={"connection_name": f"hansa {purpose}"})
                )
    except Unreachable as unreachable:
        error = unreachable.__cause__
        if isinstance(error, ProbableAuthenticationError | AuthenticationError):
            text = f"RabbitMQ at {address.shown} knows no such user, or the password is another one"
            raise BusUnusable(text) from None
        # Connection.Close in place of the answer: to the library an invalid frame, and it does not tell the reason.
        if isinstance(error, InvalidFrameError) and "Connection.OpenOk" in str(error):
            text = f"RabbitMQ at {address.shown} does not open the virtual host: there is none, or not for this user"
            raise BusUnusable(text) from None
        raise Unreachable(f"RabbitMQ at {address.shown} does not answer: {unreachable}") from error


@contextmanager
def trouble() -> Iterator[None]:
    """Whatever the library says of a connection that is not as it should be becomes Unreachable."""
    try:
        yield
    except asyncio.CancelledError as error:
        # The library cancels in its own name, too: whoever waits for something on a connection that ends.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Unreachable("the connection has ended") from error
    except TimeoutError as error:
        raise Unreachable("it took too long") from error
    except (AMQPError, PAMQPException) as error:
        raise Unreachable(repr(error)) from error
    except (OSError, RuntimeError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error
