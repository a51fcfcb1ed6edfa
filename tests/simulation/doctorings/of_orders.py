"""Orders that take illegal steps, or are not what they say."""

from tests.simulation.doctorings.doctored import Doctoring, ordered_cart, rewrite

DOCTORINGS: list[Doctoring] = [
    ("orders.end", "pending", lambda d: d.change("orders.orders", to={"status": "pending"})),
    ("orders.end", "still due", lambda d: d.change("orders.orders", to={"resume_at": 1})),
    ("orders.end", "still chargeable", lambda d: d.change("orders.orders", to={"payment_token": "sealed"})),
    ("orders.end", "no answer", lambda d: d.change("orders.orders", to={"answer": None})),
    ("orders.legal_history", "an entry lost", lambda d: d.remove("orders.order_entries", number=1)),
    ("orders.legal_history", "an entry doubled", lambda d: d.double("orders.order_entries", kind="placed")),
    (
        "orders.legal_history",
        "completed unplaced",
        lambda d: d.change(
            "orders.order_entries", to={"kind": "payment"}, kind="placed", order_id=d.order("completed")
        ),
    ),
    (
        "orders.legal_history",
        "placed after all",
        lambda d: d.double("orders.order_entries", changed={"kind": "placed", "number": 3}, kind="rejected"),
    ),
    (
        "orders.legal_history",
        "another end",
        lambda d: d.change("orders.orders", to={"status": "cancelled"}, status="rejected"),
    ),
    ("orders.legal_history", "a version lost", lambda d: d.change("orders.orders", to={"version": 1})),
    ("orders.legal_history", "of nobody", lambda d: d.double("orders.order_entries", changed={"order_id": 3})),
    ("orders.one_per_key", "two orders", lambda d: d.double("orders.orders", changed={"order_id": 5})),
    ("orders.one_per_key", "two keys", lambda d: d.double("orders.order_keys", changed={"key": "another"})),
    ("orders.one_per_key", "an order lost", lambda d: d.remove("orders.orders", status="placed")),
    (
        "orders.one_per_key",
        "a key for two",
        lambda d: d.double("orders.order_keys", changed={"order_id": d.order("rejected")}),
    ),
    (
        "orders.cart_ordered_once",
        "twice",
        lambda d: d.double("orders.orders", changed={"order_id": 5}, cart_id=ordered_cart(d)),
    ),
    ("orders.cart_ordered_once", "unclaimed", lambda d: d.rows("orders.order_carts").clear()),
    (
        "orders.cart_ordered_once",
        "claimed by another",
        lambda d: d.change("orders.order_carts", to={"order_id": d.order("rejected")}),
    ),
    ("orders.carts_close", "open", lambda d: d.change("carts.carts", to={"is_open": 1}, cart_id=ordered_cart(d))),
    ("orders.carts_close", "gone", lambda d: d.remove("carts.carts", cart_id=ordered_cart(d))),
    (
        "orders.payment_fits",
        "placed unpaid",
        lambda d: d.change("orders.orders", to={"payment_state": "pending"}, status="placed"),
    ),
    ("orders.payment_fits", "placed half paid", lambda d: d.add("orders.orders", "captured", -1, status="placed")),
    (
        "orders.payment_fits",
        "rejected and waiting",
        lambda d: d.change("orders.orders", to={"payment_state": "pending"}, status="rejected"),
    ),
    (
        "orders.payment_fits",
        "failed and captured",
        lambda d: d.change("orders.orders", to={"captured": 5}, status="rejected"),
    ),
    (
        "orders.nothing_kept",
        "pieces",
        lambda d: d.change("inventory.reservation_lines", to={"returned": 2}, order_id=d.order("cancelled")),
    ),
    (
        "orders.nothing_kept",
        "pieces held",
        lambda d: d.change("inventory.reservation_lines", to={"held": 2}, order_id=d.order("cancelled")),
    ),
    (
        "orders.nothing_kept",
        "money",
        lambda d: d.add("payments.intents", "refunded", -1, order_id=d.order("cancelled")),
    ),
    (
        "orders.lines_fit",
        "sent and not counted",
        lambda d: d.change("orders.order_lines", to={"fulfilled": 0, "returned": 0}, fulfilled=4),
    ),
    ("orders.lines_fit", "a parcel lost", lambda d: d.rows("orders.fulfilments").clear()),
    ("orders.lines_fit", "a parcel doubled", lambda d: d.double("orders.fulfilments", changed={"fulfilment_id": 5})),
    (
        "orders.lines_fit",
        "cancelled and not counted",
        lambda d: d.change("orders.order_lines", to={"cancelled": 0}, order_id=d.order("cancelled")),
    ),
    (
        "orders.lines_fit",
        "completed too early",
        lambda d: d.change("orders.orders", to={"status": "completed"}, status="placed"),
    ),
    (
        "orders.lines_fit",
        "more back than sent",
        lambda d: d.change("orders.order_lines", to={"returned": 1}, fulfilled=0),
    ),
    ("orders.lines_fit", "of nobody", lambda d: d.double("orders.order_lines", changed={"order_id": 3})),
    (
        "orders.kept_answer_fits",
        "another order",
        lambda d: rewrite(d.find("orders.orders", status="placed"), "answer", lambda it: it["order"].update(id="5")),
    ),
    (
        "orders.kept_answer_fits",
        "another total",
        lambda d: rewrite(
            d.find("orders.orders", status="placed"), "answer", lambda it: it["order"]["total"].update(amount=5)
        ),
    ),
    (
        "orders.kept_answer_fits",
        "placed, and rejected",
        lambda d: d.change("orders.orders", to={"status": "rejected"}, status="placed"),
    ),
    (
        "orders.kept_answer_fits",
        "refused, and placed",
        lambda d: d.change("orders.orders", to={"status": "placed"}, status="rejected"),
    ),
    (
        "orders.kept_answer_fits",
        "an unknown refusal",
        lambda d: rewrite(
            d.find("orders.orders", status="rejected"), "answer", lambda it: it["error"].update(code="no.such")
        ),
    ),
]
