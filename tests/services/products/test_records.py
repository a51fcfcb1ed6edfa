"""Whole products, page by page, for exports and for read models that are built anew."""

import msgspec
import pytest

from hansa.kernel.page import CursorInvalid
from hansa.services.products.contract import ProductRecord
from hansa.services.products.events import ProductPut
from hansa.services.products.store import records
from hansa.services.products.tables import PRODUCTS
from tests.services.products.conftest import Shop
from tests.services.products.drafts import hat, variant


async def _all(shop: Shop, *, limit: int) -> list[ProductRecord]:
    found: list[ProductRecord] = []
    cursor = None
    while True:
        page = await shop.products.records(limit=limit, cursor=cursor)
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found


async def test_the_pages_hold_every_product_once_archived_ones_too(shop: Shop):
    drafts = [hat(f"hat-{number}", variants=(variant(f"HAT-{number}"),)) for number in range(7)]
    archived = hat("old", variants=(variant("OLD"),), status="archived")
    await shop.products.put_many(key=shop.key(), drafts=(*drafts, archived), actor="import")

    for limit in (1, 3, 8, 100):
        found = await _all(shop, limit=limit)
        assert sorted(record.draft.slug for record in found) == sorted([*(draft.slug for draft in drafts), "old"])


async def test_a_record_is_what_staff_are_shown_and_what_the_event_told(shop: Shop):
    await shop.products.put_many(key=shop.key(), drafts=(hat(),), actor="import")

    (record,) = await _all(shop, limit=10)

    assert record == await shop.products.record(product_id=record.id)
    (event,) = await shop.events(ProductPut.type)
    assert msgspec.json.decode(event.body, type=ProductPut).record == record
    assert set(record.availability) == {variant.sku for variant in record.draft.variants}


async def test_every_active_product_is_listed_once_with_its_last_change(shop: Shop):
    drafts = [hat(f"hat-{number}", variants=(variant(f"HAT-{number}"),)) for number in range(5)]
    archived = hat("old", variants=(variant("OLD"),), status="archived")
    await shop.products.put_many(key=shop.key(), drafts=(*drafts, archived), actor="import")

    first = await shop.products.listed(limit=3)
    rest = await shop.products.listed(limit=3, cursor=first.next_cursor)

    found = [*first.items, *rest.items]
    assert sorted(each.slug for each in found) == [draft.slug for draft in drafts]
    assert {each.updated_at for each in found} == {shop.clock.now()}
    assert rest.next_cursor is None


async def test_a_cursor_from_elsewhere_is_refused(shop: Shop):
    with pytest.raises(CursorInvalid):
        await shop.products.records(cursor="nonsense")
    with pytest.raises(CursorInvalid):
        await shop.products.listed(cursor="nonsense")


@pytest.mark.parametrize("at_once", [1, 3, 8, 100])
async def test_the_ids_of_all_products_are_read_in_the_order_of_their_keys_archived_ones_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at_once: int
):
    monkeypatch.setattr(records, "IDS_AT_ONCE", at_once)
    drafts = [hat(f"hat-{number}", variants=(variant(f"HAT-{number}"),)) for number in range(7)]
    archived = hat("old", variants=(variant("OLD"),), status="archived")
    await shop.products.put_many(key=shop.key(), drafts=(*drafts, archived), actor="import")

    pages = [page async for page in records.all_ids(shop.database)]

    assert all(0 < len(page) <= at_once for page in pages)
    assert [each for page in pages for each in page] == [
        row["product_id"] for row in sorted(await shop.rows(PRODUCTS), key=lambda row: (row["slot"], row["product_id"]))
    ]


async def test_a_shop_without_products_has_no_ids(small_shop: Shop):
    assert [page async for page in records.all_ids(small_shop.database)] == []


async def test_a_product_put_while_ids_are_read_hides_none_of_those_before_it(
    small_shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(records, "IDS_AT_ONCE", 2)
    drafts = [hat(f"hat-{number}", variants=(variant(f"HAT-{number}"),)) for number in range(6)]
    await small_shop.products.put_many(key=small_shop.key(), drafts=tuple(drafts), actor="import")
    before = {row["product_id"] for row in await small_shop.rows(PRODUCTS)}

    found: list[int] = []
    async for page in records.all_ids(small_shop.database):
        found += page
        new = hat(f"new-{len(found)}", variants=(variant(f"NEW-{len(found)}"),))
        if len(found) < 20:
            await small_shop.products.put_many(key=small_shop.key(), drafts=(new,), actor="import")

    assert before <= set(found)
    assert len(found) == len(set(found))
