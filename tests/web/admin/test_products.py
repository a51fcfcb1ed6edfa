"""The room of products: found in lists, made, changed by several people at once, and seen in the shop at once."""

import html
import inspect
import re
from io import BytesIO

import pytest
from PIL import Image

from hansa.platform.files import preparing
from hansa.services.home import rules as home_rules
from hansa.services.products import rules as product_rules
from hansa.services.products.contract import ProductDraft, ProductPatch, ProductRecord, Text
from hansa.web.admin.products.sheet import REASONS
from tests.services.products.drafts import category, usd, variant
from tests.web.admin.conftest import Office, changed, form_of
from tests.web.conftest import Visitor

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


async def record(office: Office, product_id: str) -> ProductRecord:
    return await office.shop.products.record(product_id=product_id)


async def form(visitor: Visitor, path: str) -> list[tuple[str, str]]:
    return form_of((await visitor.open(path)).text, path.partition("?")[0])


def names(text: str) -> list[str]:
    return re.findall(r'<span class="soft small clamp-one">([^<]+)</span>', text)


def picture(colour: str = "red") -> bytes:
    out = BytesIO()
    Image.new("RGB", (400, 500), colour).save(out, "PNG")
    return out.getvalue()


async def test_products_are_found_by_words_status_and_category(office: Office):
    await office.shop.put_product("HAT")
    draft = ProductDraft(
        slug="boots",
        texts={"zh": Text(name="靴子")},
        variants=(variant("B-1"),),
        category=category("shoes"),
        status="archived",
    )
    await office.shop.products.create(key="boots", draft=draft, actor="test")

    async def found(query: str) -> list[str]:
        return names((await office.staff.open(f"/en/admin/products?{query}")).text)

    assert await found("") == ["boots", "hat"]
    assert await found("q=靴") == ["boots"]
    assert await found("q=hat&status=active") == ["hat"]
    assert await found("category=shoes") == ["boots"]
    assert await found("category=nowhere&status=nonsense") == ["boots", "hat"]
    assert await found("order=slug") == ["boots", "hat"]
    assert "Nothing found" in (await office.staff.open("/en/admin/products?q=sombrero")).text


async def test_programs_of_the_staff_find_the_same_products(office: Office):
    await office.shop.put_product("HAT", USD=1999)
    await office.shop.put_product("SHOE")

    status, page = await office.shop.request("GET", "/admin/products?q=hat&order=slug&limit=1", token=office.token)

    assert (status, [item["slug"] for item in page["items"]], page["next_cursor"]) == (200, ["hat"], None)
    assert page["items"][0]["price_from"] == {"amount": 1999, "currency": "USD"}
    assert (await office.shop.request("GET", "/admin/products?order=best", token=office.token))[0] == 400


async def test_a_long_list_is_paged_to_its_end(office: Office):
    drafts = tuple(
        ProductDraft(slug=f"hat-{number:03}", texts={"en": Text(name="Hat " * 60)}, variants=(variant(f"H{number}"),))
        for number in range(120)
    )
    await office.shop.products.put_many(key="many", drafts=drafts, actor="test")

    path, found = "/en/admin/products?order=slug&q=hat", []
    while path:
        text = (await office.staff.open(path)).text
        found += names(text)
        more = re.search(r'href="([^"]+)" rel="next"', text)
        path = html.unescape(more[1]) if more else ""

    assert found == [f"hat-{number:03}" for number in range(120)]


