"""A product's page: what is chosen, what can be had, and what machines read of it."""

import html
import json
import re
from typing import Any

from hansa.services.products.contract import PriceDraft, ProductDraft, ProductPatch, Text, VariantDraft
from tests.web.conftest import Pages


def _variant(colour: str, size: str, *, amount: int = 1999) -> VariantDraft:
    prices = (PriceDraft(amount=amount, currency="USD"), PriceDraft(amount=12900, currency="CNY", tax_included=True))
    return VariantDraft(sku=f"TEE-{colour}-{size}", options={"colour": colour, "size": size}, prices=prices)


def _tee(**more: Any) -> ProductDraft:
    variants = tuple(_variant(colour, size) for colour in ("red", "blue") for size in ("S", "M"))
    return ProductDraft(slug="tee", texts={"en": Text(name="Tee"), "zh": Text(name="T 恤")}, variants=variants, **more)


async def _opened(pages: Pages, *, stock: dict[str, int], draft: ProductDraft | None = None) -> str:
    record = await pages.shop.products.create(key="tee", draft=draft or _tee(), actor="test")
    await pages.shop.inventory.set_many(key="stock", on_hand=stock, actor="test")
    await pages.shop.shop.settle()
    return record.id


async def test_the_first_variant_that_can_be_had_is_chosen(pages: Pages):
    await _opened(pages, stock={"TEE-red-S": 0, "TEE-blue-M": 2})

    text = (await pages.visitor().open("/en/products/tee")).text

    assert re.search(r'value="TEE-blue-M" required checked', text)
    assert re.search(r'value="TEE-blue-S" required disabled', text)
    assert "TEE-red-M" not in re.findall(r'name="sku" value="([^"]*)"', text)


async def test_a_colour_leads_to_the_same_page_with_that_colour_chosen(pages: Pages):
    await _opened(pages, stock={"TEE-red-S": 1, "TEE-blue-M": 2})

    text = (await pages.visitor().open("/en/products/tee?variant=TEE-red-S")).text

    assert re.findall(r'name="sku" value="([^"]*)"', text) == ["TEE-red-S", "TEE-red-M"]
    assert 'href="/en/products/tee?variant=TEE-blue-M"' in text
    assert '<link rel="canonical" href="' + pages.shop.shop.settings.public_address + '/en/products/tee">' in text


async def test_few_pieces_are_said_apart_from_the_page(pages: Pages):
    await _opened(pages, stock={"TEE-red-S": 2, "TEE-red-M": 100})
    visitor = pages.visitor()
    assert "Only 2 left" in (await visitor.open("/en/fragments/stock/TEE-red-S")).text
    assert "In stock" in (await visitor.open("/en/fragments/stock/TEE-red-M")).text
    assert "Sold out" in (await visitor.open("/en/fragments/stock/NOTHING")).text
    assert "Only 2 left" not in (await visitor.open("/en/products/tee")).text


async def test_search_engines_read_prices_and_what_can_be_had(pages: Pages):
    await _opened(pages, stock={"TEE-red-S": 1})

    text = (await pages.visitor().open("/en/products/tee")).text
    (script,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', text, re.S)
    data = json.loads(script)

    assert (data["@type"], data["name"], data["url"]) == (
        "Product",
        "Tee",
        f"{pages.shop.shop.settings.public_address}/en/products/tee",
    )
    offers = {offer["sku"]: (offer["price"], offer["priceCurrency"], offer["availability"]) for offer in data["offers"]}
    assert offers["TEE-red-S"] == ("19.99", "USD", "https://schema.org/InStock")
    assert offers["TEE-blue-M"] == ("19.99", "USD", "https://schema.org/OutOfStock")


async def test_scripts_in_names_are_text_wherever_they_stand(pages: Pages):
    evil = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"
    draft = ProductDraft(
        slug="tee",
        texts={"en": Text(name=evil, description=evil)},
        brand=evil,
        attributes={evil: evil},
        variants=(VariantDraft(sku="EVIL", options={evil: evil}, prices=(PriceDraft(amount=1, currency="USD"),)),),
    )
    await _opened(pages, stock={"EVIL": 1}, draft=draft)

    for path in ("/en/products/tee", "/zh/products/tee", "/en/"):
        text = (await pages.visitor().open(path)).text
        assert "<img src=x" not in text
        assert "<script>alert" not in text
    assert html.escape(evil, quote=False).replace("'", "&#39;") in (await pages.visitor().open("/en/products/tee")).text


async def test_prices_follow_the_language_unless_a_currency_is_chosen(pages: Pages):
    await _opened(pages, stock={"TEE-red-S": 1})
    visitor = pages.visitor()
    assert "$19.99" in (await visitor.open("/en/products/tee")).text
    assert "¥129.00" in (await visitor.open("/zh/products/tee")).text
    chosen = (await visitor.open("/en/products/tee?currency=CNY")).text
    assert "CN¥129.00" in chosen
    assert 'href="/en/cart?currency=CNY"' in chosen
    assert "Not sold in EUR" in (await visitor.open("/en/products/tee?currency=EUR")).text


async def test_an_edit_by_staff_is_on_the_next_page(pages: Pages):
    product_id = await _opened(pages, stock={"TEE-red-S": 1})
    patch = ProductPatch(variants=(_variant("red", "S", amount=777),))
    await pages.shop.products.change(key="edit", product_id=product_id, patch=patch, version=1, actor="test")
    assert "$7.77" in (await pages.visitor().open("/en/products/tee?variant=TEE-red-S")).text


async def test_a_size_that_costs_more_says_so_before_it_is_chosen(pages: Pages):
    variants = (_variant("red", "S"), _variant("red", "M", amount=9900))
    draft = ProductDraft(slug="tee", texts={"en": Text(name="Tee")}, variants=variants)
    await _opened(pages, stock={"TEE-red-S": 1, "TEE-red-M": 1}, draft=draft)

    text = (await pages.visitor().open("/en/products/tee")).text
    assert "M · $99.00" in text
    assert "S · $19.99" in text
    chosen = (await pages.visitor().open("/en/products/tee?variant=TEE-red-M")).text
    assert '<p class="price numeric">$99.00</p>' in chosen


async def test_what_has_no_price_here_is_not_called_sold_out(pages: Pages):
    await _opened(pages, stock={"TEE-red-S": 1})
    text = (await pages.visitor().open("/en/products/tee?currency=EUR")).text
    assert "See the price in USD" in text
    assert 'class="state gone"' not in text
    assert "Add to cart" not in text
