"""The report of an import: a CSV file that says which lines were not taken, and why."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from hansa.imports.cells import guarded
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

    def __init__(self, path: Path | None, *, most_lines: int | None = None) -> None:
        """With `most_lines`, what follows them is left out, and a last line says so."""
        self._path = path
        self._left = most_lines
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
            if self._left is not None:
                self._left -= 1
            if self._left == -1:
                writer.writerow((refusal.line, "", "from here on nothing is reported: too much was refused"))
            elif self._left is None or self._left >= 0:
                writer.writerow((refusal.line, guarded(refusal.identifier), guarded(refusal.reason)))
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            if self._is_empty and self._path is not None:
                self._path.unlink(missing_ok=True)
