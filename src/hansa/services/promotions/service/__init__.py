"""What promotions do when they are asked: announce flash sales, keep the line before them, and admit orders."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hansa.kernel.channel import Channel
from hansa.kernel.clock import Clock, from_micros, to_micros
from hansa.kernel.errors import BusinessError, Fault
from hansa.kernel.ids import LARGEST, Ids, slot_of, slot_of_value
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.platform.database.batcher import Batcher
from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.port import Database, Transaction
from hansa.platform.jobs.soon import Soon
from hansa.platform.resilience.single_flight import Flights
from hansa.platform.security import audit
from hansa.platform.security.sealing import Keyring
from hansa.services.promotions import rules, store
from hansa.services.promotions.contract import (
    MOST_SHOWN,
    FlashSale,
    FlashSaleDraft,
    FlashSaleRecord,
    FlashSales,
    NoSuchFlashSale,
    OverLimit,
    Place,
    Terms,
    TicketGiven,
    TicketInvalid,
)
from hansa.services.promotions.events import FlashSaleAnnounced, FlashSaleCancelled
from hansa.services.promotions.rules import Ask, Sale
from hansa.services.promotions.service import admitting, rows
from hansa.services.promotions.service.admitting import Outcome
from hansa.services.promotions.service.room import MOST_KNOWN, Room
from hansa.services.promotions.store import Buyer, Order

MOST_ROOMS = 64
"""Sales that this process keeps in mind; of others it asks the database."""
FRESH_S = 0.1
"""How old what is kept in mind may be for somebody to be refused by it who came as far as to promotions themselves."""
SECRET_LABEL = "promotions.flash_ticket"
_CURSOR = "flash sales"


class PromotionsService:
    """See the contract. `turn_away` is for the door, `release_within` for consumers, `look` for the job."""

    def __init__(self, *, database: Database, clock: Clock, ids: Ids, channel: Channel, keyring: Keyring) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._channel = channel
        self._secret = keyring.derive(label=SECRET_LABEL)
        self._rooms: dict[str, Room] = {}
        self._opening: Flights[Room | None] = Flights()
        self._looking_again: Flights[None] = Flights()
        self._arriving: Batcher[Buyer, None] = Batcher(
            database=database, act=self._arrive_all, slots=lambda buyer: (slot_of(buyer[0]),)
        )
        self._admitting: Batcher[Ask, Outcome] = Batcher(
            database=database, act=self._admit_all, slots=lambda ask: (slot_of(ask.sale_id),)
        )
        self.looking = Soon(self.look, name="promotions.look")

    # What staff ask

    async def create(self, *, key: str, draft: FlashSaleDraft, actor: str) -> FlashSaleRecord:
        now, slot = self._clock.now(), slot_of_value(key)
        sale = _announced(draft, sale_id=self._ids.new(slot=slot), at=now)
        async with self._database.write(slot) as tx:
            kept = await claim(tx, slot=slot, key=f"create:{key}", request=digest(draft), now=now)
            if kept is not None:
                return decode(kept, FlashSaleRecord)
            rules.check_draft(draft, currencies=self._channel.currencies, at=now)
            await rows.add(tx, sale)
            tx.emit(
                FlashSaleAnnounced(
                    sale_id=sale.sale_id,
                    sku=sale.sku,
                    price=sale.price,
                    quantity=sale.quantity,
                    limit_per_buyer=sale.limit_per_buyer,
                    starts_at=sale.starts_at,
                    ends_at=sale.ends_at,
                ),
                slot=slot,
                aggregate=sale.sale_id,
            )
            await self._audit(tx, sale, actor=actor, action="promotions.announce", at=now)
            answer = rules.recorded(sale, at=now)
            await keep(tx, slot=slot, key=f"create:{key}", answer=answer)
        return answer

    async def cancel(self, *, key: str, sale_id: str, actor: str) -> FlashSaleRecord:
        now, slot = self._clock.now(), slot_of(sale_id)
        async with self._database.write(slot) as tx:
            kept = await claim(tx, slot=slot, key=f"cancel:{key}", request=digest(sale_id), now=now)
            if kept is not None:
                return decode(kept, FlashSaleRecord)
            since = (await rows.lock(tx, sale_ids=[sale_id])).get(sale_id)
            if since is None:
                raise NoSuchFlashSale()
            sale = rules.cancelled(since, at=from_micros(to_micros(now)))
            await rows.end(tx, sale, since=since)
            tx.emit(
                FlashSaleCancelled(sale_id=sale_id, sku=sale.sku), slot=slot, aggregate=sale_id, version=sale.version
            )
            await self._audit(tx, sale, actor=actor, action="promotions.cancel", at=now)
            answer = rules.recorded(sale, at=now)
            await keep(tx, slot=slot, key=f"cancel:{key}", answer=answer)
        self._learn(sale)
        return answer

    async def record(self, *, sale_id: str) -> FlashSaleRecord:
        return rules.recorded(await self._find(sale_id), at=self._clock.now())

    async def list_for_staff(self, *, limit: int = 20, cursor: str | None = None) -> Page[FlashSaleRecord]:
        position = read_cursor(_CURSOR, cursor, int)
        before = position[0] if position else LARGEST
        found = await rows.every(self._database, before=max(0, min(before, LARGEST)), limit=limit + 1)
        now = self._clock.now()
        items = tuple(rules.recorded(sale, at=now) for sale in found[:limit])
        more = write_cursor(_CURSOR, int(items[-1].id)) if len(found) > limit else None
        return Page(items=items, next_cursor=more)

    # What shoppers ask

    async def get(self, *, sale_id: str) -> FlashSale:
        return rules.shown(await self._find(sale_id), at=self._clock.now())

    async def list(self) -> FlashSales:
        now = self._clock.now()
        sales = await rows.current(self._database, at=now, limit=MOST_SHOWN)
        return FlashSales(items=tuple(rules.shown(sale, at=now) for sale in sales), now=now)

    async def ticket(self, *, sale_id: str, member: str) -> TicketGiven:
        room, now = await self._room(sale_id), self._clock.now()
        if (why := rules.closed(room.sale, at=now)) is not None:
            raise why
        ticket = rules.ticket(secret=self._secret, sale_id=sale_id, member=member, at=now)
        return TicketGiven(ticket=ticket, now=now)

    async def place(self, *, sale_id: str, member: str) -> Place:
        room, now = await self._room(sale_id), self._clock.now()
        return Place(
            place=room.line.place_of(member),
            waiting=room.line.waiting,
            state=rules.state_of(room.sale, at=now),
            now=now,
        )

    # What orders ask

    def turn_away(self, *, sale_id: str, member: str) -> BusinessError | None:
        """Why a member certainly has no chance now, as far as is known here without asking; None says nothing."""
        room = self._rooms.get(sale_id)
        return None if room is None else room.turn_away(member)

    async def enter(self, *, key: str, sale_id: str, member: str, ticket: str, quantity: int) -> Terms:
        room = await self._room(sale_id)
        if rules.hopeless(room.sale, pieces=quantity, at=self._clock.now()) is not None:
            await self._look_again(room)  # another process may have heard that pieces came back
        sale = room.sale
        if (why := rules.closed(sale, at=self._clock.now())) is not None:
            raise why
        if not rules.is_ticket_good(ticket, secret=self._secret, sale=sale, member=member):
            raise TicketInvalid()
        has = 0
        if room.knows(member):
            has = (await store.bought(self._database, buyers=[(sale_id, member)])).get((sale_id, member), 0)
        if has + quantity > sale.limit_per_buyer:
            raise OverLimit(limit=sale.limit_per_buyer, bought=has)
        await room.line.enter(key=key, member=member, pieces=quantity)
        if not room.knows(member):
            try:
                # Before there can be an order: a process that starts anew knows whom it must not turn away unheard.
                await self._arriving.submit((sale_id, member))
            except BaseException:
                room.line.give_up(key)
                raise
            room.know(member)
        return Terms(sale_id=sale_id, sku=sale.sku, name=sale.name, price=sale.price)

    async def leave(self, *, key: str, sale_id: str) -> None:
        if (room := self._rooms.get(sale_id)) is not None:
            room.line.give_up(key)

    async def admit(self, *, key: str, sale_id: str, order_id: str, member: str, quantity: int) -> None:
        room = await self._room(sale_id)
        room.know(member)
        try:
            outcome = await self._admitting.submit(Ask(sale_id, order_id, member, quantity))
        except Fault:
            await self.looking.kick()  # nobody knows what was kept
            raise
        if outcome.sale is not None:
            room.learn(outcome.sale)
        room.line.turn_used(member)
        if outcome.refusal is not None:
            raise outcome.refusal

    async def release(self, *, key: str, sale_id: str, order_id: str) -> None:
        async with self._database.write(slot_of(sale_id)) as tx:
            after = await admitting.release(tx, [(sale_id, order_id)], at=self._clock.now())
        for sale in after.values():
            self._learn(sale)

    async def release_within(self, tx: Transaction, *, orders: Iterable[Order]) -> None:
        """As `release`, for several orders by sale and as part of a transaction that is open already."""
        if wanted := list(orders):
            await admitting.release(tx, wanted, at=self._clock.now())

    # What is done without being asked

    async def look(self) -> None:
        """See how the sales stand that are kept in mind, and forget those that are over and that nobody waits for."""
        if not self._rooms:
            return
        for room in self._rooms.values():
            room.line.serve()
        found = await rows.find(self._database, sale_ids=list(self._rooms))
        now = self._clock.now()
        for sale_id, room in list(self._rooms.items()):
            if (sale := found.get(sale_id)) is not None:
                room.learn(sale)
            if len(self._rooms) > MOST_ROOMS and rules.state_of(room.sale, at=now) == "ended" and room.line.is_idle:
                del self._rooms[sale_id]

    async def close(self) -> None:
        """Break off what is under way, as if the process had died."""
        await self.looking.close()
        for room in self._rooms.values():
            room.line.close()
        await self._opening.close()
        await self._looking_again.close()
        await self._arriving.close()
        await self._admitting.close()

    async def _find(self, sale_id: str) -> Sale:
        found = await rows.find(self._database, sale_ids=[sale_id])
        if sale_id not in found:
            raise NoSuchFlashSale()
        return found[sale_id]

    async def _room(self, sale_id: str) -> Room:
        """The sale as it is kept in mind, read first if it is not. Raises NoSuchFlashSale."""
        room = self._rooms.get(sale_id) or await self._opening.share(sale_id, lambda: self._open(sale_id))
        if room is None:
            raise NoSuchFlashSale()
        return room

    async def _open(self, sale_id: str) -> Room | None:
        async with self._database.read(slot_of(sale_id)) as reader:
            found = await rows.find(reader, sale_ids=[sale_id])
            known = await store.buyers(reader, sale_id=sale_id, limit=MOST_KNOWN + 1)
        if sale_id not in found:
            return None
        return self._rooms.setdefault(sale_id, Room(sale=found[sale_id], known=known, clock=self._clock))

    async def _look_again(self, room: Room) -> None:
        """See how a sale stands, unless somebody has looked a moment ago."""
        if self._clock.monotonic() - room.looked_at >= FRESH_S:
            sale_id = room.sale.sale_id
            await self._looking_again.share(sale_id, lambda: self._look_at(room, sale_id))

    async def _look_at(self, room: Room, sale_id: str) -> None:
        began = self._clock.monotonic()
        found = await rows.find(self._database, sale_ids=[sale_id])
        room.looked_at = began
        if sale_id in found:
            room.learn(found[sale_id])

    def _learn(self, sale: Sale) -> None:
        if (room := self._rooms.get(sale.sale_id)) is not None:
            room.learn(sale)

    async def _arrive_all(self, tx: Transaction, buyers: Sequence[Buyer]) -> Sequence[None]:
        await store.add_buyers(tx, buyers=buyers)
        return [None] * len(buyers)

    async def _admit_all(self, tx: Transaction, asks: Sequence[Ask]) -> Sequence[Outcome]:
        return await admitting.admit(tx, asks, at=self._clock.now())

    async def _audit(self, tx: Transaction, sale: Sale, *, actor: str, action: str, at: datetime) -> None:
        slot = slot_of(sale.sale_id)
        await audit.record(
            tx,
            slot=slot,
            audit_id=self._ids.new(slot=slot),
            at=at,
            actor=actor,
            action=action,
            target=sale.sale_id,
            detail={"sku": sale.sku, "price": sale.price, "quantity": sale.quantity},
        )


def _announced(draft: FlashSaleDraft, *, sale_id: str, at: datetime) -> Sale:
    return Sale(
        sale_id=sale_id,
        sku=draft.sku,
        name=draft.name,
        price=draft.price,
        quantity=draft.quantity,
        limit_per_buyer=draft.limit_per_buyer,
        # To the microsecond and in UTC, as it will be read again.
        starts_at=from_micros(to_micros(draft.starts_at)),
        ends_at=from_micros(to_micros(draft.ends_at)),
        created_at=at,
    )
