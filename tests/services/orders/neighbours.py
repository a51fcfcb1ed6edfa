"""Small stand-ins for those whom orders ask: they keep their promises, and their books can be audited."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from hansa.kernel.address import Address, Destination
from hansa.kernel.channel import MAIN
from hansa.kernel.clock import Clock
from hansa.kernel.event import Event
from hansa.kernel.ids import Ids, slot_of
from hansa.kernel.money import Money
from hansa.services.carts import contract as carts
from hansa.services.carts.contract import Adjustment, Basket, CartLine, Quote, QuoteLine, SpecialPrice
from hansa.services.inventory import contract as inventory
from hansa.services.inventory.contract import Line, Reservation
from hansa.services.inventory.events import ReservationExpired
from hansa.services.payments import contract as payments
from hansa.services.payments.contract import Payment, Refund
from hansa.services.payments.events import PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentRefundFailed
from hansa.services.promotions import contract as promotions
from hansa.services.promotions.contract import Terms
from hansa.services.shipping import contract as shipping

SHIPPING_PRICE = 500
TAX_PPM = 190_000


class Shipping:
    """Delivers everywhere but to Utopia (XU), and wants a postal code."""

    async def check_address(self, *, address: Address) -> None:
        if address.country == "XU":
            raise shipping.NotDelivered(country=address.country)
        if not address.postal_code:
            raise shipping.AddressIncomplete(field="postal_code", pointer="/postal_code")


@dataclass
class Promotions:
    """One flash sale of hats, without a line before it; `claims` are pieces by order, 0 for those that are over."""

    sale_id: str = "4242"
    left: int = 3
    claims: dict[str, int] = field(default_factory=dict)
    inside: list[str] = field(default_factory=list)

    async def enter(self, *, key: str, sale_id: str, member: str, ticket: str, quantity: int) -> Terms:
        if sale_id != self.sale_id:
            raise promotions.NoSuchFlashSale()
        if ticket != "good":
            raise promotions.TicketInvalid()
        if quantity > self.left:
            raise promotions.SoldOut(left=self.left)
        if key not in self.inside:
            self.inside.append(key)
        return Terms(sale_id=sale_id, sku="HAT", name="Hats!", price=Money(999, "EUR"))

    async def leave(self, *, key: str, sale_id: str) -> None:
        if key in self.inside:
            self.inside.remove(key)

    async def admit(self, *, key: str, sale_id: str, order_id: str, member: str, quantity: int) -> None:
        if order_id in self.claims:
            if not self.claims[order_id]:
                raise promotions.ClaimGone()
            return
        if quantity > self.left:
            raise promotions.SoldOut(left=self.left)
        self.left -= quantity
        self.claims[order_id] = quantity

    async def release(self, *, key: str, sale_id: str, order_id: str) -> None:
        self.left += self.claims.get(order_id, 0)
        self.claims[order_id] = 0


@dataclass
class Carts:
    """Baskets by the cart's name, and prices by sku."""

    prices: dict[str, int] = field(default_factory=lambda: {"HAT": 1999, "SHOE": 5000, "GIFT": 0})
    baskets: dict[str, Basket] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)

    def fill(self, name: str, *, cart_id: str, member: str | None, **pieces: int) -> None:
        lines = tuple(CartLine(sku=sku, quantity=quantity) for sku, quantity in pieces.items())
        self.baskets[name] = Basket(cart_id=cart_id, member=member, lines=lines, currency="EUR", slot=slot_of(cart_id))

    async def basket(self, *, cart: str, member: str | None) -> Basket:
        basket = self.baskets.get(cart)
        if basket is None or basket.member not in (None, member):
            raise carts.NoSuchCart()
        if basket.cart_id in self.closed:
            raise carts.CartClosed()
        return basket

    async def quote(
        self,
        *,
        lines: tuple[CartLine, ...],
        currency: str,
        locale: str,
        destination: Destination | None = None,
        delivery: str | None = None,
        price_list: str = MAIN,
        specials: tuple[SpecialPrice, ...] = (),
    ) -> Quote:
        for line in lines:
            if line.sku not in self.prices:
                raise carts.NotForSale(sku=line.sku, currency=currency)
        if delivery == "balloon":
            raise carts.DeliveryNotOffered(country=destination.country if destination else "")
        quoted = tuple(_quoted(line, self.prices[line.sku], currency) for line in lines)
        subtotal = sum(line.total.amount for line in quoted)
        adjustments = tuple(_special(each, quoted, currency) for each in specials)
        if destination is not None:
            adjustments += (
                _adjustment("shipping", SHIPPING_PRICE, currency),
                _adjustment("tax", subtotal * TAX_PPM // (1_000_000 + TAX_PPM), currency, included=True),
            )
        total = subtotal + sum(each.amount.amount for each in adjustments if not each.included)
        shown = msgspec.json.encode([quoted, adjustments, total])
        return Quote(
            lines=quoted,
            subtotal=Money(subtotal, currency),
            adjustments=adjustments,
            total=Money(total, currency),
            currency=currency,
            delivery=delivery or ("parcel" if destination else None),
            weight_grams=100,
            is_final=destination is not None,
            fingerprint=hashlib.sha256(shown).hexdigest()[:32],
        )


def _quoted(line: CartLine, price: int, currency: str) -> QuoteLine:
    return QuoteLine(
        sku=line.sku,
        product_id="4242",
        slug=line.sku.lower(),
        name=f"A {line.sku.lower()}",
        options={"size": "M"},
        quantity=line.quantity,
        unit_price=Money(price, currency),
        total=Money(price * line.quantity, currency),
        tax_included=True,
        tax_class="standard",
        weight_grams=100,
    )


def _special(special: SpecialPrice, lines: tuple[QuoteLine, ...], currency: str) -> Adjustment:
    saved = sum(
        (special.unit_price.amount - line.unit_price.amount) * line.quantity
        for line in lines
        if line.sku == special.sku
    )
    return msgspec.structs.replace(
        _adjustment("promotion", saved, currency), code=special.code, source=special.source, line=special.sku
    )


def _adjustment(kind: str, amount: int, currency: str, *, included: bool = False) -> Adjustment:
    return Adjustment(
        kind=kind,
        code=kind,
        name=kind.title(),
        basis=Money(amount, currency),
        rate_ppm=None,
        amount=Money(amount, currency),
        included=included,
        line=None,
        source="test",
    )


@dataclass
class Held:
    """What an order holds: `state` is held, sold, expired, released or refused."""

    state: str
    pieces: dict[str, int]
    expires_at: datetime | None = None
    returned: dict[str, int] = field(default_factory=dict)
    refused: tuple[str, int] = ("", 0)


@dataclass
class Inventory:
    """Stock of one location; `on_hand` counts what was received, never what was sold of it."""

    clock: Clock
    on_hand: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Held] = field(default_factory=dict)
    taken_back: set[str] = field(default_factory=set)
    news: list[Event] = field(default_factory=list)

    def available(self, sku: str) -> int:
        out = sum(
            held.pieces.get(sku, 0) - held.returned.get(sku, 0)
            for held in self.orders.values()
            if held.state in ("held", "sold")
        )
        return self.on_hand.get(sku, 0) - out

    async def reserve(
        self, *, key: str, order_id: str, lines: tuple[Line, ...], locations: tuple[str, ...], expires_at: datetime
    ) -> Reservation:
        known = self.orders.get(order_id)
        if known is None:
            known = Held("held", {line.sku: line.quantity for line in lines}, expires_at)
            for line in lines:
                if self.available(line.sku) < line.quantity:
                    known = Held("refused", {}, refused=(line.sku, self.available(line.sku)))
                    break
            self.orders[order_id] = known
        if known.state in ("expired", "released", "refused"):
            raise inventory.OutOfStock(sku=known.refused[0], left=known.refused[1])
        return Reservation(order_id=order_id, lines=lines, expires_at=expires_at)

    async def sell(self, *, key: str, order_id: str) -> None:
        held = self.orders.get(order_id)
        if held is not None and held.state == "expired":
            is_there = all(self.available(sku) >= quantity for sku, quantity in held.pieces.items())
            held.state = "held" if is_there else "refused"
        if held is None or held.state not in ("held", "sold"):
            raise inventory.ReservationGone(order_id=order_id)
        held.state = "sold"

    async def release(self, *, key: str, order_id: str) -> None:
        self.orders.setdefault(order_id, Held("released", {})).state = "released"

    async def take_back(self, *, key: str, order_id: str, lines: tuple[Line, ...]) -> None:
        if key in self.taken_back:
            return
        self.taken_back.add(key)
        returned = self.orders[order_id].returned
        for line in lines:
            returned[line.sku] = returned.get(line.sku, 0) + line.quantity

    def expire(self) -> None:
        for order_id, held in self.orders.items():
            if held.state == "held" and held.expires_at is not None and held.expires_at <= self.clock.now():
                held.state = "expired"
                self.news.append(ReservationExpired(order_id=order_id))


