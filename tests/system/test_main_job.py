"""The main job on real input: 19,406 products imported while the shop serves, one bought, and all right after."""

import email
import email.policy
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served, pause
from tests.shops import order_body

ICECAT = Path(__file__).parent.parent / "data" / "icecat" / "products.jsonl.gz"
ROWS = 19_406
STOCK = 100


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    shop = Served(tmp_path_factory.mktemp("main") / "data")
    shop.start()
    yield shop
    shop.kill()


@pytest.fixture(scope="module")
def imported(served: Served) -> str:
    done = take(served, stock=STOCK)
    assert done.returncode == 0, done.stderr
    return done.stdout


def take(served: Served, *, stock: int) -> subprocess.CompletedProcess[str]:
    report = served.folder.parent / "refused.csv"
    file = str(ICECAT)
    return served.run("import", "products", file, "--format", "icecat", "--stock", str(stock), "--report", str(report))


def counted(said: str, word: str) -> int:
    match = re.search(rf"([\d,]+) {word}", said)
    assert match, said
    return int(match[1].replace(",", ""))


@pytest.mark.timeout(240)
def test_all_products_go_in_and_few_are_left_without_a_category(imported: str) -> None:
    assert counted(imported, "rows") == ROWS
    assert counted(imported, "created") + counted(imported, "refused") == ROWS
    assert counted(imported, "refused") <= ROWS // 100
    assert counted(imported, "without a category") <= ROWS // 20


@pytest.mark.timeout(240)
def test_the_same_file_again_changes_nothing(served: Served, imported: str) -> None:
    again = take(served, stock=55)
    assert again.returncode == 0, again.stderr
    assert counted(again.stdout, "created") == counted(again.stdout, "changed") == 0
    assert counted(again.stdout, "unchanged") == counted(imported, "created")
    token = served.staff()
    sku = served.get("/api/v1/products?limit=1")["items"][0]["variants"][0]["sku"]
    assert served.get(f"/api/v1/admin/inventory/{sku}", token)["on_hand"] == STOCK


def test_products_are_found_by_page_category_id_and_slug(served: Served, imported: str) -> None:
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


def test_one_is_bought_and_stock_money_ledger_mail_and_order_are_right(served: Served, imported: str) -> None:
    token = served.staff()
    product = next(
        item for item in served.get("/api/v1/products?limit=50")["items"] if item["variants"][0]["available"]
    )
    variant = product["variants"][0]
    before = served.get(f"/api/v1/admin/inventory/{variant['sku']}", token)
    status, order = served.post("/api/v1/orders", order_body(variant["sku"], quantity=2))
    assert (status, order["status"]) == (201, "placed"), order

    assert order["lines"][0]["name"] == product["name"]
    assert order["subtotal"]["amount"] == 2 * variant["price"]["amount"]
    added = sum(step["amount"]["amount"] for step in order["adjustments"] if not step["included"])
    assert order["total"]["amount"] == order["subtotal"]["amount"] + added
    assert {step["kind"] for step in order["adjustments"]} == {"tax", "shipping"}
    assert [payment["captured"] for payment in order["payments"]] == [order["total"]["amount"]]

    after = served.get(f"/api/v1/admin/inventory/{variant['sku']}", token)
    assert after["on_hand"] == after["available"] + after["reserved"]
    assert (before["on_hand"] - after["on_hand"], after["sold"] - before["sold"]) == (2, 2)

    mail = _mail(served, order["number"])
    assert mail["To"] == "ada@example.com"
    text = mail.get_content()
    assert order["number"] in text
    assert product["name"].split()[0] in text


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
