"""How a flash sale says no to an order, in the words in which promotions say it."""

from datetime import datetime

from hansa.kernel.errors import BusinessError, Kind


class NoSuchFlashSale(BusinessError, code="promotions.flash_sale_not_found", kind=Kind.NOT_FOUND):
    """There is no such flash sale."""


class TooEarly(BusinessError, code="promotions.too_early", kind=Kind.TOO_EARLY):
    """The flash sale has not begun yet."""

    starts_at: datetime


class FlashSaleEnded(BusinessError, code="promotions.ended", kind=Kind.CONFLICT):
    """The flash sale is over."""

    ends_at: datetime


class SoldOut(BusinessError, code="promotions.sold_out", kind=Kind.CONFLICT):
    """There are not so many pieces left in the flash sale at the moment; what is not paid for comes back."""

    left: int


class OverLimit(BusinessError, code="promotions.over_limit", kind=Kind.FORBIDDEN):
    """That would be more pieces than one buyer may have; `bought` are yours already."""

    limit: int
    bought: int


class TicketInvalid(BusinessError, code="promotions.ticket_invalid", kind=Kind.FORBIDDEN):
    """The ticket is missing, somebody else's, or of another sale; get one from the sale once it has begun."""


class InLine(BusinessError, code="promotions.in_line", kind=Kind.TOO_MANY):
    """You are in line, at `place` (1 is next); repeat the request with the same key to stay there."""

    place: int
    retry_after_s: int


class LineFull(BusinessError, code="promotions.line_full", kind=Kind.TOO_MANY):
    """The line is full; ask again a little later."""

    retry_after_s: int


FLASH_ERRORS = (NoSuchFlashSale, TooEarly, FlashSaleEnded, SoldOut, OverLimit, TicketInvalid, InLine, LineFull)