async def test_markup_in_a_products_words_is_shown_as_text(office: Office):
    draft = ProductDraft(
        slug="evil",
        texts={"en": Text(name=EVIL, description=f"</textarea>{EVIL}")},
        variants=(variant("EVIL", options={EVIL[:60]: EVIL[:60]}),),
        category=tuple(each for each in category("tops")),
        brand=EVIL,
        attributes={EVIL: EVIL},
    )
    made = await office.shop.products.create(key="evil", draft=draft, actor="test")

    for sheet in ("", "/variants", "/variant?sku=EVIL", "/pictures", "/stock"):
        text = (await office.staff.open(f"/en/admin/products/{made.id}{sheet}")).text
        assert "<script>alert" not in text, sheet
        assert "<img src=x" not in text, sheet
        assert html.escape("<script>alert(1)</script>") in text, sheet
    assert "<script>alert" not in (await office.staff.open(f"/en/admin/products?q={EVIL}")).text
    assert dict(await form(office.staff, f"/en/admin/products/{made.id}"))["name.en"] == EVIL


async def test_a_new_product_is_made_once_and_found_in_the_shop(office: Office):
    sent = changed(
        await form(office.staff, "/en/admin/products/new"),
        name__en="Wool Beret, black",
        name__zh="黑色羊毛贝雷帽",
        sku="BERET",
        price__USD="42.5",
        category_name__en="Hats",
    )
    answers = [await office.staff.send("/en/admin/products/new", sent) for _ in range(2)]

    assert {answer.status for answer in answers} == {303}
    assert answers[0].location == answers[1].location
    _, product = await office.shop.request("GET", "/products/wool-beret-black")
    assert (product["name"], product["category"]) == ("Wool Beret, black", "hats")
    assert product["variants"][0]["price"] == {"amount": 4250, "currency": "USD"}


async def test_what_is_missing_or_taken_is_said_next_to_its_field(office: Office):
    await office.shop.put_product("HAT")
    empty = await form(office.staff, "/en/admin/products/new")
    missing = await office.staff.send("/en/admin/products/new", changed(empty, price__USD="cheap", brand="Kept"))
    assert missing.status == 422
    assert 'id="sku-wrong"' in missing.text
    assert 'id="price-USD-wrong"' in missing.text
    assert 'value="Kept"' in missing.text

    for sku, slug, name in (("OTHER", "hat", "slug"), ("HAT", "other", "sku")):
        sent = changed(empty, name__en="A hat", sku=sku, slug=slug)
        taken = await office.staff.send("/en/admin/products/new", sent)
        assert (taken.status, f'id="{name}-wrong"' in taken.text) == (409, True)


async def test_a_price_that_staff_change_is_shown_in_the_shop_at_once(office: Office):
    product_id = await office.shop.put_product("HAT", USD=1999, EUR=1899)
    path = f"/en/admin/products/{product_id}/variants"

    answer = await office.staff.send(path, changed(await form(office.staff, path), price__USD__HAT="17.49"))

    assert answer.status == 303
    _, product = await office.shop.request("GET", "/products/hat?currency=USD")
    assert product["variants"][0]["price"]["amount"] == 1749
    assert "$17.49" in (await office.pages.visitor().open("/en/products/hat")).text
    _, product = await office.shop.request("GET", "/products/hat?currency=EUR")
    assert product["variants"][0]["price"]["amount"] == 1899


async def test_other_prices_of_a_variant_stay_as_they_are(office: Office):
    product_id = await office.shop.put_product("HAT", USD=1999)
    bulk = variant("HAT", prices=(usd(1999), usd(1500, minimum_quantity=10)))
    await office.shop.products.change(
        key="bulk", product_id=product_id, patch=ProductPatch(variants=(bulk,)), version=None, actor="test"
    )
    path = f"/en/admin/products/{product_id}/variants"

    await office.staff.send(path, changed(await form(office.staff, path), price__USD__HAT="1.00"))

    prices = (await record(office, product_id)).draft.variants[0].prices
    assert {(price.minimum_quantity, price.amount) for price in prices} == {(1, 100), (10, 1500)}


async def test_a_price_is_not_taken_away_and_nonsense_is_no_price(office: Office):
    product_id = await office.shop.put_product("HAT", USD=1999)
    path = f"/en/admin/products/{product_id}/variants"
    shown = await form(office.staff, path)
    for text in ("", "-1", "1.999", "abc", "1e5", "９"):
        answer = await office.staff.send(path, changed(shown, price__USD__HAT=text))
        assert answer.status == 422, text
        assert 'aria-invalid="true"' in answer.text
    assert (await record(office, product_id)).version == 1


