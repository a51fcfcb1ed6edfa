"""Flash sales on the storefront: what everybody sees, what members alone do, and every way it can say no."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hansa.kernel.errors import BusinessError, CommandInFlight, Fault, IdempotencyKeyReused
from hansa.kernel.money import Money
from hansa.services.orders.contract import NotForSale, Orders
from hansa.services.orders.contract.flash import (
    FlashSaleEnded,
    InLine,
    LineFull,
    OverLimit,
    SoldOut,
    TicketInvalid,
    TooEarly,
)
from hansa.services.products.contract import ProductPatch
from hansa.services.promotions.contract import FlashSaleDraft, Promotions
from hansa.services.users.contract import Users
from tests.web.conftest import Answer, Pages, Visitor
from tests.web.storefront.buying import (
    HANGZHOU,
    IS_DECLINED,
    LONDON,
    PAYS,
    alerts,
    form,
    has_form,
    member,
    words,
)

SCRIPTS = {"HX_Request": "true"}
HOUR = timedelta(hours=1)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
SHUT = re.compile(r'<button class="button wide" type="submit" disabled')
OPEN = re.compile(r'<button class="button wide" type="submit">')


def promotions(pages: Pages) -> Promotions:
    client: Promotions = pages.shop.shop.client(Promotions)
    return client


def now(pages: Pages) -> datetime:
    return pages.shop.shop.clock.now()


async def announced(
    pages: Pages,
    *,
    starts: timedelta = -HOUR,
    ends: timedelta = HOUR,
    quantity: int = 100,
    limit: int = 2,
    sku: str = "HAT",
    amount: int = 999,
    name: str = "",
    stock: int = 100,
) -> str:
    """A hat of $19.99 for $9.99; by default the sale is open."""
    await pages.shop.put_product(sku, stock=stock)
    draft = FlashSaleDraft(
        sku=sku,
        price=Money(amount, "USD"),
        quantity=quantity,
        limit_per_buyer=limit,
        starts_at=now(pages) + starts,
        ends_at=now(pages) + ends,
        name=name,
    )
    return (await promotions(pages).create(key=pages.shop.key(), draft=draft, actor="test")).id


async def filled(visitor: Visitor, sale: str, *, locale: str = "en", **more: str) -> dict[str, str]:
    """The form with an address in it, and the total that goes with that."""
    shown = await visitor.open(f"/{locale}/sale/{sale}/buy")
    home = LONDON if locale == "en" else HANGZHOU
    fields = {**form(shown, f"sale/{sale}/buy"), **home, "payment": PAYS, **more}
    return {**fields, "quote": form(await refilled(visitor, sale, fields, locale=locale), f"sale/{sale}/buy")["quote"]}


async def refilled(visitor: Visitor, sale: str, fields: dict[str, str], *, locale: str = "en") -> Answer:
    return await visitor.send(f"/{locale}/sale/{sale}/buy?fill=1", fields)


async def buy(visitor: Visitor, sale: str, fields: dict[str, str], *, locale: str = "en", **headers: str) -> Answer:
    return await visitor.send(f"/{locale}/sale/{sale}/buy", fields, **headers)


async def orders_made(pages: Pages) -> int:
    orders: Orders = pages.shop.shop.client(Orders)
    return len((await orders.list_for_staff()).items)


class Answering:
    """Stands before orders: `buy` says these first, and what orders say after them."""

    def __init__(self, orders: Orders, *answers: BusinessError | Fault) -> None:
        self._orders = orders
        self._answers: Sequence[BusinessError | Fault] = answers
        self.keys: list[str] = []

    async def buy(self, **asked: Any) -> Any:
        self.keys.append(asked["key"])
        if self._answers:
            error, *rest = self._answers
            self._answers = rest
            raise error
        return await self._orders.buy(**asked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._orders, name)


def answering(pages: Pages, *answers: BusinessError | Fault) -> Answering:
    clients = pages.shop.shop.clients
    clients[Orders] = stand_in = Answering(clients[Orders], *answers)
    return stand_in


# -- what everybody sees --------------------------------------------------------------------------------------------


async def test_the_list_has_the_sales_that_run_or_are_to_come(pages: Pages):
    await announced(pages)
    await announced(pages, starts=HOUR, ends=2 * HOUR, sku="CAP", name="Cap week")
    visitor = pages.visitor()

    text = words(await visitor.open("/en/sale"))

    assert "Product HAT" in text
    assert "Cap week" in text
    assert "$9.99 Regular price: $19.99" in text
    assert "Open. About 100 left" in text
    assert "Not open yet" in text
    assert "商品 HAT" in words(await visitor.open("/zh/sale"))


async def test_without_a_sale_the_list_says_so(pages: Pages):
    answer = await pages.visitor().open("/en/sale")
    assert answer.status == 200
    assert "No flash sale at the moment" in words(answer)


async def test_the_header_leads_to_the_sales_while_there_are_some(pages: Pages):
    visitor = pages.visitor()
    before = await visitor.open("/en/?again=1")
    sale = await announced(pages)
    after = await visitor.open("/en/?again=2")
    product = await visitor.open("/en/products/hat?again=1")

    assert 'href="/en/sale"' not in before.text
    assert 'href="/en/sale"' in after.text
    assert f'href="/en/sale/{sale}"' in product.text
    assert "In a flash sale: $9.99" in words(product)


async def test_a_page_says_what_when_and_how_many(pages: Pages):
    sale = await announced(pages, starts=HOUR, ends=2 * HOUR, quantity=40, limit=3)
    starts_at = (await promotions(pages).get(sale_id=sale)).starts_at

    answer = await pages.visitor().open(f"/en/sale/{sale}")
    text = words(answer)

    assert "Product HAT" in text
    assert "Not open yet" in text
    assert f'<time datetime="{starts_at.isoformat(timespec="milliseconds")}">' in answer.text
    assert re.search(r"Starts \w{3} \d+, \d{4}, \d+:\d\d:\d\d\s[AP]M UTC", text)
    assert "Pieces 40" in text
    assert "Per person 3 items" in text
    assert "Look again" in text


async def test_without_scripts_the_page_of_a_sale_that_starts_soon_looks_again_by_itself(pages: Pages):
    soon = await announced(pages, starts=HOUR / 2)
    later = await announced(pages, starts=48 * HOUR, ends=50 * HOUR, sku="CAP")
    refresh = r'<noscript><meta http-equiv="refresh" content="15; url=/en/sale/\d+\?again=1"></noscript>'

    assert re.search(refresh, (await pages.visitor().open(f"/en/sale/{soon}")).text)
    assert not re.search(refresh, (await pages.visitor().open(f"/en/sale/{later}")).text)


async def test_the_public_page_is_the_same_for_everybody_and_names_nobody(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    await ada.send("/en/account/addresses", {**LONDON, "key": "home"})

    guests, hers = await pages.visitor().open(f"/en/sale/{sale}"), await ada.open(f"/en/sale/{sale}")

    assert guests.text == hers.text
    assert hers.headers["cache-control"] == "public, no-cache"
    assert hers.cookies == {}
    for secret in ("ada@example.com", "Ada", "St James", 'name="ticket"', 'name="key"'):
        assert secret not in hers.text


@pytest.mark.parametrize("part", ["", "/ticket", "/place"])
async def test_what_is_personal_is_never_kept(pages: Pages, part: str):
    sale = await announced(pages)
    answer = await (await member(pages)).open(f"/en/fragments/sale/{sale}{part}")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "private, no-store"


async def test_the_state_comes_with_the_servers_time(pages: Pages):
    sale = await announced(pages)
    before = now(pages)
    answer = await pages.visitor().open(f"/en/fragments/sale/{sale}/state")
    found = re.search(r'data-state="open" data-now="([^"]+)"', answer.text)

    assert found
    assert before <= datetime.fromisoformat(found[1]) <= now(pages)


async def test_what_is_left_is_exact_when_it_is_little(pages: Pages):
    sale = await announced(pages, quantity=7)
    visitor = pages.visitor()
    assert "Open. Only 7 left" in words(await visitor.open(f"/en/sale/{sale}"))
    assert "仅剩 7 件" in words(await visitor.open(f"/zh/fragments/sale/{sale}/state"))


async def test_a_sale_that_is_over_says_so_and_has_nothing_to_press(pages: Pages):
    sale = await announced(pages)
    await promotions(pages).cancel(key="stop", sale_id=sale, actor="test")
    ada = await member(pages)

    public, hers = await ada.open(f"/en/sale/{sale}"), await ada.open(f"/en/sale/{sale}/buy")

    assert "This sale has ended." in words(public)
    assert f"/sale/{sale}/buy" not in public.text
    assert SHUT.search(hers.text)


@pytest.mark.parametrize("sale", ["1", "nothing", "383077044463214592", "%00"])
async def test_an_unknown_sale_is_a_page_that_is_not_there(pages: Pages, sale: str):
    ada = await member(pages)
    for path in (f"sale/{sale}", f"sale/{sale}/buy", f"fragments/sale/{sale}/state", f"fragments/sale/{sale}"):
        assert (await ada.open(f"/en/{path}")).status == 404
    assert (await ada.send(f"/en/sale/{sale}/buy", {**LONDON, "saved": "new"})).status == 404


async def test_a_sale_of_what_is_not_sold_any_more_still_has_a_page(pages: Pages):
    sale = await announced(pages)
    found = await pages.shop.products.get(name="hat", locale="en", currency="USD")
    await pages.shop.products.change(
        key="away", product_id=found.id, patch=ProductPatch(status="archived"), version=None, actor="test"
    )

    answer = await pages.visitor().open(f"/en/sale/{sale}")

    assert answer.status == 200
    assert "HAT" in words(answer)


# -- the door -------------------------------------------------------------------------------------------------------


async def test_guests_are_led_to_sign_in_and_back(pages: Pages):
    sale = await announced(pages)
    guest = pages.visitor()
    back = f"/en/sign-in?next=%2Fen%2Fsale%2F{sale}%2Fbuy"

    assert (await guest.open(f"/en/sale/{sale}/buy")).location == back
    assert (await buy(guest, sale, dict(LONDON))).location == back
    assert (await buy(guest, sale, dict(LONDON), **SCRIPTS)).headers["hx-redirect"] == back
    assert has_form(await guest.open(f"/en/fragments/sale/{sale}"), f"sale/{sale}/buy") is False


async def test_the_button_is_shut_before_the_start_and_no_ticket_is_handed_out(pages: Pages):
    sale = await announced(pages, starts=HOUR, ends=2 * HOUR)
    ada = await member(pages)

    for path in (f"sale/{sale}/buy", f"fragments/sale/{sale}", f"fragments/sale/{sale}/ticket"):
        answer = await ada.open(f"/en/{path}")
        assert SHUT.search(answer.text), path
        assert not OPEN.search(answer.text), path
        assert '<input type="hidden" name="ticket" value="">' in answer.text


async def test_the_button_is_open_with_a_ticket_from_the_start_on(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)

    answer = await ada.open(f"/en/fragments/sale/{sale}/ticket")

    assert OPEN.search(answer.text)
    assert re.search(r'name="ticket" value="\d+\.[\w-]+"', answer.text)


async def test_whoever_sends_the_form_early_buys_nothing(pages: Pages):
    sale = await announced(pages, starts=HOUR, ends=2 * HOUR)
    ada = await member(pages)

    answer = await buy(ada, sale, await filled(ada, sale))

    assert answer.status == 425
    assert "The sale has not started yet" in alerts(answer)
    assert await orders_made(pages) == 0


async def test_the_ticket_of_somebody_else_is_no_good(pages: Pages):
    sale = await announced(pages)
    ada, eve = await member(pages), await member(pages, "eve@example.com")
    hers = (await filled(ada, sale))["ticket"]

    answer = await buy(eve, sale, await filled(eve, sale, ticket=hers))

    assert answer.status == 403
    assert "Your ticket to this sale was not valid" in alerts(answer)
    assert form(answer, f"sale/{sale}/buy")["ticket"] not in ("", hers)


async def test_a_form_of_another_site_is_refused(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    answer = await buy(ada, sale, await filled(ada, sale), Origin="https://elsewhere.example")
    assert answer.status == 403
    assert await orders_made(pages) == 0


async def test_the_form_knows_the_address_book_and_what_it_comes_to(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    await ada.send("/en/account/addresses", {**LONDON, "key": "home"})

    text = words(await ada.open(f"/en/sale/{sale}/buy"))

    assert "St James's Square" in text
    assert "Subtotal $19.99 Flash sale -$10.00 Delivery: Standard delivery $13.99" in text
    assert "the confirmation goes to ada@example.com" in text


async def test_another_country_or_quantity_keeps_what_was_filled_in_and_the_key(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    fields = await filled(ada, sale)

    after = await refilled(ada, sale, {**fields, "country": "DE", "quantity": "2", "name": "Ada L."})
    sent = form(after, f"sale/{sale}/buy")

    assert sent["key"] == fields["key"]
    assert (sent["country"], sent["name"]) == ("DE", "Ada L.")
    assert sent["quantity"] == "2"
    assert sent["quote"] != fields["quote"]
    assert alerts(after) == ""


async def test_quantities_go_up_to_the_limit(pages: Pages):
    sale = await announced(pages, limit=3)
    ada = await member(pages)
    shown = await ada.open(f"/en/sale/{sale}/buy")
    choices = re.search(r'<select id="quantity".*?</select>', shown.text, re.S)
    assert choices
    assert re.findall(r">(\d+)</option>", choices[0]) == ["1", "2", "3"]


async def test_what_was_filled_in_is_asked_for_again_in_another_language(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    shown = await refilled(ada, sale, await filled(ada, sale))
    assert f'href="/zh/sale/{sale}/buy?fill=1"' in shown.text
    assert (await ada.open(f"/zh/sale/{sale}/buy?fill=1")).status == 200


# -- buying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en", "zh"])
async def test_a_member_buys_at_the_sales_price(pages: Pages, locale: str):
    sale = await announced(pages)
    ada = await member(pages)

    answer = await buy(ada, sale, await filled(ada, sale, locale=locale), locale=locale)
    thanks = await ada.open(answer.location)

    assert answer.status == 303
    assert re.match(rf"^/{locale}/orders/\d+\?placed=1$", answer.location)
    assert {"en": "Flash sale -$10.00", "zh": "限时抢购 -US$10.00"}[locale] in words(thanks)


async def test_a_form_sent_twice_orders_once(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    fields = await filled(ada, sale)

    first, second = await asyncio.gather(buy(ada, sale, fields), buy(ada, sale, fields))
    again = await buy(ada, sale, fields)

    assert first.location == second.location == again.location
    assert await orders_made(pages) == 1


async def test_scripts_are_told_where_to_go(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    answer = await buy(ada, sale, await filled(ada, sale), **SCRIPTS)
    assert answer.status == 200
    assert answer.headers["hx-redirect"].startswith("/en/orders/")


async def test_an_incomplete_address_is_said_at_its_fields_and_the_key_stays(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    fields = await filled(ada, sale)

    answer = await buy(ada, sale, {**fields, "city": ""})

    assert answer.status == 422
    assert 'id="city-wrong"' in answer.text
    assert form(answer, f"sale/{sale}/buy")["key"] == fields["key"]
    assert await orders_made(pages) == 0


async def test_no_order_is_made_at_another_total_than_the_one_shown(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)

    answer = await buy(ada, sale, {**await filled(ada, sale), "quantity": "2"})

    assert answer.status == 409
    assert "The total is" in alerts(answer)
    assert await orders_made(pages) == 0


async def test_beyond_the_limit_nobody_buys(pages: Pages):
    sale = await announced(pages, limit=1)
    ada = await member(pages)
    await buy(ada, sale, await filled(ada, sale))

    answer = await buy(ada, sale, await filled(ada, sale))

    assert answer.status == 403
    assert "At most 1 per person, and you have it already" in alerts(answer)
    assert await orders_made(pages) == 1


async def test_a_declined_payment_asks_for_another_one_and_the_piece_goes_back(pages: Pages):
    sale = await announced(pages, quantity=1, limit=1)
    ada = await member(pages)

    refused = await buy(ada, sale, await filled(ada, sale, payment=IS_DECLINED))
    await pages.shop.shop.settle()
    answer = await buy(ada, sale, await filled(ada, sale))

    assert refused.status == 402
    assert "The payment was declined" in alerts(refused)
    assert answer.status == 303


async def test_sold_out_says_that_pieces_may_come_back(pages: Pages):
    sale = await announced(pages, quantity=1, limit=1)
    ada, eve = await member(pages), await member(pages, "eve@example.com")
    hers = await filled(eve, sale)
    await buy(ada, sale, await filled(ada, sale))

    answer = await buy(eve, sale, hers)

    assert answer.status == 409
    assert "What is not paid for comes back: look again" in alerts(answer)
    assert SHUT.search(answer.text)
    assert "Sold out for now" in words(await eve.open(f"/en/fragments/sale/{sale}/state"))


@pytest.mark.parametrize(
    ("error", "status", "en", "zh"),
    [
        (TooEarly(starts_at=LATER), 425, "has not started yet", "尚未开始"),
        (FlashSaleEnded(ends_at=LATER), 409, "has ended", "已经结束"),
        (SoldOut(left=0), 409, "Sold out just now", "刚刚售罄"),
        (SoldOut(left=1), 409, "There is only 1 left", "只剩 1 件"),
        (OverLimit(limit=2, bought=1), 403, "At most 2 per person, and you have 1 already", "您已有 1 件"),
        (OverLimit(limit=2, bought=2), 403, "and you have them all", "全部买到"),
        (TicketInvalid(), 403, "ticket to this sale was not valid", "凭证无效"),
        (NotForSale(sku="HAT", currency="USD"), 409, "not for sale at the moment", "目前无法购买"),
        (IdempotencyKeyReused(), 409, "was sent before", "已用其他内容提交过"),
        (Fault("away"), 503, "We do not know yet", "暂时无法确认"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_every_no_is_said_in_words_by_the_form(
    pages: Pages, error: BusinessError | Fault, status: int, en: str, zh: str
):
    sale = await announced(pages)
    ada = await member(pages)
    answering(pages, error, error, error)

    english = await buy(ada, sale, await filled(ada, sale))
    chinese = await buy(ada, sale, await filled(ada, sale, locale="zh"), locale="zh")
    to_scripts = await buy(ada, sale, await filled(ada, sale), **SCRIPTS)

    assert (english.status, chinese.status, to_scripts.status) == (status, status, 200)
    assert en in alerts(english)
    assert zh in alerts(chinese)
    assert en in alerts(to_scripts)
    assert to_scripts.text.lstrip().startswith('<div id="flash-door">')
    assert has_form(english, f"sale/{sale}/buy")


@pytest.mark.parametrize(("error", "is_same"), [(Fault("away"), True), (SoldOut(left=0), False)])
async def test_what_is_uncertain_is_asked_again_with_the_same_key_and_what_was_refused_with_another(
    pages: Pages, error: BusinessError | Fault, is_same: bool
):
    sale = await announced(pages)
    ada = await member(pages)
    fields = await filled(ada, sale)
    answering(pages, error)

    answer = await buy(ada, sale, fields)

    assert (form(answer, f"sale/{sale}/buy")["key"] == fields["key"]) is is_same


# -- in line --------------------------------------------------------------------------------------------------------


async def test_in_line_a_page_with_scripts_tells_the_place_and_sends_the_same_form_again(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    fields = await filled(ada, sale, quantity="2")
    stand_in = answering(pages, InLine(place=12, retry_after_s=1))

    waiting = await buy(ada, sale, fields, **SCRIPTS)
    again = form(waiting, f"sale/{sale}/buy")
    done = await buy(ada, sale, again, **SCRIPTS)

    assert waiting.status == 200
    assert "You are number 12 in line." in words(waiting)
    assert 'data-hx-trigger="submit, load delay:1s"' in waiting.text
    assert f'data-hx-get="/en/fragments/sale/{sale}/place"' in waiting.text
    assert {name: again[name] for name in ("key", "ticket", "quantity", "city")} == {
        name: fields[name] for name in ("key", "ticket", "quantity", "city")
    }
    assert done.headers["hx-redirect"].startswith("/en/orders/")
    assert len(set(stand_in.keys)) == 1


async def test_in_line_without_scripts_the_shop_asks_again_and_then_tells_the_place(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    stand_in = answering(pages, *(InLine(place=place, retry_after_s=1) for place in (9, 7, 5)))

    waiting = await buy(ada, sale, await filled(ada, sale))
    done = await buy(ada, sale, form(waiting, f"sale/{sale}/buy"))

    assert waiting.status == 429
    assert "You are number 5 in line." in words(waiting)
    assert "Ask again" in words(waiting)
    assert done.status == 303
    assert len(stand_in.keys) == 4
    assert len(set(stand_in.keys)) == 1


@pytest.mark.parametrize("error", [LineFull(retry_after_s=4), CommandInFlight()])
async def test_a_full_line_is_said_and_asked_again(pages: Pages, error: BusinessError):
    sale = await announced(pages)
    ada = await member(pages)
    answering(pages, error)

    waiting = await buy(ada, sale, await filled(ada, sale), **SCRIPTS)

    assert "The line is full" in words(waiting)
    assert re.search(r"load delay:[14]s", waiting.text)


async def test_who_is_not_in_line_is_told_no_place(pages: Pages):
    sale = await announced(pages)
    answer = await (await member(pages)).open(f"/en/fragments/sale/{sale}/place")
    assert words(answer) == "Your turn is coming up."


async def test_whoever_was_signed_out_meanwhile_is_led_to_sign_in(pages: Pages):
    sale = await announced(pages)
    ada = await member(pages)
    fields = await filled(ada, sale)
    users: Users = pages.shop.shop.client(Users)
    await users.sign_out(key="elsewhere", token=ada.cookies["session"])

    answer = await buy(ada, sale, fields)

    assert answer.location.startswith("/en/sign-in?next=")
    assert await orders_made(pages) == 0
