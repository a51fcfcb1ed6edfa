"""The catalogue: what everybody may see of it, and what staff and imports change in it."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from hansa.kernel.channel import MAIN, Channel
from hansa.kernel.clock import Clock, from_micros, to_micros
from hansa.kernel.ids import LARGEST, SLOTS, Ids, is_id, slot_of, slot_of_value
from hansa.kernel.page import LARGEST_PAGE, Page, read_cursor, write_cursor
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.existing import Existing
from hansa.platform.database.idempotency import claim, decode, digest, keep
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.files.pictures import Pictures
from hansa.platform.files.port import NotAPicture, TooLarge
from hansa.platform.files.preparing import LARGEST_BYTES, MOST_PIXELS, Prepared
from hansa.platform.security import audit
from hansa.services.products import rules
from hansa.services.products.contract import (
    MOST_LISTED,
    Category,
    DraftInvalid,
    Listed,
    NoSuchCategory,
    NoSuchProduct,
    Offer,
    Picture,
    PictureInvalid,
    PictureTooLarge,
    Product,
    ProductChanged,
    ProductDraft,
    ProductPatch,
    ProductRecord,
    ProductSummary,
    PutReport,
    SkuTaken,
    SlugTaken,
    Sorting,
)
from hansa.services.products.events import VariantAvailabilityChanged
from hansa.services.products.service import putting
from hansa.services.products.service.finding import Finding, View
from hansa.services.products.service.listing import Listing
from hansa.services.products.service.offering import Offering, Terms
from hansa.services.products.service.showing import shown_categories, shown_product
from hansa.services.products.store import availability, records, showing, writing
from hansa.services.products.store.records import KeptProduct

_CURSOR = "products"
_RECORDS_CURSOR = "product-records"
_LISTED_CURSOR = "products-listed"
_Slot = Annotated[int, msgspec.Meta(ge=0, lt=SLOTS)]
_Position = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]


class ProductsService:
    """See the contract. `default_locale` is the language shown where the one asked for is missing; what the `channel`
    shows is kept in the cache, if there is one, and an id that is not `existing` is asked of nobody."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ids: Ids,
        pictures: Pictures,
        default_locale: str = "en",
        cache: Cache | None = None,
        channel: Channel | None = None,
        existing: Existing | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._pictures = pictures
        self._default_locale = default_locale
        self._offering = Offering(database=database, clock=clock)
        self._finding = Finding(
            database=database,
            clock=clock,
            default_locale=default_locale,
            cache=cache,
            channel=channel,
            existing=existing,
        )

    async def get(self, *, name: str, locale: str, currency: str, price_list: str = MAIN) -> Product:
        found = await self._finding.find(name, View(locale, currency, price_list))
        if found is None:
            raise NoSuchProduct(product=name)
        return found

    async def list(
        self,
        *,
        locale: str,
        currency: str,
        price_list: str = MAIN,
        category: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[Product]:
        languages = self._languages(locale)
        position = read_cursor(_CURSOR, cursor, _Position)
        async with self._database.read() as reader:
            path = rules.EVERYTHING if category is None else await _path(reader, category)
            rows = await showing.page(
                reader, path=path, before=position[0] if position else LARGEST, limit=limit + 1, languages=languages
            )
            page = rows[:limit]
            variants = await showing.variants(
                reader, products=page, currency=currency, price_list=price_list, now=self._now()
            )
        return Page(
            items=tuple(
                shown_product(row, variants[row["product_id"]], languages=languages, currency=currency) for row in page
            ),
            next_cursor=write_cursor(_CURSOR, page[-1]["product_id"]) if len(rows) > limit else None,
        )

    async def categories(self, *, locale: str) -> tuple[Category, ...]:
        rows = await showing.categories(self._database)
        return shown_categories(rows, languages=self._languages(locale))

    async def offers(
        self, *, skus: tuple[str, ...], locale: str, currency: str, price_list: str = MAIN
    ) -> tuple[Offer, ...]:
        return await self._offering.offers(skus=skus, terms=Terms(self._languages(locale), currency, price_list))

    async def look_over_ids(self) -> None:
        """See `Finding`."""
        await self._finding.look_over_ids()

    async def close(self) -> None:
        """Break off look-ups under way."""
        await self._offering.close()

    async def record(self, *, product_id: str) -> ProductRecord:
        if not is_id(product_id):
            raise NoSuchProduct(product=product_id)
        async with self._database.read(slot_of(product_id)) as reader:
            found = await self._record(reader, product_id)
        if found is None:
            raise NoSuchProduct(product=product_id)
        return found

    async def records(self, *, limit: int = LARGEST_PAGE, cursor: str | None = None) -> Page[ProductRecord]:
        position = read_cursor(_RECORDS_CURSOR, cursor, _Slot, _Position)
        slot, product_id = position if position else (-1, 0)
        async with self._database.read() as reader:
            found = await records.page(reader, after=(slot, product_id), limit=limit + 1)
            shown = found[:limit]
            kept = await records.whole(reader, product_ids=shown, now=self._now())
        return Page(
            items=tuple(putting.record_of(kept[product_id]) for product_id in shown),
            next_cursor=write_cursor(_RECORDS_CURSOR, slot_of(shown[-1]), int(shown[-1]))
            if len(found) > limit
            else None,
        )

    async def list_for_staff(
        self,
        *,
        locale: str,
        currency: str,
        q: str | None = None,
        status: Literal["active", "archived"] | None = None,
        category: str | None = None,
        order: Sorting = "newest",
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[ProductSummary]:
        async with self._database.read() as reader:
            return await Listing(
                reader=reader, languages=self._languages(locale), currency=currency, now=self._now()
            ).page(
                q=q or "",
                status=status or "",
                category="" if category is None else await _path(reader, category),
                order=order,
                limit=limit,
                cursor=cursor,
            )

    async def create(self, *, key: str, draft: ProductDraft, actor: str) -> ProductRecord:
        hash_of_draft = _sound(draft)
        request = digest("create", hash_of_draft, actor)
        slot = slot_of_value(draft.slug)
        product_id = self._ids.new(slot=slot)
        async with self._database.write(slot, slot_of_value(key), *_slots(draft)) as tx:
            kept = await claim(tx, slot=slot_of_value(key), key=key, request=request, now=self._clock.now())
            if kept is not None:
                return decode(kept, ProductRecord)
            if not await writing.claim_slugs(tx, ids={draft.slug: product_id}):
                raise SlugTaken(slug=draft.slug)
            await self._put_one(tx, product_id=product_id, draft=draft, before=None)
            await self._note(tx, product_id=product_id, actor=actor, action="create", detail={"slug": draft.slug})
            return await self._kept_answer(tx, key=key, product_id=product_id)

    async def change(
        self, *, key: str, product_id: str, patch: ProductPatch, version: int | None, actor: str
    ) -> ProductRecord:
        if not is_id(product_id):
            raise NoSuchProduct(product=product_id)
        request = _sound_request("change", product_id, patch, version, actor)
        async with self._database.write(slot_of(product_id), slot_of_value(key)) as tx:
            kept = await claim(tx, slot=slot_of_value(key), key=key, request=request, now=self._clock.now())
            if kept is not None:
                return decode(kept, ProductRecord)
            current = await writing.lock_product(tx, product_id=product_id)
            if current is None:
                raise NoSuchProduct(product=product_id)
            if version is not None and version != current:
                raise ProductChanged(version=current)
            before = (await records.whole(tx, product_ids=[product_id], now=self._now()))[product_id]
            at = rules.moment_of_change(now=self._clock.now(), updated_at=before.updated_at)
            draft = rules.patched(putting.stated(before, at=at), patch)
            _sound(draft)
            if await self._put_one(tx, product_id=product_id, draft=draft, before=before):
                detail = {"version": current + 1, "patch": msgspec.to_builtins(patch)}
                await self._note(tx, product_id=product_id, actor=actor, action="change", detail=detail)
            return await self._kept_answer(tx, key=key, product_id=product_id)

    async def listed(self, *, limit: int = MOST_LISTED, cursor: str | None = None) -> Page[Listed]:
        position = read_cursor(_LISTED_CURSOR, cursor, _Slot, _Position)
        slot, product_id = position if position else (-1, 0)
        rows = await self._database.all(records.LISTED, slot=slot, product_id=product_id, limit=limit + 1)
        shown = rows[:limit]
        return Page(
            items=tuple(Listed(slug=row["slug"], updated_at=from_micros(row["updated_at"])) for row in shown),
            next_cursor=write_cursor(_LISTED_CURSOR, shown[-1]["slot"], shown[-1]["product_id"])
            if len(rows) > limit
            else None,
        )

    async def put_many(self, *, key: str, drafts: tuple[ProductDraft, ...], actor: str) -> PutReport:
        batch = await putting.examined(self._database, drafts)
        request = digest("put_many", [(draft.slug, batch.digests.get(draft.slug)) for draft in drafts], actor)
        slot = slot_of_value(key)
        async with self._database.write(slot, *batch.slots) as tx:
            kept = await claim(tx, slot=slot, key=key, request=request, now=self._clock.now())
            if kept is not None:
                return decode(kept, PutReport)
            report = await putting.put(tx, batch, ids=self._ids, now=self._clock.now())
            if report.created or report.changed:
                await audit.record(
                    tx,
                    slot=slot,
                    audit_id=self._ids.new(slot=slot),
                    at=self._clock.now(),
                    actor=actor,
                    action="products.put_many",
                    target="products",
                    detail={"created": report.created, "changed": report.changed},
                )
            await keep(tx, slot=slot, key=key, answer=report)
        return report

    async def put_picture(self, *, key: str, data: bytes, actor: str) -> Picture:
        prepared = await self._prepared(data)  # before the transaction: it takes its time, and repeating it is harmless
        slot = slot_of_value(key)
        picture = Picture(url=prepared.url, width=prepared.width, height=prepared.height)
        request = digest("put_picture", hashlib.blake2b(data, digest_size=16).hexdigest(), actor)
        async with self._database.write(slot) as tx:
            kept = await claim(tx, slot=slot, key=key, request=request, now=self._clock.now())
            if kept is not None:
                return decode(kept, Picture)
            await audit.record(
                tx,
                slot=slot,
                audit_id=self._ids.new(slot=slot),
                at=self._clock.now(),
                actor=actor,
                action="products.put_picture",
                target=picture.url,
                detail={"bytes": len(data)},
            )
            await keep(tx, slot=slot, key=key, answer=picture)
        return picture

    async def _prepared(self, data: bytes) -> Prepared:
        try:
            return await self._pictures.put(data=data)
        except NotAPicture as error:
            raise PictureInvalid(reason=error.reason) from error
        except TooLarge as error:
            raise PictureTooLarge(largest_bytes=LARGEST_BYTES, most_pixels=MOST_PIXELS) from error

    async def hear_availability(self, tx: Transaction, *, words: Sequence[tuple[str, str, bool, int]]) -> None:
        """Take in what was said of skus at locations (sku, location, whether it can be had there, version of that).

        It may come in any order, and before the product; a variant is available if any location is. The row of each
        sku is held meanwhile, so that locations heard at once, or a product being made, know of each other.
        """
        owners = await writing.lock_skus(tx, skus=[word[0] for word in words])
        await availability.hear(tx, words=words)
        found = await availability.available(tx, skus=owners)
        flips = await availability.show(tx, variants=[(owners[sku], sku, flag) for sku, flag in found.items()])
        for flip in flips:
            tx.emit(
                VariantAvailabilityChanged(product_id=flip.product_id, sku=flip.sku, is_available=flip.is_available),
                slot=slot_of(flip.product_id),
                aggregate=flip.sku,
                version=flip.version,
            )

    async def _put_one(
        self, tx: Transaction, *, product_id: str, draft: ProductDraft, before: KeptProduct | None
    ) -> bool:
        """Write one product whose slug or row is held; False if the draft says nothing new. Raises SkuTaken."""
        owners = await writing.lock_skus(tx, skus=[variant.sku for variant in draft.variants])
        if refused := rules.admit([(product_id, draft)], owners=owners):
            raise SkuTaken(sku=refused[product_id])
        change = putting.change_of(product_id=product_id, draft=draft, before=before, now=self._clock.now())
        if change is None:
            return False
        await putting.write(tx, [change], owners=owners)
        return True

    async def _kept_answer(self, tx: Transaction, *, key: str, product_id: str) -> ProductRecord:
        """Keep the product as it now is as the answer to a command."""
        answer = await self._record(tx, product_id)
        assert answer is not None, "it was just written"
        await keep(tx, slot=slot_of_value(key), key=key, answer=answer)
        return answer

    async def _record(self, reader: Reader, product_id: str) -> ProductRecord | None:
        found = (await records.whole(reader, product_ids=[product_id], now=self._now())).get(product_id)
        return None if found is None else putting.record_of(found)

    async def _note(
        self, tx: Transaction, *, product_id: str, actor: str, action: str, detail: dict[str, object]
    ) -> None:
        slot = slot_of(product_id)
        await audit.record(
            tx,
            slot=slot,
            audit_id=self._ids.new(slot=slot),
            at=self._clock.now(),
            actor=actor,
            action=f"products.{action}",
            target=product_id,
            detail=detail,
        )

    def _languages(self, locale: str) -> rules.Languages:
        return rules.languages(locale=locale, default=self._default_locale)

    def _now(self) -> int:
        return to_micros(self._clock.now())


async def _path(reader: Reader, category: str) -> str:
    path = await showing.category_path(reader, name=category) if rules.is_askable(category) else None
    if path is None:
        raise NoSuchCategory(category=category)
    return path


def _sound(draft: ProductDraft) -> str:
    """The digest of a sound draft; raises DraftInvalid for another one."""
    if (reason := rules.flaw(draft)) is not None:
        raise DraftInvalid(reason=reason)
    found = rules.digest(draft)
    assert found is not None, "what is sound can be written down"
    return found


def _sound_request(*request: object) -> str:
    """The digest of a request; raises DraftInvalid for one that cannot be written down."""
    try:
        return digest(*request)
    except (ValueError, TypeError, OverflowError) as error:
        raise DraftInvalid(reason=str(error)) from error


def _slots(draft: ProductDraft) -> list[int]:
    return [slot_of_value(variant.sku) for variant in draft.variants]
