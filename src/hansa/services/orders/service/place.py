"""Placing an order: quote, reserve, charge, record; the same key finds the same order."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from hansa.kernel.channel import Channel
from hansa.kernel.clock import to_micros
from hansa.kernel.errors import BusinessError, CommandInFlight, Fault, IdempotencyKeyReused
from hansa.kernel.ids import guest_name
from hansa.platform.database.batcher import Batcher
from hansa.platform.database.idempotency import digest
from hansa.platform.database.port import Transaction
from hansa.platform.resilience.single_flight import Flights
from hansa.platform.security.sealing import PersonErased
from hansa.platform.telemetry.logs import correlation
from hansa.platform.telemetry.tracing import traceparent
from hansa.services.carts import contract as carts
from hansa.services.carts.contract import Basket, CartLine, Carts, Quote, SpecialPrice
from hansa.services.orders.contract import (
    CONTACT_CONTEXT,
    CartEmpty,
    CartOrdered,
    Contact,
    FlashDraft,
    NoSuchProvider,
    Order,
    OrderConflict,
    OrderDraft,
    QuoteChanged,
)
from hansa.services.orders.rules import answers, drafts, flash, states
from hansa.services.orders.service.books import Books
from hansa.services.orders.service.drive import TOKEN_CONTEXT, Driver, Fresh
from hansa.services.orders.service.flash import FlashSales, Wanted
from hansa.services.orders.store import claims
from hansa.services.orders.store import orders as store
from hansa.services.orders.store.claims import Claim
from hansa.services.orders.store.orders import Record
from hansa.services.payments.contract import Payments
from hansa.services.promotions.contract import Terms
from hansa.services.shipping import contract as shipping
from hansa.services.shipping.contract import Shipping

PATIENCE_S = 18.0
"""How long whoever asks waits, a little less than the contract's time-out; the order goes on without them."""

LONGEST_LINE_S = 10.0
"""How much longer whoever stands in the line of a flash sale waits."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of `place`: `slot` is the key's, `lines` are None where a cart is to be ordered."""

    key: str
    slot: int
    request: str
    draft: OrderDraft
    lines: tuple[CartLine, ...] | None
    member: str | None
    locale: str
    currency: str
    flash: Wanted | None = None
    """Of a flash sale, whose terms say what the lines are."""


class Opening(NamedTuple):
    """A new order and the key it is to be kept under."""

    claim: Claim
    record: Record


