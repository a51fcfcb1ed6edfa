"""The file of the shop's master key: made when the shop first starts, and refused if others may read it."""

import base64
import binascii
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32
LARGEST_KEY_FILE_BYTES = 1024

# A group may read it, since Kubernetes gives secrets to a pod through its group; nobody else, and no group may write.
_TOO_OPEN = stat.S_IWGRP | stat.S_IRWXO


class MasterKeyInvalid(Exception):
    """The file of the master key is not one that may be used; the message says what to do."""


def master_key(path: Path) -> bytes:
    """The key in the file, which is made by the first call. Raises MasterKeyInvalid if it is malformed or too open."""
    with suppress(FileNotFoundError):
        return _read_key(path)
    _create_key(path)
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & _TOO_OPEN:
            raise MasterKeyInvalid(f"{path} is open to others (mode {mode:04o}): run chmod 600 on it")
        content = file.read(LARGEST_KEY_FILE_BYTES)
    if (key := _decoded_key(content.strip())) is None:
        raise MasterKeyInvalid(f"{path} does not hold {KEY_BYTES} bytes in hexadecimal or base64")
    return key


def _decoded_key(text: bytes) -> bytes | None:
    with suppress(binascii.Error, ValueError):
        if len(text) == 2 * KEY_BYTES:
            return binascii.unhexlify(text)
        key = base64.b64decode(text.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(text) % 4), validate=True)
        if len(key) == KEY_BYTES:
            return key
    return None


def _create_key(path: Path) -> None:
    """Make the file whole or not at all; if somebody else was faster, theirs is the key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, never replaces
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
