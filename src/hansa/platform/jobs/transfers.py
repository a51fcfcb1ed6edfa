"""Imports and exports in the background: what may be asked of them, and what is known of each."""

from collections.abc import AsyncIterable
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.page import Limit, Page

LARGEST_UPLOAD = 50_000_000
"""Bytes of a file that is imported, as it is sent."""
MOST_WAITING = 10
"""Transfers that wait for their turn; one runs at a time."""

ImportFormat = Literal["auto", "csv", "jsonl", "icecat"]
ExportFormat = Literal["csv", "jsonl"]
ExportKind = Literal["export-products", "export-orders"]
TransferKind = Literal["import-products", "export-products", "export-orders"]
TransferState = Literal["queued", "running", "done", "failed", "cancelled"]
Unit = Literal["bytes", "products", "orders"]


class TransferUnknown(BusinessError, code="transfers.not_found", kind=Kind.NOT_FOUND):
    """There is no such transfer, or it has no such file."""


class TransferBusy(BusinessError, code="transfers.busy", kind=Kind.TOO_MANY):
    """Too many transfers wait for their turn already; try again when one has ended."""

    waiting: int


class TransferTooLarge(BusinessError, code="transfers.too_large", kind=Kind.TOO_LARGE):
    """The file is too large to be sent; pack it with gzip, or import it with the command `hansa import`."""

    largest_bytes: int


class TransferFormatUnknown(BusinessError, code="transfers.format_unknown", kind=Kind.INVALID):
    """The name tells no format: it must end in .csv, .jsonl or .ndjson, with or without .gz."""

    name: str


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """An import or export, and how far it is.

    `done` of `total` counts `unit`s (total None: nobody knows). `counts` says what came of it so far, for pages of any
    language: rows, created, changed, unchanged, refused, without_category, stock_set and stock_refused of an import;
    products and variants, or orders and lines, of an export. `summary` says it in English, or why it failed.
    """

    id: Id
    kind: TransferKind
    state: TransferState
    unit: Unit
    done: int = 0
    total: int | None = None
    counts: dict[str, int] = {}
    summary: str = ""
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    """How often it was begun: more than once if the shop was stopped under it."""
    input_name: str = ""
    """What the imported file is called: for people, never a path."""
    report_name: str = ""
    """What to call the report of what was refused; empty if there is none."""
    output_name: str = ""
    """What to call the exported file; empty if there is none (yet)."""

    @property
    def is_finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


class Transfers(Protocol):
    """Imports and exports of this process. `actor` is whoever of the staff asks."""

    async def start_import(
        self, *, content: AsyncIterable[bytes] | Path, name: str, format: ImportFormat = "auto", actor: str
    ) -> Transfer:
        """Import products from what is streamed, or from a copy of a file of this machine. It returns once all of it
        is on the disk, and the import waits for its turn; whether it is gzipped, its first bytes tell.

        `name` is what its sender calls it: it tells the format, if that is auto, and is shown.
        Raises TransferBusy, TransferTooLarge and TransferFormatUnknown.
        """
        ...

    async def start_export(
        self, *, kind: ExportKind, format: ExportFormat = "csv", with_stock: bool = True, actor: str
    ) -> Transfer:
        """Export products (with the pieces on hand or without) or orders (without personal data). Raises
        TransferBusy."""
        ...

    async def get(self, *, transfer_id: str) -> Transfer:
        """Raises TransferUnknown."""
        ...

    async def list(self, *, limit: Limit = 20, cursor: str | None = None) -> Page[Transfer]:
        """The newest first. Raises CursorInvalid."""
        ...

    async def report(self, *, transfer_id: str) -> Path:
        """The CSV file that says which lines of an import were refused, and why. Raises TransferUnknown."""
        ...

    async def output(self, *, transfer_id: str) -> Path:
        """The file of an export that is done. Raises TransferUnknown."""
        ...

    async def cancel(self, *, transfer_id: str, actor: str) -> Transfer:
        """Break it off, if it is not finished: what was imported so far stays. Raises TransferUnknown."""
        ...

    async def close(self) -> None:
        """Break off what runs, at the end of its batch: it is taken up again at the next start."""
        ...
