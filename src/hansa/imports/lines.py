"""A file as bounded lines, unpacked on the way if it is gzipped; whatever the bytes are, reading never fails."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

LONGEST_LINE = 1 << 20
"""Bytes of a line that are read; longer ones are passed over and reported."""
GZIP = ".gz"
_CHUNK = 1 << 16


class Line(msgspec.Struct, frozen=True):
    """A line with its number from 1 and its end; `fault` says why there is no telling what it contains."""

    number: int
    text: str
    fault: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.fault and not self.text.strip()


class Source:
    """An open file; `position` of `size` bytes (packed, if it is gzipped) have been read."""

    def __init__(self, file: Path, *, most_bytes: int | None = None) -> None:
        """With `most_bytes`, nothing is read beyond so many bytes of lines: a small packed file may hold anything."""
        self._left = most_bytes
        self._raw = file.open("rb")
        self.size = file.stat().st_size
        unpacked = gzip.GzipFile(fileobj=self._raw) if file.suffix.lower() == GZIP else self._raw
        self._stream = cast(BinaryIO, unpacked)

    @property
    def position(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        self._stream.close()
        self._raw.close()

    def lines(self) -> Iterator[Line]:
        """Every line, with its faults: too long, not UTF-8, or the gzip data broken off."""
        number = 0
        while True:
            number += 1
            try:
                data = self._read(LONGEST_LINE + 1)
                too_long = len(data) > LONGEST_LINE
                if too_long:
                    self._pass_over(data)
            except (OSError, EOFError, zlib.error) as error:
                yield Line(number, "", f"the file cannot be read any further: {error}")
                return
            if not data:
                return
            if number == 1:
                data = data.removeprefix(codecs.BOM_UTF8)
            if too_long:
                yield Line(number, "", f"the line has more than {LONGEST_LINE} bytes")
            else:
                yield _decoded(number, data)

    def _read(self, most: int) -> bytes:
        """The next line, or as much of it. Raises OSError when more was read than may be."""
        data = self._stream.readline(most)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise OSError("it holds more than may be imported at once")
        return data

    def _pass_over(self, data: bytes) -> None:
        while data and not data.endswith(b"\n"):
            data = self._read(_CHUNK)


def _decoded(number: int, data: bytes) -> Line:
    try:
        return Line(number, data.decode())
    except UnicodeDecodeError as error:
        return Line(number, "", f"the line is not UTF-8 (byte {error.start + 1})")
