"""Money that is lost, taken twice, or miscounted."""

from tests.simulation.doctorings.doctored import Doctoring, change_tax, entry_of, lose_order, of_sale, swap, with_more

DOCTORINGS: list[Doctoring] = [
    ("money.captured_once", "twice", lambda d: d.books.append(entry_of(d, "captured"))),
    ("money.captured_means_placed", "a paid order lost", lambda d: lose_order(d, of_sale(d))),
    (
        "money.captured_means_placed",
        "a cancelled order not refunded",
        lambda d: d.books.remove(entry_of(d, "refunded", key=str(d.order("cancelled")))),
    ),
    (
        "money.captured_means_placed",
        "rejected and captured",
        lambda d: d.change("orders.orders", to={"status": "rejected"}, status="placed"),
    ),
    (
        "money.charged_the_total",
        "a cent too much",
        lambda d: swap(d, e := entry_of(d, "captured", key=str(d.order())), with_more(e, 1)),
    ),
    ("money.charged_the_total", "nothing", lambda d: d.books.remove(entry_of(d, "captured", key=str(d.order())))),
    (
        "money.charged_the_total",
        "in another currency",
        lambda d: d.change("orders.orders", to={"currency": "CNY"}, status="placed"),
    ),
    (
        "money.never_refunded_more",
        "twice",
        lambda d: d.books.append(entry_of(d, "refunded", key=str(d.order("cancelled")))),
    ),
    (
        "money.payments_equal_books",
        "a capture unknown",
        lambda d: d.change("payments.intents", to={"captured": 0, "state": "failed"}, state="captured"),
    ),
    ("money.payments_equal_books", "a payment lost", lambda d: d.remove("payments.intents", state="captured")),
    ("money.payments_equal_books", "a refund lost", lambda d: d.remove("payments.refunds", amount=500)),
    (
        "money.payments_equal_books",
        "a refund in halves",
        lambda d: swap(
            d, e := entry_of(d, "refunded", key=str(d.order("completed"))), with_more(e, -250), with_more(e, -250)
        ),
    ),
    (
        "money.payments_equal_books",
        "a refund made up",
        lambda d: d.add("payments.intents", "refunded", 1, state="captured"),
    ),
    ("money.payments_end", "pending", lambda d: d.change("payments.intents", to={"state": "pending"}, state="failed")),
    ("money.payments_end", "a refund pending", lambda d: d.change("payments.refunds", to={"state": "pending"})),
    (
        "money.payments_end",
        "owed",
        lambda d: d.change("payments.intents", to={"refunded": 0}, is_closed=1, state="captured"),
    ),
    ("money.payments_end", "promised", lambda d: d.add("payments.intents", "refunding", 5, state="captured")),
    ("money.totals_add_up", "a total", lambda d: d.add("orders.orders", "total", 1)),
    ("money.totals_add_up", "a subtotal", lambda d: d.add("orders.orders", "subtotal", 1)),
    ("money.totals_add_up", "a line", lambda d: d.add("orders.order_lines", "total", -1)),
    ("money.totals_add_up", "pieces", lambda d: d.add("orders.orders", "pieces", 1)),
    ("money.totals_add_up", "a line lost", lambda d: d.rows("orders.order_lines").pop()),
    (
        "money.totals_add_up",
        "a tax",
        lambda d: change_tax(d, lambda tax: tax["amount"].update(amount=tax["amount"]["amount"] + 1)),
    ),
    (
        "money.totals_add_up",
        "a tax of something else",
        lambda d: change_tax(d, lambda tax: tax.update(line="HAT", basis={"amount": 1, "currency": "USD"})),
    ),
    (
        "money.totals_add_up",
        "an adjustment's currency",
        lambda d: change_tax(d, lambda tax: tax["amount"].update(currency="CNY")),
    ),
    (
        "money.payment_is_the_orders",
        "another amount",
        lambda d: d.add("payments.intents", "amount", 1, state="captured"),
    ),
    (
        "money.payment_is_the_orders",
        "another currency",
        lambda d: d.change("payments.intents", to={"currency": "CNY"}, state="captured"),
    ),
    (
        "money.payment_is_the_orders",
        "a capture not heard",
        lambda d: d.change("orders.orders", to={"captured": 0}, status="cancelled"),
    ),
    (
        "money.payment_is_the_orders",
        "a state not heard",
        lambda d: d.change("orders.orders", to={"payment_state": "voided"}, status="placed"),
    ),
    ("money.payment_is_the_orders", "of nobody", lambda d: d.double("payments.intents", changed={"order_id": 9})),
    ("money.payment_is_the_orders", "none", lambda d: d.remove("payments.intents", state="captured")),
    ("money.payment_is_the_orders", "a refund not heard", lambda d: d.rows("orders.order_refunds").pop()),
    (
        "money.payment_is_the_orders",
        "a refund heard as pending",
        lambda d: d.change("orders.order_refunds", to={"state": "pending"}),
    ),
    ("money.payment_is_the_orders", "a refund of another amount", lambda d: d.add("orders.order_refunds", "amount", 1)),
    ("money.refunds_asked_once", "unanswered", lambda d: d.change("orders.refund_requests", to={"answer": None})),
    ("money.refunds_asked_once", "twice", lambda d: d.double("payments.refunds", changed={"refund_id": 5}, amount=500)),
    ("money.refunds_asked_once", "not at all", lambda d: d.remove("payments.refunds", amount=500)),
    ("money.refunds_asked_once", "by nobody", lambda d: d.remove("orders.refund_requests", amount=500)),
    (
        "money.refunds_asked_once",
        "with a new key",
        lambda d: d.change("payments.refunds", to={"key": "asked:new"}, amount=500),
    ),
]
