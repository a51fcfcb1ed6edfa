"""Writes products and orders into files, a page at a time; a file is there whole or not at all."""

import asyncio
import csv
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import msgspec

from hansa.imports import order_rows
from hansa.imports.product_rows import in_order, rows_of
from hansa.kernel.channel import MAIN
from hansa.kernel.clock import Clock, SystemClock
from hansa.platform.jobs.transfers import ExportFormat
from hansa.services.inventory.contract import LARGEST_SET, Inventory
from hansa.services.orders.contract import NoSuchOrder, Orders
from hansa.services.products.contract import ProductRecord, Products

PAGE = 50
ORDERS_AT_ONCE = 10
"""Products, or orders, that are asked for before others get their turn."""
WRITTEN_AT_ONCE = 200
_SPOOLED = ".spooled"
_PART = ".part"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export came to, so far: products and their variants, or orders and their lines."""

    kind: str
    things: int
    rows: int
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        return {self.kind: self.things, ("variants" if self.kind == "products" else "lines"): self.rows}

    @property
    def text(self) -> str:
        """In words."""
        said = " with ".join(f"{count:,} {word}" for word, count in self.counts.items())
        return f"{said} in {self.seconds:.1f} s."


Tell = Callable[[Exported], None]


async def export_products(
    *,
    file: Path,
    format: ExportFormat,
    products: Products,
    inventory: Inventory,
    with_stock: bool = True,
    pause_s: float = 0.0,
    progress: Tell | None = None,
    clock: Clock | None = None,
) -> Exported:
    """All products, archived ones too, by slug, as `import_products` reads them.

    They wait in a file beside `file` until all are there: the columns of CSV are not known before, and the catalogue
    keeps them in no order that another shop would have. It may change meanwhile; of a product that does, either state
    is written.
    """
    clock = clock or SystemClock()
    began = clock.monotonic()
    titles: set[str] = set()
    things = rows = 0
    with _Spool.opened(file) as spool:
        cursor: str | None = None
        while True:
            page = await products.records(limit=PAGE, cursor=cursor)
            stock = await _stock(page.items, inventory) if with_stock else {}
            for record in page.items:
                cells = list(rows_of(record.draft, stock=stock, now=clock.now()))
                titles.update(*cells)
                spool.add(record.draft.slug, _line(record, stock), cells)
                rows += len(cells)
            things += len(page.items)
            told = Exported(kind="products", things=things, rows=rows, seconds=clock.monotonic() - began)
            if progress is not None:
                progress(told)
            await clock.sleep(pause_s)
            cursor = page.next_cursor
            if cursor is None:
                break
        with _written(file, format) as stream:
            lines = spool.csv_lines(in_order(titles | {"slug", "sku"})) if format == "csv" else spool.json_lines()
            await _write(stream, lines)
    return msgspec.structs.replace(told, seconds=clock.monotonic() - began)


async def export_orders(
    *,
    file: Path,
    format: ExportFormat,
    orders: Orders,
    pause_s: float = 0.0,
    progress: Tell | None = None,
    clock: Clock | None = None,
) -> Exported:
    """All orders, the newest first: one row a line, or one JSON object an order. No personal data."""
    clock = clock or SystemClock()
    began = clock.monotonic()
    things = rows = 0
    with _written(file, format) as stream:
        writer = csv.writer(stream)
        if format == "csv":
            writer.writerow(order_rows.COLUMNS)
        cursor: str | None = None
        while True:
            page = await orders.list_for_staff(limit=ORDERS_AT_ONCE, cursor=cursor)
            for summary in page.items:
                try:
                    order = await orders.get_for_staff(order_id=summary.id)
                except NoSuchOrder:
                    continue
                if format == "csv":
                    writer.writerows(order_rows.rows_of(order))
                else:
                    stream.write(msgspec.json.encode(order_rows.facts_of(order)).decode() + "\n")
                things += 1
                rows += len(order.lines)
            told = Exported(kind="orders", things=things, rows=rows, seconds=clock.monotonic() - began)
            if progress is not None:
                progress(told)
            await clock.sleep(pause_s)
            cursor = page.next_cursor
            if cursor is None:
                return told


async def _stock(records: Sequence[ProductRecord], inventory: Inventory) -> dict[str, int]:
    """Pieces on hand where imports set them, by sku."""
    skus = iter([variant.sku for record in records for variant in record.draft.variants])
    pieces: dict[str, int] = {}
    while part := tuple(itertools.islice(skus, LARGEST_SET)):
        found = await inventory.stocks(skus=part)
        pieces.update((stock.sku, level.on_hand) for stock in found for level in stock.levels if level.location == MAIN)
    return pieces


def _line(record: ProductRecord, stock: dict[str, int]) -> bytes:
    """The product as a JSON line, without what it leaves at its default."""
    draft = msgspec.to_builtins(record.draft)
    draft["variants"] = [_said(variant) for variant in draft["variants"]]
    named = {variant.sku: stock[variant.sku] for variant in record.draft.variants if variant.sku in stock}
    return msgspec.json.encode(_said({**draft, "stock": named}))


def _said(facts: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in facts.items() if value not in (None, (), [], {})}


@contextmanager
def _written(file: Path, format: ExportFormat) -> Iterator[IO[str]]:
    """A file that takes the place of an earlier one when it is complete, and leaves nothing behind when it is not.

    CSV begins with a byte order mark: without one, spreadsheets take UTF-8 for something else.
    """
    part = file.with_name(file.name + _PART)
    try:
        with part.open("w", encoding="utf-8-sig" if format == "csv" else "utf-8", newline="") as stream:
            yield stream
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


async def _write(stream: IO[str], lines: Iterator[str]) -> None:
    """Write in a thread, a part at a time, so that the loop goes on and a cancelled export ends soon."""

    def write() -> bool:
        part = list(itertools.islice(lines, WRITTEN_AT_ONCE))
        stream.writelines(part)
        return bool(part)

    # Shielded: the thread cannot be stopped, and neither file nor spool may be closed under it.
    while True:
        writing = asyncio.ensure_future(asyncio.to_thread(write))
        try:
            if not await asyncio.shield(writing):
                return
        finally:
            await asyncio.gather(writing, return_exceptions=True)


class _Spool:
    """Products that wait on the disk until all are there; in the order of their slugs, each once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE products (slug TEXT PRIMARY KEY, line BLOB, cells BLOB) WITHOUT ROWID",
        ):
            connection.execute(statement)

    @classmethod
    @contextmanager
    def opened(cls, file: Path) -> Iterator["_Spool"]:
        path = file.with_name(file.name + _SPOOLED)
        path.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as connection:
                yield cls(connection)
        finally:
            path.unlink(missing_ok=True)

    def add(self, slug: str, line: bytes, cells: list[dict[str, str]]) -> None:
        encoded = msgspec.msgpack.encode(cells)
        self._connection.execute("INSERT OR REPLACE INTO products VALUES (?, ?, ?)", (slug, line, encoded))

    def json_lines(self) -> Iterator[str]:
        for (line,) in self._connection.execute("SELECT line FROM products ORDER BY slug"):
            yield line.decode() + "\n"

    def csv_lines(self, titles: Sequence[str]) -> Iterator[str]:
        text = _Line()
        # A column may be called whatever an attribute is; quoted, none of its characters is taken for a separator.
        csv.writer(
            text, quoting=csv.QUOTE_ALL if any(";" in title for title in titles) else csv.QUOTE_MINIMAL
        ).writerow(titles)
        yield text.take()
        writer = csv.writer(text)
        for (encoded,) in self._connection.execute("SELECT cells FROM products ORDER BY slug"):
            for cells in msgspec.msgpack.decode(encoded, type=list[dict[str, str]]):
                writer.writerow([cells.get(title, "") for title in titles])
            yield text.take()


class _Line:
    """What a csv.writer writes into, to be taken away again."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def write(self, text: str) -> None:
        self._parts.append(text)

    def take(self) -> str:
        taken = "".join(self._parts)
        self._parts.clear()
        return taken
