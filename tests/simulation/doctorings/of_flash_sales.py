"""Flash sales that sell too much, to one, to nobody, or too little."""

from typing import Any

from tests.simulation.doctorings.doctored import Doctored, Doctoring


def _say(doctored: Doctored, code: str, fields: dict[str, Any]) -> None:
    """What the last one who was told so was told, is something else."""
    operation = next(
        each
        for each in reversed(doctored.operations)
        if isinstance(each.answer, dict) and each.answer.get("code") == code and each.path.startswith("/flash-sales/")
    )
    operation.answer = {**operation.answer, **fields}


DOCTORINGS: list[Doctoring] = [
    ("flash.never_oversold", "one too many", lambda d: d.change("promotions.flash_sales", to={"quantity": 2})),
    ("flash.never_oversold", "one uncounted", lambda d: d.add("promotions.flash_sales", "claimed", -1)),
    (
        "flash.limit_per_buyer",
        "over the limit",
        lambda d: d.change("promotions.flash_sales", to={"limit_per_buyer": 1}),
    ),
    (
        "flash.limit_per_buyer",
        "a counter forgotten",
        lambda d: d.add("promotions.flash_buyers", "claimed", -1, claimed=2),
    ),
    ("flash.limit_per_buyer", "a counter lost", lambda d: d.remove("promotions.flash_buyers", claimed=2)),
    ("flash.claims_are_orders", "a claim lost", lambda d: d.remove("promotions.flash_claims", state="held")),
    (
        "flash.claims_are_orders",
        "a claim of nobody",
        lambda d: d.double("promotions.flash_claims", changed={"order_id": 5}, state="held"),
    ),
    (
        "flash.claims_are_orders",
        "not given back",
        lambda d: d.change(
            "orders.orders",
            to={"status": "cancelled"},
            order_id=d.find("promotions.flash_claims", state="held")["order_id"],
        ),
    ),
    (
        "flash.claims_are_orders",
        "other pieces",
        lambda d: d.add("promotions.flash_claims", "quantity", 1, state="held"),
    ),
    ("flash.refused_for_cause", "some were left", lambda d: _say(d, "promotions.sold_out", {"left": 1})),
    ("flash.refused_for_cause", "within the limit", lambda d: _say(d, "promotions.over_limit", {"bought": 0})),
    (
        "flash.refused_for_cause",
        "a claim without a cause",
        lambda d: d.change("promotions.flash_claims", to={"state": "refused", "refusal": None}),
    ),
    (
        "flash.sold_as_far_as_asked",
        "pieces that nobody ever had",
        lambda d: d.change("promotions.flash_sales", to={"quantity": 5}),
    ),
]