async def test_whoever_saves_later_sees_what_the_other_one_saved_and_decides(office: Office):
    product_id = await office.shop.put_product("HAT")
    path = f"/en/admin/products/{product_id}"
    mine, theirs = await form(office.staff, path), await form(office.colleague, path)
    assert (
        await office.colleague.send(path, changed(theirs, name__en="Their name", brand="Their brand"))
    ).status == 303

    answer = await office.staff.send(path, changed(mine, name__en="My name", description__en="My words"))

    assert answer.status == 412
    assert "Their name" in answer.text
    kept = dict(form_of(answer.text, path))
    assert (kept["name.en"], kept["description.en"], kept["brand"]) == ("My name", "My words", "Their brand")
    assert (await record(office, product_id)).draft.texts["en"].name == "Their name"
    assert (await office.staff.send(path, form_of(answer.text, path))).status == 303
    draft = (await record(office, product_id)).draft
    assert (draft.texts["en"].name, draft.texts["en"].description, draft.brand) == (
        "My name",
        "My words",
        "Their brand",
    )


async def test_two_who_change_different_sheets_do_not_disturb_each_other(office: Office):
    product_id = await office.shop.put_product("HAT", USD=1999)
    about, prices = f"/en/admin/products/{product_id}", f"/en/admin/products/{product_id}/variants"
    mine, theirs = await form(office.staff, about), await form(office.colleague, prices)

    assert (await office.colleague.send(prices, changed(theirs, price__USD__HAT="5.00"))).status == 303
    assert (await office.staff.send(about, changed(mine, brand="Mine"))).status == 303

    draft = (await record(office, product_id)).draft
    assert (draft.brand, draft.variants[0].prices[0].amount) == ("Mine", 500)


async def test_a_form_that_is_sent_twice_changes_once(office: Office):
    product_id = await office.shop.put_product("HAT")
    path = f"/en/admin/products/{product_id}"
    sent = changed(await form(office.staff, path), brand="Mine")

    assert [(await office.staff.send(path, sent)).status for _ in range(2)] == [303, 303]
    assert (await record(office, product_id)).version == 2


async def test_forged_marks_overwrite_nobody_unseen(office: Office):
    product_id = await office.shop.put_product("HAT")
    path = f"/en/admin/products/{product_id}"
    mine = await form(office.staff, path)
    await office.colleague.send(path, changed(mine, brand="Theirs"))

    for seen in ("", "nonsense", "[]", '{"brand":7}'):
        answer = await office.staff.send(path, changed(mine, brand="Mine", seen=seen))
        assert answer.status == 412, seen
    assert (await record(office, product_id)).draft.brand == "Theirs"


async def test_attributes_keep_their_kind_and_more_rows_are_given(office: Office):
    draft = ProductDraft(
        slug="hat",
        texts={"en": Text(name="Hat")},
        variants=(variant("HAT"),),
        attributes={"pieces": 2, "brim": 7.5, "warm": True, "era": "1970s"},
    )
    made = await office.shop.products.create(key="hat", draft=draft, actor="test")
    path = f"/en/admin/products/{made.id}"
    shown = await form(office.staff, path)
    more = await office.staff.send(path, [*shown, ("more", "1")])
    rows = [name for name, _ in form_of(more.text, path)].count("attribute_name")
    assert (more.status, rows - [name for name, _ in shown].count("attribute_name")) == (200, 5)

    other = {"pieces": "3", "warm": "false", "era": ""}
    pairs = iter(shown)
    sent = []
    for name, value in pairs:
        sent.append((name, value))
        if name == "attribute_name":
            name, old = next(pairs)
            sent.append((name, other.get(value, old)))
    sent += [("attribute_name", "colour"), ("attribute_value", "red")]
    assert (await office.staff.send(path, sent)).status == 303

    attributes = (await record(office, made.id)).draft.attributes
    assert attributes == {"pieces": 3, "brim": 7.5, "warm": False, "colour": "red"}
    assert [type(attributes[name]) for name in ("pieces", "brim", "warm")] == [int, float, bool]


