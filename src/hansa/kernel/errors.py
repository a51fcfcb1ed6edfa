"""The two kinds of no: business errors, which are answers, and faults, after which nobody knows what happened."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, dataclass_transform

import msgspec


class Kind(StrEnum):
    """What sort of no a business error is; platform/http alone turns it into a status code."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    PAYMENT_REQUIRED = "payment_required"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition_failed"
    PRECONDITION_REQUIRED = "precondition_required"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    UNPROCESSABLE = "unprocessable"
    TOO_EARLY = "too_early"
    TOO_MANY = "too_many"


RESERVED = frozenset({"type", "title", "status", "code", "detail"})
"""Members of a problem (RFC 9457), which no field of an error may be named after."""


@dataclass_transform(kw_only_default=True)
class BusinessError(Exception):
    """A declared way of saying no: has a stable code and fields, and survives the wire and the disk.

    Subclasses state `code` and `kind` as class arguments and their fields as annotations::

        class OutOfStock(BusinessError, code="inventory.out_of_stock", kind=Kind.CONFLICT):
            sku: str
            left: int
    """

    code: ClassVar[str] = ""
    kind: ClassVar[Kind] = Kind.INVALID

    def __init_subclass__(cls, *, code: str, kind: Kind) -> None:
        cls.code = code
        cls.kind = kind
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        if reserved := RESERVED.intersection(cls.field_names()):
            raise TypeError(f"{cls.__name__}: {sorted(reserved)} are what a problem itself is made of")

    def fields(self) -> dict[str, Any]:
        """The fields by name, in plain JSON values."""
        values: dict[str, Any] = msgspec.to_builtins({name: getattr(self, name) for name in type(self).field_names()})
        return values

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        return tuple(getattr(cls, "__dataclass_fields__", ()))

    @classmethod
    def title(cls) -> str:
        """The first sentence of the docstring: what the error means, in words."""
        return (cls.__doc__ or cls.code).strip().splitlines()[0]

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.fields().items())
        return f"{self.code}({fields})"


class ErrorRecord(msgspec.Struct, frozen=True):
    """A business error as it stands on the wire or on disk."""

    code: str
    fields: dict[str, Any]


def record_error(error: BusinessError) -> ErrorRecord:
    return ErrorRecord(code=error.code, fields=error.fields())


def revive_error(record: ErrorRecord, declared: tuple[type[BusinessError], ...]) -> Exception:
    """The error that was recorded, if it is a declared one; else a fault, since nobody knows how to act on it."""
    for cls in declared:
        if cls.code == record.code:
            checked = msgspec.convert(record.fields, cls)
            # Made anew, because msgspec leaves out what an exception needs: the repr of its own would end the process.
            return cls(**{name: getattr(checked, name) for name in cls.field_names()})
    return Fault(f"undeclared error {record.code}")


class IdempotencyKeyReused(BusinessError, code="idempotency.key_reused", kind=Kind.UNPROCESSABLE):
    """The key was used before with another request; use a fresh key for a new act."""


class CommandInFlight(BusinessError, code="idempotency.in_flight", kind=Kind.CONFLICT):
    """A request with the same key is still being worked on; ask again in a moment."""


class Fault(Exception):
    """Something broke and the act may have happened: repeat it with the same key."""


class DeadlineExceeded(Fault):
    """No answer came in time."""


class StorageFull(Fault):
    """There is no room: nothing was kept of the transaction, but perhaps of earlier ones of the same act."""


class StorageBusy(Fault):
    """The database refused or broke off the transaction (deadlock, lock time-out, lost connection)."""
