"""Messages that are lost or doubled, read models that lag, limits that do not hold."""

from tests.simulation.doctorings.doctored import Doctoring, member, rewrite

DOCTORINGS: list[Doctoring] = [
    ("messages.sent", "unsent", lambda d: d.rows("orders.outbox").append({"event_id": 5, "envelope": "{}"})),
    (
        "messages.no_dead_letters",
        "parked",
        lambda d: d.rows("home.dead_letters").append({"event_id": 5, "consumer": "home.order_placed", "error": ""}),
    ),
    ("messages.handled_once", "lost", lambda d: d.remove("home.inbox", consumer="home.order_placed")),
    ("messages.handled_once", "twice", lambda d: d.double("home.inbox", consumer="home.order_placed")),
    ("messages.handled_once", "lost by all", lambda d: d.say("5", "payments.payment_captured.v1")),
    ("messages.handled_once", "an effect twice", lambda d: d.sent.update({"home.order_placed 5": 2})),
    (
        "messages.handled_once",
        "never said",
        lambda d: d.say("6", "other", heard_by="home.order_placed"),
    ),
    (
        "messages.everything_said",
        "placed in silence",
        lambda d: [
            d.remove(f"{name}.inbox", consumer=consumer) for name, consumer in d.consumers["orders.order_placed.v1"]
        ],
    ),
    (
        "messages.everything_said",
        "carts ordered in silence",
        lambda d: d.remove("carts.inbox", consumer="carts.close_ordered"),
    ),
    ("messages.everything_said", "put in silence", lambda d: d.add("products.products", "version", 1)),
    ("messages.everything_said", "captured in silence", lambda d: d.remove("orders.inbox", consumer="orders.captured")),
    (
        "availability.is_shown",
        "sold out and shown",
        lambda d: d.change("products.variants", to={"is_available": 1}, sku="LAST"),
    ),
    (
        "availability.is_shown",
        "there and hidden",
        lambda d: d.change("products.variants", to={"is_available": 0}, sku="HAT"),
    ),
    (
        "availability.is_shown",
        "not heard",
        lambda d: d.change("products.variant_availability", to={"is_available": 1}, sku="LAST"),
    ),
    ("home.cards", "an event skipped", lambda d: d.add("home.cards", "version", -1, version=2)),
    ("home.cards", "a card lost", lambda d: d.rows("home.cards").pop()),
    ("home.cards", "a card too many", lambda d: d.double("home.cards", changed={"product_id": 5})),
    ("home.cards", "archived", lambda d: d.change("home.cards", to={"is_active": 0})),
    ("home.cards", "sold out", lambda d: d.change("home.cards", to={"is_available": 0}, is_available=1)),
    ("home.cards", "a variant's word missed", lambda d: d.add("home.variants", "version", -1)),
    ("home.cards", "a variant lost", lambda d: d.rows("home.variants").pop()),
    ("home.cards", "another slug", lambda d: rewrite(d.rows("home.cards")[0], "face", lambda it: it.update(slug="x"))),
    ("home.sales", "counted twice", lambda d: d.add("home.sales", "pieces", 1)),
    ("home.sales", "a card that lags", lambda d: d.change("home.cards", to={"sold": 0}, is_available=1)),
    ("home.sales", "a cancellation missed", lambda d: d.change("home.orders", to={"is_cancelled": 0}, is_cancelled=1)),
    ("home.sales", "an order missed", lambda d: d.rows("home.orders").pop()),
    ("home.sales", "other pieces", lambda d: d.change("home.orders", to={"pieces": "{}"}, is_cancelled=0)),
    ("home.shelves", "a place lost", lambda d: d.rows("home.shelves").pop()),
    ("home.shelves", "an old score", lambda d: d.add("home.shelves", "score", 1)),
    ("home.shelves", "a place too many", lambda d: d.double("home.shelves", changed={"product_id": 5})),
    (
        "home.shelves",
        "a category miscounted",
        lambda d: d.rows("home.categories").append({"path": "hats", "products": 2}),
    ),
    ("search.documents", "an event skipped", lambda d: d.add("search.documents", "version", -1, version=2)),
    ("search.documents", "lost", lambda d: d.rows("search.documents").pop()),
    ("search.documents", "too many", lambda d: d.double("search.documents", changed={"product_id": 5})),
    (
        "search.documents",
        "an old price",
        lambda d: rewrite(
            d.find("search.documents", version=2), "record", lambda it: it["variants"][0]["prices"][0].update(amount=1)
        ),
    ),
    ("search.documents", "archived", lambda d: d.change("search.documents", to={"is_active": 0})),
    (
        "search.documents",
        "another sku",
        lambda d: rewrite(d.rows("search.documents")[0], "record", lambda it: it["variants"][0].update(sku="X")),
    ),
    ("search.availability", "a word missed", lambda d: d.add("search.availabilities", "version", -1)),
    ("search.availability", "lost", lambda d: d.rows("search.availabilities").pop()),
    ("search.availability", "of nothing", lambda d: d.double("search.availabilities", changed={"sku": "X"})),
    ("notifications.one_mail", "none", lambda d: d.rows("notifications.mails").pop()),
    ("notifications.one_mail", "two", lambda d: d.double("notifications.mails")),
    (
        "notifications.one_mail",
        "for a rejected order",
        lambda d: d.double("notifications.mails", changed={"order_id": d.order("rejected")}),
    ),
    (
        "notifications.one_mail",
        "another total",
        lambda d: rewrite(d.rows("notifications.mails")[0], "facts", lambda it: it["total"].update(amount=1)),
    ),
    ("notifications.mails_end", "due", lambda d: d.change("notifications.mails", to={"state": "due"})),
    ("limits.lines", "too many pieces", lambda d: d.change("carts.cart_lines", to={"quantity": 10_001})),
    ("limits.lines", "no piece", lambda d: d.change("orders.order_lines", to={"quantity": 0})),
    (
        "limits.lines",
        "too many lines",
        lambda d: [d.double("orders.order_lines", changed={"sku": str(number)}) for number in range(100)],
    ),
    (
        "limits.one_open_cart",
        "two",
        lambda d: d.double("carts.carts", changed={"cart_id": 5}, is_open=1, member=member(d)),
    ),
    ("limits.one_open_cart", "unknown", lambda d: d.rows("carts.member_carts").clear()),
    (
        "limits.one_open_cart",
        "closed",
        lambda d: d.change("carts.carts", to={"is_open": 0}, is_open=1, member=member(d)),
    ),
    ("limits.accounts", "an account lost", lambda d: d.rows("users.users").pop()),
    ("limits.accounts", "a slug twice", lambda d: d.change("products.products", to={"slug": "hat"}, slug="shoe")),
    ("limits.accounts", "a sku twice", lambda d: d.change("products.variants", to={"sku": "HAT"}, sku="SHOE")),
    ("messages.keys_are_answered", "an answer lost", lambda d: d.change("inventory.commands", to={"answer": None})),
]
