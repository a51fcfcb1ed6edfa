"""A member's own pages: orders, addresses, details, what is allowed, and nobody else's."""

import html
import json
import re

import pytest

from hansa.services.users.contract import MOST_ADDRESSES, Users
from tests.shops import ADDRESS
from tests.web.conftest import Answer, Pages, Visitor

PASSWORD = "a long enough word"
LONDON = {**ADDRESS, "line2": "", "district": "", "region": "", "phone": ""}
HANGZHOU = {
    "name": "王小明",
    "country": "CN",
    "region": "浙江省",
    "city": "杭州市",
    "district": "西湖区",
    "line1": "文三路 100 号",
    "postal_code": "310012",
    "phone": "13800138000",
}


async def member(pages: Pages, email: str = "ada@example.com", name: str = "Ada") -> Visitor:
    visitor = pages.visitor()
    await visitor.send("/en/sign-up", {"email": email, "password": PASSWORD, "name": name})
    assert "session" in visitor.cookies
    return visitor


async def member_id(pages: Pages, visitor: Visitor) -> str:
    users: Users = pages.shop.shop.client(Users)
    return (await users.authenticate(token=visitor.cookies["session"])).user_id


async def save(visitor: Visitor, address: dict[str, str], **more: str) -> Answer:
    return await visitor.send("/en/account/addresses", {**address, **more})


async def ids(visitor: Visitor) -> list[str]:
    text = (await visitor.open("/en/account/addresses")).text
    return re.findall(r'href="/en/account/addresses/(\d+)"', text)


def _field(text: str, name: str) -> str:
    found = re.search(rf'<input id="{name}"[^>]*>', text)
    assert found is not None, f"no field {name}"
    value = re.search(r' value="([^"]*)"', found[0])
    return html.unescape(value[1]) if value else ""


async def test_the_overview_shows_the_latest_orders_and_where_they_are_to_be_found(pages: Pages):
    await pages.shop.put_product("HAT", stock=50)
    ada = await member(pages)
    orders = []
    for pay in ("tok_success", "tok_success", "tok_success", "tok_declined"):
        status, order = await pages.shop.order("HAT", pay=pay, token=ada.cookies["session"])
        assert status in (201, 402)
        orders.append(order)

    text = (await ada.open("/en/account")).text

    assert "Hello, Ada" in text
    assert len(re.findall(r'href="/en/orders/\d+"', text)) == 3
    assert [f"/en/orders/{order['id']}" in text for order in orders[:3]] == [False, True, True]
    assert "Not completed" in text


async def test_a_new_account_is_told_what_will_be_there(pages: Pages):
    ada = await member(pages)
    assert "What you order while signed in is listed here" in (await ada.open("/en/account")).text
    assert "No orders yet" in (await ada.open("/en/account/orders")).text
    assert "还没有保存的地址" in (await ada.open("/zh/account/addresses")).text


