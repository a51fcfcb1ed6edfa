"""What search does when it is asked, and when it hears of products."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import msgspec
import structlog

from hansa.kernel.channel import MAIN, Channel
from hansa.kernel.clock import Clock
from hansa.kernel.errors import BusinessError, Fault
from hansa.kernel.ids import slot_of
from hansa.kernel.page import LARGEST_PAGE
from hansa.platform.database.port import Database, Transaction
from hansa.platform.jobs.soon import Soon
from hansa.services.products.contract import ProductDraft, ProductRecord, Products
from hansa.services.search import store
from hansa.services.search.contract import Building, Item, Results, Sort, Suggestion
from hansa.services.search.rules import documents, words
from hansa.services.search.rules.ordering import Choice
from hansa.services.search.service.counting import Traits
from hansa.services.search.service.finding import Finding, Request
from hansa.services.search.service.keeping import Keeping
from hansa.services.search.service.suggesting import Suggesting
from hansa.services.search.store import Available, Document

GATHER_S = 0.2
"""Edits of this time are made visible together: committing takes longer than putting."""
GATHER_MANY_S = 0.6
"""The same while many come, as during an import; an edit among them is still found within a second."""
MANY = 100
"""Products in one go that are many."""
MOST_ITEMS = 25_000
"""Items remembered as they are shown (about 700 bytes each)."""
DUE_AT_ONCE = 500

log = structlog.get_logger()
_DRAFTS = msgspec.json.Decoder(ProductDraft)
_SHOWN = msgspec.json.Decoder(documents.Shown)
View = tuple[str, str, str]
"""As what items are shown: locale, currency, price list."""


class SearchService:
    """See the contract. `hear` and `hear_availability` are for consumers, `catching_up` for who heard of something;
    `told` is called when what is found, or how it looks, may be another from now on."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        products: Products,
        channel: Channel,
        folder: Path,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._told = told
        self._database = database
        self._clock = clock
        self._products = products
        self._default_locale = channel.locales[0]
        self._items: dict[View, dict[int, Item]] = {}
        self._traits = Traits()
        self._changes = 0
        self._finding: tuple[object, Finding, Suggesting] | None = None
        self._dictionary_uses = 0
        self.keeping = Keeping(
            database=database,
            clock=clock,
            folder=folder,
            currencies=channel.currencies,
            price_list=channel.price_list,
            on_change=self._forget,
        )
        self._gathered_at = -GATHER_S
        self._caught_up = 0
        self.rebuilding: asyncio.Task[None] | None = None
        self._key = ""
        self._done, self._total, self._failure = 0, 0, ""
        self.catching_up = Soon(self._catch_up_soon, name="search.catch_up")
        self.restoring = Soon(self._restore, name="search.restore")

    # Asked

    async def search(
        self,
        *,
        q: str,
        locale: str,
        currency: str,
        price_list: str = MAIN,
        category: str | None = None,
        brands: tuple[str, ...] = (),
        attributes: dict[str, tuple[str, ...]] | None = None,
        price_min: int | None = None,
        price_max: int | None = None,
        in_stock: bool = False,
        sort: Sort = "relevance",
        limit: int = 20,
        cursor: str | None = None,
    ) -> Results:
        request = Request(
            q=q,
            locale=locale,
            languages=self._languages(locale),
            currency=currency,
            choice=Choice(
                category=category,
                brands=brands,
                attributes=attributes or {},
                price_min=price_min,
                price_max=price_max,
                in_stock=in_stock,
            ),
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        finding, _ = await self.ready()
        try:
            found = finding.find(request)
        except BaseException as error:  # a panic of tantivy is no Exception
            await self._judge(error)
            raise
        items = await self._shown(found.ids, locale=locale, currency=currency, price_list=price_list)
        return Results(
            items=items,
            total=found.total,
            facets=found.facets,
            corrected=found.corrected,
            next_cursor=found.next_cursor,
        )

    async def suggest(self, *, q: str, locale: str, currency: str, limit: int = 8) -> tuple[Suggestion, ...]:
        _, suggesting = await self.ready()
        try:
            suggestions, ids = suggesting.suggest(q, languages=self._languages(locale), limit=limit)
        except BaseException as error:  # a panic of tantivy is no Exception
            await self._judge(error)
            raise
        items = await self._shown(ids, locale=locale, currency=currency, price_list=MAIN)
        products = (Suggestion(kind="product", text=item.name, target=item.slug) for item in items)
        return (*suggestions, *products)

    async def rebuild(self, *, key: str) -> None:
        if key == self._key or (self.rebuilding is not None and not self.rebuilding.done()):
            return
        self._key = key
        self._done, self._total, self._failure = 0, 0, ""
        self.rebuilding = asyncio.get_running_loop().create_task(self._rebuild(), name="search.rebuild")

    async def building(self) -> Building:
        index = await self.keeping.opened()
        is_running = self.rebuilding is not None and not self.rebuilding.done()
        return Building(
            is_running=is_running,
            done=self._done,
            total=self._total,
            products=index.products,
            as_of=index.as_of if index.is_complete else None,
            failure=self._failure or None,
        )

    # Heard

    async def hear(self, tx: Transaction, *, records: Sequence[ProductRecord], is_truth: bool = False) -> None:
        """Keep products as they were said to be; older words than those known are passed over."""
        now = self._clock.now()
        await store.put(tx, [self._document(record, now=now) for record in records], is_truth=is_truth)
        said = [
            Available(product_id=record.id, sku=sku, version=word.version, is_available=word.is_available)
            for record in records
            for sku, word in record.availability.items()
        ]
        if said:
            await store.put_available(tx, said, at=now)

    async def hear_availability(self, tx: Transaction, *, words: Sequence[tuple[str, str, int, bool]]) -> None:
        """Keep what was said of variants: product, sku, version of that, whether it can be had. In any order, also
        before the product."""
        said = [
            Available(product_id=product_id, sku=sku, version=version, is_available=flag)
            for product_id, sku, version, flag in words
        ]
        await store.put_available(tx, said, at=self._clock.now())

    # Done by itself

    async def catch_up(self) -> None:
        """Bring the index up to what was heard, and to prices that have begun or ended."""
        await self._reprice()
        self._caught_up = await self.keeping.catch_up()

    async def compact(self) -> None:
        """Build the index anew from the tables when it lies in many pieces."""
        if self.keeping.wants_compaction():
            await self.keeping.build(lambda done, total: None)

    async def let_go(self) -> None:
        """Free the Chinese dictionary if it was not used since the last time."""
        uses = words.dictionary_uses()
        if uses and uses == self._dictionary_uses:
            words.let_go_of_dictionary()
            uses = 0
        self._dictionary_uses = uses

    async def close(self) -> None:
        """Let go of the index; what was not put is put after the next start."""
        await self.catching_up.close()
        await self.restoring.close()
        if self.rebuilding is not None:
            self.rebuilding.cancel()
            await asyncio.gather(self.rebuilding, return_exceptions=True)
        await self.keeping.close()

    async def _catch_up_soon(self) -> None:
        gather_s = GATHER_MANY_S if self._caught_up >= MANY else GATHER_S
        waits_s = self._gathered_at + gather_s - self._clock.monotonic()
        if waits_s > 0:
            await self._clock.sleep(waits_s)
        self._gathered_at = self._clock.monotonic()
        await self.catch_up()

    async def _rebuild(self) -> None:
        """The truth into the tables, then the tables into a new index."""
        try:
            cursor = None
            heard = 0
            while True:
                page = await self._products.records(limit=LARGEST_PAGE, cursor=cursor)
                if page.items:
                    async with self._database.write(*{slot_of(record.id) for record in page.items}) as tx:
                        await self.hear(tx, records=page.items, is_truth=True)
                heard += len(page.items)
                self._total = max(self._total, heard)
                if (cursor := page.next_cursor) is None:
                    break
            await self.keeping.build(self._progress)
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
            log.exception("the search index was not rebuilt")

    def _progress(self, done: int, total: int) -> None:
        self._done, self._total = done, total

    async def _restore(self) -> None:
        await self.keeping.restore()
        await self.keeping.catch_up()

    async def _reprice(self) -> None:
        now = self._clock.now()
        while found := await store.due(self._database, at=now, limit=DUE_AT_ONCE):
            changes = [
                (document, documents.next_price_change(_DRAFTS.decode(document.record), now=now)) for document in found
            ]
            async with self._database.write(*{slot_of(document.product_id) for document in found}) as tx:
                await store.set_due(tx, changes, at=now)

    # Shown

    async def _shown(self, ids: Sequence[int], *, locale: str, currency: str, price_list: str) -> tuple[Item, ...]:
        """Items in the order of their ids; what has gone from the tables meanwhile is left out."""
        view = (locale, currency, price_list)
        known = self._items.get(view, {})
        found = [known.get(product) for product in ids]
        if None in found:
            made = await self._made([product for product, item in zip(ids, found, strict=True) if item is None], view)
            found = [item or made.get(product) for product, item in zip(ids, found, strict=True)]
        return tuple([item for item in found if item is not None])

    async def _made(self, products: Sequence[int], view: View) -> dict[int, Item]:
        changes = self._changes
        async with self._database.read() as reader:
            kept = await store.of_ids(reader, product_ids=[str(product) for product in products])
        made = {int(product_id): self._item(each, view) for product_id, each in kept.items()}
        if changes == self._changes:  # else the products may have changed while they were read
            if sum(map(len, self._items.values())) + len(made) > MOST_ITEMS:
                self._items.clear()
            self._items.setdefault(view, {}).update(made)
        return made

    def _item(self, kept: store.Kept, view: View) -> Item:
        locale, currency, price_list = view
        return documents.item(
            product_id=kept.document.product_id,
            draft=_SHOWN.decode(kept.document.record),
            available=kept.available,
            locale=locale,
            default_locale=self._default_locale,
            currency=currency,
            price_list=price_list,
            now=self._clock.now(),
        )

    def _forget(self, product_ids: Iterable[str]) -> None:
        """Products may look different from now on; of none in particular, all may."""
        self._changes += 1
        gone = [int(product_id) for product_id in product_ids]
        self._traits.forget(gone)
        for known in self._items.values():
            for product in gone:
                known.pop(product, None)
        if not gone:
            self._items.clear()
        self._told()

    async def ready(self) -> tuple[Finding, Suggesting]:
        index = await self.keeping.opened()
        known = self._finding
        spelling = self.keeping.spelling
        if known is None or known[0] != (index, index.generation, spelling):
            finding = Finding(index, spelling, self._traits)
            known = ((index, index.generation, spelling), finding, Suggesting(index, spelling))
            self._finding = known
        return known[1], known[2]

    async def _judge(self, error: BaseException) -> None:
        """Where files were damaged under a running process they are made anew, and whoever asked asks again."""
        index = self.keeping.index
        if isinstance(error, BusinessError | asyncio.CancelledError) or index is None or index.is_sound():
            return
        log.error("searching failed", error=f"{type(error).__name__}: {error}")
        await self.restoring.kick()
        raise Fault("the search index is being built anew") from error

    def _document(self, record: ProductRecord, *, now: datetime) -> Document:
        return Document(
            product_id=record.id,
            version=record.version,
            is_active=record.draft.status == "active",
            record=msgspec.json.encode(record.draft).decode(),
            changed_at=now,
            due_at=documents.next_price_change(record.draft, now=now),
        )

    def _languages(self, locale: str) -> tuple[str, ...]:
        return cast(tuple[str, ...], (locale, locale.partition("-")[0], self._default_locale))
