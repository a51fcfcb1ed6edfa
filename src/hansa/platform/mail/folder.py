"""Mail as files in a folder: for a shop on a laptop, and for tests."""

import asyncio
import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from hansa.kernel.clock import Clock
from hansa.platform.mail.message import message_of
from hansa.platform.mail.port import Mail, MailFailed

LONGEST_NAME = 120
_PLAIN = re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


class FolderMailer:
    """Writes `<folder>/<message_key>.eml`, whole or not at all. A file that is there already is left as it is."""

    def __init__(self, *, folder: Path, sender: str, clock: Clock) -> None:
        self._folder = folder
        self._sender = sender
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        content = message_of(mail, sender=self._sender, at=self._clock.now()).as_bytes()
        try:
            await asyncio.to_thread(_keep, self._folder, file_name(message_key=mail.message_key), content)
        except OSError as error:
            raise MailFailed(f"a mail could not be written: {error.strerror}") from error


def file_name(*, message_key: str) -> str:
    """The file of a key: the key itself where it can be one, else what is left of it and its hash.

    A tilde stands in made names only, so that two keys never meet in one file.
    """
    if _PLAIN.fullmatch(message_key):
        return f"{message_key}.eml"
    digest = hashlib.sha256(message_key.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{_FOREIGN.sub('_', message_key)[:80]}~{digest}.eml"


def _keep(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = folder / name
    if final.exists():
        return
    draft = folder / f".{secrets.token_hex(8)}.part"
    try:
        # Mails name people: nobody but the shop reads them.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, final)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