class Placing:
    """See the module."""

    def __init__(
        self,
        *,
        books: Books,
        driver: Driver,
        carts: Carts,
        payments: Payments,
        shipping: Shipping,
        flash_sales: FlashSales,
        channel: Channel,
        patience_s: float,
    ) -> None:
        self._books = books
        self._flash_sales = flash_sales
        self._driver = driver
        self._carts = carts
        self._payments = payments
        self._shipping = shipping
        self._channel = channel
        self._patience_s = patience_s
        self._flights: Flights[Order] = Flights()
        self._opening: Batcher[Opening, Claim] = Batcher(
            database=books.database,
            act=self._open_all,
            slots=lambda opening: (opening.claim.slot, *opening.record.slots),
        )

    async def place(self, *, key: str, draft: OrderDraft, member: str | None, locale: str, currency: str) -> Order:
        asked = digest(draft, member, drafts.currency_asked_for(draft, currency=currency))
        wish = Wish(
            key=key,
            slot=drafts.slot_for_key(key=key, member=member),
            request=self._books.keyring.lookup_hash(kind="orders.request", value=asked),
            draft=draft,
            lines=drafts.lines_of(draft),
            member=member,
            locale=locale,
            currency=currency,
        )
        return await self._shared(wish, patience_s=self._patience_s)

    async def buy(self, *, key: str, sale_id: str, draft: FlashDraft, member: str, locale: str) -> Order:
        """As `place`, at a flash sale. A ticket may be renewed while one asks, so it is no part of what is asked."""
        asked = digest(sale_id, msgspec.structs.replace(draft, ticket=""), member)
        wish = Wish(
            key=key,
            slot=drafts.slot_for_key(key=key, member=member),
            request=self._books.keyring.lookup_hash(kind="orders.request", value=asked),
            draft=flash.draft_of(draft),
            lines=None,
            member=member,
            locale=locale,
            currency="",
            flash=Wanted(key=key, sale_id=sale_id, member=member, ticket=draft.ticket, quantity=draft.quantity),
        )
        return await self._shared(wish, patience_s=self._patience_s + LONGEST_LINE_S)

    async def _shared(self, wish: Wish, *, patience_s: float) -> Order:
        name = f"{wish.slot} {wish.key} {wish.request}"
        return await self._flights.share(name, lambda: self._place(wish), patience_s=patience_s)

    async def close(self) -> None:
        """Break off what is being placed: a repetition goes on with it."""
        await self._flights.close()
        await self._opening.close()

    async def _place(self, wish: Wish) -> Order:
        claim, fresh = await self._claimed(wish)
        if claim.request != wish.request:
            raise IdempotencyKeyReused()
        record = fresh.record if fresh else await self._books.find(order=claim.order_id)
        if record.answer is None:
            record = await self._driver.drive(order_id=record.order.id, fresh=fresh)
        if record.answer is None:
            record = await self._keep_pending(record)
        contact = fresh.contact if fresh else await self._books.contact(record)
        if record.told is not None:
            return answers.shown(record.told, contact=contact)
        return answers.replayed(record.answer, contact=contact)

    async def _claimed(self, wish: Wish) -> tuple[Claim, Fresh | None]:
        """The order that the key stands for: a new one, unless it was used before."""
        if wish.flash is not None and (known := await self._known(wish)) is not None:
            return known, None  # nobody waits in line for what they have
        async with self._flash_sales.turn(wish.flash) as terms:
            return await self._claimed_on(wish, terms)

    async def _claimed_on(self, wish: Wish, terms: Terms | None) -> tuple[Claim, Fresh | None]:
        """As `_claimed`, on the terms of a flash sale if there is one."""
        try:
            return await self._open(wish, terms)
        except (BusinessError, Fault):
            # The first time it may have gone well: then that is why its cart is closed, or a price is another one now.
            claim = await self._known(wish)
            if claim is None:
                raise
            return claim, None

    async def _open(self, wish: Wish, terms: Terms | None) -> tuple[Claim, Fresh | None]:
        """Write a new order down under its key; if somebody was faster with the key, whatever they wrote."""
        basket = await self._basket(wish)
        quote = await self._quote(wish, basket, terms)
        fresh = await self._sealed(wish, basket, quote)
        claim = Claim(slot=wish.slot, key=wish.key, request=wish.request, order_id=fresh.record.order.id)
        claimed = await self._opening.submit(Opening(claim, fresh.record))
        if claimed is not claim:
            await self._flash_sales.leave(wish.flash)
            return claimed, None
        return claim, fresh

    async def _known(self, wish: Wish) -> Claim | None:
        return await claims.find_key(self._books.database, slot=wish.slot, key=wish.key)

    async def _open_all(self, tx: Transaction, openings: Sequence[Opening]) -> list[Claim | Exception]:
        """Write new orders down, each under its own key: the claim of whoever has the key now, or CartOrdered."""
        at = self._books.clock.now()
        first = await claims.claim_keys(tx, [each.claim for each in openings], at=at)
        fresh = [each for each in openings if each.claim.order_id in first]
        carts = {each.claim.order_id: each.record.cart_id for each in fresh if each.record.cart_id is not None}
        theirs = await claims.claim_carts(tx, carts)
        refused = {order_id for order_id in carts if order_id not in theirs}
        await claims.give_back_keys(tx, [each.claim for each in fresh if each.claim.order_id in refused])
        await store.add(tx, [each.record for each in fresh if each.claim.order_id not in refused])
        return [
            each.claim
            if each.claim.order_id in first and each.claim.order_id not in refused
            else CartOrdered()
            if each.claim.order_id in refused
            else await self._earlier(tx, each.claim)
            for each in openings
        ]

    async def _earlier(self, tx: Transaction, claim: Claim) -> Claim | Exception:
        earlier = await claims.find_key(tx, slot=claim.slot, key=claim.key)
        return earlier or CommandInFlight()  # whoever had it has just been refused, and given it back

    async def _basket(self, wish: Wish) -> Basket | None:
        """What the cart holds, if a cart is to be ordered."""
        if wish.draft.cart_id is None:
            return None
        with translated():
            basket = await self._carts.basket(cart=wish.draft.cart_id, member=wish.member)
        if not basket.lines:
            raise CartEmpty()
        return basket

    async def _quote(self, wish: Wish, basket: Basket | None, terms: Terms | None) -> Quote:
        """What it costs, there and now. Raises QuoteChanged if the buyer was shown something else."""
        draft = wish.draft
        lines = basket.lines if basket else wish.lines or ()
        currency = draft.currency or (basket.currency if basket else wish.currency)
        specials: tuple[SpecialPrice, ...] = ()
        if terms is not None and wish.flash is not None:
            lines = flash.lines_of(terms, quantity=wish.flash.quantity)
            currency, specials = terms.price.currency, (flash.special_price(terms),)
        with translated():
            await self._shipping.check_address(address=draft.shipping_address)
            if not await self._payments.check_provider(provider=draft.payment.provider):
                raise NoSuchProvider(provider=draft.payment.provider)
            quote = await self._carts.quote(
                lines=lines,
                currency=currency,
                locale=wish.locale,
                destination=draft.shipping_address.destination,
                delivery=draft.delivery.method if draft.delivery else None,
                price_list=self._channel.price_list,
                specials=specials,
            )
            if draft.quote not in (None, quote.fingerprint):
                # Perhaps what was shown was the cart's own quote, before the destination was known.
                shown = await self._carts.quote(
                    lines=lines,
                    currency=currency,
                    locale=wish.locale,
                    price_list=self._channel.price_list,
                    specials=specials,
                )
                if draft.quote != shown.fingerprint:
                    raise QuoteChanged(total=quote.total, fingerprint=quote.fingerprint)
        return quote

    async def _sealed(self, wish: Wish, basket: Basket | None, quote: Quote) -> Fresh:
        """The new order, with all that is personal sealed under its person."""
        draft, now = wish.draft, self._books.clock.now()
        slot = drafts.slot_for_order(key=wish.key, member=wish.member, basket=basket)
        order_id = self._books.ids.new(slot=slot)
        person = wish.member or f"order:{order_id}"
        contact = Contact(
            order=order_id if wish.member else guest_name(order_id, self._books.ids.secret()),
            email=draft.email,
            shipping_address=draft.shipping_address,
            billing_address=draft.billing_address,
        )
        try:
            box = await self._books.keyring.box(person=person)
        except PersonErased as error:
            raise OrderConflict(order_status="erased") from error
        record = Record(
            order=drafts.opened(
                order_id=order_id, quote=quote, draft=draft, locale=wish.locale, channel=self._channel.name, at=now
            ),
            member=wish.member,
            cart_id=basket.cart_id if basket else None,
            person=person,
            contact=box.seal(contact, context=CONTACT_CONTEXT),
            token=box.seal(draft.payment.token, context=TOKEN_CONTEXT),
            answer=None,
            attempts=0,
            resume_at=to_micros(now + states.FIRST_LOOK),
            correlation=correlation(),
            traceparent=traceparent(),
        )
        return Fresh(record, contact, draft.payment.token)

    async def _keep_pending(self, record: Record) -> Record:
        """The answer is about to be `pending`: keep that, unless another answer has come up."""
        async with self._books.database.write(record.slot) as tx:
            latest = await store.lock(tx, order_id=record.order.id) or record
            if latest.answer is not None:
                return latest
            pending = replace(latest, answer=answers.kept(latest.order))
            await store.save(tx, pending, since=latest)
            return pending


@contextmanager
def translated() -> Iterator[None]:
    """Neighbours' noes to a draft, in the words of orders."""
    try:
        yield
    except (
        carts.NoSuchCart,
        carts.CartClosed,
        carts.NotForSale,
        carts.DeliveryNotOffered,
        shipping.NotDelivered,
        shipping.AddressIncomplete,
    ) as error:
        raise drafts.translated(error) from error
