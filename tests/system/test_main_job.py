"""The main job on real input: 19,406 products imported while the shop serves, one bought, and all right after."""

import email
import email.policy
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from hansa.compose import compose
from hansa.compose.shop import Shop
from hansa.kernel.ids import split_name
from hansa.services.inventory.contract import Inventory
from hansa.settings import Settings
from tests import audits
from tests.ports import free_port
from tests.served import Served, pause
from tests.shops import order_body

ICECAT = Path(__file__).parent.parent / "data" / "icecat" / "products.jsonl.gz"
ROWS = 19_406
STOCK = 100
QUANTITY = 2
MOST_MEMORY_MB = 400


@dataclass(frozen=True)
class Import:
    """What came of `hansa import`: its exit status, what it said, and its memory at the height."""

    status: int
    said: str
    complained: str
    memory_mb: float


@dataclass(frozen=True)
class Purchase:
    """What somebody bought, the stock of it before, and the order as the shop answered it."""

    product: dict[str, Any]
    stock_before: dict[str, Any]
    order: dict[str, Any]

    @property
    def sku(self) -> str:
        sku: str = self.product["variants"][0]["sku"]
        return sku


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    shop = Served(tmp_path_factory.mktemp("main") / "data")
    shop.start()
    yield shop
    shop.kill()


@pytest.fixture(scope="module")
def imported(served: Served) -> Import:
    done = take(served, stock=STOCK)
    assert done.status == 0, done.complained
    return done


@pytest.fixture(scope="module")
def purchase(served: Served, imported: Import) -> Purchase:
    product = next(
        item for item in served.get("/api/v1/products?limit=50")["items"] if item["variants"][0]["available"]
    )
    sku = product["variants"][0]["sku"]
    before = served.get(f"/api/v1/admin/inventory/{sku}", served.staff())
    status, order = served.post("/api/v1/orders", order_body(sku, quantity=QUANTITY))
    assert (status, order["status"]) == (201, "placed"), f"{order}\n{served.said()}"
    return Purchase(product=product, stock_before=before, order=order)


def take(served: Served, *, stock: int) -> Import:
    """Import the whole file in a process of its own, while the shop serves."""
    folder = served.folder.parent
    options = ["--format", "icecat", "--stock", str(stock), "--report", str(folder / "refused.csv")]
    command = [sys.executable, "-m", "hansa.cli", "import", "products", str(ICECAT), *options]
    with (folder / "import.out").open("w+") as said, (folder / "import.err").open("w+") as complained:
        memory = 0.0
        with subprocess.Popen(command, env=served.environment, stdout=said, stderr=complained) as process:
            while process.poll() is None:
                memory = max(memory, most_memory_mb(process.pid))
                pause()
        said.seek(0)
        complained.seek(0)
        return Import(status=process.returncode, said=said.read(), complained=complained.read(), memory_mb=memory)


def most_memory_mb(process_id: int) -> float:
    """What a process has ever had in memory; where the system does not tell that, what it has now."""
    status = Path(f"/proc/{process_id}/status")
    if not status.exists():
        return float(psutil.Process(process_id).memory_info().rss) / 2**20
    most = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return int(most[1]) / 1024 if most else 0.0  # nothing is said of one that has just ended


def counted(said: str, word: str) -> int:
    match = re.search(rf"([\d,]+) {word}", said)
    assert match, said
    return int(match[1].replace(",", ""))


@pytest.mark.timeout(240)
def test_all_products_go_in_and_few_are_left_without_a_category(imported: Import) -> None:
    assert counted(imported.said, "rows") == ROWS
    assert counted(imported.said, "created") + counted(imported.said, "refused") == ROWS
    assert counted(imported.said, "refused") <= ROWS // 100
    assert counted(imported.said, "without a category") <= ROWS // 20


@pytest.mark.timeout(240)
def test_the_same_file_again_changes_nothing(served: Served, imported: Import) -> None:
    again = take(served, stock=55)
    assert again.status == 0, again.complained
    assert counted(again.said, "created") == counted(again.said, "changed") == 0
    assert counted(again.said, "unchanged") == counted(imported.said, "created")
    token = served.staff()
    sku = served.get("/api/v1/products?limit=1")["items"][0]["variants"][0]["sku"]
    assert served.get(f"/api/v1/admin/inventory/{sku}", token)["on_hand"] == STOCK


