"""Payments, as the composition sees them."""

from pathlib import Path

from hansa.platform.manifest import Manifest, Parts
from hansa.services.payments.api import routes
from hansa.services.payments.consumers import consumers
from hansa.services.payments.contract import Payments
from hansa.services.payments.events import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
    PaymentRefundFailed,
)
from hansa.services.payments.service import PaymentsService
from hansa.services.payments.tables import METADATA


def _build(parts: Parts) -> PaymentsService:
    return PaymentsService(
        database=parts.database,
        providers=parts.adapters["payment_providers"],
        keyring=parts.keyring,
        clock=parts.clock,
        ids=parts.ids,
    )


MANIFEST = Manifest(
    name="payments",
    contract=Payments,
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=_build,
    emits=(PaymentAuthorized, PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentRefundFailed),
    consumers=consumers,
    jobs=PaymentsService.jobs,
    quiet=lambda service: service.following_up.quiet(),
    close=PaymentsService.close,
    routes=routes,
)
