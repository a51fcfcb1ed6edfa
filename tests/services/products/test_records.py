"""Whole products, page by page, for exports and for read models that are built anew."""

import msgspec
import pytest

from hansa.kernel.page import CursorInvalid
from hansa.services.products.contract import ProductRecord
from hansa.services.products.events import ProductPut
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
