"""A catalogue, a warehouse, and a way to import files into them."""

import csv
import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hansa.imports import Summary, import_products
from tests.clocks import ManualClock
from tests.imports.stand_ins import Catalogue, Warehouse

Import = Callable[..., Awaitable[Summary]]


class ImpatientClock(ManualClock):
    """A clock whose sleepers are woken at once."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class Desk:
    """Where files are imported: `catalogue` and `warehouse` take them, `refused` is what the last report says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = Catalogue()
        self.warehouse = Warehouse()
        self.clock = ImpatientClock()
        self.report = folder / "report.csv"

    def write(self, name: str, content: str | bytes) -> Path:
        file = self.folder / name
        data = content.encode() if isinstance(content, str) else content
        file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
        return file

    async def take(self, file: Path, **options: Any) -> Summary:
        self.clock.advance(1)
        return await import_products(
            file=file,
            products=self.catalogue.client,
            inventory=self.warehouse.client,
            report=self.report,
            clock=self.clock,
            **options,
        )

    @property
    def refused(self) -> list[tuple[int, str, str]]:
        if not self.report.exists():
            return []
        with self.report.open(encoding="utf-8", newline="") as lines:
            return [(int(line), identifier, reason) for line, identifier, reason in list(csv.reader(lines))[1:]]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
