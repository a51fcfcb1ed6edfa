"""What has happened to promotions."""

from datetime import datetime
from typing import ClassVar

from hansa.kernel.event import Event
from hansa.kernel.ids import Id
from hansa.kernel.money import Money


class FlashSaleAnnounced(Event, frozen=True, kw_only=True):
    """There will be a flash sale, or there is one."""

    type: ClassVar[str] = "promotions.flash_sale_announced.v1"

    sale_id: Id
    sku: str
    price: Money
    """Of a piece, during the sale."""
    quantity: int
    """Pieces that there are at this price."""
    limit_per_buyer: int
    """Pieces that a member may buy."""
    starts_at: datetime
    ends_at: datetime


class FlashSaleCancelled(Event, frozen=True, kw_only=True):
    """A flash sale ended before its time, or before it began."""

    type: ClassVar[str] = "promotions.flash_sale_cancelled.v1"

    sale_id: Id
    sku: str