def test_neither_the_import_nor_the_shop_takes_much_memory(served: Served, imported: Import) -> None:
    assert served.process is not None
    assert 0 < imported.memory_mb < MOST_MEMORY_MB
    assert 0 < most_memory_mb(served.process.pid) < MOST_MEMORY_MB


def test_products_are_found_by_page_category_id_and_slug(served: Served, imported: Import) -> None:
    first = served.get("/api/v1/products?limit=100")
    second = served.get(f"/api/v1/products?limit=100&cursor={first['next_cursor']}")
    ids = [item["id"] for item in (*first["items"], *second["items"])]
    assert len(set(ids)) == 200
    one = first["items"][3]
    assert served.get(f"/api/v1/products/{one['id']}") == served.get(f"/api/v1/products/{one['slug']}")
    tree = served.get("/api/v1/categories")
    roots = tree["items"] if isinstance(tree, dict) else tree
    branch = next(root for root in roots if root["children"])
    inside = served.get(f"/api/v1/products?category={branch['path']}&limit=50")
    assert inside["items"]
    assert all(item["category"].startswith(branch["path"]) for item in inside["items"])


def test_one_is_bought_and_stock_money_mail_and_order_are_right(served: Served, purchase: Purchase) -> None:
    product, before, order = purchase.product, purchase.stock_before, purchase.order
    assert order["lines"][0]["name"] == product["name"]
    assert order["subtotal"]["amount"] == QUANTITY * product["variants"][0]["price"]["amount"]
    added = sum(step["amount"]["amount"] for step in order["adjustments"] if not step["included"])
    assert order["total"]["amount"] == order["subtotal"]["amount"] + added
    assert {step["kind"] for step in order["adjustments"]} == {"tax", "shipping"}
    assert [payment["captured"] for payment in order["payments"]] == [order["total"]["amount"]]

    after = served.get(f"/api/v1/admin/inventory/{purchase.sku}", served.staff())
    assert after["on_hand"] == after["available"] + after["reserved"]
    assert (before["on_hand"] - after["on_hand"], after["sold"] - before["sold"]) == (QUANTITY, QUANTITY)

    mail = _mail(served, order["number"])
    assert mail["To"] == "ada@example.com"
    text = mail.get_content()
    assert order["number"] in text
    assert product["name"].split()[0] in text


@pytest.fixture
async def closed_shop(served: Served, purchase: Purchase) -> AsyncIterator[Shop]:
    """The shop's folder, opened in this process after the serving one was stopped: for the last test."""
    assert served.stop() == 0
    shop = await compose(Settings(data=str(served.folder), port=free_port()))
    shop.start()
    try:
        yield shop
    finally:
        await shop.close()


async def test_at_last_the_ledger_and_the_books_of_the_provider_say_the_same(
    closed_shop: Shop, purchase: Purchase
) -> None:
    await audits.drained(closed_shop)
    await audits.everything_balances(closed_shop)

    name = split_name(purchase.order["id"])
    assert name is not None
    order_id, _ = name
    inventory: Inventory = closed_shop.client(Inventory)
    ledger = await inventory.movements(sku=purchase.sku)
    assert [(line.kind, line.on_hand, line.reserved, line.sold, line.reference) for line in ledger] == [
        ("received", STOCK, 0, 0, "import"),
        ("reserved", 0, QUANTITY, 0, order_id),
        ("sold", -QUANTITY, -QUANTITY, QUANTITY, order_id),
    ]
    books = await audits.provider_books(closed_shop)
    assert books == {order_id: (purchase.order["total"]["amount"], 1, 0)}


def _mail(served: Served, number: str) -> email.message.EmailMessage:
    """The order's confirmation, which comes a moment after the order."""
    for _ in range(200):
        for file in (served.folder / "mails").glob("*.eml"):
            message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            assert isinstance(message, email.message.EmailMessage)
            if number in message["Subject"] or number in message.get_content():
                return message
        pause()
    raise AssertionError(f"no mail for order {number}")
