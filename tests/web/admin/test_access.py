"""Who comes into the staff pages, page by page; and what they are told who come with a cursor from elsewhere."""

import re

import pytest

from hansa.web import admin
from hansa.web.admin.rooms import ROOMS
from hansa.web.pages import Kept, Page, Who
from tests.web.admin.conftest import Office
from tests.web.conftest import Answer, Visitor

PAGES = admin.pages()
LISTS = ("products", "orders", "customers", "dead-letters", "transfers")


def path_of(page: Page) -> str:
    return "/en/" + re.sub(r"\{(\w+)\}", lambda match: "products" if match[1] == "service" else "123456789", page.path)


async def ask(visitor: Visitor, page: Page, **headers: str) -> Answer:
    if page.verb == "GET":
        return await visitor.open(path_of(page), **headers)
    return await visitor.send(path_of(page), {"version": "1"}, **headers)


def test_every_page_of_the_staff_is_for_them_alone_and_never_kept():
    assert PAGES
    for page in PAGES:
        assert page.path == "admin" or page.path.startswith("admin/"), page.path
        assert (page.who, page.kept) == (Who.STAFF, Kept.PERSONAL), page.path


def test_every_room_of_the_navigation_has_a_page():
    paths = {page.path for page in PAGES if page.verb == "GET"}
    assert {room.path for room in ROOMS} <= paths


async def test_guests_are_asked_to_sign_in_and_come_back(office: Office):
    for page in PAGES:
        answer = await ask(office.pages.visitor(), page)
        assert answer.status == 303, page.path
        back = "" if page.verb == "POST" else "?next=%2Fen%2Fadmin"
        assert answer.location.startswith(f"/en/sign-in{back}"), (page.path, answer.location)


async def test_customers_are_refused_on_every_page(office: Office):
    customer = office.pages.visitor()
    customer.cookies["session"] = await office.shop.member("eve@example.com")
    for page in PAGES:
        answer = await ask(customer, page)
        assert answer.status == 403, page.path
        assert "admin.css" not in answer.text, page.path


async def test_staff_come_in_everywhere_and_nothing_breaks(office: Office):
    for page in PAGES:
        answer = await ask(office.staff, page)
        assert answer.status not in (401, 403), (page.verb, page.path)
        assert answer.status < 500, (page.verb, page.path, answer.status)
        assert "no-store" in answer.headers["cache-control"], page.path
        assert "script-src 'self'" in answer.headers["content-security-policy"], page.path


async def test_no_form_of_another_site_acts(office: Office):
    for page in PAGES:
        if page.verb == "POST":
            answer = await ask(office.staff, page, Origin="https://elsewhere.example")
            assert answer.status == 403, page.path


@pytest.mark.parametrize("room", LISTS)
async def test_a_cursor_from_elsewhere_is_refused_with_a_page(office: Office, room: str):
    for cursor in ("nonsense", "WyJwcm9kdWN0cyIsMV0", "'\"><script>", "x" * 3000):
        answer = await office.staff.open(f"/en/admin/{room}?cursor={cursor}")
        assert answer.status == 400, cursor
        assert "That did not work" in answer.text
        assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("address", "room"),
    [
        ("orders/123456789", "orders"),
        ("products/123456789/pictures", "products"),
        ("transfers/123", "transfers"),
        ("nowhere/at/all", ""),
        ("orders?cursor=nonsense", ""),
    ],
)
async def test_staff_stay_in_their_house_when_something_goes_wrong(office: Office, address: str, room: str):
    for locale in ("en", "zh"):
        answer = await office.staff.open(f"/{locale}/admin/{address}")
        assert answer.status == (400 if "cursor" in address else 404)
        assert answer.text.count("<h1>") == 1
        assert 'class="staff"' in answer.text
        assert f'<a class="button" href="/{locale}/admin{room and "/" + room}">' in answer.text
        assert "no-store" in answer.headers["cache-control"]


async def test_a_form_from_elsewhere_is_refused_in_the_house(office: Office):
    answer = await office.staff.send("/en/admin/orders/1/cancel", {}, Origin="https://elsewhere.example")
    assert (answer.status, 'class="staff"' in answer.text) == (403, True)


async def test_what_breaks_is_told_in_the_house(office: Office, monkeypatch: pytest.MonkeyPatch):
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(type(office.shop.shop.transfers), "get", broken)
    answer = await office.staff.open("/en/admin/transfers/1")
    assert (answer.status, 'class="staff"' in answer.text) == (500, True)
    assert "broken on purpose" not in answer.text


async def test_nobody_else_learns_what_addresses_staff_have(office: Office):
    customer = office.pages.visitor()
    customer.cookies["session"] = await office.shop.member("eve@example.com")
    for visitor in (customer, office.pages.visitor()):
        answer = await visitor.open("/en/admin/nowhere/at/all")
        assert (answer.status, 'class="staff"' in answer.text) == (404, False)


async def test_both_languages_have_every_room(office: Office):
    for room in ROOMS:
        for locale, word in (("en", "Sign out"), ("zh", "退出登录")):
            answer = await office.staff.open(f"/{locale}/{room.path}")
            assert (answer.status, word in answer.text) == (200, True), room.path
            assert 'aria-current="page"' in answer.text, room.path


async def test_nothing_of_the_staff_is_told_to_search_engines(office: Office):
    answer = await office.staff.open("/en/admin")
    assert '<meta name="robots" content="noindex">' in answer.text
    assert "canonical" not in answer.text
