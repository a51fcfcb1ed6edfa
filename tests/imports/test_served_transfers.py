"""Imports and exports of a shop that serves: by command, and in the background of its own process, killed or not."""

import asyncio
import json
import time
from pathlib import Path
from statistics import median

import pytest

from hansa.platform.jobs.transfers import Transfer, Transfers
from tests.served import Served
from tests.shops import opened_shop

PRODUCTS = 1_500
LONGEST_WAIT_S = 1.0
"""Far beyond what a request waits for, and far below what the import takes as one piece."""


def catalogue(count: int) -> str:
    return "".join(
        json.dumps(
            {
                "slug": f"p-{number}",
                "texts": {"en": {"name": f"Product {number}"}},
                "variants": [{"sku": f"P-{number}", "prices": [{"amount": 100, "currency": "USD"}]}],
                "stock": {f"P-{number}": 3},
            }
        )
        + "\n"
        for number in range(count)
    )


async def ended(transfers: Transfers, transfer: Transfer) -> Transfer:
    async with asyncio.timeout(60):
        while not (now := await transfers.get(transfer_id=transfer.id)).is_finished:
            await asyncio.sleep(0.01)
    return now


def test_a_command_exports_what_is_for_sale_whether_the_shop_serves_or_not(tmp_path: Path) -> None:
    shop = Served(tmp_path / "data")
    serving, resting, orders = tmp_path / "serving.csv", tmp_path / "resting.csv", tmp_path / "orders.csv"
    shop.start()
    try:
        far = shop.run("export", "products", str(serving), "--no-stock")
        counted = shop.run("export", "orders", str(orders))
    finally:
        shop.stop()

    near = shop.run("export", "products", str(resting), "--no-stock")
    lines = shop.run("export", "products", str(tmp_path / "resting.jsonl"))

    for done in (far, counted, near, lines):
        assert done.returncode == 0, done.stderr
    assert "products with" in far.stdout
    assert serving.read_bytes() == resting.read_bytes()
    assert len(serving.read_text("utf-8-sig").splitlines()) > 20
    assert '"stock":{' in (tmp_path / "resting.jsonl").read_text()
    assert orders.read_text("utf-8-sig").startswith("number,order_id,")
    assert shop.run("export", "products", str(tmp_path / "a.xlsx")).returncode == 2


async def test_a_shop_answers_while_it_imports_and_exports(tmp_path: Path) -> None:
    async with opened_shop(folder=tmp_path / "data") as shop:
        await shop.put_product("HAT")
        file = tmp_path / "many.jsonl"
        file.write_text(catalogue(PRODUCTS))
        waits: list[float] = []
        begun = await shop.shop.transfers.start_import(content=file, name=file.name, actor="user:1")
        exporting = await shop.shop.transfers.start_export(kind="export-products", actor="user:1")

        while not (await shop.shop.transfers.get(transfer_id=exporting.id)).is_finished:
            began = time.monotonic()
            status, _ = await shop.request("GET", "/products/hat")
            waits.append(time.monotonic() - began)
            assert status == 200

        done = await shop.shop.transfers.get(transfer_id=begun.id)
        exported = await shop.shop.transfers.get(transfer_id=exporting.id)
        assert (done.state, done.counts["created"], done.counts["stock_set"]) == ("done", PRODUCTS, PRODUCTS)
        assert (exported.state, exported.done) == ("done", PRODUCTS + 1)
        assert max(waits) < LONGEST_WAIT_S, (max(waits), median(waits))


@pytest.mark.parametrize("wire", ["local", "twice"])
async def test_an_import_of_a_shop_that_was_stopped_is_taken_up_when_it_opens_again(tmp_path: Path, wire: str) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text(catalogue(400))
    async with opened_shop(folder=tmp_path / "data", wire=wire) as shop:
        begun = await shop.shop.transfers.start_import(content=file, name=file.name, actor="user:1")
        async with asyncio.timeout(20):
            while not (await shop.shop.transfers.get(transfer_id=begun.id)).counts.get("created"):
                await asyncio.sleep(0.001)

    async with opened_shop(folder=tmp_path / "data", wire=wire) as shop:
        done = await ended(shop.shop.transfers, begun)
        stock = await shop.inventory.stock(sku="P-399")

    assert (done.state, done.attempts) == ("done", 2)
    assert done.counts["created"] + done.counts["unchanged"] == 400
    assert 0 < done.counts["unchanged"] < 400
    assert stock.on_hand == 3
    assert_is_tidy(tmp_path / "data" / "transfers", done)


def assert_is_tidy(folder: Path, transfer: Transfer) -> None:
    assert [path.name for path in (folder / transfer.id).iterdir()] == ["transfer.json"]
