"""What must be with the broker, from whom a process hears: exchanges, queues and what binds them.

    orders (topic) --order.placed.v1--> home.order_placed (quorum) --delivered too often--> home.dead (quorum)
    home.dead --delivered too often--> home.lost (quorum)
    retry.10s (fanout) --> retry.10s (quorum, TTL 10 s) --routing key--> home.order_placed

A message that is put off is published to the exchange of its delay, and bears the name of its queue as routing key;
when its time is over it is dead-lettered to the default exchange, which finds the queue by that. What is dead is parked
by the service. What even then ends every connection that takes it, as a message may whose header the client library
cannot read, is for people to look at: nobody takes from the queue of what is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelClosed, ChannelPreconditionFailed
from aiormq.exceptions import ChannelAccessRefused

from hansa.platform.messaging.names import address_of, routing_key_of
from hansa.platform.messaging.port import BusUnusable, service_of
from hansa.platform.messaging.rabbitmq.address import Address
from hansa.platform.messaging.rabbitmq.connecting import Line

DELIVERY_LIMIT = 16
"""Deliveries without an answer, each the end of a process or a connection, after the first one."""
DEFAULT_EXCHANGE = ""

Arguments = dict[str, str | int]

_SAFE: Arguments = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",
}
_DEAD_LETTERS: Arguments = {
    "x-dead-letter-exchange": DEFAULT_EXCHANGE,
    "x-dead-letter-strategy": "at-least-once",
}


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A durable queue, the exchange that it is bound to, and the routing key of what it wants from there."""

    name: str
    arguments: Arguments
    exchange: str = ""
    routing_key: str = ""


class Topology:
    """Grows while consumers subscribe; the same for everybody who has the same consumers."""

    def __init__(self, *, address: Address, delays_s: Sequence[float]) -> None:
        self._address = address
        self.delays_s = tuple(delays_s)
        self._types: dict[str, str] = {}

    def add(self, *, consumer: str, type_: str) -> None:
        self._types[consumer] = type_

    def is_heard(self, type_: str) -> bool:
        """Whether a queue is there for it, as far as this process knows."""
        return type_ in self._types.values()

    def exchange_of(self, type_: str) -> str:
        """`orders` for `orders.order_placed.v1`."""
        return self._address.named(address_of(type_))

    def queue_of(self, consumer: str) -> str:
        return self._address.named(consumer)

    def dead_queue_of(self, consumer: str) -> str:
        return self._dead_queue(service_of(consumer))

    def consumer_of(self, queue: str) -> str:
        return self._address.unnamed(queue)

    def delay(self, index: int) -> str:
        """The exchange, and the queue, of what waits so long."""
        return self._address.named(f"retry.{spoken(self.delays_s[index])}")

    @property
    def exchanges(self) -> dict[str, ExchangeType]:
        """By name."""
        topics = {self.exchange_of(type_): ExchangeType.TOPIC for type_ in self._types.values()}
        return topics | {self.delay(index): ExchangeType.FANOUT for index in range(len(self.delays_s))}

    @property
    def queues(self) -> tuple[Queue, ...]:
        """What is dead-lettered to stands before what dead-letters to it."""
        services = sorted({service_of(consumer) for consumer in self._types})
        return (
            *(Queue(name=self._lost_queue(service), arguments=_SAFE) for service in services),
            *(
                Queue(name=self._dead_queue(service), arguments=_limited(self._lost_queue(service)))
                for service in services
            ),
            *(self._consumers_queue(consumer, type_) for consumer, type_ in sorted(self._types.items())),
            *(self._delays_queue(index) for index in range(len(self.delays_s))),
        )

    async def declare(self, line: Line) -> None:
        """Make what is not there. Raises BusUnusable for what is there and is another."""
        channel = await line.connection.channel(publisher_confirms=False)
        for name, kind in self.exchanges.items():
            await declare_exchange(channel, name, kind)
        for queue in self.queues:
            await _declare_queue(channel, queue)
        await channel.close()

    def _consumers_queue(self, consumer: str, type_: str) -> Queue:
        arguments = _limited(self.dead_queue_of(consumer))
        if self._address.most_messages is not None:
            arguments["x-max-length"] = self._address.most_messages
        return Queue(
            name=self.queue_of(consumer),
            arguments=arguments,
            exchange=self.exchange_of(type_),
            routing_key=routing_key_of(type_),
        )

    def _dead_queue(self, service: str) -> str:
        return self._address.named(f"{service}.dead")

    def _lost_queue(self, service: str) -> str:
        return self._address.named(f"{service}.lost")

    def _delays_queue(self, index: int) -> Queue:
        arguments = _SAFE | _DEAD_LETTERS | {"x-message-ttl": round(self.delays_s[index] * 1000)}
        return Queue(name=self.delay(index), arguments=arguments, exchange=self.delay(index))


def _limited(heir: str) -> Arguments:
    """What is delivered too often goes to another queue."""
    return _SAFE | _DEAD_LETTERS | {"x-delivery-limit": DELIVERY_LIMIT, "x-dead-letter-routing-key": heir}


async def declare_exchange(channel: AbstractChannel, name: str, kind: ExchangeType) -> AbstractExchange:
    """Raises BusUnusable."""
    try:
        return await channel.declare_exchange(name, kind, durable=True)
    except ChannelClosed as error:
        raise _unusable(error, f"exchange {name}", f"delete_exchange {name}") from error


async def _declare_queue(channel: AbstractChannel, queue: Queue) -> None:
    try:
        declared = await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
        if queue.exchange:
            await declared.bind(queue.exchange, queue.routing_key)
    except ChannelClosed as error:
        raise _unusable(error, f"queue {queue.name}", f"delete_queue {queue.name} --if-empty") from error


def _unusable(error: ChannelClosed, what: str, remedy: str) -> Exception:
    said = str(error.args[-1]) if error.args else ""
    if isinstance(error, ChannelPreconditionFailed):
        return BusUnusable(
            f"the {what} of RabbitMQ is not as it must be, and was left as it is: {said}. Remove it "
            f"(`rabbitmqctl {remedy}`), and it is made anew; or choose a namespace (`?namespace=…` in the address)"
        )
    if isinstance(error, ChannelAccessRefused):
        return BusUnusable(f"RabbitMQ does not let the user declare, or bind, the {what}: {said}")
    return error


def spoken(delay_s: float) -> str:
    """`10s`, `10m`, `200ms`."""
    if delay_s >= 60 and delay_s % 60 == 0:
        return f"{delay_s / 60:.0f}m"
    if delay_s % 1 == 0:
        return f"{delay_s:.0f}s"
    return f"{delay_s * 1000:.0f}ms"
