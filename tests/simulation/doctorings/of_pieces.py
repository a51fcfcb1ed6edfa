"""Pieces that are lost, made up, or moved twice."""

from tests.simulation.doctorings.doctored import Doctoring, exchange_versions, rewrite

DOCTORINGS: list[Doctoring] = [
    ("pieces.never_below_zero", "sold below zero", lambda d: d.change("inventory.stock", to={"sold": -1}, sku="NONE")),
    ("pieces.never_below_zero", "reserved below zero", lambda d: d.change("inventory.stock", to={"reserved": -1})),
    ("pieces.never_below_zero", "more reserved than there", lambda d: d.add("inventory.stock", "reserved", 99)),
    ("pieces.never_below_zero", "more back than sold", lambda d: d.add("inventory.reservation_lines", "returned", 9)),
    ("pieces.never_below_zero", "held below zero", lambda d: d.change("inventory.reservation_lines", to={"held": -1})),
    ("pieces.ledger_makes_levels", "a line lost", lambda d: d.rows("inventory.movements").pop()),
    ("pieces.ledger_makes_levels", "a line doubled", lambda d: d.double("inventory.movements", kind="sold")),
    (
        "pieces.ledger_makes_levels",
        "a line too many",
        lambda d: d.double("inventory.movements", changed={"version": 99}),
    ),
    ("pieces.ledger_makes_levels", "a level overwritten", lambda d: d.add("inventory.stock", "on_hand", 1)),
    ("pieces.ledger_makes_levels", "a sale forgotten", lambda d: d.add("inventory.stock", "sold", -1, sku="HAT")),
    ("pieces.ledger_makes_levels", "a level lost", lambda d: d.remove("inventory.stock", sku="HAT")),
    ("pieces.ledger_makes_levels", "a version shared", lambda d: d.add("inventory.stock", "version", -1)),
    ("pieces.ledger_makes_levels", "sold before received", lambda d: exchange_versions(d)),
    ("pieces.conserved", "pieces from nowhere", lambda d: d.add("inventory.stock", "on_hand", 1)),
    ("pieces.conserved", "a receipt doubled", lambda d: d.double("inventory.movements", kind="received")),
    (
        "pieces.conserved",
        "a kind mistaken",
        lambda d: d.change("inventory.movements", to={"kind": "till_sale"}, kind="reserved"),
    ),
    ("pieces.conserved", "a sale that reserves", lambda d: d.add("inventory.movements", "reserved", 1, kind="sold")),
    ("pieces.none_from_nowhere", "one too many", lambda d: d.add("inventory.stock", "on_hand", 1, sku="HAT")),
    ("pieces.none_from_nowhere", "one lost", lambda d: d.received.update(SHOE=13)),
    ("pieces.sold_to_orders", "oversold", lambda d: d.add("inventory.stock", "sold", 1, sku="LAST")),
    (
        "pieces.sold_to_orders",
        "sold and not placed",
        lambda d: d.change("orders.orders", to={"status": "rejected"}, status="placed"),
    ),
    (
        "pieces.sold_to_orders",
        "placed and not sold",
        lambda d: d.change("orders.orders", to={"status": "placed"}, status="rejected"),
    ),
    (
        "pieces.sold_to_orders",
        "a return forgotten",
        lambda d: d.change("orders.order_lines", to={"returned": 0}, returned=1),
    ),
    (
        "pieces.reservations_end",
        "still held",
        lambda d: d.change("inventory.reservations", to={"state": "held"}, state="sold"),
    ),
    (
        "pieces.reservations_end",
        "only expired",
        lambda d: d.change("inventory.reservations", to={"state": "expired"}, state="released"),
    ),
    (
        "pieces.reservations_end",
        "released of a placed order",
        lambda d: d.change("inventory.reservations", to={"state": "released"}, state="sold"),
    ),
    ("pieces.reservations_end", "none", lambda d: d.remove("inventory.reservations", state="sold")),
    ("pieces.reservations_end", "of nobody", lambda d: d.double("inventory.reservations", changed={"order_id": 5})),
    ("pieces.held_by_orders", "still reserved", lambda d: d.add("inventory.stock", "reserved", 1, sku="HAT")),
    ("pieces.held_by_orders", "still held", lambda d: d.add("inventory.reservation_lines", "held", 1)),
    (
        "pieces.held_by_orders",
        "one less than bought",
        lambda d: d.change("inventory.reservation_lines", to={"sold": 3}, sold=4),
    ),
    (
        "pieces.held_by_orders",
        "not given back",
        lambda d: d.change("inventory.reservation_lines", to={"returned": 0}, returned=3),
    ),
    (
        "pieces.held_by_orders",
        "pieces of another order",
        lambda d: d.double("inventory.reservation_lines", changed={"order_id": d.order("rejected")}, sold=2),
    ),
    ("pieces.moved_once", "sold twice", lambda d: d.double("inventory.movements", kind="sold")),
    ("pieces.moved_once", "reserved and forgotten", lambda d: d.remove("inventory.movements", kind="sold")),
    (
        "pieces.moved_once",
        "released and sold",
        lambda d: d.double("inventory.movements", changed={"kind": "released", "on_hand": 0, "sold": 0}, kind="sold"),
    ),
    ("pieces.moved_once", "back twice", lambda d: d.double("inventory.movements", kind="returned")),
    (
        "pieces.moved_once",
        "for nobody",
        lambda d: d.change("inventory.movements", to={"reference": "77"}, kind="reserved"),
    ),
    (
        "pieces.refused_for_cause",
        "some were left",
        lambda d: rewrite(
            d.find("inventory.reservations", state="refused"), "refusal", lambda it: it["fields"].update(left=1)
        ),
    ),
    (
        "pieces.refused_for_cause",
        "without a cause",
        lambda d: d.change("inventory.reservations", to={"refusal": None}, state="refused"),
    ),
]
