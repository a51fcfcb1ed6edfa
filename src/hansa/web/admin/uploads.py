"""Forms with files: read as they come, bounded in every way, the files on the disk and not in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from hansa.kernel.errors import BusinessError, Kind
from hansa.web.forms import Form, FormInvalid

TIMEOUT_S = 300.0
MOST_FIELDS = 50
MOST_DISCARDED = 100_000_000
"""What is still read of an upload that is too large, so that the browser shows the answer and not a lost connection."""
LARGEST_FIELD = 10_000
OVERHEAD = 64 * 1024
"""Bytes of a form beside its files."""
CHUNK = 256 * 1024


class UploadTooLarge(BusinessError, code="pages.upload_too_large", kind=Kind.TOO_LARGE):
    """The file is too large."""

    largest_bytes: int


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A form and its files, those that were chosen."""

    form: Form
    files: list[UploadFile]
    names: list[str]
    """Of the fields that the files were chosen in."""


@asynccontextmanager
async def uploaded(
    request: Request, *, largest: int, most_files: int = 1, most_fields: int = MOST_FIELDS
) -> AsyncIterator[Upload]:
    """A multipart form whose files have `largest` bytes together at most; they are gone afterwards.

    Raises FormInvalid and UploadTooLarge.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise FormInvalid()
    parser = MultiPartParser(
        request.headers,
        _bounded(request, largest=largest),
        max_files=most_files,
        max_fields=most_fields,
        max_part_size=LARGEST_FIELD,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            parts = await parser.parse()
    except (MultiPartException, TimeoutError, ClientDisconnect, UnicodeDecodeError, KeyError):
        raise FormInvalid() from None
    try:
        fields = [(name, value) for name, value in parts.multi_items() if isinstance(value, str)]
        if any("\0" in name or "\0" in value for name, value in fields):
            raise FormInvalid()
        files = [(name, value) for name, value in parts.multi_items() if isinstance(value, UploadFile)]
        chosen = [(name, file) for name, file in files if file.filename]
        yield Upload(form=Form(fields), files=[file for _, file in chosen], names=[name for name, _ in chosen])
    finally:
        await parts.close()


async def _bounded(request: Request, *, largest: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= largest + OVERHEAD:
            yield chunk
        elif size > largest + MOST_DISCARDED:
            break
    if size > largest + OVERHEAD:
        raise UploadTooLarge(largest_bytes=largest)


async def chunks_of(file: UploadFile) -> AsyncIterator[bytes]:
    """The content of a file, bit by bit."""
    while chunk := await file.read(CHUNK):
        yield chunk
