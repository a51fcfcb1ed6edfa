"""The use cases of payments: never charge twice, never lose a paid order, whatever dies in between."""

from hansa.services.payments.service.payments import PaymentsService

__all__ = ["PaymentsService"]
