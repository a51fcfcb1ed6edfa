"""The use cases of carts: what somebody means to buy, merged at the sign-in, closed by an order, and what it costs."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from hansa.kernel.address import Destination
from hansa.kernel.channel import MAIN
from hansa.kernel.clock import Clock
from hansa.kernel.errors import ErrorRecord, record_error, revive_error
from hansa.kernel.ids import Ids, guest_name, slot_of, slot_of_value, split_name
from hansa.kernel.money import Money
from hansa.platform.database import idempotency
from hansa.platform.database.port import Database, Transaction
from hansa.services.carts import rules, store
from hansa.services.carts.contract import (
    Basket,
    Cart,
    CartClosed,
    CartFull,
    CartLine,
    DeliveryNotOffered,
    NoSuchCart,
    NotForSale,
    Quote,
    QuoteLine,
    SpecialPrice,
)
from hansa.services.carts.rules import TaxTable
from hansa.services.carts.store import KeptCart
from hansa.services.products.contract import Offer, Products
from hansa.services.shipping.contract import NotDelivered, Option, Shipping

REFUSALS = (NotForSale, CartFull)
"""Of a line; they are kept with their key."""
DONE = "null"
"""What is kept with the key of a line that was put: nothing but that."""


class CartsService:
    """Carts, as the contract has them."""

    def __init__(
        self, *, database: Database, clock: Clock, ids: Ids, products: Products, shipping: Shipping, taxes: TaxTable
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._products = products
        self._shipping = shipping
        self._taxes = taxes

    async def create(self, *, key: str, member: str | None, currency: str, locale: str) -> Cart:
        if member is not None:
            draft = self._draft(slot=slot_of(member), member=member, currency=currency)
            async with self._database.write(slot_of(member)) as tx:
                cart_id = await store.hold_member_cart(tx, member=member, draft=draft)
            return await self.get(cart=cart_id, member=member, locale=locale)

        slot, request = slot_of_value(key), idempotency.digest(currency)
        draft = self._draft(slot=slot, member=None, currency=currency)
        name = guest_name(draft.cart_id, draft.secret)
        async with self._database.write(slot) as tx:
            kept = await idempotency.claim(tx, slot=slot, key=key, request=request, now=self._clock.now())
            if kept is None:
                await store.add(tx, cart=draft)
                await idempotency.keep(tx, slot=slot, key=key, answer=name)
            else:
                name = idempotency.decode(kept, str)
        return await self.get(cart=name, member=None, locale=locale)

    async def get(self, *, cart: str, member: str | None, locale: str) -> Cart:
        return await self._shown(await self._find(cart, member), locale)

    async def current(self, *, member: str, locale: str) -> Cart:
        kept = await store.find_of_member(self._database, member=member)
        if kept is None:
            raise NoSuchCart()
        return await self._shown(kept, locale)

    async def put_line(self, *, key: str, cart: str, member: str | None, sku: str, quantity: int, locale: str) -> Cart:
        """A quantity is absolute, and yet its key is kept, and a refusal with it: a late repetition must not undo what
        came after, nor do what was refused."""
        kept = await self._find(cart, member)
        request = idempotency.digest(kept.cart_id, sku, quantity)
        offers = await self._offers([sku, *(line.sku for line in kept.lines)], locale, kept.currency)
        try:
            if quantity and not rules.is_sold(CartLine(sku=sku, quantity=quantity), offers.get(sku)):
                raise NotForSale(sku=sku, currency=kept.currency)
            async with self._database.write(slot_of(kept.cart_id)) as tx:
                if await self._is_first(tx, kept.cart_id, key=key, request=request):
                    changed = await self._put(tx, kept.cart_id, sku, quantity)
                else:
                    changed = (await store.lock(tx, cart_ids=[kept.cart_id]))[kept.cart_id]
        except REFUSALS as refusal:
            changed = await self._refused(kept.cart_id, key=key, request=request, refusal=refusal)
        # A line that came meanwhile was not asked for above, nor was a price in another currency.
        is_known = {line.sku for line in changed.lines} <= {sku, *(line.sku for line in kept.lines)}
        is_known = is_known and changed.currency == kept.currency
        return await self._shown(changed, locale, known=offers if is_known else None)

    async def set_currency(self, *, key: str, cart: str, member: str | None, currency: str, locale: str) -> Cart:
        """A currency is absolute, as a quantity is, and its key is kept for the same reason."""
        kept = await self._find(cart, member)
        async with self._database.write(slot_of(kept.cart_id)) as tx:
            request = idempotency.digest(kept.cart_id, currency)
            is_first = await self._is_first(tx, kept.cart_id, key=key, request=request)
            changed = (await store.lock(tx, cart_ids=[kept.cart_id]))[kept.cart_id]
            if is_first and not changed.is_open:
                raise CartClosed()
            if is_first and currency != changed.currency:
                await store.touch(tx, cart_id=kept.cart_id, currency=currency, now=self._clock.now())
                changed = (await store.lock(tx, cart_ids=[kept.cart_id]))[kept.cart_id]
        return await self._shown(changed, locale)

    async def claim(self, *, key: str, cart: str, member: str, locale: str) -> Cart:
        kept = await self._find(cart, member)
        if kept.member is not None:
            if not kept.is_open:
                raise CartClosed()
            return await self._shown(kept, locale)
        if kept.is_open:
            with suppress(CartClosed):  # by somebody who was faster, perhaps with the same claim
                await self._merge(kept, member)
            kept = await self._find(cart, member)
        if kept.merged_into is None:
            raise CartClosed()
        target = await store.find(self._database, cart_id=kept.merged_into)
        if target is None or target.member != member:
            raise CartClosed()
        return await self._shown(target, locale)

    async def basket(self, *, cart: str, member: str | None) -> Basket:
        kept = await self._find(cart, member)
        if not kept.is_open:
            raise CartClosed()
        return Basket(
            cart_id=kept.cart_id,
            member=kept.member,
            lines=kept.lines,
            currency=kept.currency,
            slot=slot_of(kept.cart_id),
        )

    async def quote(
        self,
        *,
        lines: tuple[CartLine, ...],
        currency: str,
        locale: str,
        destination: Destination | None = None,
        delivery: str | None = None,
        price_list: str = MAIN,
        specials: tuple[SpecialPrice, ...] = (),
    ) -> Quote:
        wanted = rules.combined(lines)
        offers = await self._offers([line.sku for line in wanted], locale, currency, price_list=price_list)
        priced = rules.price(wanted, offers=offers, currency=currency)
        promotions = rules.promoted(priced, specials)
        if destination is None:
            return rules.quote(priced, currency=currency, locale=locale, option=None, taxes=(), promotions=promotions)
        to_pay = Money(
            rules.subtotal_of(priced, currency=currency).amount + sum(each.amount.amount for each in promotions),
            currency,
        )
        option = await self._option(priced, destination, delivery, to_pay=to_pay, locale=locale)
        taxes = self._taxes.at(destination, on=self._clock.now().date())
        return rules.quote(priced, currency=currency, locale=locale, option=option, taxes=taxes, promotions=promotions)

    async def close(self, tx: Transaction, *, ordered: Mapping[str, Sequence[CartLine]]) -> None:
        """Close carts that were ordered, in the transaction of the event that says so. Until then they could be put
        into: what the order does not have goes into a new cart of the same owner, since it was acknowledged."""
        now = self._clock.now()
        held = await store.hold(tx, cart_ids=list(ordered))
        successors: dict[str, str | None] = {}
        for kept in held.values():
            rest = rules.left_over(kept.lines, ordered[kept.cart_id]) if kept.is_open else ()
            successors[kept.cart_id] = await self._continue(tx, kept, rest) if rest else None
        await store.close(tx, successors=successors, now=now)

    async def _find(self, name: str, member: str | None) -> KeptCart:
        parts = split_name(name)
        kept = await store.find(self._database, cart_id=parts[0]) if parts else None
        if parts is None or kept is None:
            raise NoSuchCart()
        if not rules.may_use(owner=kept.member, secret=kept.secret, asking=member, given=parts[1]):
            raise NoSuchCart()
        return kept

    async def _is_first(
        self, tx: Transaction, cart_id: str, *, key: str, request: str, answer: ErrorRecord | None = None
    ) -> bool:
        """Whether the key is new to the cart; it is kept from now on, with the answer. Raises the refusal that was kept
        with it, and IdempotencyKeyReused."""
        slot = slot_of(cart_id)
        kept = await idempotency.claim(tx, slot=slot, key=key, request=request, now=self._clock.now())
        if kept is None:
            await idempotency.keep(tx, slot=slot, key=key, answer=answer)
            return True
        if kept != DONE:
            raise revive_error(idempotency.decode(kept, ErrorRecord), REFUSALS)
        return False

    async def _refused(self, cart_id: str, *, key: str, request: str, refusal: NotForSale | CartFull) -> KeptCart:
        """Keep a refusal and raise it; the cart as it is if a copy of the call was faster, and was not refused."""
        async with self._database.write(slot_of(cart_id)) as tx:
            is_first = await self._is_first(tx, cart_id, key=key, request=request, answer=record_error(refusal))
            present = (await store.lock(tx, cart_ids=[cart_id]))[cart_id]
        if is_first:
            raise refusal
        return present

    async def _put(self, tx: Transaction, cart_id: str, sku: str, quantity: int) -> KeptCart:
        kept = (await store.lock(tx, cart_ids=[cart_id]))[cart_id]
        if not kept.is_open:
            raise CartClosed()
        if quantity == next((line.quantity for line in kept.lines if line.sku == sku), 0):
            return kept
        now = self._clock.now()
        if quantity:
            rules.check_room(kept.lines, sku=sku)
            await store.put_lines(tx, cart_id=cart_id, lines=[CartLine(sku=sku, quantity=quantity)], now=now)
        else:
            await store.remove_line(tx, cart_id=cart_id, sku=sku)
        await store.touch(tx, cart_id=cart_id, currency=kept.currency, now=now)
        return (await store.lock(tx, cart_ids=[cart_id]))[cart_id]

    async def _continue(self, tx: Transaction, kept: KeptCart, lines: Sequence[CartLine]) -> str:
        """Open the next cart of the same owner with these lines. A guest's has the same secret: who knows the one cart
        may use the other."""
        following = self._draft(slot=slot_of(kept.cart_id), member=kept.member, currency=kept.currency)
        following = replace(following, secret=kept.secret)
        await store.add(tx, cart=following)
        await store.put_lines(tx, cart_id=following.cart_id, lines=lines, now=following.updated_at)
        await store.pass_on(tx, cart_id=kept.cart_id, to=following.cart_id)
        return following.cart_id

    async def _merge(self, kept: KeptCart, member: str) -> None:
        """Close a guest's cart into the member's open one. Raises CartClosed if it is closed already."""
        slot, now = slot_of(member), self._clock.now()
        draft = self._draft(slot=slot, member=member, currency=kept.currency)
        async with self._database.write(slot_of(kept.cart_id), slot) as tx:
            target_id = await store.hold_member_cart(tx, member=member, draft=draft)
            held = await store.lock(tx, cart_ids=[kept.cart_id, target_id])
            guests, target = held[kept.cart_id], held[target_id]
            if not guests.is_open:
                raise CartClosed()
            currency = target.currency if target.lines else guests.currency
            lines = rules.merged(target.lines, guests.lines)
            await store.put_lines(tx, cart_id=target_id, lines=lines, now=now)
            await store.touch(tx, cart_id=target_id, currency=currency, now=now)
            await store.close_merged(tx, cart_id=kept.cart_id, into=target_id, now=now)

    async def _shown(self, kept: KeptCart, locale: str, *, known: Mapping[str, Offer] | None = None) -> Cart:
        """The cart as its owner sees it, at present prices."""
        skus = [line.sku for line in kept.lines]
        offers = known if known is not None else await self._offers(skus, locale, kept.currency)
        sold, unavailable = rules.sorted_out(kept.lines, offers)
        priced = rules.price(sold, offers=offers, currency=kept.currency)
        return Cart(
            id=guest_name(kept.cart_id, kept.secret),
            lines=kept.lines,
            currency=kept.currency,
            is_open=kept.is_open,
            quote=rules.quote(priced, currency=kept.currency, locale=locale, option=None, taxes=()),
            unavailable=unavailable,
            successor=kept.merged_into or (kept.continued_in and guest_name(kept.continued_in, kept.secret)),
            version=kept.version,
            updated_at=kept.updated_at,
        )

    async def _offers(
        self, skus: Iterable[str], locale: str, currency: str, *, price_list: str = MAIN
    ) -> dict[str, Offer]:
        wanted = tuple(dict.fromkeys(skus))
        if not wanted:
            return {}
        offers = await self._products.offers(skus=wanted, locale=locale, currency=currency, price_list=price_list)
        return {offer.sku: offer for offer in offers}

    async def _option(
        self,
        lines: Sequence[QuoteLine],
        destination: Destination,
        delivery: str | None,
        *,
        to_pay: Money,
        locale: str,
    ) -> Option:
        try:
            options = await self._shipping.options(
                destination=destination,
                weight_grams=rules.weight_of(lines),
                subtotal=to_pay,
                locale=locale,
            )
        except NotDelivered as error:
            raise DeliveryNotOffered(country=error.country) from error
        option = rules.choose(options, delivery)
        if option is None:
            raise DeliveryNotOffered(country=destination.country)
        return option

    def _draft(self, *, slot: int, member: str | None, currency: str) -> KeptCart:
        return KeptCart(
            cart_id=self._ids.new(slot=slot),
            member=member,
            secret="" if member else self._ids.secret(),
            currency=currency,
            is_open=True,
            version=1,
            updated_at=self._clock.now(),
        )
