"""What happened to an order: read from what it was before and after, so that nothing is done without being told."""

from collections.abc import Iterator

from hansa.services.orders.contract import Entry, Order, OrderRefund, RefundDraft

BY_ITSELF = "shop"
"""Who acts when nobody does: payments' news, and time."""


def actor_of_buyer(member: str | None) -> str:
    return "guest" if member is None else f"user:{member}"


def created(order: Order, *, member: str | None) -> Entry:
    return Entry(at=order.created_at, kind="created", actor=actor_of_buyer(member), detail={})


def changes(before: Order, after: Order, *, actor: str = BY_ITSELF) -> tuple[Entry, ...]:
    """What a change of the order is to be told as, in the order in which it happened. Refunds are told by
    `refund_news`, since they are kept beside the order."""
    return tuple(
        Entry(at=after.updated_at, kind=kind, actor=actor, detail=detail)  # type: ignore[arg-type]
        for kind, detail in _differences(before, after)
    )


def _differences(before: Order, after: Order) -> Iterator[tuple[str, dict[str, object]]]:
    payment, known = after.payments[0], before.payments[0]
    if (payment.state, payment.captured) != (known.state, known.captured):
        yield "payment", {"state": payment.state, "captured": payment.captured}
    for fulfilment in after.fulfilments[len(before.fulfilments) :]:
        yield (
            "fulfilled",
            {
                "fulfilment_id": fulfilment.id,
                "lines": {line.sku: line.quantity for line in fulfilment.lines},
                "parcels": fulfilment.parcels,
            },
        )
    back = {line.sku: line.returned - old.returned for old, line in zip(before.lines, after.lines, strict=True)}
    if pieces := {sku: quantity for sku, quantity in back.items() if quantity}:
        yield "returned", {"lines": pieces}
    if after.status != before.status:
        yield after.status, _why(after)


def _why(order: Order) -> dict[str, object]:
    match order.status:
        case "rejected":
            return {"reason": order.reason}
        case "cancelled":
            return {"by": order.reason}
        case _:
            return {}


def refund_asked(order: Order, *, draft: RefundDraft, actor: str) -> Entry:
    detail = {"amount": draft.amount, "reason": draft.reason}
    return Entry(at=order.updated_at, kind="refund_asked", actor=actor, detail=detail)


def refund_refused(order: Order, *, code: str) -> Entry:
    return Entry(at=order.updated_at, kind="refund_refused", actor=BY_ITSELF, detail={"code": code})


def refund_news(order: Order, refund: OrderRefund) -> tuple[Entry, ...]:
    """What is new in what payments says of a refund: its answer and its event tell the same, in whichever order."""
    known = next((each.state for each in order.refunds if each.id == refund.id), "pending")
    if known != "pending" or refund.state == "pending":
        return ()
    return (
        Entry(
            at=refund.created_at,
            kind="refunded" if refund.state == "refunded" else "refund_failed",
            actor=BY_ITSELF,
            detail={"refund_id": refund.id, "amount": refund.amount.amount},
        ),
    )
