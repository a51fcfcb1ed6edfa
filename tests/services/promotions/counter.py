"""A counter where flash sales are tried: a process of promotions, its books, and shoppers with their tickets."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from hansa.kernel.channel import Channel
from hansa.kernel.errors import BusinessError
from hansa.kernel.ids import Ids
from hansa.kernel.money import Money
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from hansa.platform.rpc.local import local, twice
from hansa.platform.security.sealing import Keyring
from hansa.services.promotions.contract import FlashSaleDraft, FlashSaleRecord, Promotions
from hansa.services.promotions.service import PromotionsService
from hansa.services.promotions.tables import FLASH_BUYERS, FLASH_CLAIMS, FLASH_SALES
from tests.clocks import ManualClock

WIRES: dict[str, Any] = {"local": local, "twice": twice}
MINUTE = timedelta(minutes=1)
STAFF = "user:1"
_SALES = Statement(select(FLASH_SALES))
_BUYERS = Statement(select(FLASH_BUYERS))
_CLAIMS = Statement(select(FLASH_CLAIMS))


@dataclass
class Counter:
    """`promotions` is a client over the wire, `service` the present process behind it."""

    database: Database
    keyring: Keyring
    clock: ManualClock
    ids: Ids
    wire: str
    made: int = field(default=0)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process: nothing that the old one had in memory is known to it."""
        self.service = self.process()
        self.promotions: Promotions = WIRES[self.wire](Promotions, self.service)

    def process(self) -> PromotionsService:
        return PromotionsService(
            database=self.database,
            clock=self.clock,
            ids=self.ids,
            channel=Channel(currencies=("EUR", "USD")),
            keyring=self.keyring,
        )

    def key(self) -> str:
        self.made += 1
        return f"key-{self.made}"

    def member(self) -> str:
        self.made += 1
        return self.ids.new(slot=self.made % 4096)

    def order(self, member: str) -> str:
        return self.ids.new(slot=(int(member) >> 10) & 4095)

    def draft(self, *, quantity: int = 3, limit: int = 1, starts_in: int = 0, minutes: int = 10) -> FlashSaleDraft:
        return FlashSaleDraft(
            sku="HAT",
            price=Money(999, "EUR"),
            quantity=quantity,
            limit_per_buyer=limit,
            starts_at=self.clock.now() + starts_in * MINUTE,
            ends_at=self.clock.now() + (starts_in + minutes) * MINUTE,
        )

    async def sale(self, **wanted: int) -> FlashSaleRecord:
        return await self.promotions.create(key=self.key(), draft=self.draft(**wanted), actor=STAFF)

    async def ticket(self, sale_id: str, member: str) -> str:
        return (await self.promotions.ticket(sale_id=sale_id, member=member)).ticket

    async def enter(self, sale_id: str, member: str, *, quantity: int = 1, key: str | None = None) -> None:
        ticket = await self.ticket(sale_id, member)
        key = key or self.key()
        await self.promotions.enter(key=key, sale_id=sale_id, member=member, ticket=ticket, quantity=quantity)

    async def admit(self, sale_id: str, member: str, *, quantity: int = 1, order_id: str | None = None) -> str:
        order_id = order_id or self.order(member)
        await self.promotions.admit(key=order_id, sale_id=sale_id, order_id=order_id, member=member, quantity=quantity)
        return order_id

    async def buy(self, sale_id: str, member: str, *, quantity: int = 1) -> str | BusinessError:
        """Come in and claim: the order, or why there is none."""
        try:
            await self.enter(sale_id, member, quantity=quantity)
            return await self.admit(sale_id, member, quantity=quantity)
        except BusinessError as error:
            return error

    async def release(self, sale_id: str, order_id: str) -> None:
        await self.promotions.release(key=self.key(), sale_id=sale_id, order_id=order_id)

    async def audit(self) -> None:
        """The books agree with each other, and nobody has more than they may."""
        claims = [row for row in await self.database.all(_CLAIMS) if row["state"] == "held"]
        for sale in await self.database.all(_SALES):
            held = [row for row in claims if row["sale_id"] == sale["sale_id"]]
            assert sale["claimed"] == sum(row["quantity"] for row in held) <= sale["quantity"]
            for buyer in await self.database.all(_BUYERS):
                if buyer["sale_id"] == sale["sale_id"]:
                    theirs = sum(row["quantity"] for row in held if row["member"] == buyer["member"])
                    assert buyer["claimed"] == theirs <= sale["limit_per_buyer"]
