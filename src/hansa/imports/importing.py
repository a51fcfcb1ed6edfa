"""Streams the products of a file into the catalogue and their stock into the inventory, in batches."""

import asyncio
import hashlib
import itertools
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from tqdm import tqdm

from hansa.imports.csv_rows import read_csv
from hansa.imports.icecat import read_icecat
from hansa.imports.json_lines import read_json_lines
from hansa.imports.lines import GZIP, Line, Source
from hansa.imports.report import Report
from hansa.imports.rows import Refusal, Row, Unique
from hansa.kernel.channel import MAIN
from hansa.kernel.clock import Clock, SystemClock
from hansa.kernel.errors import Fault, StorageFull
from hansa.services.inventory.contract import LARGEST_SET as LARGEST_STOCK_SET
from hansa.services.inventory.contract import Inventory, NoSuchStock
from hansa.services.products.contract import Products, PutReport

T = TypeVar("T")
Format = Literal["auto", "icecat"]

BATCH = 200
BATCH_BYTES = 4 << 20
BATCH_REFUSALS = 1_000
"""A batch ends with the first of these that it reaches. One is sent while the next is read: no more are in memory."""
ATTEMPTS = 4
PAUSE_S = 0.5
SAMPLES = 20
ACTOR = "import"
DEFAULT_STOCK = 100

_READERS: dict[str, Callable[[Iterator[Line]], Iterator[Row | Refusal]]] = {
    ".csv": read_csv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
}


class Gently(msgspec.Struct, frozen=True, kw_only=True):
    """How an import goes about it where it shares a process with a shop that serves, and where strangers' files are
    taken: pauses between smaller batches, and bounds (None: none) of bytes read, of variants taken (each is remembered)
    and of lines in the report."""

    batch: int = BATCH
    pause_s: float = 0.0
    most_bytes: int | None = None
    most_variants: int | None = None
    most_reported: int | None = None


class NotImportable(Exception):
    """The file is none that can be imported; the text says why, for people."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is: bytes read (packed, if the file is gzipped), and what came of them."""

    done: int
    total: int
    summary: "Summary"


class Summary(msgspec.Struct, kw_only=True):
    """What an import came to. Each row is created, changed, unchanged or refused."""

    rows: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    """Of rows. A product whose pieces were refused is in the catalogue, and in the report too."""
    without_category: int = 0
    stock_set: int = 0
    """Skus whose pieces were set."""
    stock_refused: int = 0
    seconds: float = 0.0
    first_refusals: list[Refusal] = []
    """The first of the report's lines."""

    @property
    def text(self) -> str:
        """The summary in words."""
        counts = {
            "created": self.created,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "refused": self.refused,
            "without a category": self.without_category,
        }
        said = ", ".join(f"{count:,} {word}" for word, count in counts.items())
        stock = f"stock set for {self.stock_set:,} skus" + (
            f", refused for {self.stock_refused:,}" if self.stock_refused else ""
        )
        return f"{self.rows:,} rows in {self.seconds:.1f} s: {said}; {stock}."


async def import_products(
    *,
    file: Path,
    products: Products,
    inventory: Inventory,
    format: Format = "auto",
    stock: int = DEFAULT_STOCK,
    report: Path | None = None,
    show_progress: bool | None = None,
    progress: Callable[[Progress], None] | None = None,
    gently: Gently | None = None,
    actor: str = ACTOR,
    clock: Clock | None = None,
) -> Summary:
    """Put the products of a file into the catalogue: what is good goes in, what is not goes into the report.

    May be broken off and started again at any time: only whole batches go in, and a product that is in the catalogue
    as the file says is not touched. A file sets the pieces of a sku once (see Inventory.set_many): again it does not
    undo sales, with other contents it is a new count. `stock` is for Icecat, which names none: the pieces of skus that
    the inventory does not know yet. `show_progress` None shows a bar if stderr is a terminal; `progress`
    is told after each batch.

    Raises NotImportable, and Fault if a service gave no answer after several attempts.
    """
    reader = _reader(file, format)
    manner = gently or Gently()
    with (
        closing(_opened(file, manner.most_bytes)) as source,
        closing(_report(report, file, manner.most_reported)) as refusals,
    ):
        act = _Import(
            products=products,
            inventory=inventory,
            report=refusals,
            file_digest=await asyncio.to_thread(_digest_of, file),
            new_stock=stock if format == "icecat" else None,
            pause_s=manner.pause_s,
            actor=actor,
            clock=clock or SystemClock(),
        )
        with tqdm(
            total=source.size,
            unit="B",
            unit_scale=True,
            desc=file.name,
            file=sys.stderr,
            disable=None if show_progress is None else not show_progress,
        ) as bar:
            position = 0

            def tell(batch: _Batch, summary: Summary) -> None:
                nonlocal position
                bar.update(batch.position - position)
                position = batch.position
                if progress is not None:
                    progress(Progress(done=position, total=source.size, summary=summary))

            items = Unique().only(_first(reader(source.lines()), manner.most_variants))
            return await act.run(_batches(items, source, manner.batch), tell)


