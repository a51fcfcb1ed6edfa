"""A few dozen orders on a real shop, loaded, drained and audited as a whole run does."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench import catalogue
from bench.audit import audit
from bench.books import books_of, drained_at, provider_entries
from bench.load import Outcome
from bench.servers import Shop

ORDERS = 48


@pytest.mark.timeout(300)  # on a busy machine the shop takes long to start
async def test_orders_are_loaded_drained_and_found_right(tmp_path: Path):
    shop = Shop(tmp_path / "shop")
    shop.folder.mkdir(mode=0o700)
    products, told = tmp_path / "catalogue.jsonl", tmp_path / "told"
    catalogue.write_catalogue(products, count=8)
    try:
        shop.start()
        shop.import_products(products)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bench.load", "orders", "--url", shop.address, "--connections", "8"),
                *("--orders", str(ORDERS), "--spread", "8", "--stock", "500", "--acknowledged", str(told)),
            ],
            env={**os.environ, "HANSA_STAFF_PASSWORD": shop.password},
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        books = books_of(shop)
        await drained_at(books, with_mails=True)
        acknowledged = [(line.split()[0], line.split()[1]) for line in told.read_text().splitlines()]
        wrong = await audit(books, provider=provider_entries(shop), acknowledged=acknowledged)
        sold = (await books.rows("SELECT sum(sold) FROM inventory.stock"))[0][0]
        await books.close()
    finally:
        shop.stop()

    assert msgspec.json.decode(done.stdout, type=Outcome).statuses == {"201": ORDERS}
    assert len(acknowledged) == sold == ORDERS
    assert wrong == []
