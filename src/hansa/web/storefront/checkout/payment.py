"""The ways to pay that a shopper can choose from: what the providers of the shop offer."""

from dataclasses import dataclass

from hansa.services.orders.contract import PaymentDraft
from hansa.services.payments.contract import Payments
from hansa.web.visit import Visit

SANDBOX = "sandbox"
SANDBOX_TOKENS = ("tok_success", "tok_declined", "tok_late", "tok_twice", "tok_timeout")
"""What the sandbox provider knows; it moves no real money, and the page says so."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to pay. `value` is what the form sends."""

    value: str
    title: str
    about: str
    draft: PaymentDraft


async def ways(visit: Visit) -> tuple[Way, ...]:
    """None if the shop takes no payments at present."""
    if not await visit.client(Payments).check_provider(provider=SANDBOX):
        return ()
    return tuple(
        Way(
            value=token,
            title=visit.say(f"payment.sandbox.{token}.title"),
            about=visit.say(f"payment.sandbox.{token}.about"),
            draft=PaymentDraft(provider=SANDBOX, token=token),
        )
        for token in SANDBOX_TOKENS
    )
