"""Broadcast: a queue for this process alone, which is gone with its connection."""

from collections import defaultdict

import structlog
from aio_pika import ExchangeType
from aiormq.abc import DeliveredMessage

from hansa.kernel.event import Envelope
from hansa.platform.messaging.names import routing_key_of
from hansa.platform.messaging.port import Listener
from hansa.platform.messaging.rabbitmq.connecting import Line, Tap
from hansa.platform.messaging.rabbitmq.messages import read
from hansa.platform.messaging.rabbitmq.topology import Topology, declare_exchange

log = structlog.get_logger()


class Hearing:
    """All listeners of a process share a queue."""

    def __init__(self, *, topology: Topology) -> None:
        self._topology = topology
        self._listeners: dict[str, list[Listener]] = defaultdict(list)

    def add(self, *, type_: str, listener: Listener) -> None:
        self._listeners[type_].append(listener)

    async def begin(self, line: Line) -> None:
        """Hear from now on, through this line. It has no bound: who does not take from it loses its heartbeat first,
        and the queue with it."""
        if not self._listeners:
            return
        channel = await line.channel()
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)  # RabbitMQ finds a name for it
        for type_ in sorted(self._listeners):
            exchange = await declare_exchange(channel, self._topology.exchange_of(type_), ExchangeType.TOPIC)
            await queue.bind(exchange, routing_key_of(type_))
        await Tap(line, queue.name, self._hear).open(no_ack=True)

    def missed(self) -> None:
        """Events may have passed unheard."""
        listeners = {id(each): each for of_type in self._listeners.values() for each in of_type}
        for listener in listeners.values():
            try:
                listener.missed()
            except Exception:
                log.exception("listener failed")

    async def _hear(self, message: DeliveredMessage) -> None:
        incoming = read(message)
        if incoming.unreadable:
            log.warning("message that cannot be read was broadcast", reason=incoming.unreadable)
            self.missed()
        by_type: dict[str, list[Envelope]] = defaultdict(list)
        for delivery in incoming.deliveries:
            by_type[delivery.envelope.type].append(delivery.envelope)
        for type_, envelopes in by_type.items():
            for listener in self._listeners.get(type_, ()):
                try:
                    listener.hear(envelopes)
                except Exception:  # it hears no less than others because it stumbled once
                    log.exception("listener failed", type=type_)
                    listener.missed()
