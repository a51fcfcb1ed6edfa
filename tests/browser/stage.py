"""A shop in which there is something to see: customers, and orders in every state."""

import sqlite3
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from hansa.kernel.clock import to_micros
from hansa.kernel.event import Envelope
from hansa.kernel.ids import first_id_at, slot_of
from tests.browser.shopper import BRITISH, CHINESE, GUEST_EMAIL, PASSWORD, WORDING
from tests.served import Served, pause

MEMBER, NEWCOMER = "grace@example.com", "nora@example.com"
CAP, TEE, SANDALS = "baker-boy-cap", "boxy-tee", "buckle-sandals"
"""Of these there are as many as anybody buys."""
ENOUGH = 500
SHORTS = "claret-shorts"
"""Staff try things out on these."""
SOLD_OUT = "lined-moccasins"
MOST_LOOKS = 400
DAY_S = 86_400.0
CSV = """slug,name_en,sku,price_USD
No Slug At All,Broken row,BROKEN,19.00
oilskin-hat,Oilskin hat,OILSKIN-HAT-M,cheap
"""
EVENT_ID = "104249991374867456"
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh the Younger of Llanfairpwllgwyngyll"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What there is to be seen, and by which name. Orders of guests are named by what makes them theirs."""

    shop: Served
    staff_token: str
    member_token: str
    newcomer_token: str
    member_id: str
    address_id: str
    placed: str
    sent: str
    cancelled: str
    refunded: str
    guests: str
    transfer_id: str
    """An import with a report."""
    dead_letter: str
    """The path of one."""
    webhook: str
    delivery: str
    """An event that did not arrive there."""
    sales: Mapping[str, str]
    """Flash sales by their state."""
    products: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """By slug and language."""

    def product(self, slug: str, locale: str = "en") -> Mapping[str, Any]:
        return self.products[slug][locale]

    def name(self, slug: str, locale: str = "en") -> str:
        return str(self.products[slug][locale]["name"])

    def id(self, slug: str) -> str:
        return str(self.products[slug]["en"]["id"])

    def sku(self, slug: str) -> str:
        """One that can be had."""
        variants = self.products[slug]["en"]["variants"]
        return next(str(variant["sku"]) for variant in variants if variant["available"])

    def member_token_of_another_session(self) -> str:
        return _signed_in(self.shop, MEMBER)

    def new_order(self) -> str:
        """Another order of the member's."""
        return str(_ordered(self.shop, [self.sku(CAP)], token=self.member_token)["id"])


def furnished(shop: Served) -> Stage:
    """The shop's stage, set over its public API."""
    staff = shop.staff()
    products = {
        slug: {locale: shop.get(f"/api/v1/products/{slug}", locale=locale) for locale in ("en", "zh")}
        for slug in (CAP, TEE, SANDALS, SHORTS, SOLD_OUT)
    }
    for slug in (CAP, TEE):
        for variant in products[slug]["en"]["variants"]:
            put_stock(shop, str(variant["sku"]), ENOUGH, token=staff)
    skus = [str(products[slug]["en"]["variants"][1 if slug != CAP else 0]["sku"]) for slug in (CAP, TEE, SANDALS)]
    member_id, member = _registered(shop, MEMBER, name="Grace Hopper")
    _, newcomer = _registered(shop, NEWCOMER, name="")
    address_id = _post(shop, "/users/me/addresses", {"address": BRITISH, "is_default": True}, token=member)["id"]
    _post(shop, "/users/me/addresses", {"address": {**CHINESE, "name": LONG_NAME}}, token=member)

    orders = [_ordered(shop, skus[:count], token=member) for count in (1, 3, 1, 2)]
    placed, sent, cancelled, refunded = (str(order["id"]) for order in orders)
    parcel = {"carrier": "Royal Mail", "tracking_number": "RM 1234 5678 9GB"}
    _post(shop, f"/admin/orders/{sent}/fulfilments", {"parcels": [parcel]}, token=staff)
    _post(shop, f"/orders/{cancelled}/cancel", {}, token=member)
    _post(shop, f"/admin/orders/{refunded}/refunds", {"amount": 500, "reason": "A seam had come open."}, token=staff)
    return Stage(
        shop=shop,
        staff_token=staff,
        member_token=member,
        newcomer_token=newcomer,
        member_id=member_id,
        address_id=str(address_id),
        placed=placed,
        sent=sent,
        cancelled=cancelled,
        refunded=refunded,
        guests=str(_ordered(shop, skus)["id"]),
        transfer_id=_imported(shop, staff),
        dead_letter=_parked(shop.folder),
        webhook=(webhook := _told(shop, staff)),
        delivery=_noted(shop.folder, webhook),
        sales=_sales(shop, products, staff=staff, member=member),
        products=products,
    )


def announced(
    shop: Served,
    sku: str,
    *,
    token: str,
    starts_in_s: float,
    quantity: int = 100,
    limit: int = 2,
    lasts_s: float = DAY_S,
) -> str:
    """A flash sale at half a dollar, by the shop's own clock."""
    now = datetime.fromisoformat(shop.get("/api/v1/flash-sales")["now"])
    starts_at = now + timedelta(seconds=starts_in_s)
    draft = {
        "sku": sku,
        "price": {"amount": 50, "currency": "USD"},
        "quantity": quantity,
        "limit_per_buyer": limit,
        "starts_at": starts_at.isoformat(),
        "ends_at": (starts_at + timedelta(seconds=lasts_s)).isoformat(),
    }
    return str(_post(shop, "/admin/flash-sales", draft, token=token)["id"])


def put_stock(shop: Served, sku: str, on_hand: int, *, token: str) -> None:
    status, answer = shop.send("PUT", f"/api/v1/admin/inventory/{sku}", {"on_hand": on_hand}, token=token)
    assert status == 200, answer


