"""A disk with no room left: refused clearly, nothing half done, and the shop goes on when there is room again."""

from pathlib import Path

import pytest

from hansa.platform.database.sqlite import SqliteDatabase
from tests import audits
from tests.shops import opened_shop

MOST_ORDERS = 200


@pytest.mark.parametrize("full", ["orders", "inventory", "payments", "keyring"])
async def test_an_order_on_a_full_disk_is_refused_or_completed_later_but_never_half_done(
    tmp_path: Path, full: str
) -> None:
    async with opened_shop(folder=tmp_path / "data") as shop:
        await shop.put_product("HAT", stock=500)
        database = shop.shop.databases[full]
        assert isinstance(database, SqliteDatabase)
        limit_pages(database, further=1)
        for number in range(MOST_ORDERS):
            status, answer = await shop.order("HAT", key=f"full-{number}")
            if status >= 500:
                assert (status, answer["code"]) == (507, "storage.full")
                break
            assert status == 201, answer
            if answer["status"] == "pending":
                break  # there was no room to write down what the provider said, so the order waits
        else:
            raise AssertionError("the disk was never full")

        limit_pages(database, further=10_000)
        status, again = await shop.order("HAT", key=f"full-{number}")
        assert status == 201, again
        await audits.drained(shop.shop)
        _, settled = await shop.request("GET", f"/orders/{again['id']}")
        assert settled["status"] == "placed"
        await audits.everything_balances(shop.shop)


def limit_pages(database: SqliteDatabase, *, further: int) -> None:
    """As if the disk had room for so many more pages of this file."""
    writer = database._opened()
    used = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {used + further}")
