"""A shop around the orders service: neighbours, events that come more than once, time, and an audit of all books."""

import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hansa.kernel.address import Address
from hansa.kernel.channel import Channel
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids, slot_of
from hansa.platform.database.platform_tables import REMOVE_EVENTS, UNSENT_EVENTS
from hansa.platform.database.port import Database
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.rpc.local import local, twice
from hansa.platform.security.sealing import Keyring
from hansa.services.carts.contract import Carts
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.consumers import consumers
from hansa.services.orders.contract import LineDraft, Order, OrderDraft, Orders, PaymentDraft
from hansa.services.orders.events import OrderCancelled, OrderPlaced, OrderRejected
from hansa.services.orders.service import OrdersService
from hansa.services.payments.contract import Payments
from hansa.services.promotions.contract import Promotions
from hansa.services.shipping.contract import Shipping
from tests.clocks import ManualClock
from tests.services.orders import neighbours
from tests.services.orders.trouble import Trouble, TroubledDatabase, troubled

WIRES: dict[str, Any] = {"local": local, "twice": twice}
ADDRESS = Address(name="Ada Lovelace", line1="1 Byron Row", city="London", postal_code="N1", country="GB")
EMAIL = "ada@example.org"
MEMBER = Ids(clock=ManualClock()).new(slot=77)
OTHER_MEMBER = Ids(clock=ManualClock()).new(slot=78)


def draft(token: str = "tok_success", *, cart_id: str | None = None, **pieces: int) -> OrderDraft:
    """A draft of some lines, or of a cart."""
    lines = tuple(LineDraft(sku=sku, quantity=quantity) for sku, quantity in (pieces or {"HAT": 1}).items())
    return OrderDraft(
        email=EMAIL,
        shipping_address=ADDRESS,
        payment=PaymentDraft(provider="sandbox", token=token),
        cart_id=cart_id,
        lines=None if cart_id else lines,
        currency="EUR",
    )


