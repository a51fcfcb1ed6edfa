"""Imports and exports in the background: one at a time, kept in a folder, taken up again after a stop."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable
from contextvars import Context
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import structlog

from hansa.imports.exporting import Exported, export_orders, export_products
from hansa.imports.importing import Gently, NotImportable, Progress, Summary, import_products
from hansa.imports.transfer_files import REPORT, Kept, TransferFiles, shown_name
from hansa.kernel.clock import Clock
from hansa.kernel.errors import Fault, StorageFull
from hansa.kernel.ids import LARGEST, Ids
from hansa.kernel.page import Page, read_cursor, write_cursor
from hansa.platform.jobs.transfers import (
    MOST_WAITING,
    ExportFormat,
    ExportKind,
    ImportFormat,
    Transfer,
    TransferBusy,
    TransferFormatUnknown,
    TransferUnknown,
)
from hansa.services.inventory.contract import Inventory
from hansa.services.orders.contract import Orders
from hansa.services.products.contract import Products

KEPT_FOR = timedelta(days=30)
MOST_KEPT = 200
"""Transfers that are remembered; past it the oldest finished one goes."""
MOST_ATTEMPTS = 3
"""How often a transfer is begun: one that ends the shop each time must not end it for ever."""
TELL_EVERY_S = 0.25
PAUSE_S = 0.005
GENTLY = Gently(batch=25, pause_s=PAUSE_S, most_bytes=1_000_000_000, most_variants=500_000, most_reported=100_000)
"""A shop serves beside the import: after every few products others get their turn."""

log = structlog.get_logger()

_CURSOR = "transfers"
_Position = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
_SUFFIXES: dict[str, ImportFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_UNITS: dict[str, Any] = {"export-products": "products", "export-orders": "orders"}


class FolderTransfers:
    """See `Transfers`. Nothing runs before `start`, and nothing after `close`."""

    def __init__(
        self, *, folder: Path, products: Products, inventory: Inventory, orders: Orders, clock: Clock, ids: Ids
    ) -> None:
        self._files = TransferFiles(folder)
        self._products = products
        self._inventory = inventory
        self._orders = orders
        self._clock = clock
        self._ids = ids
        self._kept: dict[str, Kept] = {}
        self._waiting: deque[str] = deque()
        self._receiving = 0
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._cancelling: set[str] = set()
        self._told_at = 0.0

    def start(self) -> None:
        """Take up what waited or ran when the process before this one ended, and what comes."""
        for kept in self._files.read_all():
            self._kept[kept.transfer.id] = kept
            if not kept.transfer.is_finished:
                self._waiting.append(kept.transfer.id)
        self._forget()
        self._wake.set()
        # A context of its own: nobody's deadline or correlation applies to it.
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="transfers", context=Context())

    async def close(self) -> None:
        """Break off what runs, at the end of its batch: it is taken up again at the next start."""
        tasks = [*([self._worker] if self._worker else []), *self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def start_import(
        self, *, content: AsyncIterable[bytes] | Path, name: str, format: ImportFormat = "auto", actor: str
    ) -> Transfer:
        shown = shown_name(name)
        known = _format_of(shown) if format == "auto" else format
        self._make_room()
        transfer = Transfer(
            id=self._ids.new(slot=0),
            kind="import-products",
            state="queued",
            unit="bytes",
            created_by=actor,
            created_at=self._clock.now(),
            input_name=shown,
        )
        self._receiving += 1
        try:
            suffix = ".csv" if known == "csv" else ".jsonl"
            stored = await self._files.receive(transfer.id, content, suffix=suffix)
        finally:
            self._receiving -= 1
        size = self._files.path(transfer.id, stored).stat().st_size
        return self._queue(Kept(transfer=msgspec.structs.replace(transfer, total=size), format=known, input=stored))

    async def start_export(
        self, *, kind: ExportKind, format: ExportFormat = "csv", with_stock: bool = True, actor: str
    ) -> Transfer:
        self._make_room()
        transfer = Transfer(
            id=self._ids.new(slot=0),
            kind=kind,
            state="queued",
            unit=_UNITS[kind],
            created_by=actor,
            created_at=self._clock.now(),
        )
        return self._queue(Kept(transfer=transfer, format=format, with_stock=with_stock, output=f"output.{format}"))

    async def get(self, *, transfer_id: str) -> Transfer:
        return self._find(transfer_id).transfer

    async def list(self, *, limit: int = 20, cursor: str | None = None) -> Page[Transfer]:
        position = read_cursor(_CURSOR, cursor, _Position)
        before = position[0] if position else LARGEST + 1
        found = sorted((transfer_id for transfer_id in map(int, self._kept) if transfer_id < before), reverse=True)
        more = write_cursor(_CURSOR, found[limit - 1]) if len(found) > limit else None
        return Page(
            items=tuple(self._kept[str(transfer_id)].transfer for transfer_id in found[:limit]), next_cursor=more
        )

    async def report(self, *, transfer_id: str) -> Path:
        return self._file(transfer_id, has_it=bool(self._find(transfer_id).transfer.report_name), name=REPORT)

    async def output(self, *, transfer_id: str) -> Path:
        kept = self._find(transfer_id)
        return self._file(transfer_id, has_it=bool(kept.transfer.output_name), name=kept.output)

    async def cancel(self, *, transfer_id: str, actor: str) -> Transfer:
        kept = self._find(transfer_id)
        if kept.transfer.is_finished:
            return kept.transfer
        log.info("transfer cancelled", transfer=transfer_id, actor=actor)
        if (task := self._running.get(transfer_id)) is not None:
            self._cancelling.add(transfer_id)
            task.cancel()
            await asyncio.wait([task])
            self._cancelling.discard(transfer_id)  # where it came to its end before the word reached it
        else:
            self._waiting.remove(transfer_id)
            self._finish(transfer_id, state="cancelled")
        return self._find(transfer_id).transfer

    def _find(self, transfer_id: str) -> Kept:
        kept = self._kept.get(transfer_id)
        if kept is None:
            raise TransferUnknown()
        return kept

    def _file(self, transfer_id: str, *, has_it: bool, name: str) -> Path:
        path = self._files.path(transfer_id, name)
        if not has_it or not path.is_file():
            raise TransferUnknown()
        return path

    def _make_room(self) -> None:
        waiting = len(self._waiting) + self._receiving
        if waiting >= MOST_WAITING:
            raise TransferBusy(waiting=waiting)
        self._forget()

    def _queue(self, kept: Kept) -> Transfer:
        self._keep(kept)
        self._waiting.append(kept.transfer.id)
        self._wake.set()
        return kept.transfer

    def _keep(self, kept: Kept) -> None:
        self._files.keep(kept)
        self._kept[kept.transfer.id] = kept

    def _change(self, transfer_id: str, **facts: Any) -> Kept:
        kept = self._kept[transfer_id]
        return msgspec.structs.replace(kept, transfer=msgspec.structs.replace(kept.transfer, **facts))

    def _forget(self) -> None:
        """Drop what is older than it is kept for, and the oldest of too many."""
        finished = sorted(int(kept.transfer.id) for kept in self._kept.values() if kept.transfer.is_finished)
        most = max(len(self._kept) - MOST_KEPT, 0)
        for place, transfer_id in enumerate(map(str, finished)):
            if place < most or self._kept[transfer_id].transfer.created_at < self._clock.now() - KEPT_FOR:
                self._files.forget(transfer_id)
                del self._kept[transfer_id]

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                transfer_id = self._waiting.popleft()
                task = asyncio.create_task(self._carry_out(transfer_id), name=f"transfer-{transfer_id}")
                self._running[transfer_id] = task
                try:
                    await asyncio.wait([task])
                finally:
                    if task.done():
                        del self._running[transfer_id]

    async def _carry_out(self, transfer_id: str) -> None:
        """One transfer from its beginning to its end, whatever that is."""
        try:
            attempts = self._kept[transfer_id].transfer.attempts + 1
            if attempts > MOST_ATTEMPTS:
                self._finish(transfer_id, state="failed", summary=f"It was broken off {MOST_ATTEMPTS} times.")
                return
            begun = {"state": "running", "attempts": attempts, "started_at": self._clock.now(), "done": 0, "counts": {}}
            self._keep(self._change(transfer_id, **begun, summary=""))
            kept = self._kept[transfer_id]
            await (self._import(kept) if kept.transfer.kind == "import-products" else self._export(kept))
        except asyncio.CancelledError:
            if transfer_id not in self._cancelling:
                raise  # the shop closes: the note says that it was running
            self._finish(transfer_id, state="cancelled")
        except NotImportable as error:
            self._finish(transfer_id, state="failed", summary=str(error))
        except StorageFull:
            self._finish(transfer_id, state="failed", summary="There is no room left for the shop's data.")
        except Fault as error:
            summary = f"A part of the shop gave no answer ({type(error).__name__}); try again."
            self._finish(transfer_id, state="failed", summary=summary)
        except Exception as error:
            log.exception("transfer failed", transfer=transfer_id)
            self._finish(transfer_id, state="failed", summary=f"Something broke ({type(error).__name__}); see the log.")

    def _finish(self, transfer_id: str, **facts: Any) -> None:
        kept = self._change(transfer_id, **facts, finished_at=self._clock.now())
        if kept.input:
            self._files.path(transfer_id, kept.input).unlink(missing_ok=True)
            if self._files.path(transfer_id, REPORT).is_file():
                kept = msgspec.structs.replace(
                    kept, transfer=msgspec.structs.replace(kept.transfer, report_name=f"{transfer_id}-refused.csv")
                )
        try:
            self._keep(kept)
        except OSError:
            # No room even for the note: it will be carried out again after the next start, which does no harm.
            log.exception("transfer cannot be noted", transfer=transfer_id)
            self._kept[transfer_id] = kept

    async def _import(self, kept: Kept) -> None:
        transfer_id = kept.transfer.id
        summary = await import_products(
            file=self._files.path(transfer_id, kept.input),
            products=self._products,
            inventory=self._inventory,
            format="icecat" if kept.format == "icecat" else "auto",
            report=self._files.path(transfer_id, REPORT),
            show_progress=False,
            progress=lambda progress: self._tell(transfer_id, lambda: _of_import(progress)),
            gently=GENTLY,
            actor=kept.transfer.created_by,
            clock=self._clock,
        )
        nothing = bool(summary.first_refusals) and summary.rows == summary.refused
        text = f"Nothing was imported: {summary.first_refusals[0].reason}." if nothing else summary.text
        facts = {"done": kept.transfer.total, "counts": _counts(summary), "summary": text}
        self._finish(transfer_id, state="failed" if nothing else "done", **facts)

    async def _export(self, kept: Kept) -> None:
        transfer_id = kept.transfer.id
        common: dict[str, Any] = {
            "file": self._files.path(transfer_id, kept.output),
            "format": kept.format,
            "pause_s": PAUSE_S,
            "progress": lambda progress: self._tell(transfer_id, lambda: _of_export(progress)),
            "clock": self._clock,
        }
        if kept.transfer.kind == "export-products":
            exported = await export_products(
                products=self._products, inventory=self._inventory, with_stock=kept.with_stock, **common
            )
        else:
            exported = await export_orders(orders=self._orders, **common)
        day = kept.transfer.created_at.date().isoformat()
        facts = {"total": exported.things, "output_name": f"{exported.kind}-{day}.{kept.format}"}
        self._finish(transfer_id, state="done", **_of_export(exported), **facts)

    def _tell(self, transfer_id: str, facts: Callable[[], dict[str, Any]]) -> None:
        """Let it be seen how far it is, now and then; on the disk this is not noted."""
        now = self._clock.monotonic()
        if now - self._told_at >= TELL_EVERY_S or not self._kept[transfer_id].transfer.done:
            self._told_at = now
            self._kept[transfer_id] = self._change(transfer_id, **facts())


def _format_of(name: str) -> ImportFormat:
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    if suffix not in _SUFFIXES:
        raise TransferFormatUnknown(name=name)
    return _SUFFIXES[suffix]


def _of_import(progress: Progress) -> dict[str, Any]:
    return {"done": progress.done, "counts": _counts(progress.summary), "summary": progress.summary.text}


def _of_export(exported: Exported) -> dict[str, Any]:
    return {"done": exported.things, "counts": exported.counts, "summary": exported.text}


def _counts(summary: Summary) -> dict[str, int]:
    return {
        "rows": summary.rows,
        "created": summary.created,
        "changed": summary.changed,
        "unchanged": summary.unchanged,
        "refused": summary.refused,
        "without_category": summary.without_category,
        "stock_set": summary.stock_set,
        "stock_refused": summary.stock_refused,
    }
