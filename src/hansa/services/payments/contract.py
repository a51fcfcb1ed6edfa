"""What may be asked of payments, and every way payments may say no."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.money import Money

Provider = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_]*$(?!\n)")]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
State = Literal["pending", "authorized", "captured", "failed", "voided"]
RefundState = Literal["pending", "refunded", "failed"]


class PaymentDeclined(BusinessError, code="payments.declined", kind=Kind.PAYMENT_REQUIRED):
    """The provider refused; no money has moved. `reason` is the provider's word, fit for a buyer."""

    reason: str = ""


class NoSuchProvider(BusinessError, code="payments.provider_unknown", kind=Kind.INVALID):
    """The shop does not take payments through this provider."""

    provider: str


class PaymentConflict(BusinessError, code="payments.conflict", kind=Kind.CONFLICT):
    """The payment is not in a state that allows this."""

    state: str


class NoSuchPayment(BusinessError, code="payments.not_found", kind=Kind.NOT_FOUND):
    """There is no payment for this order."""


class RefundTooLarge(BusinessError, code="payments.refund_too_large", kind=Kind.CONFLICT):
    """More than what was captured and not yet refunded; `refundable` minor units are left."""

    refundable: int


class RefundInvalid(BusinessError, code="payments.refund_invalid", kind=Kind.UNPROCESSABLE):
    """Not an amount that could ever be given back: nothing, less than nothing, or in another currency."""

    reason: str


class WebhookRefused(BusinessError, code="payments.webhook_refused", kind=Kind.UNAUTHENTICATED):
    """The message is not signed by the provider, or is too old."""


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money on its way back."""

    id: Id
    amount: Money
    state: RefundState
    reason: str
    created_at: datetime


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment of an order. `authorized`, `captured` and `refunded` are minor units of `amount.currency`.

    `authorized` is what is held and not yet captured; `refunded` counts what has been given back, not what is pending.
    """

    id: Id
    order_id: Id
    provider: str
    state: State
    amount: Money
    authorized: int
    captured: int
    refunded: int
    refunds: tuple[Refund, ...] = ()
    created_at: datetime


class Payments(Protocol):
    """Money. The provider's own answer or its signed webhook makes a payment true, never the browser."""

    @command(errors=(PaymentDeclined, NoSuchProvider, PaymentConflict), timeout_ms=8_000)
    async def charge(self, *, key: Key, order_id: Id, provider: Provider, token: Token, amount: Money) -> Payment:
        """Authorize and capture at once. `key` is the order's id: at most one capture per order, ever.

        Answers `captured`, or `pending` when the provider has not said yet (its webhook or the sweeper will settle
        it, and an event tells). Raises PaymentDeclined when it said no, and PaymentConflict when the order was closed.
        """
        ...

    @command(errors=(PaymentDeclined, NoSuchProvider, PaymentConflict), timeout_ms=8_000)
    async def authorize(self, *, key: Key, order_id: Id, provider: Provider, token: Token, amount: Money) -> Payment:
        """As charge, but only holds the money until `capture` or `void`."""
        ...

    @command(errors=(NoSuchPayment, PaymentConflict), timeout_ms=8_000)
    async def capture(self, *, key: Key, order_id: Id) -> Payment:
        """Take what is held. PaymentConflict if nothing is or the order is closed; a fault if nobody answers."""
        ...

    @command(errors=(NoSuchPayment, PaymentConflict), timeout_ms=8_000)
    async def void(self, *, key: Key, order_id: Id) -> Payment:
        """Let an authorization go; a captured payment must be refunded instead. A fault if the provider is silent."""
        ...

    @query(errors=(NoSuchPayment,))
    async def of_order(self, *, order_id: Id) -> Payment: ...

    @query()
    async def check_provider(self, *, provider: str) -> bool:
        """Whether payments go through this provider: asked before an order is made."""
        ...

    @command(errors=(NoSuchPayment, RefundTooLarge, RefundInvalid), timeout_ms=8_000)
    async def refund(self, *, key: Key, order_id: Id, amount: Money | None, reason: str) -> Refund:
        """Give money back: an amount, or all that is left (None). The same key refunds once, and is refused once.

        Answers `refunded`, or `pending` when the provider has not said yet; it is then tried again until it has.
        """
        ...

    @command(errors=(NoSuchProvider, WebhookRefused))
    async def hear(self, *, key: Key, provider: str, headers: dict[str, str], body: bytes) -> None:
        """A provider's webhook; harmless when it comes twice, late or out of order."""
        ...
