"""Signing in, up and out on the pages, and what becomes of a guest's cart."""

import re

import pytest

from hansa.services.carts.contract import Carts
from hansa.services.users.contract import Users
from hansa.services.users.service.attempts import FAILURES_PER_ACCOUNT_AND_REMOTE
from tests.shops import STAFF
from tests.web.conftest import Answer, Pages, Visitor

EMAIL, PASSWORD = "ada@example.com", "a long enough word"
ELSEWHERE = (
    "//evil.example",
    "https://evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "/en/\r\nLocation: https://evil.example",
    "http:evil.example",
    " //evil.example",
    "/" + "a" * 3000,
)


async def sign_up(visitor: Visitor, *, email: str = EMAIL, password: str = PASSWORD, **more: str) -> Answer:
    return await visitor.send("/en/sign-up", {"email": email, "password": password, "name": "Ada", **more})


async def sign_in(visitor: Visitor, *, email: str = EMAIL, password: str = PASSWORD, **more: str) -> Answer:
    return await visitor.send("/en/sign-in", {"email": email, "password": password, **more})


def _filled(text: str, name: str) -> str:
    field = re.search(rf'<input id="{name}"[^>]*>', text)
    assert field is not None, f"no field {name}"
    value = re.search(r' value="([^"]*)"', field[0])
    return value[1] if value else ""


async def test_signing_up_signs_in_and_leads_where_one_was_going(pages: Pages):
    ada = pages.visitor()
    answer = await sign_up(ada, next="/en/checkout")
    assert (answer.status, answer.location) == (303, "/en/checkout")
    assert "Hello, Ada" in (await ada.open("/en/account")).text


async def test_the_cookie_of_a_session_is_for_no_script_and_for_no_other_site(pages: Pages):
    ada = pages.visitor()
    async with ada.session.post(
        "/en/sign-up",
        data={"email": EMAIL, "password": PASSWORD},
        headers={"Origin": ada.origin},
        allow_redirects=False,
    ) as response:
        said = next(line for line in response.headers.getall("set-cookie") if line.startswith("session="))
        assert response.headers["cache-control"] == "private, no-store"
    assert "HttpOnly" in said
    assert "samesite=lax" in said.lower()
    assert "Path=/" in said


async def test_a_wrong_password_is_told_kindly_and_the_e_mail_address_stays(pages: Pages):
    await sign_up(pages.visitor())
    bob = pages.visitor()

    answer = await sign_in(bob, password="not this one", next="/en/cart")

    assert answer.status == 422
    assert 'role="alert"' in answer.text
    assert "Wrong e-mail address or password" in answer.text
    assert _filled(answer.text, "email") == EMAIL
    assert _filled(answer.text, "password") == ""
    assert "not this one" not in answer.text
    assert 'name="next" value="/en/cart"' in answer.text
    assert "session" not in bob.cookies


async def test_unknown_and_impossible_addresses_are_answered_like_wrong_passwords(pages: Pages):
    await sign_up(pages.visitor())
    answers = [
        await sign_in(pages.visitor(), email=email, password=password)
        for email, password in [
            (EMAIL, "wrong word"),
            ("eve@example.com", PASSWORD),
            ("eve", "x"),
            ("", ""),
            (EMAIL, "x" * 999),
        ]
    ]
    assert [answer.status for answer in answers] == [422] * 5
    assert all("Wrong e-mail address or password" in answer.text for answer in answers)


@pytest.mark.parametrize("path", ["sign-in", "sign-up"])
async def test_nobody_is_led_out_of_the_shop(pages: Pages, path: str):
    await sign_up(pages.visitor())
    member = pages.visitor()
    await sign_in(member)
    for number, goal in enumerate(ELSEWHERE):
        form = {"email": EMAIL if path == "sign-in" else f"b{number}@example.com", "password": PASSWORD, "next": goal}
        sent = await pages.visitor().send(f"/en/{path}", form)
        assert (sent.status, sent.location) == (303, "/en/account"), goal
        assert set(sent.cookies) <= {"session", "known"}, goal
        opened = await member.session.get(
            f"/en/{path}",
            params={"next": goal},
            headers={"Cookie": f"session={member.cookies['session']}"},
            allow_redirects=False,
        )
        assert (opened.status, opened.headers["location"]) == (303, "/en/account"), goal


async def test_what_a_guest_had_put_into_the_cart_is_the_members(pages: Pages):
    await pages.shop.put_product("HAT")
    carts: Carts = pages.shop.shop.client(Carts)
    users: Users = pages.shop.shop.client(Users)
    cart = await carts.create(key="c", member=None, currency="USD", locale="en")
    await carts.put_line(key="l", cart=cart.id, member=None, sku="HAT", quantity=2, locale="en")
    ada = pages.visitor()
    ada.cookies["cart"] = cart.id

    await sign_up(ada)

    assert "cart" not in ada.cookies
    member = (await users.authenticate(token=ada.cookies["session"])).user_id
    assert [(line.sku, line.quantity) for line in (await carts.current(member=member, locale="en")).lines] == [
        ("HAT", 2)
    ]


async def test_an_encoded_line_break_stays_part_of_a_path_in_the_shop(pages: Pages):
    await sign_up(pages.visitor())
    answer = await sign_in(pages.visitor(), next="/en/%0d%0aSet-Cookie:%20evil=1")
    assert answer.location.startswith("/en/%0")
    assert "evil" not in answer.cookies


