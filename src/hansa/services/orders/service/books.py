"""What all use cases of orders share: the books, the clock, and opening what is sealed."""

import hmac
from dataclasses import dataclass
from typing import Any

from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids, split_name
from hansa.platform.database.port import Database, Transaction
from hansa.platform.security.audit import record as record_audit
from hansa.platform.security.sealing import Keyring, PersonErased
from hansa.services.orders.contract import BLANK, CONTACT_CONTEXT, Contact, NoSuchOrder, Order
from hansa.services.orders.rules import answers
from hansa.services.orders.store import orders as store
from hansa.services.orders.store.orders import Record


@dataclass(frozen=True, kw_only=True)
class Books:
    """See the module."""

    database: Database
    clock: Clock
    ids: Ids
    keyring: Keyring

    async def find(self, *, order: str) -> Record:
        """An order by its id or its whole name; whether it may be seen is not asked. Raises NoSuchOrder."""
        parts = split_name(order)
        if parts is None:
            raise NoSuchOrder()
        async with self.database.read() as reader:
            record = await store.find(reader, order_id=parts[0])
        if record is None:
            raise NoSuchOrder()
        return record

    async def owned(self, *, order: str, member: str | None) -> tuple[Record, Contact]:
        """An order by the name its owner knows, and whom it concerns.

        Raises NoSuchOrder unless it is the member's own, or the name bears the guest's secret.
        """
        record = await self.find(order=order)
        contact = await self.contact(record)
        is_erased = contact.email == BLANK
        is_theirs = record.member == member if record.member is not None else not is_erased
        if not is_theirs or not hmac.compare_digest(order.encode(), contact.order.encode()):
            raise NoSuchOrder()
        return record, contact

    async def contact(self, record: Record) -> Contact:
        """Whom an order concerns. Of somebody who was erased nothing but the country is left."""
        try:
            box = await self.keyring.box(person=record.person)
        except PersonErased:
            return Contact.erased(order=record.order.id, country=record.order.shipping_address.country)
        return box.open(record.contact, Contact, context=CONTACT_CONTEXT)

    async def shown_to_staff(self, record: Record, order: Order) -> Order:
        """An order as staff see it: whom it concerns, but not a guest's secret."""
        contact = await self.contact(record)
        return answers.shown(order, contact=answers.for_staff(order, contact))

    async def audit(self, tx: Transaction, record: Record, *, actor: str, action: str, detail: dict[str, Any]) -> None:
        """Note who of the staff did what, in the commit that does it."""
        await record_audit(
            tx,
            slot=record.slot,
            audit_id=self.ids.new(slot=record.slot),
            at=self.clock.now(),
            actor=actor,
            action=action,
            target=record.order.id,
            detail=detail,
        )
