"""The public route of payments: where providers tell what they did."""

from collections.abc import Sequence

from hansa.platform.http.route import ANYONE, Api, Call, Route
from hansa.services.payments.contract import Payments

LARGEST_WEBHOOK = 64 * 1024


def routes(payments: Payments) -> Sequence[Route]:
    api = Api("payments")

    @api.post(
        "/webhooks/payments/{provider}",
        status=204,
        access=ANYONE,
        calls=Payments.hear,
        is_raw=True,
        largest_body=LARGEST_WEBHOOK,
    )
    async def hear_payment_provider(call: Call, *, provider: str, body: bytes) -> None:
        """Hear a payment provider's webhook. It must be signed; repetitions are harmless."""
        await payments.hear(key=call.key, provider=provider, headers=dict(call.headers), body=body)

    return api.routes
