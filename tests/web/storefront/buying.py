"""What tests of the cart, the checkout and orders do as a shopper would: fill in the forms that pages hold."""

import html
import re
from html.parser import HTMLParser

from hansa.services.users.contract import Users
from tests.web.conftest import Answer, Pages, Visitor

EMAIL = "ada@example.com"
PASSWORD = "a long enough word"
LONDON = {
    "country": "GB",
    "name": "Ada Byron",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
}
HANGZHOU = {
    "country": "CN",
    "name": "王小明",
    "phone": "13800138000",
    "region": "浙江省",
    "city": "杭州市",
    "district": "西湖区",
    "line1": "文三路 100 号",
    "postal_code": "310012",
}
PAYS, IS_DECLINED, IS_SILENT = "tok_success", "tok_declined", "tok_timeout"
"""Of a silent payment nothing is known for ten seconds or so."""


class _Forms(HTMLParser):
    """The forms of a page: action and what they would send as they stand, buttons left out."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._by_id: dict[str, dict[str, str]] = {}
        self._open: dict[str, str] | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: "list[tuple[str, str | None]]") -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self._open = {}
                self.forms.append((given.get("action", ""), self._open))
            case "input" if given.get("name"):
                if given.get("type") in ("radio", "checkbox") and "checked" not in given:
                    return
                form = self._open if "form" not in given else self._by_id.setdefault(given["form"], {})
                if form is not None:
                    form[given["name"]] = given.get("value", "")
            case "select":
                self._select = given.get("name")
            case "option" if self._open is not None and self._select and "selected" in given:
                self._open[self._select] = given.get("value", "")
        if tag == "form" and (name := given.get("id")):
            earlier = self._by_id.get(name, {})
            self._by_id[name] = self.forms[-1][1]
            self._by_id[name].update(earlier)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = None


def form(answer: Answer, path: str) -> dict[str, str]:
    """What the page's first form that goes to the path would send."""
    parser = _Forms()
    parser.feed(answer.text)
    found = next((fields for action, fields in parser.forms if action.partition("?")[0].endswith(f"/{path}")), None)
    assert found is not None, f"{path} is none of {[action for action, _ in parser.forms]}"
    return found


def has_form(answer: Answer, path: str) -> bool:
    parser = _Forms()
    parser.feed(answer.text)
    return any(action.partition("?")[0].endswith(f"/{path}") for action, _ in parser.forms)


def words(answer: Answer) -> str:
    """The text of a page, without its tags."""
    body = re.sub(r"<(script|style|head)\b.*?</\1>", "", answer.text, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def alerts(answer: Answer) -> str:
    found = re.findall(r'<div[^>]*role="alert"[^>]*>(.*?)</div>', answer.text, flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", " ", " ".join(found)))


async def add(visitor: Visitor, sku: str, quantity: int | str = 1, *, locale: str = "en", **fields: str) -> Answer:
    """From the product's page: put it into the cart."""
    return await visitor.send(f"/{locale}/cart/lines", {"sku": sku, "quantity": str(quantity), **fields})


async def lines(visitor: Visitor, *, locale: str = "en", currency: str = "") -> dict[str, int]:
    """What the cart's page says that it holds."""
    answer = await visitor.open(f"/{locale}/cart{f'?currency={currency}' if currency else ''}")
    assert answer.status == 200
    found = re.findall(
        r'name="sku" value="([^"]+)">\s*<label for="quantity.*?<option selected>(\d+)', answer.text, re.S
    )
    return {sku: int(quantity) for sku, quantity in found}


async def review(
    visitor: Visitor, home: dict[str, str] = LONDON, *, email: str = EMAIL, locale: str = "en", **more: str
) -> Answer:
    """Fill in the first step and send it."""
    details = form(await visitor.open(f"/{locale}/checkout"), "checkout/review")
    return await visitor.send(f"/{locale}/checkout/review", {**details, "email": email, **home, **more})


async def order(visitor: Visitor, shown: Answer, pay: str = PAYS, *, locale: str = "en", **more: str) -> Answer:
    """Press the button of the review."""
    return await visitor.send(f"/{locale}/checkout/order", {**form(shown, "checkout/order"), "payment": pay, **more})


async def bought(visitor: Visitor, sku: str, pay: str = PAYS) -> str:
    """Put it into the cart and order it; the path of the order's page."""
    await add(visitor, sku)
    answer = await order(visitor, await review(visitor), pay)
    assert answer.status == 303, alerts(answer)
    return answer.location.partition("?")[0]


async def member(pages: Pages, email: str = EMAIL) -> Visitor:
    """Somebody who has just signed up."""
    visitor = pages.visitor()
    await visitor.send("/en/sign-up", {"email": email, "password": PASSWORD, "name": "Ada Byron", "key": email})
    assert "session" in visitor.cookies
    return visitor


async def id_of(pages: Pages, visitor: Visitor) -> str:
    users: Users = pages.shop.shop.client(Users)
    return (await users.authenticate(token=visitor.cookies["session"])).user_id
