"""A folder for each transfer, with what is known of it and its files; no name that anybody sends becomes a path."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path

import msgspec
import structlog

from hansa.kernel.ids import is_id
from hansa.platform.jobs.transfers import LARGEST_UPLOAD, ExportFormat, ImportFormat, Transfer, TransferTooLarge

NOTE = "transfer.json"
REPORT = "report.csv"
_CHUNK = 1 << 18
_GZIPPED = b"\x1f\x8b"
_LONGEST_NAME = 100
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

log = structlog.get_logger()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer, and what must be known to begin it anew."""

    transfer: Transfer
    format: ImportFormat | ExportFormat
    with_stock: bool = True
    input: str = ""
    """The imported file within the folder."""
    output: str = ""
    """The exported file within the folder."""


class TransferFiles:
    """The folders of all transfers, by id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read_all(self) -> list[Kept]:
        """The oldest first. A folder without a note is an upload that was broken off, and goes."""
        if not self._folder.is_dir():
            return []
        found = []
        for folder in sorted(path for path in self._folder.iterdir() if is_id(path.name)):
            try:
                found.append(msgspec.json.decode((folder / NOTE).read_bytes(), type=Kept))
            except FileNotFoundError:
                shutil.rmtree(folder, ignore_errors=True)
            except (OSError, msgspec.MsgspecError) as error:
                log.warning("transfer cannot be read", transfer=folder.name, error=type(error).__name__)
        return sorted(found, key=lambda kept: int(kept.transfer.id))

    def path(self, transfer_id: str, name: str) -> Path:
        return self._folder / transfer_id / name

    def keep(self, kept: Kept) -> None:
        """Write the note whole, durably."""
        folder = self._folder / kept.transfer.id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder / f"{NOTE}.new"
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / NOTE)

    async def receive(self, transfer_id: str, content: AsyncIterable[bytes] | Path, *, suffix: str) -> str:
        """Keep what is imported, and say what it is called. Raises TransferTooLarge and leaves nothing then."""
        folder = self._folder / transfer_id
        folder.mkdir(parents=True, mode=0o700)
        try:
            part = folder / "input.part"
            head = b""
            size = 0
            with part.open("wb") as file:
                async for chunk in _chunks(content) if isinstance(content, Path) else content:
                    size += len(chunk)
                    if size > LARGEST_UPLOAD:
                        raise TransferTooLarge(largest_bytes=LARGEST_UPLOAD)
                    head = (head + chunk[: len(_GZIPPED)])[: len(_GZIPPED)]
                    await asyncio.to_thread(file.write, chunk)
            name = f"input{suffix}.gz" if head == _GZIPPED else f"input{suffix}"
            part.replace(folder / name)
        except BaseException:
            self.forget(transfer_id)
            raise
        return name

    def forget(self, transfer_id: str) -> None:
        shutil.rmtree(self._folder / transfer_id, ignore_errors=True)


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        while chunk := await asyncio.to_thread(stream.read, _CHUNK):
            yield chunk


def shown_name(name: str) -> str:
    """A file's name as people may see it: without folders, control characters and marks that turn text around."""
    last = _UNFIT.sub("", name).replace("\\", "/").rstrip("/").rpartition("/")[2].strip()
    return last[-_LONGEST_NAME:] if last.strip(".") else "file"
