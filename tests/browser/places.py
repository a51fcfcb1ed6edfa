"""Every page of the shop in its states, and how to come there: by its address, or by doing something on the way."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from playwright.async_api import FilePayload

from tests.browser.shopper import GUEST_EMAIL, HOMES, IS_DECLINED, IS_SILENT, Shopper
from tests.browser.stage import SHORTS, SOLD_OUT, TEE, Stage

Way = Callable[[Shopper, Stage], Awaitable[None]]
NOWHERE = "(nowhere)"
"""Stands for what no book declares: an address that leads nowhere."""


class Who(Enum):
    """Who comes to a page."""

    ANYBODY = "anybody"
    GUEST = "guest"
    """With something in the cart."""
    NEWCOMER = "newcomer"
    """A member who has just signed up: everything is empty."""
    MEMBER = "member"
    STAFF = "staff"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A page in one of its states. `page` is its path as the books of the pages declare it."""

    name: str
    page: str
    who: Who
    status: int
    way: Way


def at(
    name: str, page: str, path: str | Callable[[Stage], str] | None = None, who: Who = Who.ANYBODY, status: int = 200
) -> Place:
    """A page that its address leads to."""

    async def way(shopper: Shopper, stage: Stage) -> None:
        address = page if path is None else path
        await shopper.open(address if isinstance(address, str) else address(stage))

    return Place(name=name, page=page, who=who, status=status, way=way)


def by(name: str, page: str, way: Way, who: Who = Who.ANYBODY, status: int = 200) -> Place:
    """A page that something must be done for."""
    return Place(name=name, page=page, who=who, status=status, way=way)


# -- what is done on the way -----------------------------------------------------------------------------------------


def sent(path: str | Callable[[Stage], str], button: str, **fields: str) -> Way:
    """A form of a page, sent with these fields (by the keys of their labels), whatever the browser thinks of it."""

    async def way(shopper: Shopper, stage: Stage) -> None:
        await shopper.open(path if isinstance(path, str) else path(stage))
        for label, value in fields.items():
            await shopper.page.get_by_label(shopper.say(label.replace("__", ".")), exact=True).fill(value)
        await shopper.send_anyhow(shopper.page.locator("main form", has=shopper.button(button)))

    return way


async def _suggestions(shopper: Shopper, stage: Stage) -> None:
    await shopper.open()
    await shopper.page.get_by_role("searchbox").press_sequentially({"en": "lea", "zh": "皮"}[shopper.locale])
    await shopper.page.get_by_role("search").locator("..").get_by_role("link").first.wait_for()


async def _languages(shopper: Shopper, stage: Stage) -> None:
    await shopper.open(f"products/{TEE}")
    await shopper.page.locator("summary", has_text=shopper.say("common.language")).click()


async def _consent(shopper: Shopper, stage: Stage) -> None:
    await shopper.open()
    await (
        shopper.page.get_by_role("link", name=stage.name(TEE, shopper.locale), exact=True)
        .or_(shopper.page.get_by_role("main").get_by_role("article").get_by_role("link"))
        .first.click()
    )
    await shopper.button("consent.yes").wait_for()


async def _added(shopper: Shopper, stage: Stage) -> None:
    await shopper.open(f"products/{TEE}")
    await shopper.put_into_cart(stage.name(TEE, shopper.locale), size="M")


async def _cart_refused(shopper: Shopper, stage: Stage) -> None:
    """Sold out while the page was still open."""
    await shopper.open(f"products/{TEE}")
    form = shopper.page.locator("form", has=shopper.button("product.add"))
    sku = stage.product(SOLD_OUT)["variants"][0]["sku"]
    await form.evaluate("(form, sku) => { form.elements.sku.forEach(each => { each.value = sku; }); }", sku)
    await shopper.send_anyhow(form)


async def _review(shopper: Shopper, stage: Stage) -> None:
    await shopper.fill_cart(stage.sku(TEE))
    await shopper.open("checkout")
    await shopper.go_to_review(HOMES[shopper.locale], email=GUEST_EMAIL)


async def _review_of_member(shopper: Shopper, stage: Stage) -> None:
    await shopper.open("checkout")
    await shopper.button("checkout.to_review").click()
    await shopper.heading("checkout.review_title").wait_for()


