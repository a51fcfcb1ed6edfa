"""Keeping the index in step: it catches up with the tables, and is built anew beside the one that answers.

The tables hold what was heard; the index holds what can be found. An index notes up to which moment it has heard, and
catches up from a little before, so that transactions which were long in committing are not missed; what clocks that
were wrong have kept from it, comparing finds (see `comparing`). A whole index is built in a folder of its own and takes
over by one rename.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from hansa.kernel.clock import EPOCH, Clock, to_micros
from hansa.platform.database.port import Database
from hansa.platform.jobs.worker import Worker
from hansa.platform.memory import give_back
from hansa.services.products.contract import ProductDraft
from hansa.services.search import store
from hansa.services.search.rules import documents, facets
from hansa.services.search.rules.documents import Entry
from hansa.services.search.service import index as indexes
from hansa.services.search.service.comparing import Comparing
from hansa.services.search.service.index import BUILDING_HEAP_BYTES, IndexUnusable, ProductIndex
from hansa.services.search.service.spelling import Spelling
from hansa.services.search.store import Kept

OVERLAP = timedelta(seconds=1)
"""How long before the moment it has heard an index looks again: hardly any transaction takes so long."""
LONG_OVERLAP = timedelta(seconds=20)
LONG_OVERLAP_EVERY_S = 10.0
"""Now and then it looks back further: no transaction takes so long, and clocks of processes differ less."""
CHUNK = 200
"""Products read, and put, at once."""
LOOKED_AT_ONCE = 2_000
COMMIT_EVERY = 2_000
"""Products after which a growing index is made visible, when it is the first one."""
COMPACTED_SHARE = 0.2
"""Part of the products that must have been put singly, for the index to be built anew from the tables when it has come
to rest: it lies in fewer pieces then, and searching takes half as long."""
REST_S = 5.0
LEARN_EVERY_S = 1.0
"""How soon after an edit its words can be what a misspelt one was meant to be, once edits have come to rest."""
LEARN_AT_LEAST_EVERY_S = 60.0
"""The same while edits never rest, as during an import."""
LEAST_FOR_COMPACTION = 2_000
"""Products below which pieces do not matter."""
LEAST_FOR_PLAN = 2_000
"""Products below which all attributes can be counted."""
CURRENT_FILE = "current"

log = structlog.get_logger()
_DRAFTS = msgspec.json.Decoder(ProductDraft)
Progress = Callable[[int, int], None]


class Keeping:
    """The index of one process. All that changes it goes through one lock; searching waits for nobody."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        folder: Path,
        currencies: Sequence[str],
        price_list: str,
        on_change: Callable[[Iterable[str]], None],
    ) -> None:
        """`on_change` is told of products that may look different from now on."""
        self._database = database
        self._clock = clock
        self._folder = folder
        self._currencies = tuple(currencies)
        self._price_list = price_list
        self._on_change = on_change
        self._lock = asyncio.Lock()
        # One thread: what was cut short while it wrote is finished before anything else is written, or closed.
        self._worker = Worker(name="search-index")
        self._applied: dict[tuple[str, int], int] = {}
        """Of the time that is looked at again: what was put already, by source and product."""
        self._comparing = Comparing(database=database, clock=clock, worker=self._worker)
        # By the monotonic clock: what is done now and then goes on when the other one is set back.
        self._changed_s = -math.inf
        self._looked_back_s = -math.inf
        self._learned_s = -math.inf
        self._learned_generation = -1
        self.index: ProductIndex | None = None
        self.spelling = Spelling(())

    async def opened(self) -> ProductIndex:
        """The index; opened, or begun anew, when it is first asked for."""
        if self.index is None:
            async with self._lock:
                if self.index is None:
                    await self._take(await self._worker.run(self._open))
        assert self.index is not None
        return self.index

    async def catch_up(self) -> int:
        """Put what has changed since the index last heard; answers how many products that was."""
        await self.opened()
        async with self._lock:
            assert self.index is not None
            if self.index.as_of is None:
                return await self._fill(self.index, _no_progress)
            count = await self._catch_up(self.index, self._applied)
            count += await self._put_missed(self.index)
            await self._learn(self.index)
            return count

    async def build(self, progress: Progress) -> None:
        """A whole index from the tables, which then takes over. What is changed meanwhile is in it."""
        await self.opened()
        async with self._lock:
            old = self.index
            folder = self._folder / f"index-{self._next_number()}"
            await self._worker.run(indexes.remove, folder)
            fresh = await self._worker.run(self._made, folder)
            try:
                applied = dict(self._applied)  # what was heard until now is read from the tables
                await self._fill(fresh, progress, is_seen=False)
                await self._worker.run(fresh.settle)
                await self._catch_up(fresh, applied)
            except BaseException:
                await self._worker.run(fresh.close)
                await self._worker.run(indexes.remove, folder)
                raise
            self._point_to(folder)
            self._applied = applied
            await self._take(fresh)
        if old is not None:
            await self._worker.run(old.close)
            await self._worker.run(indexes.remove, old.folder)
        await self._worker.run(give_back)

    async def restore(self) -> None:
        """Begin anew after the files were found to be broken."""
        async with self._lock:
            broken = self.index
            if broken is None:
                return
            log.error("the search index cannot be read; it is built anew", folder=str(broken.folder))
            folder = self._folder / f"index-{self._next_number()}"
            await self._take(await self._worker.run(self._begun, folder))
        await self._worker.run(indexes.remove, broken.folder)

    def wants_compaction(self) -> bool:
        index = self.index
        return (
            index is not None
            and index.is_complete
            and index.segments > 1
            and index.put_singly >= max(LEAST_FOR_COMPACTION, index.products * COMPACTED_SHARE)
            and self._clock.monotonic() - self._changed_s > REST_S
        )

    async def close(self) -> None:
        async with self._lock:
            if self.index is not None:
                await self._worker.run(self.index.close)
                self.index = None
            self._worker.close()

    # Opening

    def _open(self) -> ProductIndex:
        """What the pointer names, or an empty index; folders that nobody names are left over from a crash."""
        self._folder.mkdir(parents=True, exist_ok=True)
        named = self._current()
        for path in self._folder.glob("index-*"):
            if path.name != named:
                indexes.remove(path)
        folder = self._folder / named
        try:
            return ProductIndex(folder=folder, currencies=self._currencies)
        except IndexUnusable as error:
            log.warning("the search index is built anew", folder=str(folder), reason=str(error))
            indexes.remove(folder)
            return self._begun(folder)

    def _begun(self, folder: Path) -> ProductIndex:
        fresh = ProductIndex(folder=folder, currencies=self._currencies)
        self._point_to(folder)
        return fresh

    def _made(self, folder: Path) -> ProductIndex:
        return ProductIndex(folder=folder, currencies=self._currencies, heap_bytes=BUILDING_HEAP_BYTES)

    def _current(self) -> str:
        path = self._folder / CURRENT_FILE
        name = path.read_text("utf-8", errors="replace").strip() if path.exists() else ""
        return name if name.startswith("index-") and name[6:].isascii() and name[6:].isdigit() else "index-1"

    def _next_number(self) -> int:
        return int(self._current()[6:]) + 1

    def _point_to(self, folder: Path) -> None:
        beside = self._folder / f"{CURRENT_FILE}.new"
        beside.write_text(folder.name, "utf-8")
        beside.replace(self._folder / CURRENT_FILE)

    async def _take(self, index: ProductIndex) -> None:
        await self._learn(index, is_due=True)
        self.index = index
        self._on_change(())

    async def _learn(self, index: ProductIndex, *, is_due: bool = False) -> None:
        """Learn the words that products have, now and then: it takes longer than a commit."""
        now_s = self._clock.monotonic()
        since_s = now_s - self._learned_s
        if is_due or (
            index.generation != self._learned_generation
            and since_s > LEARN_EVERY_S
            and (now_s - self._changed_s > REST_S or since_s > LEARN_AT_LEAST_EVERY_S)
        ):
            self._learned_s, self._learned_generation = now_s, index.generation
            self.spelling = await self._worker.run(lambda: Spelling(index.words()))
            await self._worker.run(give_back)  # tantivy gathers what it writes in 15 MB, and has let go of them

    # Putting

    async def _fill(self, index: ProductIndex, progress: Progress, *, is_seen: bool = True) -> int:
        """Put everything into an empty index. If it is the one that answers, it is seen to grow."""
        began = self._clock.now()
        total = await store.total(self._database)
        if total >= LEAST_FOR_PLAN:
            index.values.plan = await self._plan()
        done, after = 0, None
        while page := await store.page(self._database, after=after, limit=CHUNK):
            after = page[-1]
            await self._put(index, page, are_new=not is_seen)
            done += len(page)
            progress(done, max(total, done))
            if is_seen and done % COMMIT_EVERY == 0:
                await self._commit(index, as_of=EPOCH, is_complete=False)
        await self._commit(index, as_of=began, is_complete=True)
        if is_seen:
            await self._learn(index, is_due=True)
            self._on_change(())
        return done

    async def _plan(self) -> frozenset[str]:
        """Which attributes are worth counting."""
        tally, after = facets.Tally(), None
        while page := await store.page(self._database, after=after, limit=CHUNK):
            after = page[-1]
            async with self._database.read() as reader:
                kept = await store.of_ids(reader, product_ids=page)
            await self._worker.run(_tally, tally, list(kept.values()))
        return frozenset(tally.plan())

    async def _catch_up(self, index: ProductIndex, applied: dict[tuple[str, int], int]) -> int:
        assert index.as_of is not None
        began, began_s = self._clock.now(), self._clock.monotonic()
        if began < index.as_of:  # what was heard meanwhile bears moments that seemed to be past
            self._comparing.hurry()
        is_long = began_s - self._looked_back_s >= LONG_OVERLAP_EVERY_S
        since = to_micros(max(min(index.as_of, began) - (LONG_OVERLAP if is_long else OVERLAP), EPOCH))
        fresh: dict[tuple[str, int], int] = {}
        for source in store.SOURCES:
            moment, after = since, 0
            while found := await store.changed(
                self._database, source=source, since=moment, after=after, limit=LOOKED_AT_ONCE
            ):
                after, moment = found[-1]
                fresh |= {(source, product): at for product, at in found if applied.get((source, product)) != at}
        if fresh and max(fresh.values()) > to_micros(self._clock.now() + LONG_OVERLAP):
            self._comparing.hurry()  # clocks differ by more than is looked back
        ids = [str(product) for product in dict.fromkeys(product for _, product in fresh)]
        if ids:
            await self._put_again(index, ids, as_of=began)
            applied |= fresh
        index.as_of = began
        if is_long:
            self._looked_back_s = began_s
            for key in [key for key, at in applied.items() if at < since]:
                del applied[key]
        return len(ids)

    async def _put_missed(self, index: ProductIndex) -> int:
        """Put what the moments of news have not told, of the products whose turn it is to be compared."""
        assert index.as_of is not None
        ids = await self._comparing.differing(index)
        if ids:
            log.info("products were found changed by comparing", products=len(ids))
            await self._put_again(index, ids, as_of=index.as_of)
        return len(ids)

    async def _put_again(self, index: ProductIndex, product_ids: Sequence[str], *, as_of: datetime) -> None:
        for start in range(0, len(product_ids), CHUNK):
            await self._put(index, product_ids[start : start + CHUNK])
        await self._commit(index, as_of=as_of, is_complete=index.is_complete)
        self._on_change(product_ids)
        self._changed_s = self._clock.monotonic()

    async def _put(self, index: ProductIndex, product_ids: Sequence[str], *, are_new: bool = False) -> None:
        async with self._database.read() as reader:
            kept = await store.of_ids(reader, product_ids=product_ids)
        now = self._clock.now()
        await self._worker.run(self._put_kept, index, list(kept.values()), now, are_new)

    def _put_kept(self, index: ProductIndex, kept: Sequence[Kept], now: datetime, are_new: bool) -> None:
        gone = [int(each.document.product_id) for each in kept if not each.document.is_active]
        index.put(
            (self._entry(each, now=now) for each in kept if each.document.is_active),
            gone=() if are_new else gone,
            are_new=are_new,
        )

    def _entry(self, kept: Kept, *, now: datetime) -> Entry:
        return documents.entry(
            product_id=kept.document.product_id,
            draft=_DRAFTS.decode(kept.document.record),
            available=kept.available,
            # Whoever noted that a price has begun may have a clock that is ahead; nobody will note it again.
            now=max(now, kept.document.changed_at),
            price_list=self._price_list,
            stamp=kept.stamp,
        )

    async def _commit(self, index: ProductIndex, *, as_of: datetime, is_complete: bool) -> None:
        await self._worker.run(lambda: index.commit(as_of=as_of, is_complete=is_complete))


def _tally(tally: facets.Tally, kept: Sequence[Kept]) -> None:
    for each in kept:
        if each.document.is_active:
            draft = _DRAFTS.decode(each.document.record)
            tally.add(documents.leaf_of(draft), documents.choices(draft.attributes))


def _no_progress(done: int, total: int) -> None: ...