async def test_orders_go_on_page_after_page_until_the_oldest(pages: Pages, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hansa.web.storefront.account.PER_PAGE", 2)
    await pages.shop.put_product("HAT", stock=50)
    ada = await member(pages)
    made = [(await pages.shop.order("HAT", token=ada.cookies["session"]))[1]["id"] for _ in range(5)]

    seen: list[str] = []
    path = "/en/account/orders"
    for _ in range(3):
        text = (await ada.open(path)).text
        seen += re.findall(r'href="/en/orders/(\d+)"', text)
        onward = re.search(r'href="([^"]+)">Older orders', text)
        path = html.unescape(onward[1]) if onward else ""

    assert seen == made[::-1]
    assert path == ""


@pytest.mark.parametrize("cursor", ["nonsense", "W10", "'; drop table orders", "%00", "9" * 3000])
async def test_a_cursor_from_elsewhere_is_refused_and_nothing_breaks(pages: Pages, cursor: str):
    ada = await member(pages)
    answer = await ada.open(f"/en/account/orders?cursor={cursor}")
    assert answer.status == 400
    assert "<h1>" in answer.text


async def test_an_address_is_kept_changed_made_usual_and_removed(pages: Pages):
    ada = await member(pages)
    assert (await save(ada, LONDON)).location == "/en/account/addresses?saved=address"
    await save(ada, HANGZHOU)
    london, hangzhou = await ids(ada)

    edited = (await ada.open(f"/en/account/addresses/{london}")).text
    assert _field(edited, "line1") == "12 St James's Square"
    await save(ada, {**LONDON, "line1": "1 Baker Street"}, address_id=london)
    await ada.send(f"/en/account/addresses/{hangzhou}/default", {"key": "k"})
    text = (await ada.open("/en/account/addresses?saved=default")).text
    assert "1 Baker Street" in text
    assert "St James" not in text
    assert "This is your default address now." in text
    assert await ids(ada) == [hangzhou, london]
    assert "浙江省杭州市西湖区" in (await ada.open("/zh/account")).text

    assert (await ada.send(f"/en/account/addresses/{hangzhou}/remove", {"key": "r"})).status == 303
    assert await ids(ada) == [london]


async def test_an_address_sent_twice_is_saved_once(pages: Pages):
    ada = await member(pages)
    for _ in range(2):
        assert (await save(ada, LONDON, key="same form")).status == 303
    assert len(await ids(ada)) == 1


async def test_all_that_is_wrong_with_an_address_is_said_at_once_and_what_is_right_stays(pages: Pages):
    ada = await member(pages)
    answer = await save(ada, {"country": "GB", "name": "Ada", "postal_code": "12", "city": " ", "phone": "1" * 41})

    assert answer.status == 422
    assert re.findall(r'<p class="wrong" id="(\w+)-wrong">', answer.text) == ["line1", "city", "postal_code", "phone"]
    assert 'role="alert"' in answer.text
    assert (_field(answer.text, "name"), _field(answer.text, "postal_code")) == ("Ada", "12")
    assert await ids(ada) == []


@pytest.mark.parametrize("country", ["XX", "", "gb", "<b>", "USA"])
async def test_a_country_that_is_not_in_the_list_is_asked_for_again(pages: Pages, country: str):
    ada = await member(pages)
    answer = await save(ada, {**LONDON, "country": country})
    assert answer.status == 422
    assert "Choose a country from the list." in answer.text


async def test_another_country_has_other_fields_and_keeps_what_was_filled_in(pages: Pages):
    ada = await member(pages)
    answer = await ada.send("/en/account/addresses/form", {**LONDON, "country": "CN", "is_default": "1"})

    assert answer.status == 200
    names = [name for name in re.findall(r'<input id="(\w+)"', answer.text) if name != "q"]
    assert names == ["name", "phone", "region", "city", "district", "line1", "line2", "postal_code"]
    assert _field(answer.text, "line1") == "12 St James's Square"
    assert 'role="alert"' not in answer.text
    assert re.search(r'name="is_default"[^>]* checked', answer.text)


async def test_the_fields_say_what_browsers_may_fill_in(pages: Pages):
    text = (await (await member(pages)).open("/zh/account/addresses/new")).text
    fields = dict(re.findall(r'<input id="(\w+)"[^>]* autocomplete="([\w-]+)"', text))
    assert fields | {"q": ""} == {
        "q": "",
        "name": "name",
        "line1": "address-line1",
        "line2": "address-line2",
        "district": "address-level3",
        "city": "address-level2",
        "region": "address-level1",
        "postal_code": "postal-code",
        "phone": "tel",
    }


async def test_a_full_address_book_says_so(pages: Pages):
    ada = await member(pages)
    for number in range(MOST_ADDRESSES):
        await save(ada, {**LONDON, "line1": f"{number} Baker Street"})
    answer = await save(ada, LONDON)
    assert answer.status == 409
    assert f"There is room for {MOST_ADDRESSES} addresses" in answer.text
    assert "Add an address" not in (await ada.open("/en/account/addresses")).text


async def test_nobody_sees_or_touches_what_is_somebody_elses(pages: Pages):
    ada, eve = await member(pages), await member(pages, "eve@example.com", "Eve")
    await save(ada, LONDON)
    [address] = await ids(ada)

    assert (await eve.open(f"/en/account/addresses/{address}")).status == 404
    assert (await save(eve, LONDON, address_id=address)).status == 404
    assert (await eve.send(f"/en/account/addresses/{address}/remove", {})).status == 404
    assert (await eve.send(f"/en/account/addresses/{address}/default", {})).status == 404
    assert await ids(ada) == [address]
    assert "Square" not in (await eve.open("/en/account/data.json")).text


async def test_guests_are_led_to_sign_in_from_every_page_of_the_account(pages: Pages):
    guest = pages.visitor()
    for path in ("", "/orders", "/addresses", "/addresses/new", "/details", "/privacy", "/data.json"):
        answer = await guest.open(f"/en/account{path}")
        assert answer.status == 303
        assert answer.location.startswith("/en/sign-in?next=%2Fen%2Faccount")
    assert (await guest.send("/en/account/details", {"name": "Eve", "language": "en"})).location == "/en/sign-in"


async def test_name_and_language_are_changed(pages: Pages):
    ada = await member(pages)
    sent = await ada.send("/en/account/details", {"name": "  Ada   Byron ", "language": "zh"})
    assert sent.location == "/en/account/details?saved=details"

    users: Users = pages.shop.shop.client(Users)
    user = await users.get(user_id=await member_id(pages, ada))
    assert (user.name, user.locale) == ("Ada Byron", "zh")
    assert "Your details are saved." in (await ada.open(sent.location)).text


@pytest.mark.parametrize(
    "form", [{"name": "n" * 201, "language": "en"}, {"name": "Ada", "language": "xx"}, {"name": "Ada"}]
)
async def test_details_that_cannot_be_are_refused_at_their_field(pages: Pages, form: dict[str, str]):
    ada = await member(pages)
    answer = await ada.send("/en/account/details", form)
    assert answer.status == 422
    assert 'aria-invalid="true"' in answer.text


async def test_a_new_password_signs_out_everywhere_else(pages: Pages):
    ada = await member(pages)
    elsewhere = pages.visitor()
    await elsewhere.send("/en/sign-in", {"email": "ada@example.com", "password": PASSWORD})

    answer = await ada.send("/en/account/password", {"old": PASSWORD, "new": "quite another word", "key": "k"})

    assert answer.location == "/en/account/details?saved=password"
    assert (await ada.open("/en/account")).status == 200
    assert (await elsewhere.open("/en/account")).status == 303
    signed_in = await elsewhere.send("/en/sign-in", {"email": "ada@example.com", "password": "quite another word"})
    assert signed_in.location == "/en/account"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("not this one", "quite another word", "old"),
        ("", "quite another word", "old"),
        ("x" * 300, "quite another word", "old"),
        (PASSWORD, "short", "new"),
        (PASSWORD, "ada@example.com", "new"),
        (PASSWORD, "x" * 300, "new"),
    ],
)
async def test_a_password_is_not_changed_by_who_does_not_know_it_or_to_an_unfit_one(
    pages: Pages, old: str, new: str, field: str
):
    ada = await member(pages)
    answer = await ada.send("/en/account/password", {"old": old, "new": new, "key": "k"})
    assert answer.status == 422
    assert f'id="{field}-wrong"' in answer.text
    assert new not in answer.text or new == "ada@example.com"
    signed_in = await pages.visitor().send("/en/sign-in", {"email": "ada@example.com", "password": PASSWORD})
    assert signed_in.status == 303