async def _review_unfolded(shopper: Shopper, stage: Stage) -> None:
    await _review_of_member(shopper, stage)
    await shopper.page.get_by_text(shopper.say("sums.why")).click()


async def _declined(shopper: Shopper, stage: Stage) -> None:
    await _review(shopper, stage)
    await shopper.choose_payment(IS_DECLINED)
    await shopper.place_button.click()
    await shopper.alert("checkout.wrong.declined").wait_for()


async def _thanks(shopper: Shopper, stage: Stage) -> None:
    await _review(shopper, stage)
    await shopper.place_order()


async def _waiting(shopper: Shopper, stage: Stage) -> None:
    """The provider keeps silent."""
    await _review(shopper, stage)
    await shopper.choose_payment(IS_SILENT)
    await shopper.place_order()


async def _ordered_already(shopper: Shopper, stage: Stage) -> None:
    """The same cart at its review in two tabs."""
    await _review(shopper, stage)
    other = await shopper.other_tab()
    await other.open("checkout")
    await other.go_to_review(HOMES[shopper.locale], email=GUEST_EMAIL)
    await other.place_order()
    await other.page.close()
    await shopper.place_button.click()
    await shopper.heading("checkout.ordered.title").wait_for()


async def _over_the_limit(shopper: Shopper, stage: Stage) -> None:
    """The member has the one piece that anybody may have, and asks for another."""
    await shopper.open(f"sale/{stage.sales['sold_out']}/buy")
    await shopper.send_anyhow(shopper.page.locator("#flash-form"))


async def _flash_wrong(shopper: Shopper, stage: Stage) -> None:
    """Nothing is filled in, and the sale is open."""
    await shopper.open(f"sale/{stage.sales['open']}/buy")
    await shopper.send_anyhow(shopper.page.locator("#flash-form"))


async def _flash_form_in_place(shopper: Shopper, stage: Stage) -> None:
    """In the public page, for whoever is signed in."""
    await shopper.open(f"sale/{stage.sales['open']}")
    await shopper.button("flash.submit").wait_for()
    await shopper.page.locator("#flash-clock").wait_for()


async def _variants_conflict(shopper: Shopper, stage: Stage) -> None:
    """Another tab has saved another price meanwhile."""
    path = f"admin/products/{stage.id(SHORTS)}/variants"
    field = shopper.say("staff_product.price_of", sku=stage.sku(SHORTS), currency="USD")
    other = await shopper.other_tab()
    await shopper.open(path)
    await other.open(path)
    mine, theirs = {"en": ("21.50", "22.50"), "zh": ("23.50", "24.50")}[shopper.locale]
    await other.page.get_by_label(field).fill(theirs)
    await other.button("staff_product.save_prices").click()
    await other.text("staff.saved").wait_for()
    await other.page.close()
    await shopper.page.get_by_label(field).fill(mine)
    await shopper.button("staff_product.save_prices").click()
    await shopper.page.get_by_role("heading", name=shopper.say("staff.conflict_title")).wait_for()


async def _price_wrong(shopper: Shopper, stage: Stage) -> None:
    await shopper.open(f"admin/products/{stage.id(SHORTS)}/variants")
    field = shopper.say("staff_product.price_of", sku=stage.sku(SHORTS), currency="USD")
    await shopper.page.get_by_label(field).fill("cheap")
    await shopper.button("staff_product.save_prices").click()
    await shopper.page.get_by_role("alert").first.wait_for()


async def _no_picture(shopper: Shopper, stage: Stage) -> None:
    await shopper.open(f"admin/products/{stage.id(SHORTS)}/pictures")
    file = FilePayload(name="picture.jpg", mimeType="image/jpeg", buffer=b"This is no picture.")
    await shopper.page.get_by_label(shopper.say("staff_product.add_pictures")).set_input_files(file)
    await shopper.button("staff.upload").click()
    await shopper.page.get_by_role("alert").first.wait_for()


async def _customer_missing(shopper: Shopper, stage: Stage) -> None:
    await shopper.open("admin/customers")
    await shopper.page.get_by_label(shopper.say("staff_customer.find")).fill("nobody@example.com")
    await shopper.button("staff.find").click()
    await shopper.page.get_by_role("heading", name=shopper.say("staff_customer.nobody_title")).wait_for()


