"""Answers that are changed, taken back, or given twice."""

from tests.simulation.doctorings.doctored import (
    Doctoring,
    declined,
    granted_order,
    id_of,
    lose_order,
    put_twice_at_once,
    refused,
)

DOCTORINGS: list[Doctoring] = [
    ("answers.same_key_same_answer", "another order", lambda d: d.again(granted_order(d), answer={"id": "5"})),
    (
        "answers.same_key_same_answer",
        "another state",
        lambda d: d.again(granted_order(d), answer={"status": "pending"}),
    ),
    ("answers.same_key_same_answer", "another status", lambda d: d.again(granted_order(d), status=200)),
    (
        "answers.same_key_same_answer",
        "declined later",
        lambda d: d.again(granted_order(d), status=402, answer={"code": "payments.declined"}),
    ),
    (
        "answers.same_key_same_answer",
        "refused later",
        lambda d: d.again(granted_order(d), status=409, answer={"code": "orders.cart_ordered"}),
    ),
    (
        "answers.same_key_same_answer",
        "granted after declined",
        lambda d: d.again(declined(d), status=201, answer=dict(granted_order(d).answer, code="")),
    ),
    (
        "answers.same_key_same_answer",
        "a cancellation",
        lambda d: d.again(d.told("POST", "/cancel"), answer={"version": 99}),
    ),
    ("answers.same_key_same_answer", "a refund", lambda d: d.again(d.told("POST", "/refunds"), answer={"refunds": []})),
    (
        "answers.same_key_same_answer",
        "a product's change",
        lambda d: d.again(d.told("PATCH", ""), answer={"version": 99}),
    ),
    ("answers.same_key_same_answer", "a count", lambda d: d.again(d.told("PUT", "/NONE"), answer={"on_hand": 99})),
    ("answers.other_body_refused", "granted", lambda d: d.again(granted_order(d), body={"lines": []})),
    ("answers.other_body_refused", "a count", lambda d: d.again(d.told("PUT", "/NONE"), body={"on_hand": 77})),
    ("answers.one_order_per_key", "two orders", lambda d: d.again(granted_order(d), answer={"id": "5"})),
    ("answers.one_order_per_key", "two declined orders", lambda d: d.again(declined(d), answer={"order_id": "5"})),
    ("answers.orders_last", "lost", lambda d: lose_order(d, id_of(granted_order(d)))),
    (
        "answers.orders_last",
        "placed, and rejected",
        lambda d: d.change(
            "orders.orders", to={"status": "rejected"}, status="placed", order_id=id_of(granted_order(d))
        ),
    ),
    (
        "answers.orders_last",
        "cancelled, and placed",
        lambda d: d.change("orders.orders", to={"status": "placed"}, status="cancelled"),
    ),
    (
        "answers.orders_last",
        "a version lost",
        lambda d: d.change("orders.orders", to={"version": 1}, order_id=id_of(granted_order(d))),
    ),
    (
        "answers.orders_last",
        "another total",
        lambda d: d.add("orders.orders", "total", 1, order_id=id_of(granted_order(d))),
    ),
    (
        "answers.orders_last",
        "another quantity",
        lambda d: d.add("orders.order_lines", "quantity", 1, order_id=id_of(granted_order(d))),
    ),
    ("answers.orders_last", "a line lost", lambda d: d.remove("orders.order_lines", order_id=id_of(granted_order(d)))),
    ("answers.orders_last", "a parcel lost", lambda d: d.rows("orders.fulfilments").clear()),
    ("answers.orders_last", "a refund lost", lambda d: d.remove("orders.order_refunds", amount=500)),
    (
        "answers.orders_last",
        "a refund failed",
        lambda d: d.change("orders.order_refunds", to={"state": "failed"}, amount=500),
    ),
    (
        "answers.declined_stays",
        "placed",
        lambda d: d.change(
            "orders.orders",
            to={"status": "placed"},
            status="rejected",
            order_id=int(declined(d).answer["order_id"].partition("-")[0]),
        ),
    ),
    (
        "answers.out_of_stock_is_true",
        "some are left",
        lambda d: refused(d, "inventory.out_of_stock").answer.update(left=1),
    ),
    (
        "answers.reads_go_forward",
        "an old order",
        lambda d: d.again(d.told("GET", "", status="cancelled"), answer={"version": 1}),
    ),
    (
        "answers.reads_go_forward",
        "an order pending again",
        lambda d: d.again(d.told("GET", "", status="cancelled"), answer={"status": "pending"}),
    ),
    (
        "answers.reads_go_forward",
        "an old product",
        lambda d: d.again(next(it for it in d.operations if it.verb == "GET" and "draft" in (it.answer or {}))),
    ),
    ("answers.reads_go_forward", "an old stock", lambda d: d.again(d.told("GET", "/NONE"))),
    (
        "answers.reads_go_forward",
        "a cart that forgot",
        lambda d: d.again(
            next(it for it in d.operations if it.actor == "gil" and it.verb == "GET"), answer={"version": 2}
        ),
    ),
    (
        "answers.versions_mean_one_thing",
        "an order",
        lambda d: d.again(d.told("GET", "", status="cancelled"), answer={"lines": []}),
    ),
    ("answers.versions_mean_one_thing", "a lost update", put_twice_at_once),
    ("answers.versions_mean_one_thing", "a stock", lambda d: d.again(d.told("GET", "/HAT"), answer={"levels": []})),
    (
        "answers.versions_mean_one_thing",
        "a cart",
        lambda d: d.again(
            next(it for it in d.operations if it.actor == "gil" and it.verb == "GET"), answer={"lines": []}
        ),
    ),
]
