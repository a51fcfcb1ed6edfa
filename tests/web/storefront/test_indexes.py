"""What search engines and newcomers are led to."""

import xml.etree.ElementTree as ElementTree
from urllib.parse import urlsplit

import pytest

from hansa.services.products.contract import CategoryDraft, PriceDraft, ProductDraft, Text, VariantDraft
from tests.web.conftest import Pages

SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
XHTML = "{http://www.w3.org/1999/xhtml}"


def _product(number: int, *, status: str = "active") -> ProductDraft:
    return ProductDraft(
        slug=f"hat-{number}",
        texts={"en": Text(name=f"Hat {number}")},
        category=(CategoryDraft(slug="hats", names={"en": "Hats"}), CategoryDraft(slug="felt", names={"en": "Felt"})),
        variants=(VariantDraft(sku=f"HAT-{number}", prices=(PriceDraft(amount=100, currency="USD"),)),),
        status="archived" if status == "archived" else "active",
    )


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [("", "/en/"), ("zh-CN,zh;q=0.9,en;q=0.5", "/zh/"), ("fr", "/en/"), ("\x80\xff;;q=no", "/en/")],
)
async def test_the_bare_address_leads_to_the_language_of_the_browser(pages: Pages, asked: str, led_to: str):
    answer = await pages.visitor().open("/", Accept_Language=asked.encode("ascii", "ignore").decode())
    assert (answer.status, answer.location) == (302, led_to)
    assert "accept-language" in answer.headers["vary"]


async def test_the_sitemap_names_every_active_product_and_category_in_every_language(pages: Pages):
    drafts = (_product(1), _product(2), _product(3, status="archived"))
    await pages.shop.products.put_many(key="k", drafts=drafts, actor="test")

    robots = await pages.visitor().open("/robots.txt")
    index = robots.text.split("Sitemap: ")[1].strip()
    files = [node.text for node in _tree(await _text(pages, index)).iter(f"{SITEMAP}loc")]
    found = {}
    for file in files:
        for entry in _tree(await _text(pages, file or "")).iter(f"{SITEMAP}url"):
            links = {link.get("hreflang"): urlsplit(link.get("href") or "").path for link in entry.iter(f"{XHTML}link")}
            found[urlsplit(entry.findtext(f"{SITEMAP}loc") or "").path] = links

    paths = ["", "categories/hats", "categories/hats/felt", "products/hat-1", "products/hat-2"]
    expected = {
        f"/{locale}/{path}": {"en": f"/en/{path}", "zh": f"/zh/{path}"} for path in paths for locale in ("en", "zh")
    }
    assert found == expected
    for path in found:
        answer = await pages.visitor().open(path)
        assert answer.status == 200, path
        assert f'<link rel="canonical" href="{pages.shop.shop.settings.public_address}{path}">' in answer.text


async def test_robots_keep_out_of_what_is_personal(pages: Pages):
    robots = (await pages.visitor().open("/robots.txt")).text
    for path in ("/en/cart", "/zh/checkout", "/en/account", "/zh/admin", "/api/"):
        assert f"Disallow: {path}\n" in robots


async def test_a_sitemap_after_a_forged_cursor_is_not_there(pages: Pages):
    assert (await pages.visitor().open("/sitemap-products.xml?after=nonsense")).status == 404


async def _text(pages: Pages, address: str) -> str:
    parts = urlsplit(address)
    answer = await pages.visitor().open(parts.path + (f"?{parts.query}" if parts.query else ""))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/xml")
    return answer.text


def _tree(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)
