"""Between rows as the store keeps them and the structs that rules decide about."""

from datetime import datetime
from typing import Any

import msgspec

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Row
from hansa.services.payments.rules import Intent, RefundRow

Place = tuple[int, int]
"""Slot and order."""


def place_of(order_id: str) -> Place:
    return slot_of(order_id), int(order_id)


def intent_of(row: Row) -> Intent:
    values = {name: row[name] for name in Intent.__struct_fields__}
    return Intent(
        **values
        | {
            "order_id": str(row["order_id"]),
            "payment_id": str(row["payment_id"]),
            "is_closed": bool(row["is_closed"]),
            "next_look_at": _moment(row["next_look_at"]),
            "created_at": from_micros(row["created_at"]),
        }
    )


def intent_row(intent: Intent) -> tuple[Any, ...]:
    """The row of a new payment: the columns of the table are the slot, and then the fields in their order."""
    order_id, payment_id, *middle, next_look_at, created_at = msgspec.structs.astuple(intent)
    next_look = None if next_look_at is None else to_micros(next_look_at)
    return (slot_of(order_id), int(order_id), int(payment_id), *middle, next_look, to_micros(created_at))


def settled_row(intent: Intent) -> tuple[Any, ...]:
    """What a provider's first word changes of a payment in the making, over the version before."""
    return (
        *place_of(intent.order_id),
        intent.version - 1,
        intent.state,
        intent.reference,
        intent.reason,
        intent.token,
        intent.captured,
        None if intent.next_look_at is None else to_micros(intent.next_look_at),
    )


def intent_values(intent: Intent) -> dict[str, Any]:
    return _plain(intent) | {"payment_id": int(intent.payment_id)}


def refund_of(row: Row) -> RefundRow:
    values = {name: row[name] for name in RefundRow.__struct_fields__}
    return RefundRow(
        **values
        | {
            "order_id": str(row["order_id"]),
            "refund_id": str(row["refund_id"]),
            "next_look_at": _moment(row["next_look_at"]),
            "created_at": from_micros(row["created_at"]),
        }
    )


def refund_values(refund: RefundRow) -> dict[str, Any]:
    return _plain(refund) | {"refund_id": int(refund.refund_id)}


def _plain(row: Intent | RefundRow) -> dict[str, Any]:
    slot, order_id = place_of(row.order_id)
    return msgspec.structs.asdict(row) | {
        "slot": slot,
        "order_id": order_id,
        "next_look_at": None if row.next_look_at is None else to_micros(row.next_look_at),
        "created_at": to_micros(row.created_at),
    }


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
