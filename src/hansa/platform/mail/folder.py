"""Mail as files in a folder: for a shop on a laptop, and for tests."""

import asyncio
import ctypes
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hansa.kernel.clock import Clock
from hansa.platform.mail.message import bytes_of
from hansa.platform.mail.port import Mail, MailFailed

LONGEST_NAME = 120
MOST_AT_ONCE = 256
"""Mails that wait for the disk together; more wait for the next time."""
_PLAIN = re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")
_LIBRARY = ctypes.CDLL(None, use_errno=True)

_Waiting = tuple[str, bytes, "asyncio.Future[None]"]


class FolderMailer:
    """Writes `<folder>/<message_key>.eml`, whole or not at all. A file that is there already is left as it is.

    Mails that come while others are being written gather, and wait for the disk together.
    """

    def __init__(self, *, folder: Path, sender: str, clock: Clock) -> None:
        self._folder = folder
        self._sender = sender
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def send(self, mail: Mail) -> None:
        content = bytes_of(mail, sender=self._sender, at=self._clock.now())
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((file_name(message_key=mail.message_key), content, outcome))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="mails")
        await outcome

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                error: MailFailed | None = None
                try:
                    await asyncio.to_thread(_keep, self._folder, [(name, content) for name, content, _ in batch])
                except OSError as failure:
                    error = MailFailed(f"a mail could not be written: {failure.strerror}")
                    error.__cause__ = failure
                _tell(batch, error)
        finally:
            self._writing = None


def file_name(*, message_key: str) -> str:
    """The file of a key: the key itself where it can be one, else what is left of it and its hash.

    A tilde stands in made names only, so that two keys never meet in one file.
    """
    if _PLAIN.fullmatch(message_key):
        return f"{message_key}.eml"
    digest = hashlib.sha256(message_key.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{_FOREIGN.sub('_', message_key)[:80]}~{digest}.eml"


def _tell(batch: Sequence[_Waiting], error: MailFailed | None) -> None:
    for _, _, outcome in batch:
        if outcome.done():
            continue
        if error is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(error)


def _keep(folder: Path, mails: Sequence[tuple[str, bytes]]) -> None:
    """Drafts, then their contents on the disk, then their names on the disk."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    drafts: dict[str, str] = {}
    try:
        for name, content in mails:
            final = f"{folder}/{name}"
            if final not in drafts and not os.path.exists(final):
                drafts[final] = draft = f"{folder}/.{secrets.token_hex(8)}.part"
                _write(draft, content)
        if len(drafts) > 1:
            _sync_all(folder)
        else:
            for draft in drafts.values():
                _sync(draft)
        for final, draft in drafts.items():
            os.rename(draft, final)
    except BaseException:
        for draft in drafts.values():
            with suppress(FileNotFoundError):
                os.unlink(draft)
        raise
    _sync(folder)


def _write(path: str, content: bytes) -> None:
    # Mails name people: nobody but the shop reads them.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        if file.write(content) != len(content):
            raise OSError(28, "No space left on device")


def _sync(path: Path | str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(folder: Path) -> None:
    """Everything of the folder's file system at once, which costs a tenth of waiting for each file, where Linux is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not hasattr(_LIBRARY, "syncfs"):
            os.sync()
        elif _LIBRARY.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