async def test_a_category_that_nobody_made_is_not_made_by_a_forged_form(office: Office):
    product_id = await office.shop.put_product("HAT")
    path = f"/en/admin/products/{product_id}"
    answer = await office.staff.send(path, changed(await form(office.staff, path), category="made/up"))
    assert answer.status == 422
    _, tree = await office.shop.request("GET", "/categories")
    assert tree == {"items": []}


async def test_long_words_in_a_language_that_nobody_knows_are_edited_as_well(office: Office):
    draft = ProductDraft(
        slug="hat",
        texts={"zh": Text(name="帽", description="帽" * 20_000), "xx-Qaaa": Text(name="?", description="é" * 20_000)},
        variants=(variant("HAT"),),
        attributes={f"attribute {number}": "帽" * 200 for number in range(200)},
    )
    made = await office.shop.products.create(key="hat", draft=draft, actor="test")
    path = f"/en/admin/products/{made.id}"

    assert (await office.staff.send(path, changed(await form(office.staff, path), brand="Mine"))).status == 303

    saved = (await record(office, made.id)).draft
    assert (saved.brand, saved.texts, saved.attributes) == ("Mine", draft.texts, draft.attributes)


async def test_a_variant_is_added_and_its_facts_are_changed(office: Office):
    product_id = await office.shop.put_product("HAT")
    path = f"/en/admin/products/{product_id}/variant"
    empty = await form(office.staff, path)
    new = [*changed(empty, sku="HAT-L", price__USD="20", weight_grams="310", hs_code="650500", country_of_origin="IT")]
    new += [("option_name", "size"), ("option_value", "L")]
    assert (await office.staff.send(path, new)).status == 303
    assert (await office.staff.send(path, changed(empty, sku="HAT-L"))).status == 422
    wrong = await office.staff.send(path, changed(empty, sku="HAT XL", gtin="12", weight_grams="-3"))
    assert (wrong.status, wrong.text.count('aria-invalid="true"')) == (422, 3)

    one = f"{path}?sku=HAT-L"
    sent = changed(form_of((await office.staff.open(one)).text, path), weight_grams="", gtin="4006381333931")
    assert (await office.staff.send(path, sent)).status == 303

    added = (await record(office, product_id)).draft.variants[1]
    assert (added.sku, added.options, added.weight_grams, added.gtin) == ("HAT-L", {"size": "L"}, None, "4006381333931")
    assert (added.hs_code, added.country_of_origin, added.prices[0].amount) == ("650500", "IT", 2000)


async def test_an_archived_product_leaves_the_shop_and_comes_back(office: Office):
    product_id = await office.shop.put_product("HAT")
    path = f"/en/admin/products/{product_id}"

    for status, seen in (("archived", 404), ("active", 200)):
        version = str((await record(office, product_id)).version)
        sent = {"status": status, "version": version}
        assert (await office.staff.send(f"{path}/status", sent)).status == 303
        assert (await office.shop.request("GET", "/products/hat"))[0] == seen
    late = await office.staff.send(f"{path}/status", {"status": "archived", "version": "1"})
    assert late.status == 412