@pytest.mark.parametrize("cart", ["1", "383000000000000000-guessed", "x" * 600, "%00"])
async def test_a_cart_that_is_nobodys_keeps_nobody_from_signing_in(pages: Pages, cart: str):
    await sign_up(pages.visitor())
    ada = pages.visitor()
    ada.cookies["cart"] = cart
    answer = await sign_in(ada)
    assert answer.status == 303
    assert "cart" not in ada.cookies


async def test_every_sign_in_has_a_token_of_its_own(pages: Pages):
    await sign_up(first := pages.visitor())
    planted = first.cookies["session"]
    second = pages.visitor()
    second.cookies["session"] = f"{planted[:-1]}x"

    await sign_in(second, key="planted")
    third = pages.visitor()
    await sign_in(third, key="planted")

    tokens = {planted, second.cookies["session"], third.cookies["session"]}
    assert len(tokens) == 3
    assert all(len(token) > 40 for token in tokens)


async def test_guessing_is_slowed_down_and_told_for_how_long(pages: Pages):
    await sign_up(pages.visitor())
    eve = pages.visitor()
    for _ in range(FAILURES_PER_ACCOUNT_AND_REMOTE):
        assert (await sign_in(eve, password="wrong word")).status == 422

    answer = await sign_in(eve)

    assert answer.status == 429
    assert re.search(r"try again in \d+ minutes?", answer.text)
    assert _filled(answer.text, "email") == EMAIL


async def test_whoever_is_signed_in_is_not_asked_again(pages: Pages):
    await sign_up(ada := pages.visitor())
    assert (await ada.open("/zh/sign-in")).location == "/zh/account"
    assert (await ada.open("/en/sign-up?next=/en/cart")).location == "/en/cart"


async def test_signing_out_ends_the_session_and_not_only_its_cookie(pages: Pages):
    await sign_up(ada := pages.visitor())
    token = ada.cookies["session"]

    answer = await ada.send("/en/sign-out", {})

    assert (answer.status, answer.location) == (303, "/en/")
    assert "session" not in ada.cookies
    ada.cookies["session"] = token
    assert (await ada.open("/en/account")).location == "/en/sign-in?next=%2Fen%2Faccount"
    assert "session" not in ada.cookies


async def test_a_form_sent_twice_makes_one_account(pages: Pages):
    first, second = pages.visitor(), pages.visitor()
    key = re.search(r'name="key" value="([^"]+)"', (await first.open("/en/sign-up")).text)
    assert key is not None

    answers = [await sign_up(first, key=key[1]), await sign_up(second, key=key[1])]

    assert [answer.location for answer in answers] == ["/en/account", "/en/account"]


async def test_an_address_that_is_taken_stays_whose_it_is(pages: Pages):
    await sign_up(pages.visitor(), key="k")
    for key in ("k", "another"):
        answer = await sign_up(eve := pages.visitor(), password="another long word", key=key)
        assert answer.status == 409
        assert "There is an account with this e-mail address already" in answer.text
        assert "session" not in eve.cookies
    assert (await sign_in(pages.visitor())).status == 303


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"email": "ada", "password": PASSWORD}, "Enter your e-mail address"),
        ({"email": EMAIL, "password": "short"}, "8 to 256 characters"),
        ({"email": EMAIL, "password": "x" * 257}, "8 to 256 characters"),
        ({"email": EMAIL, "password": EMAIL.upper()}, "8 to 256 characters"),
        ({"email": EMAIL, "password": PASSWORD, "name": "n" * 201}, "at most 200 characters"),
        ({}, "Enter your e-mail address"),
    ],
)
async def test_what_is_wrong_with_a_sign_up_is_said_at_its_field(pages: Pages, form: dict[str, str], said: str):
    answer = await pages.visitor().send("/en/sign-up", form)
    assert answer.status == 422
    assert re.search(rf'<p class="wrong" id="\w+-wrong">[^<]*{said}', answer.text)
    assert 'aria-invalid="true"' in answer.text
    assert _filled(answer.text, "email") == form.get("email", "")


async def test_staff_come_to_the_staff_pages_they_asked_for(pages: Pages):
    await pages.shop.staff()
    answer = await sign_in(pages.visitor(), email=STAFF[0], password=STAFF[1], next="/zh/admin/orders?status=placed")
    assert answer.location == "/zh/admin/orders?status=placed"


async def test_a_page_for_members_leads_to_signing_in_and_back(pages: Pages):
    await sign_up(pages.visitor())
    ada = pages.visitor()
    sent = await ada.open("/zh/account/orders")
    assert sent.location == "/zh/sign-in?next=%2Fzh%2Faccount%2Forders"
    asked = await ada.open(sent.location)
    assert 'name="next" value="/zh/account/orders"' in asked.text
    assert (await sign_in(ada, next="/zh/account/orders")).location == "/zh/account/orders"


async def test_every_field_says_what_browsers_may_fill_in(pages: Pages):
    text = (await pages.visitor().open("/en/sign-in")).text + (await pages.visitor().open("/en/sign-up")).text
    assert re.findall(r'<input id="(\w+)"[^>]* autocomplete="([\w-]+)"', text.replace('id="q"', "")) == [
        ("email", "email"),
        ("password", "current-password"),
        ("email", "email"),
        ("name", "name"),
        ("password", "new-password"),
    ]
