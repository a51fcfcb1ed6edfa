"""Looking through all products as staff do: by words, status and category, in three orders, page by page."""

import pytest

from hansa.kernel.money import Money
from hansa.kernel.page import CursorInvalid
from hansa.services.products.contract import NoSuchCategory, ProductSummary, Sorting, Text
from tests.services.products.conftest import Shop
from tests.services.products.drafts import IN_ENGLISH, category, hat, variant, whole_hat


async def put(shop: Shop, *drafts: object) -> None:
    """One after another, so that the newest is known."""
    for draft in drafts:
        shop.clock.advance(1)
        await shop.products.create(key=shop.key(), draft=draft, actor="staff")  # type: ignore[arg-type]


async def slugs(shop: Shop, **asked: object) -> list[str]:
    page = await shop.products.list_for_staff(**IN_ENGLISH, **asked)  # type: ignore[arg-type]
    return [item.slug for item in page.items]


async def test_a_summary_says_what_a_list_shows(shop: Shop):
    await put(shop, whole_hat())

    (item,) = (await shop.products.list_for_staff(locale="de", currency="EUR")).items

    assert (item.slug, item.name, item.brand) == ("felt-hat", "Filzhut", "Lübeck & Sons")
    assert (item.category, item.variants, item.price_from) == ("clothing/hats", 2, Money(2300, "EUR"))
    assert item.image is not None
    assert (item.image.alt, item.status, item.available) == ("Ein Hut", "active", False)


async def test_archived_products_are_listed_too_and_by_status_apart(shop: Shop):
    await put(shop, hat("worn", status="archived"), hat("fresh"))

    assert await slugs(shop) == ["fresh", "worn"]
    assert await slugs(shop, status="archived") == ["worn"]
    assert await slugs(shop, status="active") == ["fresh"]


async def test_words_are_found_in_slugs_names_of_any_language_and_skus(shop: Shop):
    await put(
        shop,
        hat("beret", texts={"en": Text(name="Round and soft"), "zh": Text(name="羊毛贝雷帽")}),
        hat("cap", texts={"en": Text(name="100%_Cotton!")}, variants=(variant("A-1"), variant("Zed-9"))),
    )

    assert await slugs(shop, q="ERE") == ["beret"]
    assert await slugs(shop, q="贝雷") == ["beret"]
    assert await slugs(shop, q="zED-9") == ["cap"]
    assert await slugs(shop, q="0%_c") == ["cap"]
    assert await slugs(shop, q="N!") == ["cap"]
    assert await slugs(shop, q="%") == ["cap"]
    assert await slugs(shop, q="  ") == ["cap", "beret"]
    assert await slugs(shop, q="\x00be\x1fret") == ["beret"]
    assert await slugs(shop, q="sombrero") == []


async def test_a_category_holds_what_lies_below_it(shop: Shop):
    await put(
        shop,
        hat("a", category=category("hats/felt")),
        hat("b", category=category("hats")),
        hat("c", category=category("hats-not")),
    )

    assert await slugs(shop, category="hats", order="slug") == ["a", "b"]
    assert await slugs(shop, category="felt") == ["a"]
    with pytest.raises(NoSuchCategory):
        await slugs(shop, category="shoes")


@pytest.mark.parametrize(("order", "expected"), [("newest", "bac"), ("oldest", "cab"), ("slug", "abc")])
async def test_pages_of_each_order_hold_every_product_once(shop: Shop, order: Sorting, expected: str):
    await put(shop, hat("c"), hat("a"), hat("b"))

    found: list[ProductSummary] = []
    cursor = None
    for _ in range(3):
        page = await shop.products.list_for_staff(**IN_ENGLISH, order=order, limit=1, cursor=cursor)
        found += page.items
        cursor = page.next_cursor

    assert "".join(item.slug for item in found) == expected
    assert cursor is None


async def test_a_cursor_of_another_list_or_order_is_refused(shop: Shop):
    await put(shop, hat("a"), hat("b"))
    cursor = (await shop.products.list_for_staff(**IN_ENGLISH, limit=1)).next_cursor

    for order in ("oldest", "slug"):
        with pytest.raises(CursorInvalid):
            await shop.products.list_for_staff(**IN_ENGLISH, order=order, cursor=cursor)
    with pytest.raises(CursorInvalid):
        await shop.products.list_for_staff(**IN_ENGLISH, cursor="nonsense")