def _opened(file: Path, most_bytes: int | None) -> Source:
    try:
        return Source(file, most_bytes=most_bytes)
    except OSError as error:
        raise NotImportable(f"{file} cannot be read: {error.strerror}") from error


def _report(path: Path | None, file: Path, most_lines: int | None) -> Report:
    if path is not None and path.exists() and path.samefile(file):
        raise NotImportable(f"{path} cannot be both what is imported and the report")
    try:
        return Report(path, most_lines=most_lines)
    except OSError as error:
        raise NotImportable(f"the report {path} cannot be written: {error.strerror}") from error


class _Batch(msgspec.Struct):
    rows: list[Row]
    refusals: list[Refusal]
    position: int


class _Import:
    """One run: its counts, and the keys that make its commands safe to repeat."""

    def __init__(
        self,
        *,
        products: Products,
        inventory: Inventory,
        report: Report,
        file_digest: str,
        new_stock: int | None,
        pause_s: float,
        actor: str,
        clock: Clock,
    ) -> None:
        self._products = products
        self._inventory = inventory
        self._report = report
        self._file_digest = file_digest
        self._new_stock = new_stock
        self._pause_s = pause_s
        self._actor = actor
        self._clock = clock
        self._run = clock.now().isoformat()
        self._summary = Summary()

    async def run(self, batches: Iterator[_Batch], tell: Callable[[_Batch, Summary], None]) -> Summary:
        began = self._clock.monotonic()
        ahead = asyncio.ensure_future(asyncio.to_thread(next, batches, None))
        try:
            while (batch := await asyncio.shield(ahead)) is not None:
                ahead = asyncio.ensure_future(asyncio.to_thread(next, batches, None))
                await _whole(self._send(batch))
                self._summary.seconds = self._clock.monotonic() - began
                tell(batch, self._summary)
                if self._pause_s:
                    await self._clock.sleep(self._pause_s)
        finally:
            # The thread that reads cannot be stopped, and the file must not be closed under it.
            await asyncio.gather(ahead, return_exceptions=True)
        self._summary.seconds = self._clock.monotonic() - began
        return self._summary

    async def _send(self, batch: _Batch) -> None:
        summary = self._summary
        refusals = list(batch.refusals)
        refused_rows = sum(refusal.is_of_row for refusal in batch.refusals)
        summary.rows += len(batch.rows) + refused_rows
        summary.refused += refused_rows
        if batch.rows:
            outcome = await self._put(batch.rows)
            summary.created += len(outcome.created)
            summary.changed += len(outcome.changed)
            summary.unchanged += len(outcome.unchanged)
            summary.refused += len(outcome.refused)
            for row in batch.rows:
                if (code := outcome.refused.get(row.draft.slug)) is not None:
                    refusals.append(Refusal(line=row.line, identifier=row.draft.slug, reason=code))
            taken = [row for row in batch.rows if row.draft.slug not in outcome.refused]
            summary.without_category += sum(not row.draft.category for row in taken)
            refusals += await self._stock(taken, frozenset(outcome.created))
        refusals.sort(key=lambda refusal: refusal.line)
        summary.first_refusals += refusals[: SAMPLES - len(summary.first_refusals)]
        self._report.add(refusals)

    async def _put(self, rows: list[Row]) -> PutReport:
        drafts = tuple(row.draft for row in rows)
        # The run is in the key: what was changed by others since an earlier run is to be brought up to date.
        key = f"import:{self._run}:{_digest(drafts)}"
        return await self._until_answered(lambda: self._products.put_many(key=key, drafts=drafts, actor=self._actor))

    async def _stock(self, rows: list[Row], created: frozenset[str]) -> list[Refusal]:
        """Set the pieces that the file names, and those of unknown skus if it is of a kind that names none."""
        lines = {variant.sku: row.line for row in rows for variant in row.draft.variants}
        if self._new_stock is None:
            named = {sku: pieces for row in rows for sku, pieces in (row.stock or {}).items()}
            refused = await self._set(named)
        else:
            skus = await self._unknown(rows, created)
            refused = await self._set(dict.fromkeys(skus, self._new_stock))
        self._summary.stock_refused += len(refused)
        return [
            Refusal(line=lines[sku], identifier=sku, reason=f"stock: {code}") for sku, code in sorted(refused.items())
        ]

    async def _set(self, on_hand: dict[str, int]) -> dict[str, str]:
        # Nothing but the file is in the key: it sets each sku once, whatever was sold or refused since.
        key = f"import:{self._file_digest}"
        refused: dict[str, str] = {}
        pieces = iter(on_hand.items())
        while part := dict(itertools.islice(pieces, LARGEST_STOCK_SET)):
            refused |= await self._set_part(part, key=key)
        self._summary.stock_set += len(on_hand) - len(refused)
        return refused

    async def _set_part(self, on_hand: dict[str, int], *, key: str) -> dict[str, str]:
        return await self._until_answered(
            lambda: self._inventory.set_many(key=key, on_hand=on_hand, actor=self._actor, location=MAIN)
        )

    async def _unknown(self, rows: list[Row], created: frozenset[str]) -> list[str]:
        """The skus of rows that the inventory knows nothing of. A run that died may have left known products so."""
        new = [variant.sku for row in rows for variant in row.draft.variants if row.draft.slug in created]
        known = [variant.sku for row in rows for variant in row.draft.variants if row.draft.slug not in created]
        for start in range(0, len(known), LARGEST_STOCK_SET):
            part = tuple(known[start : start + LARGEST_STOCK_SET])
            available = await self._available(part)
            new += [sku for sku in part if not available.get(sku) and not await self._is_stocked(sku)]
        return new

    async def _available(self, skus: tuple[str, ...]) -> dict[str, int]:
        return await self._until_answered(lambda: self._inventory.available(skus=skus, locations=(MAIN,)))

    async def _is_stocked(self, sku: str) -> bool:
        try:
            await self._until_answered(lambda: self._inventory.stock(sku=sku))
        except NoSuchStock:
            return False
        return True

    async def _until_answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer to a call, which is repeated with the same key while nobody knows whether it happened."""
        for attempt in itertools.count(1):
            try:
                return await call()
            except StorageFull:
                raise
            except Fault:
                if attempt == ATTEMPTS:
                    raise
                await self._clock.sleep(PAUSE_S * 2**attempt)
        raise AssertionError("unreachable")


async def _whole(act: Awaitable[None]) -> None:
    """Run an act to its end, also if it is cancelled meanwhile; then it is."""
    task = asyncio.ensure_future(act)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _first(items: Iterator[Row | Refusal], most_variants: int | None) -> Iterator[Row | Refusal]:
    """What a file holds, up to so many variants; then a last refusal says that there was more."""
    variants = 0
    for item in items:
        variants += len(item.draft.variants) if isinstance(item, Row) else 0
        if most_variants is not None and variants > most_variants:
            reason = f"more than {most_variants:,} variants are not taken at once: from here on all is left out"
            yield Refusal(line=item.line, identifier="", reason=reason)
            return
        yield item


def _batches(items: Iterator[Row | Refusal], source: Source, most_rows: int) -> Iterator[_Batch]:
    batch, size = _Batch([], [], 0), 0
    for item in items:
        if isinstance(item, Refusal):
            batch.refusals.append(item)
        else:
            batch.rows.append(item)
            size += item.size
        if len(batch.rows) == most_rows or size >= BATCH_BYTES or len(batch.refusals) == BATCH_REFUSALS:
            batch.position = source.position
            yield batch
            batch, size = _Batch([], [], 0), 0
    batch.position = source.position
    yield batch


def _reader(file: Path, format: Format) -> Callable[[Iterator[Line]], Iterator[Row | Refusal]]:
    if format == "icecat":
        return read_icecat
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes[-1:] == [GZIP]:
        suffixes.pop()
    reader = _READERS.get(suffixes[-1] if suffixes else "")
    if reader is None:
        known = ", ".join(_READERS)
        raise NotImportable(f"{file.name}: the name must end in {known}, with or without {GZIP}")
    return reader


def _digest(value: object) -> str:
    return hashlib.blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=16).hexdigest()


def _digest_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