async def _customer_revealed(shopper: Shopper, stage: Stage) -> None:
    await shopper.open(f"admin/customers/{stage.member_id}")
    await shopper.page.get_by_label(shopper.say("staff_customer.reason")).fill("The parcel came back.")
    await shopper.button("staff_customer.reveal").click()
    await shopper.text("staff_customer.revealed").wait_for()


async def _secret_shown(shopper: Shopper, stage: Stage) -> None:
    await shopper.open(f"admin/webhooks/{stage.webhook}")
    await shopper.button("staff_webhook.reveal").click()
    await shopper.text("staff_webhook.secret_text").wait_for()


async def _order_unfolded(shopper: Shopper, stage: Stage) -> None:
    await shopper.open(f"admin/orders/{stage.placed}")
    for key in ("staff_order.give_back", "staff_order.cancel"):
        await shopper.page.locator("summary", has_text=shopper.say(key)).click()


def _product(part: str = "") -> Callable[[Stage], str]:
    return lambda stage: f"admin/products/{stage.id(TEE)}{part}"


def _sale(state: str, part: str = "") -> Callable[[Stage], str]:
    return lambda stage: f"sale/{stage.sales[state]}{part}"


def _order(name: str) -> Callable[[Stage], str]:
    return lambda stage: f"orders/{getattr(stage, name)}"


def _staff_order(name: str) -> Callable[[Stage], str]:
    return lambda stage: f"admin/orders/{getattr(stage, name).partition('-')[0]}"