@dataclass
class Charge:
    """A payment at the provider's: `taken` is what has really left the buyer's account."""

    payment: Payment
    token: str
    is_closed: bool = False
    first: str = ""
    taken: int = 0
    times_taken: int = 0


@dataclass
class Payments:
    """Tokens say what happens: tok_success and tok_declined at once, tok_late and tok_refused when `settle` is called,
    tok_silent never."""

    clock: Clock
    ids: Ids
    charges: dict[str, Charge] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    refunds: dict[str, Refund] = field(default_factory=dict)
    news: list[Event] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))
    refunds_are_slow: bool = False
    declines_refunds: bool = False
    """Each is pending at first, and then declined."""

    async def check_provider(self, *, provider: str) -> bool:
        return provider == "sandbox"

    async def charge(self, *, key: str, order_id: str, provider: str, token: str, amount: Money) -> Payment:
        charge = self.charges.get(order_id)
        if charge is not None and charge.first == "pending" and not charge.is_closed:
            return self._payment(order_id, provider, amount)  # the first answer, whatever has become of it
        if charge is None:
            charge = self.charges[order_id] = Charge(self._payment(order_id, provider, amount), token)
            charge.is_closed = order_id in self.closed
            if not charge.is_closed and token == "tok_declined":
                self._fail(charge)
            elif not charge.is_closed and token == "tok_success":
                self._take(charge)
        charge.first = charge.first or charge.payment.state
        if charge.is_closed:
            raise payments.PaymentConflict(state="closed")
        if charge.payment.state == "failed":
            raise payments.PaymentDeclined(reason="no money")
        return charge.payment

    async def of_order(self, *, order_id: str) -> Payment:
        if order_id not in self.charges:
            raise payments.NoSuchPayment()
        return self.charges[order_id].payment

    async def refund(self, *, key: str, order_id: str, amount: Money | None, reason: str) -> Refund:
        if key in self.refunds:
            return self.refunds[key]
        charge = self.charges.get(order_id)
        if charge is None:
            raise payments.NoSuchPayment()
        left = charge.payment.captured - charge.payment.refunded
        back = left if amount is None else amount.amount
        if back > left or back <= 0:
            raise payments.RefundTooLarge(refundable=left)
        refund = Refund(
            id=self.ids.new(slot=slot_of(order_id)),
            amount=Money(back, charge.payment.amount.currency),
            state="pending" if self.refunds_are_slow or self.declines_refunds else "refunded",
            reason=reason,
            created_at=self.clock.now(),
        )
        self.refunds[key] = refund
        if self.declines_refunds:
            self.news.append(
                PaymentRefundFailed(
                    order_id=order_id,
                    payment_id=charge.payment.id,
                    refund_id=refund.id,
                    amount=refund.amount,
                    reason="the card is gone",
                )
            )
        else:
            self._give_back(charge, refund)
        return refund

    def close(self, order_id: str) -> None:
        """The order came to nothing: what was taken goes back, and nothing is taken any more."""
        self.closed.add(order_id)
        charge = self.charges.get(order_id)
        if charge is not None and not charge.is_closed:
            charge.is_closed = True
            self._give_all_back(charge)

    def settle(self) -> None:
        """The silent provider speaks: late money arrives, even for orders that are over by now."""
        for charge in self.charges.values():
            if charge.payment.state == "pending":
                if charge.token == "tok_refused" or (charge.is_closed and charge.token != "tok_late"):
                    self._fail(charge)
                elif charge.token != "tok_silent":
                    self._take(charge)
                    if charge.is_closed:
                        self._give_all_back(charge)

    def _payment(self, order_id: str, provider: str, amount: Money) -> Payment:
        return Payment(
            id=str(next(self.numbers)),
            order_id=order_id,
            provider=provider,
            state="pending",
            amount=amount,
            authorized=0,
            captured=0,
            refunded=0,
            created_at=self.clock.now(),
        )

    def _take(self, charge: Charge) -> None:
        amount = charge.payment.amount
        charge.taken += amount.amount
        charge.times_taken += 1
        charge.payment = msgspec.structs.replace(
            charge.payment, state="captured", authorized=amount.amount, captured=amount.amount
        )
        self.news.append(PaymentCaptured(order_id=charge.payment.order_id, payment_id=charge.payment.id, amount=amount))

    def _fail(self, charge: Charge) -> None:
        charge.payment = msgspec.structs.replace(charge.payment, state="failed")
        self.news.append(
            PaymentFailed(order_id=charge.payment.order_id, payment_id=charge.payment.id, reason="no money")
        )

    def _give_all_back(self, charge: Charge) -> None:
        left = charge.payment.captured - charge.payment.refunded
        if left:
            refund = Refund(
                id=self.ids.new(slot=slot_of(charge.payment.order_id)),
                amount=Money(left, charge.payment.amount.currency),
                state="refunded",
                reason="",
                created_at=self.clock.now(),
            )
            self._give_back(charge, refund)

    def _give_back(self, charge: Charge, refund: Refund) -> None:
        charge.taken -= refund.amount.amount
        charge.payment = msgspec.structs.replace(
            charge.payment, refunded=charge.payment.refunded + refund.amount.amount
        )
        self.news.append(
            PaymentRefunded(
                order_id=charge.payment.order_id,
                payment_id=charge.payment.id,
                refund_id=refund.id,
                amount=refund.amount,
                refunded=charge.payment.refunded,
            )
        )
