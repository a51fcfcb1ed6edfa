"""What home does when it is asked, and when it hears of products and orders."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from hansa.kernel.channel import MAIN
from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.ids import Ids, slot_of, slot_of_value
from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.security import audit
from hansa.services.home import rules
from hansa.services.home.contract import (
    MOST_CATEGORIES,
    MOST_ITEMS,
    BannerDraft,
    BannersChanged,
    BannerSet,
    BannersInvalid,
    Front,
    Rebuilt,
    TopCategory,
)
from hansa.services.home.rules import FRONT
from hansa.services.home.store import cards, front, sales
from hansa.services.home.store.cards import Card
from hansa.services.products.contract import ProductRecord, Products

BATCH = 500
"""Products or orders whose old sales are forgotten in one transaction."""
MOST_BATCHES = 100
"""Of one run of the job; what is left waits for the next."""
MOST_PAGES = 1_000_000
"""Of products, in one rebuilding."""

_BANNERS = msgspec.json.Decoder(tuple[BannerDraft, ...])
_FACE = msgspec.json.Decoder(rules.Face)
_PHOTO = msgspec.json.Decoder(rules.Photo)
_NAMES = msgspec.json.Decoder(dict[str, str])


class HomeService:
    """See the contract. Consumers call `hear_…`, within their transactions; products are asked by `rebuild` alone."""

    def __init__(
        self, *, database: Database, clock: Clock, ids: Ids, products: Products, default_locale: str = "en"
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._products = products
        self._default_locale = default_locale

    async def page(self, *, locale: str, currency: str, price_list: str = MAIN) -> Front:
        wanted = rules.languages(locale=locale, default=self._default_locale)
        now = self._clock.now()
        async with self._database.read(FRONT) as reader:
            new = await front.top(reader, slot=FRONT, shelf=rules.NEW, most=MOST_ITEMS)
            best = await front.top(reader, slot=FRONT, shelf=rules.BEST, most=MOST_ITEMS)
            shown = await cards.shown(reader, product_ids={*new, *best})
            categories = await self._categories(reader, wanted=wanted)
            _, banners = await front.banners(reader, slot=FRONT)
        items = {
            product_id: rules.item(
                _FACE.decode(row["face"]),
                product_id=product_id,
                photo=_photo(row["picture"]),
                is_available=bool(row["is_available"]),
                wanted=wanted,
                price_list=price_list,
                currency=currency,
                now=to_micros(now),
            )
            for product_id, row in shown.items()
        }
        return Front(
            banners=rules.shown_banners(_BANNERS.decode(banners), wanted=wanted, now=now),
            new=tuple(items[product_id] for product_id in new if product_id in items),
            best_sellers=tuple(items[product_id] for product_id in best if product_id in items),
            categories=categories,
        )

    async def _categories(self, reader: Reader, *, wanted: tuple[str, ...]) -> tuple[TopCategory, ...]:
        rows = await front.categories(reader, slot=FRONT, shelf_prefix=rules.shelf_of(""), most=MOST_CATEGORIES)
        pictured = {row["path"]: str(row["pictured"]) for row in rows if row["pictured"] is not None}
        pictures = await cards.pictures(reader, product_ids=set(pictured.values()))
        nodes = [
            rules.Node(
                path=row["path"],
                names=_NAMES.decode(row["names"]),
                products=row["products"],
                photo=_photo(pictures.get(pictured.get(row["path"], ""))),
            )
            for row in rows
        ]
        return rules.tree(nodes, wanted=wanted)

    async def banners(self) -> BannerSet:
        version, banners = await front.banners(self._database, slot=FRONT)
        return BannerSet(version=version, banners=_BANNERS.decode(banners))

    async def put_banners(
        self, *, key: str, banners: tuple[BannerDraft, ...], version: int | None, actor: str
    ) -> BannerSet:
        if (reason := rules.flaw(banners)) is not None:
            raise BannersInvalid(reason=reason)
        slot = slot_of_value(key)
        async with self._database.write(FRONT, slot) as tx:
            kept = await claim(tx, slot=slot, key=key, request=digest(banners, version, actor), now=self._clock.now())
            if kept is not None:
                return decode(kept, BannerSet)
            current, _ = await front.banners(tx, slot=FRONT)
            packed = msgspec.json.encode(banners).decode()
            since = current if version is None else version
            if since != current or not await front.put_banners(tx, slot=FRONT, banners=packed, since=since):
                current, _ = await front.banners(tx, slot=FRONT)
                raise BannersChanged(version=current)
            answer = BannerSet(version=current + 1, banners=banners)
            await audit.record(
                tx,
                slot=FRONT,
                audit_id=self._ids.new(slot=FRONT),
                at=self._clock.now(),
                actor=actor,
                action="home.put_banners",
                target="banners",
                detail={"version": answer.version, "banners": msgspec.to_builtins(banners)},
            )
            await keep(tx, slot=slot, key=key, answer=answer)
        return answer

    async def rebuild(self, *, key: str) -> Rebuilt:
        """Page by page, so that events and readers find their way in between; a page of what is known changes nothing
        that they see. The counts of categories are set at the end, from all that is there by then."""
        number, cursor = 0, None
        for _ in range(MOST_PAGES):
            page = await self._products.records(cursor=cursor)
            if page.items:
                async with self._database.write(FRONT, *{slot_of(record.id) for record in page.items}) as tx:
                    await self._put(tx, records=page.items, is_anew=True)
            number, cursor = number + len(page.items), page.next_cursor
            if cursor is None:
                break
        async with self._database.write(FRONT) as tx:
            paths = await front.lock_categories(tx, slot=FRONT)
            active = await cards.count_active(tx)
            counts = dict.fromkeys(paths, 0)
            for category, products in active.items():
                # A category that came after the lock was taken has counted right by itself.
                for path in counts.keys() & rules.counted_in(is_active=True, category=category):
                    counts[path] += products
            await front.set_counts(tx, slot=FRONT, counts=counts)
        return Rebuilt(products=number)

    async def forget(self) -> None:
        """Let go of sales that are too old to count; harmless when several do it at once."""
        first_day = rules.first_day(now=self._clock.now())
        for _ in range(MOST_BATCHES):
            old = await sales.old(self._database, first_day=first_day, most=BATCH)
            if not old:
                break
            async with self._database.write(FRONT, *{slot_of(product_id) for product_id in old}) as tx:
                held = await cards.hold(tx, product_ids=old)
                dropped = await sales.drop(tx, product_ids=old, first_day=first_day)
                await self._sold(tx, held=held, pieces={product_id: -number for product_id, number in dropped.items()})
        for _ in range(MOST_BATCHES):
            async with self._database.write() as tx:
                if await sales.drop_orders(tx, first_day=first_day, most=BATCH) < BATCH:
                    break

    # What consumers say

    async def hear_products(self, tx: Transaction, *, records: Sequence[ProductRecord]) -> None:
        """Products were put; an older word than what is known changes nothing."""
        await self._put(tx, records=records, is_anew=False)

    async def hear_availability(self, tx: Transaction, *, words: Sequence[cards.Word]) -> None:
        """Variants can be had or not, perhaps of products that are not known yet."""
        held = await cards.hold(tx, product_ids={word[0] for word in words})
        await cards.hear(tx, words=words)
        await self._place(tx, before=held, after=held)

    async def hear_placed(self, tx: Transaction, *, orders: Sequence[tuple[str, datetime, Mapping[str, int]]]) -> None:
        """Orders were placed: id, moment, and pieces by product."""
        first_day = rules.first_day(now=self._clock.now())
        counting = [
            sales.Sold(order_id=order_id, day=day, pieces=dict(pieces))
            for order_id, at, pieces in orders
            if (day := rules.day_of(at)) >= first_day
        ]
        pieces: Counter[sales.Day] = Counter()
        for order in await sales.add_orders(tx, orders=counting):
            pieces.update({(product_id, order.day): number for product_id, number in order.pieces.items()})
        held = await cards.hold(tx, product_ids={product_id for product_id, _ in pieces})
        await sales.add(tx, pieces=pieces)
        await self._sold(tx, held=held, pieces=_by_product(pieces))

    async def hear_cancelled(self, tx: Transaction, *, orders: Sequence[tuple[str, datetime]]) -> None:
        """Orders were cancelled (id, moment), perhaps ones that are not known yet."""
        pieces: Counter[sales.Day] = Counter()
        days = {order_id: rules.day_of(at) for order_id, at in orders}
        for day, of_order in await sales.cancel_orders(tx, days=days):
            pieces.update({(product_id, day): number for product_id, number in of_order.items()})
        held = await cards.hold(tx, product_ids={product_id for product_id, _ in pieces})
        taken = await sales.take_back(tx, pieces=pieces)
        await self._sold(tx, held=held, pieces=_by_product({each: -pieces[each] for each in taken}))

    async def _put(self, tx: Transaction, *, records: Sequence[ProductRecord], is_anew: bool) -> None:
        newest = rules.newest(records)
        held = await cards.hold(tx, product_ids=newest)
        put = {
            product_id: record
            for product_id, record in newest.items()
            if record.version > held[product_id].version or (is_anew and record.version == held[product_id].version)
        }
        await cards.hear(tx, words=_words(records))
        await cards.put_facts(
            tx,
            facts=[_facts(record) for record in put.values()],
            on_sale=[(record.id, variant.sku) for record in put.values() for variant in record.draft.variants],
        )
        after = held | {product_id: _put_on(held[product_id], record) for product_id, record in put.items()}
        await self._count(tx, before=held, after=after, records=put, names_all=is_anew)
        await self._place(tx, before=held, after=after)

    async def _count(
        self,
        tx: Transaction,
        *,
        before: Mapping[str, Card],
        after: Mapping[str, Card],
        records: Mapping[str, ProductRecord],
        names_all: bool,
    ) -> None:
        """Count products into their categories and out of those that they left; rows are held from their naming on."""
        changes: Counter[str] = Counter()
        for product_id, card in after.items():
            changes.update(_counted_in(card))
            changes.subtract(_counted_in(before[product_id]))
        moved = {path: change for path, change in changes.items() if change}
        named = {path: names for record in records.values() for path, names in rules.top_names(record.draft).items()}
        paths = {*moved, *(named if names_all else ())}
        names = {path: (rules.depth_of(path), msgspec.json.encode(named.get(path, {})).decode()) for path in paths}
        await front.name_categories(tx, slot=FRONT, names=names)
        await front.add_to_counts(tx, slot=FRONT, changes=moved)

    async def _sold(self, tx: Transaction, *, held: Mapping[str, Card], pieces: Mapping[str, int]) -> None:
        """So many more (or fewer) pieces of products were sold."""
        after = {
            product_id: msgspec.structs.replace(card, sold=card.sold + pieces.get(product_id, 0))
            for product_id, card in held.items()
        }
        await self._place(tx, before=held, after=after)

    async def _place(self, tx: Transaction, *, before: Mapping[str, Card], after: Mapping[str, Card]) -> None:
        """Put products where they now belong, by their cards as they are to be and what is known of their variants."""
        if not after:
            return
        available = await cards.available(tx, product_ids=after)
        standing = [msgspec.structs.replace(card, is_available=card.product_id in available) for card in after.values()]
        await cards.put_standing(tx, cards=standing)
        possible = {
            (card.product_id, shelf)
            for card in (*before.values(), *after.values())
            for shelf in rules.shelves(card.category)
        }
        stood = await front.scores(tx, slot=FRONT, places=possible)
        stands = {(card.product_id, shelf): score for card in standing for shelf, score in _places(card).items()}
        await front.drop_places(tx, slot=FRONT, places=stood.keys() - stands.keys())
        moved = {place: score for place, score in stands.items() if stood.get(place) != score}
        await front.put_places(tx, slot=FRONT, scores=moved)


def _facts(record: ProductRecord) -> cards.Facts:
    draft = record.draft
    photo = rules.photo_of(draft)
    return cards.Facts(
        product_id=record.id,
        version=record.version,
        is_active=draft.status == "active",
        category=rules.category_of(draft),
        made_at=to_micros(record.created_at),
        picture=None if photo is None else msgspec.json.encode(photo).decode(),
        face=msgspec.json.encode(rules.face_of(draft)).decode(),
    )


def _put_on(card: Card, record: ProductRecord) -> Card:
    """A card after its product was put."""
    facts = _facts(record)
    return msgspec.structs.replace(
        card,
        version=facts.version,
        is_active=facts.is_active,
        category=facts.category,
        made_at=facts.made_at,
        has_picture=facts.picture is not None,
    )


def _words(records: Iterable[ProductRecord]) -> list[cards.Word]:
    """What records say of the availability of their variants; of each variant something."""
    return [
        (record.id, variant.sku, word.is_available, word.version)
        if (word := record.availability.get(variant.sku)) is not None
        else (record.id, variant.sku, False, 0)
        for record in records
        for variant in record.draft.variants
    ]


def _counted_in(card: Card) -> Collection[str]:
    return rules.counted_in(is_active=card.is_active, category=card.category)


def _places(card: Card) -> dict[str, int]:
    return rules.places(
        is_active=card.is_active,
        is_available=card.is_available,
        has_picture=card.has_picture,
        category=card.category,
        made_at=card.made_at,
        sold=card.sold,
    )


def _by_product(pieces: Mapping[sales.Day, int]) -> Counter[str]:
    total: Counter[str] = Counter()
    for (product_id, _), number in pieces.items():
        total[product_id] += number
    return total


def _photo(packed: str | None) -> rules.Photo | None:
    return None if packed is None else _PHOTO.decode(packed)
