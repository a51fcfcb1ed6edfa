"""What exchanges, topics, streams and routing keys are called, for every broker and in what is told to the public."""

from hansa.platform.messaging.port import service_of


def address_of(event_type: str) -> str:
    """The exchange, topic or stream that an event goes to: its service's name."""
    return service_of(event_type)


def routing_key_of(event_type: str) -> str:
    """`order.placed.v1` for `orders.order_placed.v1`: so that `order.#` and `*.placed.*` can be asked for."""
    return event_type.partition(".")[2].replace("_", ".")