@dataclass
class Shop:
    """Build with the databases; `orders` is a client over the wire, `service` the present process behind it."""

    database: Database
    keyring: Keyring
    clock: ManualClock
    ids: Ids
    wire: str = "local"
    trouble: Trouble = field(default_factory=Trouble)
    published: list[Envelope] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.carts = neighbours.Carts()
        self.promotions = neighbours.Promotions()
        self.shipping = neighbours.Shipping()
        self.inventory = neighbours.Inventory(clock=self.clock, on_hand={"HAT": 1000, "SHOE": 1000, "GIFT": 1000})
        self.payments = neighbours.Payments(clock=self.clock, ids=self.ids)
        self.chance = random.Random(7)
        self.restart()

    def restart(self, *, patience_s: float = 5.0) -> None:
        """A new process: nothing that the old one had in memory is known to it."""
        self.service = self.process(patience_s=patience_s)
        self.orders: Orders = WIRES[self.wire](Orders, self.service)

    def process(self, *, patience_s: float = 5.0) -> OrdersService:
        return OrdersService(
            database=TroubledDatabase(self.database, self.trouble),
            clock=self.clock,
            ids=self.ids,
            channel=Channel(currencies=("EUR",)),
            keyring=self.keyring,
            carts=troubled(Carts, self.carts, self.trouble),
            inventory=troubled(Inventory, self.inventory, self.trouble),
            payments=troubled(Payments, self.payments, self.trouble),
            promotions=troubled(Promotions, self.promotions, self.trouble),
            shipping=troubled(Shipping, self.shipping, self.trouble),
            patience_s=patience_s,
        )

    async def place(
        self, key: str, wanted: OrderDraft | None = None, *, member: str | None = None, orders: Orders | None = None
    ) -> Order:
        asked = orders or self.orders
        return await asked.place(key=key, draft=wanted or draft(), member=member, locale="en", currency="EUR")

    async def settle(self, *, rounds: int = 3) -> None:
        """The provider speaks, and everybody hears what happened: some of it twice, in some order."""
        self.payments.settle()
        for _ in range(rounds):
            await self.deliver()

    async def deliver(self) -> None:
        await self._publish()
        news = [*self.payments.news, *self.inventory.news]
        self.payments.news.clear()
        self.inventory.news.clear()
        self.chance.shuffle(news)
        for consumer in consumers(self.service):
            inbox = Inbox(database=self.database, consumer=consumer, clock=self.clock)
            envelopes = [self._envelope(event) for event in news if isinstance(event, consumer.hears)]
            for _ in range(2):
                if envelopes:
                    await inbox.deliver(envelopes)
        await self.service.resuming.quiet()

    async def pass_time(self, seconds: float, *, step: float = 5.0) -> None:
        """Time goes by: stock expires, the sweepers sweep, events arrive."""
        for _ in range(int(seconds // step)):
            self.clock.advance(step)
            self.inventory.expire()
            await self.deliver()
            await self.service.resume()
            await self.service.resume_refunds()
        await self.deliver()
        await self.deliver()

    def events(self, type_: type[Event]) -> list[Any]:
        """Every event of a type that was published."""
        return [msgspec.json.decode(each.body, type=type_) for each in self.published if each.type == type_.type]

    async def statuses(self) -> dict[str, str]:
        page = await self.service.list_for_staff(limit=100)
        return {order.id: order.status for order in page.items}

    async def audit(self) -> None:
        """Nobody was charged twice, or for nothing; no piece is promised twice, or held by what is over."""
        for order_id, status in (await self.statuses()).items():
            charge, held = self.payments.charges.get(order_id), self.inventory.orders.get(order_id)
            if charge is not None:
                assert charge.times_taken <= 1, "nobody is charged twice"
            if status in ("placed", "completed"):
                assert charge is not None, "what is placed was charged"
                assert charge.payment.captured == charge.payment.amount.amount, "what is placed is paid"
                assert held is not None, "what is placed had its pieces"
                assert held.state == "sold", "what is placed is sold"
            if status in ("rejected", "cancelled"):
                assert charge is None or charge.taken == 0, "what is over is paid back"
                assert held is None or held.state in ("released", "refused"), "what is over holds nothing"
        for sku in self.inventory.on_hand:
            assert self.inventory.available(sku) >= 0, "no piece is promised twice"

    async def _publish(self) -> None:
        rows = await self.database.all(UNSENT_EVENTS, limit=1000)
        envelopes = [msgspec.json.decode(row["envelope"], type=Envelope) for row in rows]
        self.published += envelopes
        for envelope in [*envelopes, *envelopes]:
            await self._hear(envelope)
        if rows:
            async with self.database.write() as tx:
                await tx.run(REMOVE_EVENTS, rows=[(row["slot"], row["event_id"]) for row in rows])

    async def _hear(self, envelope: Envelope) -> None:
        """What the neighbours do about what happened to orders."""
        if envelope.type in (OrderRejected.type, OrderCancelled.type):
            await self.inventory.release(key=envelope.id, order_id=envelope.aggregate)
            self.payments.close(envelope.aggregate)
            over = msgspec.json.decode(envelope.body, type=OrderRejected)
            if over.flash_sale is not None:
                await self.promotions.release(key=envelope.id, sale_id=over.flash_sale, order_id=over.order_id)
        if envelope.type == OrderPlaced.type:
            placed = msgspec.json.decode(envelope.body, type=OrderPlaced)
            if placed.cart_id is not None:
                self.carts.closed.add(placed.cart_id)

    def _envelope(self, event: Any) -> Envelope:
        slot = slot_of(event.order_id)
        return Envelope(
            id=self.ids.new(slot=slot),
            type=event.type,
            source="test",
            time=self.clock.now(),
            slot=slot,
            aggregate=event.order_id,
            body=msgspec.Raw(msgspec.json.encode(event)),
        )