ANYBODY = [
    at("home", ""),
    by("home-suggestions", "", _suggestions),
    by("product-languages", "products/{name}", _languages),
    by("product-consent", "products/{name}", _consent),
    at("department", "categories/{path:path}", "categories/tops"),
    at("department-below", "categories/{path:path}", "categories/bottoms/shorts"),
    at("department-filtered", "categories/{path:path}", "categories/tops?brand=Sunday+Club&stock=1"),
    at("search", "search"),
    at("search-found", "search", "search?q=leather"),
    at("search-corrected", "search", "search?q=lether"),
    at("search-nothing", "search", "search?q=qqqqzzzz"),
    at("search-nothing-narrowed", "search", "search?stock=1&from=99999"),
    at("product", "products/{name}", f"products/{TEE}"),
    at("product-one-size", "products/{name}", "products/baker-boy-cap"),
    at("product-sold-out", "products/{name}", f"products/{SOLD_OUT}"),
    at("product-other-currency", "products/{name}", f"products/{TEE}?currency=EUR"),
    by("product-added", "products/{name}", _added, Who.GUEST),
    at("cart-empty", "cart"),
    at("sign-in", "sign-in"),
    by(
        "sign-in-refused",
        "sign-in",
        sent("sign-in", "sign_in.submit", sign_in__email="somebody@example.com"),
        status=422,
    ),
    at("sign-up", "sign-up"),
    by("sign-up-refused", "sign-up", sent("sign-up", "sign_up.submit"), status=422),
    at("track", "track"),
    by("track-unknown", "track", sent("track", "track.submit", track__label="no such order"), status=404),
    at("order-of-guest", "orders/{name}", _order("guests")),
    at("order-cancel", "orders/{name}/cancel", lambda stage: f"orders/{stage.guests}/cancel"),
    at("sales", "sale"),
    at("sale-open", "sale/{sale_id}", _sale("open")),
    at("sale-scheduled", "sale/{sale_id}", _sale("scheduled")),
    at("sale-soon", "sale/{sale_id}", _sale("soon")),
    at("sale-sold-out", "sale/{sale_id}", _sale("sold_out")),
    at("sale-ended", "sale/{sale_id}", _sale("ended")),
    at("sale-not-found", "sale/{sale_id}", "sale/1", status=404),
    at("privacy", "privacy"),
    at("not-found", NOWHERE, "no/such/page", status=404),
    at("product-not-found", "products/{name}", "products/no-such-thing", status=404),
]
GUEST = [
    at("cart", "cart", who=Who.GUEST),
    by("cart-refused", "cart", _cart_refused, Who.GUEST, 409),
    at("cart-other-currency", "cart", "cart?currency=EUR", Who.GUEST),
    at("checkout", "checkout", who=Who.GUEST),
    by("checkout-wrong", "checkout", sent("checkout", "checkout.to_review"), Who.GUEST, 422),
    by("checkout-review", "checkout", _review, Who.GUEST),
    by("checkout-declined", "checkout", _declined, Who.GUEST, 402),
    by("checkout-ordered-already", "checkout", _ordered_already, Who.GUEST, 409),
    by("order-thanks", "orders/{name}", _thanks, Who.GUEST),
    by("order-waiting", "orders/{name}", _waiting, Who.GUEST),
]
NEWCOMERS = [
    at("account-empty", "account", who=Who.NEWCOMER),
    at("account-orders-empty", "account/orders", who=Who.NEWCOMER),
    at("account-addresses-empty", "account/addresses", who=Who.NEWCOMER),
    at("sale-form-empty", "sale/{sale_id}/buy", _sale("soon", "/buy"), Who.NEWCOMER),
    by("sale-form-wrong", "sale/{sale_id}/buy", _flash_wrong, Who.NEWCOMER, 422),
    at("forbidden", "admin", who=Who.NEWCOMER, status=403),
]
MEMBERS = [
    at("account", "account", who=Who.MEMBER),
    at("account-orders", "account/orders", who=Who.MEMBER),
    at("account-addresses", "account/addresses", who=Who.MEMBER),
    at("account-address-new", "account/addresses/new", who=Who.MEMBER),
    at("account-address", "account/addresses/{address_id}", lambda s: f"account/addresses/{s.address_id}", Who.MEMBER),
    by(
        "account-address-wrong",
        "account/addresses/new",
        sent("account/addresses/new", "account.book.submit"),
        Who.MEMBER,
        422,
    ),
    at("account-details", "account/details", who=Who.MEMBER),
    by(
        "account-password-wrong",
        "account/details",
        sent("account/details", "account.person.password_submit"),
        Who.MEMBER,
        422,
    ),
    at("account-privacy", "account/privacy", who=Who.MEMBER),
    by("sale-form", "sale/{sale_id}", _flash_form_in_place, Who.MEMBER),
    at("sale-form-soon", "sale/{sale_id}/buy", _sale("soon", "/buy"), Who.MEMBER),
    at("sale-form-sold-out", "sale/{sale_id}/buy", _sale("sold_out", "/buy"), Who.MEMBER),
    at("sale-form-ended", "sale/{sale_id}/buy", _sale("ended", "/buy"), Who.MEMBER),
    by("sale-over-the-limit", "sale/{sale_id}/buy", _over_the_limit, Who.MEMBER, 403),
    at("checkout-of-member", "checkout", who=Who.MEMBER),
    by("checkout-review-of-member", "checkout", _review_of_member, Who.MEMBER),
    by("checkout-review-unfolded", "checkout", _review_unfolded, Who.MEMBER),
    at("order", "orders/{name}", _order("placed"), Who.MEMBER),
    at("order-sent", "orders/{name}", _order("sent"), Who.MEMBER),
    at("order-cancelled", "orders/{name}", _order("cancelled"), Who.MEMBER),
    at("order-refunded", "orders/{name}", _order("refunded"), Who.MEMBER),
]
STAFF = [
    at("staff", "admin", who=Who.STAFF),
    at("staff-orders", "admin/orders", who=Who.STAFF),
    at("staff-orders-none", "admin/orders", "admin/orders?q=NOSUCH", Who.STAFF),
    at("staff-order", "admin/orders/{order_id}", _staff_order("guests"), Who.STAFF),
    by("staff-order-unfolded", "admin/orders/{order_id}", _order_unfolded, Who.STAFF),
    at("staff-order-sent", "admin/orders/{order_id}", _staff_order("sent"), Who.STAFF),
    at("staff-order-refunded", "admin/orders/{order_id}", _staff_order("refunded"), Who.STAFF),
    at("staff-products", "admin/products", who=Who.STAFF),
    at("staff-products-none", "admin/products", "admin/products?q=qqqqzzzz", Who.STAFF),
    at("staff-product-new", "admin/products/new", who=Who.STAFF),
    by(
        "staff-product-new-wrong",
        "admin/products/new",
        sent("admin/products/new", "staff_product.make"),
        Who.STAFF,
        422,
    ),
    at("staff-product", "admin/products/{product_id}", _product(), Who.STAFF),
    at("staff-variants", "admin/products/{product_id}/variants", _product("/variants"), Who.STAFF),
    by("staff-variants-wrong", "admin/products/{product_id}/variants", _price_wrong, Who.STAFF, 422),
    by("staff-variants-conflict", "admin/products/{product_id}/variants", _variants_conflict, Who.STAFF, 412),
    at("staff-variant-new", "admin/products/{product_id}/variant", _product("/variant"), Who.STAFF),
    at(
        "staff-variant",
        "admin/products/{product_id}/variant",
        lambda stage: f"admin/products/{stage.id(TEE)}/variant?sku={stage.sku(TEE)}",
        Who.STAFF,
    ),
    at("staff-pictures", "admin/products/{product_id}/pictures", _product("/pictures"), Who.STAFF),
    by("staff-pictures-refused", "admin/products/{product_id}/pictures", _no_picture, Who.STAFF, 422),
    at("staff-stock", "admin/products/{product_id}/stock", _product("/stock"), Who.STAFF),
    at("staff-customers", "admin/customers", who=Who.STAFF),
    by("staff-customers-none", "admin/customers", _customer_missing, Who.STAFF),
    at("staff-customer", "admin/customers/{user_id}", lambda stage: f"admin/customers/{stage.member_id}", Who.STAFF),
    by("staff-customer-revealed", "admin/customers/{user_id}", _customer_revealed, Who.STAFF),
    at("staff-banners", "admin/banners", who=Who.STAFF),
    at("staff-transfers", "admin/transfers", who=Who.STAFF),
    at(
        "staff-transfer",
        "admin/transfers/{transfer_id}",
        lambda stage: f"admin/transfers/{stage.transfer_id}",
        Who.STAFF,
    ),
    at("staff-webhooks", "admin/webhooks", who=Who.STAFF),
    by(
        "staff-webhooks-wrong",
        "admin/webhooks",
        sent("admin/webhooks", "staff_webhook.make"),
        Who.STAFF,
        422,
    ),
    at("staff-webhook", "admin/webhooks/{webhook_id}", lambda stage: f"admin/webhooks/{stage.webhook}", Who.STAFF),
    at(
        "staff-webhook-none",
        "admin/webhooks/{webhook_id}",
        lambda stage: f"admin/webhooks/{stage.webhook}?state=dropped",
        Who.STAFF,
    ),
    by("staff-webhook-secret", "admin/webhooks/{webhook_id}", _secret_shown, Who.STAFF),
    at(
        "staff-webhook-delivery",
        "admin/webhooks/{webhook_id}/deliveries/{event_id}",
        lambda stage: f"admin/webhooks/{stage.webhook}/deliveries/{stage.delivery}",
        Who.STAFF,
    ),
    at("staff-dead-letters", "admin/dead-letters", who=Who.STAFF),
    at("staff-dead-letters-none", "admin/dead-letters", "admin/dead-letters?service=home", Who.STAFF),
    by(
        "staff-dead-letters-replayed",
        "admin/dead-letters",
        sent("admin/dead-letters", "staff_letter.many_now"),
        Who.STAFF,
    ),
    at(
        "staff-dead-letter",
        "admin/dead-letters/{service}/{consumer}/{event_id}",
        lambda stage: f"admin/dead-letters/{stage.dead_letter}",
        Who.STAFF,
    ),
    at("staff-not-found", "admin/orders/{order_id}", "admin/orders/1", Who.STAFF, 404),
]
PLACES = [*ANYBODY, *GUEST, *NEWCOMERS, *MEMBERS, *STAFF]

LEADING_ON = {
    "account/password": Who.MEMBER,
    "account/addresses/form": Who.MEMBER,
    "cart/lines": Who.GUEST,
    "cart/change": Who.GUEST,
    "cart/currency": Who.GUEST,
    "checkout/review": Who.GUEST,
    "checkout/adjust": Who.GUEST,
    "checkout/order": Who.GUEST,
}
"""Addresses of forms that were answered with a page: asked for by themselves, they lead to another one."""
PARTS = {
    "search/suggestions",
    "fragments/visitor",
    "fragments/stock/{sku}",
    "fragments/sale/{sale_id}",
    "fragments/sale/{sale_id}/place",
    "fragments/sale/{sale_id}/state",
    "fragments/sale/{sale_id}/ticket",
}
"""Pieces that scripts put into pages."""
FILES = {"account/data.json", "admin/transfers/{transfer_id}/report", "admin/transfers/{transfer_id}/output"}
