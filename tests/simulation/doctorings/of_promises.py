"""Promises that are not kept."""

from tests.simulation.doctorings.doctored import Doctoring, cart_line, continued, quoted

DOCTORINGS: list[Doctoring] = [
    (
        "promises.last_price_holds",
        "an older one has begun later",
        lambda d: d.add("products.prices", "valid_from", 10**12, sku="HAT", amount=1999),
    ),
    (
        "promises.last_price_holds",
        "another amount",
        lambda d: d.change("products.prices", to={"amount": 2098}, amount=2099),
    ),
    ("promises.products_last", "lost", lambda d: d.remove("products.products", slug="hat")),
    ("promises.products_last", "an old version", lambda d: d.add("products.products", "version", -1, slug="hat")),
    ("promises.products_last", "a price lost", lambda d: d.remove("products.prices", amount=2099)),
    (
        "promises.products_last",
        "archived",
        lambda d: d.change("products.products", to={"status": "archived"}, slug="hat"),
    ),
    (
        "promises.products_last",
        "renamed",
        lambda d: d.change("products.product_texts", to={"name": "Cap"}, locale="en", name="Product HAT"),
    ),
    ("promises.stock_lasts", "a count lost", lambda d: d.remove("inventory.movements", sku="NONE", kind="written_off")),
    ("promises.stock_lasts", "another count", lambda d: d.told("PUT", "/NONE").answer["levels"][0].update(on_hand=99)),
    ("promises.counts_count", "another number", lambda d: d.told("PUT", "/NONE").body.update(on_hand=99)),
    ("promises.members_last", "lost", lambda d: d.rows("users.users").clear()),
    ("promises.members_last", "an address lost", lambda d: d.rows("users.addresses").clear()),
    ("promises.refunds_last", "lost", lambda d: d.remove("orders.refund_requests", amount=500)),
    (
        "promises.refunds_last",
        "another amount",
        lambda d: d.change("orders.refund_requests", to={"amount": 5}, amount=500),
    ),
    (
        "promises.cart_lines_last",
        "an update lost",
        lambda d: d.change("carts.cart_lines", to={"quantity": 1}, quantity=4),
    ),
    ("promises.cart_lines_last", "a line lost", lambda d: d.remove("carts.cart_lines", quantity=4)),
    (
        "promises.cart_lines_last",
        "a line that was removed",
        lambda d: d.double("carts.cart_lines", changed={"sku": "SHOE"}, quantity=4),
    ),
    ("promises.cart_lines_last", "the cart lost", lambda d: d.remove("carts.carts", cart_id=cart_line(d)[0])),
    ("promises.late_lines_go_on", "lost", lambda d: d.remove("carts.cart_lines", cart_id=continued(d))),
    ("promises.late_lines_go_on", "fewer", lambda d: d.add("carts.cart_lines", "quantity", -1, cart_id=continued(d))),
    (
        "promises.late_lines_go_on",
        "no cart",
        lambda d: d.change("carts.carts", to={"continued_in": None}, continued_in=continued(d)),
    ),
    (
        "promises.shown_is_charged",
        "another price",
        lambda d: quoted(d).answer["lines"][0]["unit_price"].update(amount=1),
    ),
    ("promises.shown_is_charged", "another subtotal", lambda d: quoted(d).answer["subtotal"].update(amount=1)),
    ("promises.prices_were_stated", "another price", lambda d: d.add("orders.order_lines", "unit_price", 1)),
    ("promises.prices_were_stated", "in another currency", lambda d: d.change("orders.orders", to={"currency": "JPY"})),
    ("promises.deeds_are_audited", "a parcel in secret", lambda d: d.remove("orders.audit", action="orders.fulfil")),
    (
        "promises.deeds_are_audited",
        "a refund twice for one key",
        lambda d: d.double("orders.refund_requests", amount=500).double("orders.audit", action="orders.refund"),
    ),
    (
        "promises.deeds_are_audited",
        "a parcel twice for one key",
        lambda d: d.double("orders.fulfilments").double("orders.audit", action="orders.fulfil"),
    ),
    (
        "promises.deeds_are_audited",
        "granted and not done",
        lambda d: d.remove("orders.fulfilments").remove("orders.audit", action="orders.fulfil"),
    ),
]