async def test_pictures_are_taken_in_ordered_described_and_taken_away(office: Office):
    product_id = await office.shop.put_product("HAT")
    path = f"/en/admin/products/{product_id}/pictures"
    files = [("files", "a.png", picture("red")), ("files", "b.png", picture("blue"))]
    for _ in range(2):  # sent twice, kept once
        assert (await office.upload(f"{path}/new", {"key": "once"}, files)).status == 303

    first, second = [image.url for image in (await record(office, product_id)).draft.images]
    sent = dict(await form(office.staff, path))
    sent |= {f"position.{second}": "0", f"alt.en.{second}": "A blue hat", f"alt.zh.{second}": "蓝帽子"}
    assert (await office.staff.send(path, sent)).status == 303
    images = (await record(office, product_id)).draft.images
    assert [(image.url, image.alt) for image in images] == [
        (second, {"en": "A blue hat", "zh": "蓝帽子"}),
        (first, {}),
    ]
    assert "A blue hat" in (await office.pages.visitor().open("/en/products/hat")).text

    sent = dict(await form(office.staff, path)) | {f"remove.{second}": "1"}
    assert (await office.staff.send(path, sent)).status == 303
    assert [image.url for image in (await record(office, product_id)).draft.images] == [first]


async def test_what_is_no_picture_is_refused_with_a_reason(office: Office):
    product_id = await office.shop.put_product("HAT")
    path = f"/en/admin/products/{product_id}/pictures/new"

    for content in (b"", b"GIF89a", b"<svg onload='alert(1)'/>", picture()[:200]):
        answer = await office.upload(path, {"key": "k"}, [("files", "x.png", content)])
        assert answer.status == 422
        assert "not a picture that can be shown" in answer.text
    assert (await office.upload(path, {"key": "k"}, [("files", "", b"")])).status == 422
    huge = await office.upload(path, {"key": "k"}, [("files", "x.png", b"\x89PNG" + bytes(11_000_000))])
    assert (huge.status, "too large" in huge.text) == (413, True)
    plain = await office.staff.send(path, {"key": "k"})
    assert plain.status == 400
    many = [("files", f"{number}.png", picture()) for number in range(9)]
    assert (await office.upload(path, {"key": "k"}, many)).status == 400
    assert (await record(office, product_id)).draft.images == ()


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"GIF89a", "该文件不属于这些格式。"), (picture()[:200], "文件已损坏或不完整。")],
)
async def test_why_a_picture_is_refused_is_said_in_the_language_of_the_page(office: Office, content: bytes, why: str):
    product_id = await office.shop.put_product("HAT")
    path = f"/zh/admin/products/{product_id}/pictures/new"
    answer = await office.upload(path, {"key": "k"}, [("files", "x.png", content)])
    assert f"这不是可以显示的图片，请上传 JPEG、PNG 或 WebP。{why}" in answer.text


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_with_words_of_its_own_is_given_by_a_service(reason: str):
    """A reason that is put otherwise would be shown as the service puts it."""
    given = "".join(inspect.getsource(module) for module in (preparing, product_rules, home_rules))
    assert f'"{reason}"' in given


async def test_a_count_that_is_out_of_date_is_not_kept(office: Office):
    product_id = await office.shop.put_product("HAT", stock=5)
    path = f"/en/admin/products/{product_id}/stock"
    shown = await form(office.staff, path)
    assert dict(shown)["count.main.HAT"] == "5"
    assert (await office.shop.order("HAT", quantity=2))[0] == 201
    await office.shop.shop.settle()

    late = await office.staff.send(path, changed(shown, count__main__HAT="9"))
    assert late.status == 412
    assert "The stock has changed" in late.text
    again = form_of(late.text, path)
    assert dict(again)["count.main.HAT"] == "9"
    assert [(await office.staff.send(path, again)).status for _ in range(2)] == [303, 303]
    assert (await office.shop.inventory.stock(sku="HAT")).on_hand == 9


async def test_what_is_not_touched_is_not_counted_and_nonsense_is_said(office: Office):
    product_id = await office.shop.put_product("HAT", stock=5)
    path = f"/en/admin/products/{product_id}/stock"
    shown = await form(office.staff, path)
    before = await office.shop.inventory.stock(sku="HAT")

    assert (await office.staff.send(path, shown)).status == 303
    assert (await office.staff.send(path, changed(shown, count__main__HAT="many"))).status == 422
    assert await office.shop.inventory.stock(sku="HAT") == before
