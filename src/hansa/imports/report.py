"""The report of an import: a CSV file that says which lines were not taken, and why."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from hansa.imports.rows import Refusal

HEADER = ("line", "identifier", "reason")


def report_beside(file: Path) -> Path:
    """Where a report goes if nobody says: beside the file, `products.csv.refused.csv`."""
    return file.with_name(f"{file.name}.refused.csv")


class Report:
    """Writes refusals as they come; without a path it writes nothing.

    The file is made anew, with its header, so that one that cannot be written is known before the import begins; it is
    taken away again if there was nothing to write.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._is_empty = True
        self._file: IO[str] | None = None
        if path is not None:
            self._file = path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(HEADER)

    def add(self, refusals: Iterable[Refusal]) -> None:
        if self._file is None:
            return
        writer = csv.writer(self._file)
        for refusal in refusals:
            self._is_empty = False
            writer.writerow((refusal.line, _harmless(refusal.identifier), _harmless(refusal.reason)))
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            if self._is_empty and self._path is not None:
                self._path.unlink(missing_ok=True)


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
