"""Pages of lists: opaque cursors that say where the next page begins and nothing else."""

import base64
import binascii
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from hansa.kernel.errors import BusinessError, Kind

T = TypeVar("T")

LARGEST_PAGE = 100
Limit = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PAGE)]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some items of a list, and the cursor to ask for the next ones with (None at the end)."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class CursorInvalid(BusinessError, code="request.cursor_invalid", kind=Kind.INVALID):
    """The cursor is not one that this list gave out."""


def write_cursor(kind: str, *position: str | int) -> str:
    """An opaque cursor for a list of the given kind."""
    return base64.urlsafe_b64encode(msgspec.json.encode([kind, *position])).decode().rstrip("=")


def read_cursor(kind: str, cursor: str | None, *types: Any) -> tuple[Any, ...] | None:
    """The position in a cursor, or None without one. Raises CursorInvalid for one of another list or a forged one."""
    if cursor is None:
        return None
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        values: tuple[Any, ...] = msgspec.json.decode(packed, type=tuple.__class_getitem__((str, *types)))
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise CursorInvalid() from error
    if values[0] != kind or any(isinstance(value, str) and "\0" in value for value in values):
        raise CursorInvalid()
    return values[1:]
