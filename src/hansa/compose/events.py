"""The public events of the whole house, for machines and as a page."""

from importlib.metadata import version

import msgspec

from hansa.compose.services import MANIFESTS
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import moment_of, order_number, slot_of
from hansa.kernel.money import Money
from hansa.platform.messaging.asyncapi import Document, asyncapi
from hansa.platform.messaging.events_page import events_page
from hansa.services.orders.events import OrderPlaced, SoldLine, Step
from hansa.services.payments.events import PaymentCaptured

EVENT, ORDER, OTHER = "404249991374867456", "404249990984796160", "404249990989097984"
PRODUCT, MEMBER = "382983758136975411", "391249990984796160"
"""Made up, for examples."""


def events_document() -> Document:
    """The AsyncAPI document of this version of the shop."""
    return asyncapi(MANIFESTS, version=version("hansa"))


def events_json() -> bytes:
    """The same, as it is committed and served."""
    return msgspec.json.format(msgspec.json.encode(events_document()), indent=2) + b"\n"


def events_markdown() -> str:
    """The page of it."""
    captured = [
        PaymentCaptured(order_id=order, payment_id=payment, amount=Money(amount, "EUR"))
        for order, payment, amount in ((ORDER, str(int(ORDER) + 1), 4390), (OTHER, str(int(OTHER) + 1), 1200))
    ]
    return events_page(
        events_document(),
        one=_envelope(_placed(), event_id=EVENT, order_id=ORDER),
        many=[
            _envelope(event, event_id=str(int(EVENT) + 2 + place), order_id=event.order_id)
            for place, event in enumerate(captured)
        ],
    )


def _placed() -> OrderPlaced:
    line = SoldLine(
        sku="WOOL-BERET-RED-M",
        product_id=PRODUCT,
        name="Wool beret",
        quantity=2,
        unit_price=Money(1950, "EUR"),
        total=Money(3900, "EUR"),
        seller_id="shop",
    )
    return OrderPlaced(
        order_id=ORDER,
        number=order_number(ORDER),
        cart_id=None,
        lines=(line,),
        subtotal=Money(3900, "EUR"),
        steps=(Step(kind="shipping", name="Standard", amount=Money(490, "EUR"), included=False),),
        total=Money(4390, "EUR"),
        locale="en",
        person=MEMBER,
        contact="AQIDBAUGBwgJCgsM…",
    )


def _envelope(event: Event, *, event_id: str, order_id: str) -> Envelope:
    return Envelope(
        id=event_id,
        type=event.type,
        source=event.type.partition(".")[0],
        time=moment_of(event_id),
        slot=slot_of(order_id),
        aggregate=order_id,
        version=3,
        channel="main",
        subject=MEMBER if isinstance(event, OrderPlaced) else "",
        correlation="6d8c1f0e2ab34c59",
        body=msgspec.Raw(msgspec.json.encode(event)),
    )
