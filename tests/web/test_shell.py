"""What holds for all pages: the same for everybody or for nobody else, safe to run, light, and led nowhere else."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hansa.kernel.clock import SystemClock
from hansa.kernel.money import Money
from hansa.services.products.contract import CategoryDraft, PriceDraft, ProductDraft, Text, VariantDraft
from hansa.services.promotions.contract import FlashSaleDraft, Promotions
from hansa.web import every_page
from hansa.web.pages import Kept, Who
from hansa.web.site import TEMPLATES
from tests.shops import STAFF
from tests.web.conftest import Answer, Pages, Visitor

SCRIPT = "<script>alert(1)</script>"
UNKNOWN = "382980604573984795"
FILLED = {"path": "hats", "name": "hat", "sku": "HAT"}
"""Names of pages that stand for something that is there; all others are asked for something that is not."""
LARGEST_PAGE = 200_000
EVIL = "https://evil.example"
GOALS = (
    f"{EVIL}/",
    "//evil.example",
    "/\\evil.example",
    "javascript:alert(1)",
    "/%0d%0aSet-Cookie:%20evil=1",
    "\\/evil",
)
LOCALES = ("en", "zh")
TELLS_THE_TIME = "fragments/sale/{sale_id}/state"
PUBLIC = [page.path for page in every_page() if page.kept is Kept.PUBLIC and page.path != TELLS_THE_TIME]
ACTS = [page for page in every_page() if page.verb == "POST"]


class Elements(HTMLParser):
    """The elements of a page: their names and attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.found if tag in tags]


def filled(path: str, *, sale: str = UNKNOWN) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: {**FILLED, "sale_id": sale}.get(match[1], UNKNOWN), path)


async def flash_sale(pages: Pages) -> str:
    """The id of a sale of what is in stock, which is to come."""
    promotions: Promotions = pages.shop.shop.client(Promotions)
    starts_at = SystemClock().now() + timedelta(days=1)
    draft = FlashSaleDraft(
        sku="HAT",
        price=Money(50, "USD"),
        quantity=2,
        limit_per_buyer=1,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=1),
    )
    return (await promotions.create(key="sale", draft=draft, actor="test")).id


async def stock(pages: Pages) -> None:
    """A product that is named like an attack."""
    draft = ProductDraft(
        slug="hat",
        texts={locale: Text(name=f"Hat {SCRIPT}", description=f"Warm. {SCRIPT}") for locale in LOCALES},
        brand=f"Brand {SCRIPT}",
        category=(CategoryDraft(slug="hats", names={"en": f"Hats {SCRIPT}", "zh": f"帽子 {SCRIPT}"}),),
        attributes={"material": SCRIPT},
        variants=(
            VariantDraft(
                sku="HAT",
                options={"size": f"M {SCRIPT}"},
                prices=(PriceDraft(amount=100, currency="USD"), PriceDraft(amount=900, currency="CNY")),
            ),
        ),
    )
    await pages.shop.products.create(key="hat", draft=draft, actor="test")
    await pages.shop.inventory.set_on_hand(key="hat", sku="HAT", on_hand=5, version=None, actor="test")
    await pages.shop.shop.settle()


async def staff(pages: Pages) -> Visitor:
    """Somebody who may see every page."""
    visitor = pages.visitor()
    visitor.cookies["session"] = await pages.shop.staff()
    return visitor


async def every_answer(pages: Pages, visitor: Visitor) -> dict[str, Answer]:
    """Every page in both languages, but fragments and files."""
    answers = {}
    for page in every_page():
        if page.verb == "GET":
            for locale in LOCALES:
                path = f"/{locale}/{filled(page.path)}"
                answers[path] = await visitor.open(path)
    return {path: answer for path, answer in answers.items() if "<html" in answer.text}


async def test_public_pages_are_the_same_bytes_for_everybody(pages: Pages):
    await stock(pages)
    sale = await flash_sale(pages)
    guest, known = pages.visitor(), await staff(pages)
    known.cookies.update(cart="1-whatever", known="1", currency="EUR", locale="zh")
    for path in PUBLIC:
        first = await guest.open(f"/en/{filled(path, sale=sale)}")
        second = await known.open(
            f"/en/{filled(path, sale=sale)}", Accept_Language="zh", User_Agent="another", DNT="1", Referer=f"{EVIL}/"
        )
        assert first.status == 200, path
        assert first.text == second.text, path
        for answer in (first, second):
            assert "set-cookie" not in answer.headers, path
            assert answer.headers["cache-control"].startswith("public"), path


async def test_public_pages_are_sent_again_only_if_they_have_changed(pages: Pages):
    await stock(pages)
    sale = await flash_sale(pages)
    visitor = pages.visitor()
    for path in PUBLIC:
        first = await visitor.open(f"/en/{filled(path, sale=sale)}")
        again = await visitor.open(f"/en/{filled(path, sale=sale)}", If_None_Match=first.headers["etag"])
        other = await visitor.open(f"/en/{filled(path, sale=sale)}", If_None_Match='"something else"')
        assert (again.status, again.text) == (304, ""), path
        assert again.headers["etag"] == first.headers["etag"]
        assert other.status == 200, path


