"""What has happened to stock."""

from typing import ClassVar

from hansa.kernel.event import Event
from hansa.kernel.ids import Id


class AvailabilityChanged(Event, frozen=True, kw_only=True):
    """What can be promised of a sku at a location crossed zero. The envelope's version grows with every change."""

    type: ClassVar[str] = "inventory.availability_changed.v1"

    sku: str
    location: str
    """Where the pieces are."""
    is_available: bool
    """Whether at least one can be promised."""


class ReservationExpired(Event, frozen=True, kw_only=True):
    """An order did not come to its end in time; its pieces are for sale again."""

    type: ClassVar[str] = "inventory.reservation_expired.v1"

    order_id: Id
