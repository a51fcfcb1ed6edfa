"""What has happened to payments. The envelope's aggregate is the order's id."""

from typing import ClassVar

from hansa.kernel.event import Event
from hansa.kernel.ids import Id
from hansa.kernel.money import Money


class PaymentAuthorized(Event, frozen=True, kw_only=True):
    """The provider holds the money, for a payment in two steps."""

    type: ClassVar[str] = "payments.payment_authorized.v1"

    order_id: Id
    payment_id: Id
    amount: Money


class PaymentCaptured(Event, frozen=True, kw_only=True):
    """The provider has taken the money."""

    type: ClassVar[str] = "payments.payment_captured.v1"

    order_id: Id
    payment_id: Id
    amount: Money


class PaymentFailed(Event, frozen=True, kw_only=True):
    """The provider refused, or the authorization was let go; no money is held."""

    type: ClassVar[str] = "payments.payment_failed.v1"

    order_id: Id
    payment_id: Id
    reason: str
    """What the provider said, as a code."""


class PaymentRefunded(Event, frozen=True, kw_only=True):
    """Money was given back; `refunded` is the sum of all refunds so far."""

    type: ClassVar[str] = "payments.payment_refunded.v1"

    order_id: Id
    payment_id: Id
    refund_id: Id
    amount: Money
    """Of this refund."""
    refunded: int
    """All refunds of the payment so far, in minor units of the same currency."""


class PaymentRefundFailed(Event, frozen=True, kw_only=True):
    """The provider declined to give money back, for good: it may be asked for anew, with another key.

    Nothing is said of a refund that nobody asked for, as long as payments itself tries to give the money back.
    """

    type: ClassVar[str] = "payments.payment_refund_failed.v1"

    order_id: Id
    payment_id: Id
    refund_id: Id
    amount: Money
    """That was not given back."""
    reason: str
    """What the provider said, as a code."""