def _sales(shop: Served, products: Mapping[str, Any], *, staff: str, member: str) -> dict[str, str]:
    """One in each state; of the one that is sold out the member has the only piece."""
    cap, tee = (str(products[slug]["en"]["variants"][0]["sku"]) for slug in (CAP, TEE))
    sales = {
        "open": announced(shop, cap, token=staff, starts_in_s=-60),
        "scheduled": announced(shop, tee, token=staff, starts_in_s=2 * DAY_S),
        "soon": announced(shop, tee, token=staff, starts_in_s=1800),
        "sold_out": announced(shop, cap, token=staff, starts_in_s=-60, quantity=1, limit=1),
        "ended": announced(shop, cap, token=staff, starts_in_s=-60),
    }
    _post(shop, f"/admin/flash-sales/{sales['ended']}/cancel", {}, token=staff)
    ticket = shop.get(f"/api/v1/flash-sales/{sales['sold_out']}/ticket", member)["ticket"]
    body = {
        "ticket": ticket,
        "email": MEMBER,
        "shipping_address": BRITISH,
        "payment": {"provider": "sandbox", "token": "tok_success"},
    }
    _post(shop, f"/flash-sales/{sales['sold_out']}/orders", body, token=member)
    return sales


def _registered(shop: Served, email: str, *, name: str) -> tuple[str, str]:
    """A new member's id, and a token."""
    user = _post(shop, "/users", {"email": email, "password": PASSWORD, "name": name})
    return str(user["id"]), _signed_in(shop, email)


def _signed_in(shop: Served, email: str) -> str:
    return str(_post(shop, "/sessions", {"email": email, "password": PASSWORD})["token"])


def _ordered(shop: Served, skus: list[str], *, token: str = "") -> Any:
    body = {
        "lines": [{"sku": sku, "quantity": 1} for sku in skus],
        "email": GUEST_EMAIL,
        "shipping_address": BRITISH,
        "payment": {"provider": "sandbox", "token": "tok_success"},
    }
    return _post(shop, "/orders", body, token=token)


def _imported(shop: Served, token: str) -> str:
    """An import of which everything was refused, run to its end."""
    boundary = "----the-end-of-a-part"
    head = 'Content-Disposition: form-data; name="file"; filename="autumn.csv"\r\nContent-Type: text/csv'
    body = f"--{boundary}\r\n{head}\r\n\r\n{CSV}\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Cookie": f"session={token}",
        "Origin": shop.address,
    }
    request = urllib.request.Request(f"{shop.address}/en/admin/transfers/imports", body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        page = response.url
        for _ in range(MOST_LOOKS):
            if WORDING.say("en", "staff_transfer.report") in _read(page, token):
                return str(page.rpartition("/")[2])
            pause()
    raise AssertionError("the import did not end")


def _read(url: str, token: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Cookie": f"session={token}"})) as response:
        return str(response.read().decode())


def _parked(folder: Path) -> str:
    """An event that search could not digest, as its inbox parks it."""
    envelope = Envelope(
        id=EVENT_ID,
        type="products.product_put.v1",
        source="products",
        time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        slot=slot_of(EVENT_ID),
        aggregate="382983758136975411",
        body=msgspec.Raw(b'{"product_id": "382983758136975411", "record": null}'),
    )
    error = "ValidationError: Expected `object`, got `null` - at `$.record`"
    row = (
        envelope.slot,
        int(envelope.id),
        "search.index",
        msgspec.json.encode(envelope).decode(),
        error,
        8,
        to_micros(envelope.time),
    )
    with closing(sqlite3.connect(folder / "databases" / "search.db", timeout=20)) as database, database:
        database.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return f"search/search.index/{envelope.id}"


def _told(shop: Served, token: str) -> str:
    """A webhook that hears what does not happen here, so that nothing is ever sent."""
    draft = {
        "url": "https://erp.example.com/hansa/events?warehouse=rotterdam-europoort",
        "types": ["payments.payment_refund_failed.v1"],
        "description": "Stock and orders in the ERP",
    }
    return str(_post(shop, "/admin/webhooks", draft, token=token)["webhook"]["id"])


def _noted(folder: Path, webhook: str) -> str:
    """Deliveries in every state, as they are in the log; answers the event of the one that failed."""
    now = datetime.now(UTC)
    noted, later = to_micros(now), to_micros(now + timedelta(hours=5))
    outcomes = [
        (("delivered", 1), (None, 204, "", 87)),
        (("failed", 8), (None, 503, "status 503", 4_012)),
        (("due", 3), (later, None, "timeout", 15_000)),
        (("delivered", 2), (None, 200, "", 1_240)),
    ]
    events = [str(first_id_at(now) + number) for number in range(len(outcomes))]
    body = '{"type":"orders.order_placed.v1","timestamp":"2026-01-02T03:04:05.000000Z","data":{"number":"0K4F9"}}'
    messages = [(slot_of(event), int(event), body) for event in events]
    deliveries = [
        (slot_of(event), int(event), int(webhook), "orders.order_placed.v1", *start, 0, *end, noted, noted)
        for event, (start, end) in zip(events, outcomes, strict=True)
    ]
    with closing(sqlite3.connect(folder / "databases" / "notifications.db", timeout=20)) as database, database:
        database.executemany("INSERT INTO webhook_messages VALUES (?, ?, ?)", messages)
        database.executemany(f"INSERT INTO webhook_deliveries VALUES ({', '.join('?' * 13)})", deliveries)
    return events[1]


def _post(shop: Served, path: str, body: Any, *, token: str = "") -> Any:
    status, answer = shop.post(f"/api/v1{path}", body, token=token)
    assert status < 300, f"{path}: {status} {answer}"
    return answer