async def test_personal_pages_are_kept_by_nobody(pages: Pages):
    await stock(pages)
    visitor = await staff(pages)
    personal = [page for page in every_page() if page.kept is Kept.PERSONAL and page.verb == "GET"]
    for page in personal:
        answer = await visitor.open(f"/en/{filled(page.path)}")
        assert "no-store" in answer.headers["cache-control"], page.path
        assert "etag" not in answer.headers, page.path


async def test_every_page_lets_the_browser_run_nothing_but_the_shops_own_files(pages: Pages):
    await stock(pages)
    answers = await every_answer(pages, await staff(pages))
    for path, answer in answers.items():
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "script-src 'self';" in f"{policy};", path
        assert "unsafe" not in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert answer.headers["x-content-type-options"] == "nosniff", path


async def test_no_page_loads_anything_from_another_host(pages: Pages):
    await stock(pages)
    own = pages.shop.shop.settings.public_address
    answers = await every_answer(pages, await staff(pages))
    for path, answer in answers.items():
        elements = Elements(answer.text)
        for attributes in elements.of("script", "img", "source", "iframe", "video", "audio", "embed", "object", "base"):
            for address in _addresses(attributes):
                assert re.match(r"/(?!/)", address), (path, address)
        for attributes in elements.of("link"):
            assert re.match(rf"{re.escape(own)}/|/(?!/)", attributes["href"]), (path, attributes)
        for attributes in elements.of("form"):
            assert re.match(r"/(?!/)", attributes.get("action", "/")), (path, attributes)


async def test_no_page_weighs_much(pages: Pages):
    """As it is uncompressed, with its styles and scripts, without pictures."""
    await stock(pages)
    visitor = await staff(pages)
    sizes: dict[str, int] = {}
    answers = await every_answer(pages, visitor)
    for path, answer in answers.items():
        elements = Elements(answer.text)
        parts = [each["src"] for each in elements.of("script") if "src" in each]
        parts += [each["href"] for each in elements.of("link") if each.get("rel") == "stylesheet"]
        for part in parts:
            if part not in sizes:
                sizes[part] = len((await visitor.open(part)).text.encode())
        assert len(answer.text.encode()) + sum(sizes[part] for part in parts) < LARGEST_PAGE, path


async def test_every_page_has_one_heading_a_title_and_its_language(pages: Pages):
    await stock(pages)
    own = pages.shop.shop.settings.public_address
    answers = await every_answer(pages, await staff(pages))
    assert len(answers) > 20
    for path, answer in answers.items():
        elements = Elements(answer.text)
        locale = path.split("/")[1]
        assert len(elements.of("h1")) == 1, path
        assert len(elements.of("main")) == 1, path
        assert elements.of("html")[0]["lang"] == locale, path
        title = re.search(r"<title>(.+?)</title>", answer.text)
        assert title is not None, path
        assert title[1].strip(" ·"), path
        names = [each["id"] for _, each in elements.found if each.get("id")]
        assert len(names) == len(set(names)), (path, sorted(name for name in names if names.count(name) > 1))

        links = {(each["rel"], each.get("hreflang", "")): each["href"] for each in elements.of("link")}
        is_hidden = any(each.get("name") == "robots" and "noindex" in each["content"] for each in elements.of("meta"))
        assert is_hidden != (("canonical", "") in links), path
        if not is_hidden:
            rest = path.removeprefix(f"/{locale}")
            assert links["canonical", ""] == f"{own}{path}", path
            for other in LOCALES:
                assert links["alternate", other] == f"{own}/{other}{rest}", path


async def test_personal_pages_are_for_no_search_engine(pages: Pages):
    await stock(pages)
    visitor = await staff(pages)
    for page in every_page():
        if page.kept is Kept.PERSONAL and page.verb == "GET":
            answer = await visitor.open(f"/en/{filled(page.path)}")
            assert "<html" not in answer.text or 'name="robots" content="noindex' in answer.text, page.path


LOST = ("/xx/", "/xx/products/hat", "/EN/", "/en/nothing/here", "/zh/products/none", "/%00/", "/en/%ff")


async def test_an_address_that_leads_nowhere_is_a_page_that_says_so(pages: Pages):
    for path in LOST:
        answer = await pages.visitor().open(path)
        assert answer.status == 404, path
        elements = Elements(answer.text)
        assert elements.of("html")[0]["lang"] == ("zh" if path.startswith("/zh") else "en"), path
        assert len(elements.of("h1")) == 1, path
        assert answer.headers["cache-control"] == "no-store", path


