"""What orders ask of promotions: to be let into a flash sale, and to claim its pieces before anything else is done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from hansa.kernel.errors import Fault
from hansa.services.orders.rules import flash
from hansa.services.orders.store.orders import Record
from hansa.services.promotions import contract as promotions
from hansa.services.promotions.contract import Promotions, Terms


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a flash sale; `key` names the attempt."""

    key: str
    sale_id: str
    member: str
    ticket: str
    quantity: int


class FlashSales:
    """See the module. A member is let in before there is an order, and pieces are claimed under the order's id, so that
    whoever drives the order on asks for the same."""

    def __init__(self, *, promotions: Promotions) -> None:
        self._promotions = promotions

    @asynccontextmanager
    async def turn(self, wanted: Wanted | None) -> AsyncIterator[Terms | None]:
        """One's turn in the line, given up again if no order comes of it. Raises what promotions say, in orders' words.

        For somebody who wants nothing of a sale there is nothing to wait for.
        """
        if wanted is None:
            yield None
            return
        try:
            terms = await self._promotions.enter(
                key=wanted.key,
                sale_id=wanted.sale_id,
                member=wanted.member,
                ticket=wanted.ticket,
                quantity=wanted.quantity,
            )
        except promotions.ENTER_ERRORS as error:
            raise flash.translated(error) from error
        try:
            yield terms
        except BaseException:
            await self.leave(wanted)
            raise

    async def leave(self, wanted: Wanted | None) -> None:
        """Give up one's turn: no order comes of it."""
        if wanted is not None:
            with suppress(Fault):  # then the turn ends by itself
                await self._promotions.leave(key=wanted.key, sale_id=wanted.sale_id)

    async def admit(self, record: Record) -> None:
        """Claim the pieces of an order that came from a flash sale. Raises ADMIT_ERRORS of promotions."""
        order = record.order
        sale_id = flash.sale_of(order)
        if sale_id is None or record.member is None:
            return
        await self._promotions.admit(
            key=order.id,
            sale_id=sale_id,
            order_id=order.id,
            member=record.member,
            quantity=flash.pieces_of(order),
        )