async def test_guessing_the_present_password_is_slowed_down(pages: Pages):
    ada = await member(pages)
    statuses = set()
    for number in range(11):
        form = {"old": f"guess number {number}", "new": "quite another word", "key": str(number)}
        statuses.add((await ada.send("/en/account/password", form)).status)
    assert statuses == {422, 429}


async def test_nothing_is_allowed_until_it_is_and_everything_can_be_taken_back(pages: Pages):
    ada = await member(pages)
    users: Users = pages.shop.shop.client(Users)
    person = await member_id(pages, ada)

    async def allowed() -> dict[str, bool | None]:
        said = await users.consents(user_id=person)
        return {consent.purpose: consent.given if consent.at else None for consent in said}

    first = (await ada.open("/en/account/privacy")).text
    assert " checked" not in first
    assert first.count("you have not said anything yet") == 2
    await ada.send("/en/account/privacy", {"marketing": "yes", "key": "1"})
    assert await allowed() == {"behaviour": None, "marketing": True}
    await ada.send("/en/account/privacy", {"behaviour": "yes", "key": "2"})
    assert await allowed() == {"behaviour": True, "marketing": False}
    text = (await ada.open("/en/account/privacy")).text
    assert len(re.findall(r"Allowed since|Not allowed since", text)) == 2
    assert 'data-allows="yes"' in text
    await ada.send("/en/account/privacy", {"key": "3"})
    assert await allowed() == {"behaviour": False, "marketing": False}
    assert 'data-allows="no"' in (await ada.open("/en/account/privacy")).text


async def test_the_file_of_ones_own_data_holds_everything(pages: Pages):
    await pages.shop.put_product("HAT", stock=5)
    ada = await member(pages)
    await save(ada, HANGZHOU)
    await ada.send("/en/account/privacy", {"marketing": "yes", "key": "1"})
    _, order = await pages.shop.order("HAT", token=ada.cookies["session"])

    answer = await ada.open("/en/account/data.json")

    told = json.loads(answer.text)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["cache-control"] == "private, no-store"
    assert told["account"]["email"] == "ada@example.com"
    assert told["addresses"][0]["address"]["city"] == "杭州市"
    assert [each["given"] for each in told["consents"]] == [False, True]
    assert told["orders"][0]["id"] == order["id"]
    assert told["orders"][0]["shipping_address"]["line1"] == ADDRESS["line1"]
    assert told["is_complete"] is True


async def test_only_words_of_the_shop_are_shown_as_saved(pages: Pages):
    ada = await member(pages)
    text = (await ada.open("/en/account/details?saved=Call%20555-1234")).text
    assert "555-1234" not in re.sub(r'href="[^"]*"', "", text)


async def test_staff_find_the_way_to_their_pages(pages: Pages):
    operator, ada = pages.visitor(), await member(pages)
    operator.cookies["session"] = await pages.shop.staff()
    assert 'href="/en/admin"' in (await operator.open("/en/account")).text
    assert "/admin" not in (await ada.open("/en/account")).text