async def test_a_currency_that_the_shop_does_not_have_is_left_out_of_the_address(pages: Pages):
    await stock(pages)
    visitor = pages.visitor()
    for currency in ("XYZ", "usd", SCRIPT, "EUR;", "%00", "x" * 1000):
        for path in ("/en/", "/zh/search", "/en/products/hat", "/en/sign-in"):
            query = {"currency": currency, "q": "a"}
            async with visitor.session.get(path, params=query, allow_redirects=False) as response:
                assert (response.status, response.headers["location"]) == (303, f"{path}?q=a"), currency


FORGED: dict[str, dict[str, str]] = {
    "another site's origin": {"Origin": EVIL},
    "an origin that hides": {"Origin": "null"},
    "no origin at all": {"Origin": ""},
    "a look-alike origin": {"Origin": "http://127.0.0.1.evil.example"},
    "another site, says the browser": {"Sec_Fetch_Site": "cross-site"},
    "a sibling site, says the browser": {"Sec_Fetch_Site": "same-site"},
    "typed in, says the browser": {"Sec_Fetch_Site": "none"},
}


async def test_no_act_is_done_for_a_form_of_another_site(pages: Pages):
    visitor = await staff(pages)
    for about, headers in FORGED.items():
        for act in ACTS:
            answer = await visitor.send(f"/en/{filled(act.path)}", {"key": "k"}, **headers)
            assert answer.status == 403, (act.path, about)
    assert (await visitor.open("/en/account")).status == 200


async def test_every_act_is_open_to_the_shops_own_forms(pages: Pages):
    """Or the test above would show nothing."""
    visitor = await staff(pages)
    session = visitor.cookies["session"]
    assert len(ACTS) > 10
    for act in ACTS:
        visitor.cookies["session"] = session if act.path != "sign-out" else ""
        answer = await visitor.send(f"/en/{filled(act.path)}", {"key": "k"}, Sec_Fetch_Site="same-origin")
        assert answer.status != 403, act.path
        assert answer.status < 500, act.path


async def test_no_form_leads_out_of_the_shop(pages: Pages):
    await stock(pages)
    member, operator = pages.visitor(), await staff(pages)
    await member.send("/en/sign-up", {"email": "a@example.com", "password": "a long enough word"})
    for goal in GOALS:
        for act in ACTS:
            who = operator if act.who is Who.STAFF else member
            form = {"next": goal, "back": goal, "sku": "HAT", "quantity": "1", "currency": "EUR", "key": goal}
            form |= {"email": STAFF[0], "password": STAFF[1]} if act.path == "sign-in" else {}
            if act.path == "sign-out":
                continue
            answer = await who.send(f"/en/{filled(act.path)}", form)
            assert re.match(r"(/(?![/\\])|$)", answer.location), (act.path, goal)
            assert "evil" not in answer.cookies
            assert f'href="{goal}"' not in answer.text
            assert f'action="{goal}"' not in answer.text


async def test_what_people_write_is_shown_and_never_run(pages: Pages):
    await stock(pages)
    operator, member = await staff(pages), pages.visitor()
    await member.send(
        "/en/sign-up", {"email": "a@example.com", "password": "a long enough word", "name": f"Ada {SCRIPT}"}
    )
    await member.send("/en/cart/lines", {"sku": "HAT", "quantity": "1", "key": "k"})
    answers = [*(await every_answer(pages, operator)).items(), *(await every_answer(pages, member)).items()]
    for query in (SCRIPT, '"><img src=x onerror=alert(1)>', "'-alert(1)-'", "{{ 7 * 7 }}", "</title><script>"):
        async with member.session.get("/en/search", params={"q": query}) as response:
            answers.append((f"search {query}", Answer(200, await response.text(), {}, {})))
        async with member.session.get("/en/sign-in", params={"next": query, "saved": query}) as response:
            answers.append((f"sign-in {query}", Answer(200, await response.text(), {}, {})))
    seen = 0
    for path, answer in answers:
        seen += "&lt;script&gt;alert(1)" in answer.text
        assert SCRIPT not in answer.text, path
        for attributes in Elements(answer.text).of("script"):
            assert "src" in attributes or attributes.get("type") == "application/ld+json", path
        for _, attributes in Elements(answer.text).found:
            assert not any(name.startswith("on") for name in attributes), (path, attributes)
    assert seen > 5


# -- what the templates themselves may not say -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_no_template_has_scripts_or_styles_within(template: Path):
    text = template.read_text("utf-8")
    assert not re.search(r"<style\b|\sstyle\s*=", text)
    assert not re.search(r"<[^>]*\son[a-z]+\s*=", text)
    assert not re.search(r"javascript:|\bhx-on|\bhx-vals|\bhx-headers\s*=\s*['\"]js", text)
    for tag in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in tag or 'type="application/ld+json"' in tag
    assert not re.search(r"\|\s*safe\b", text) or template.name == "icons.html"


def _addresses(attributes: dict[str, str]) -> list[str]:
    found = [attributes[name] for name in ("src", "href", "data", "poster") if attributes.get(name)]
    return found + [part.split()[0] for part in attributes.get("srcset", "").split(",") if part.strip()]
