"""The shop as its owner meets it: started, stopped, started again, and refusing what it cannot do in plain words."""

import sqlite3
from pathlib import Path

import pytest

from tests.served import Served, pause
from tests.shops import STAFF, order_body

CAP = "BAKER-BOY-CAP-BLAC-ONESIZE"


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path / "data")


def test_the_demo_has_clothes_in_two_languages_and_three_currencies_and_stock(served: Served) -> None:
    served.start()
    try:
        listed = served.get("/api/v1/products?limit=100")["items"]
        assert 24 <= len(listed) <= 60
        prices = {
            currency: served.get(f"/api/v1/products/baker-boy-cap?currency={currency}")["variants"][0]["price"]
            for currency in ("USD", "EUR", "CNY")
        }
        assert {currency: price["currency"] for currency, price in prices.items()} == {c: c for c in prices}
        assert sum(variant["available"] for item in listed for variant in item["variants"]) > 100
        status, order = served.post("/api/v1/orders", order_body(CAP))
        assert (status, order["status"]) == (201, "placed")
    finally:
        assert served.stop() == 0
    assert "Hansa is closing" in served.said()


def test_a_second_start_keeps_everything_and_sets_up_nothing_again(served: Served) -> None:
    served.start()
    before = served.get(f"/api/v1/admin/inventory/{CAP}", served.staff())
    status, order = served.post("/api/v1/orders", order_body(CAP, quantity=2))
    assert status == 201
    assert "Hansa is setting up" in served.said()
    assert served.stop() == 0
    served.output.unlink()
    served.start()
    try:
        assert "Hansa is starting" in served.said()
        assert "setting up" not in served.said()
        after = served.get(f"/api/v1/admin/inventory/{CAP}", served.staff())
        assert (before["available"] - after["available"], after["sold"] - before["sold"]) == (2, 2)
        assert served.get(f"/api/v1/orders/{order['id']}")["number"] == order["number"]
    finally:
        served.stop()


def test_a_random_staff_password_is_printed_once_and_opens_the_staff_routes(served: Served) -> None:
    del served.environment["HANSA_STAFF_PASSWORD"]
    served.start()
    password = served.said().partition("password: ")[2].split()[0]
    status, session = served.post("/api/v1/sessions", {"email": STAFF[0], "password": password})
    assert (status, session["user"]["roles"]) == (201, ["staff"])
    served.stop()
    served.output.unlink()
    served.start()
    assert password not in served.said()
    assert "as printed at the first start" in served.said()
    served.stop()


def test_a_folder_has_one_owner(served: Served, tmp_path: Path) -> None:
    served.start()
    second = Served(served.folder)
    refused = second.run("serve")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "in use by another Hansa process" in refused.stderr
    taken = Served(tmp_path / "other")
    taken.environment["HANSA_PORT"] = str(served.port)
    assert "Address already in use" in taken.run("serve").stderr
    served.stop()


def test_data_of_a_newer_version_is_refused_with_the_reason_and_left_alone(served: Served) -> None:
    assert served.run("migrate").returncode == 0
    file = served.folder / "databases" / "orders.db"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE schema_version SET version_num = '9999'")
    connection.close()
    before = file.read_bytes()
    refused = served.run("serve")
    assert refused.returncode == 2
    assert "orders" in refused.stderr
    assert "9999" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("HANSA_PORT", "many", "port"),
        ("HANSA_PORT", "70000", "port"),
        ("HANSA_DATABASE", "mysql://x", "database"),
        ("HANSA_MAIL", "pigeon:", "mail"),
        ("HANSA_CONFIG", "no-such-file.toml", "no-such-file.toml"),
        ("HANSA_LOG_LEVEL", "LOUD", "log_level"),
        ("HANSA_DATA", "", "data"),
        ("HANSA_DATA", "/dev/null", "/dev/null"),
        ("HANSA_COUNTRIES", "US,de", "countries"),
        ("HANSA_CURRENCIES", "usd", "currencies"),
        ("HANSA_STAFF_PASSWORD", "short", "staff_password"),
        ("HANSA_STAFF_EMAIL", "nobody", "staff_email"),
    ],
)
def test_a_wrong_setting_is_named(served: Served, setting: str, value: str, said: str) -> None:
    served.environment[setting] = value
    refused = served.run("serve")
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_import_of_what_is_no_file_is_refused_in_words(served: Served, tmp_path: Path) -> None:
    for file in (tmp_path / "missing.csv", tmp_path, _written(tmp_path / "a.pdf", b"%PDF")):
        refused = served.run("import", "products", str(file))
        assert refused.returncode == 2, file
        assert refused.stderr.startswith("hansa: ")
        assert "Traceback" not in refused.stderr


def test_an_import_of_nothing_says_why(served: Served, tmp_path: Path) -> None:
    refused = served.run("import", "products", str(_written(tmp_path / "a.csv", b"sku,name,price\nRED-1,Red hat,1\n")))
    assert refused.returncode == 2
    assert "there is no column slug" in refused.stderr
    assert "a.csv.refused.csv" in refused.stdout


def test_an_import_needs_no_serving_shop(served: Served, tmp_path: Path) -> None:
    file = _written(
        tmp_path / "hats.csv",
        b"slug,name_en,sku,price_USD,stock\nred-hat,Red hat,RED-1,12.50,3\nbad-hat,,BAD-1,oops,1\n",
    )
    done = served.run("import", "products", str(file))
    assert done.returncode == 0, done.stderr
    assert "1 created" in done.stdout
    assert "3,bad-hat" in (tmp_path / "hats.csv.refused.csv").read_text()
    served.start()
    try:
        hat = served.get("/api/v1/products/red-hat")
        assert hat["variants"][0]["price"] == {"amount": 1250, "currency": "USD"}
        assert hat["variants"][0]["available"] is True
    finally:
        served.stop()


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_trouble_at_the_start_is_told_in_a_sentence(served: Served, tmp_path: Path) -> None:
    served.folder.mkdir()
    databases = served.folder / "databases"
    databases.mkdir()
    for setting, value, broken, said in (
        ("HANSA_DATABASE", "postgresql://nobody@127.0.0.1:1/nothing", None, "refused"),
        ("HANSA_DATA", str(_written(tmp_path / "a-file", b"")), None, "a-file"),
        ("HANSA_STAFF_PASSWORD", "short", None, "staff_password"),
        ("HANSA_LOG_JSON", "1", served.folder / "master.key", "master.key"),
        ("HANSA_LOG_JSON", "1", databases / "orders.db", "not a database"),
    ):
        before = dict(served.environment)
        served.environment[setting] = value
        kept = broken.read_bytes() if broken and broken.exists() else None
        if broken is not None:
            _written(broken, b"this is neither a key nor a database, whatever else it may be")
        refused = served.run("demo")
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
        assert refused.stderr.startswith("hansa: ")
        assert refused.stderr.count("\n") == 1
        served.environment = before
        if broken is not None and kept is not None:
            broken.write_bytes(kept)
        elif broken is not None:
            broken.unlink()


def test_ctrl_c_the_moment_it_answers_is_a_clean_stop_too(served: Served) -> None:
    served.start()
    assert served.stop() == 0
    assert "Unexpected" not in served.said()


def test_a_note_of_a_killed_owner_is_not_believed(served: Served, tmp_path: Path) -> None:
    served.start()
    for _ in range(200):  # the note is written a moment after the first answer
        if (served.folder / "owner.json").exists():
            break
        pause()
    served.kill()
    assert (served.folder / "owner.json").exists()
    file = _written(tmp_path / "hats.csv", b"slug,name_en,sku,price_USD,stock\nred-hat,Red hat,RED-1,12.50,3\n")
    done = served.run("import", "products", str(file))
    assert done.returncode == 0, done.stderr
    assert not (served.folder / "owner.json").exists()


def test_a_shop_without_staff_says_once_how_one_gets_an_account(tmp_path: Path) -> None:
    served = Served(tmp_path / "data", command="serve")
    served.environment |= {"HANSA_STAFF_EMAIL": "", "HANSA_STAFF_PASSWORD": ""}
    advice = "No staff account yet: set HANSA_STAFF_EMAIL and HANSA_STAFF_PASSWORD and start again"
    for is_said in (True, False):
        served.start()
        served.stop()
        assert (advice in served.said()) == is_said
        served.output.unlink()


def test_a_setting_that_cannot_be_followed_is_refused_in_one_line(served: Served, tmp_path: Path) -> None:
    for name, value, named in (("SHOP_TEXTS", str(tmp_path / "nope"), "nope"), ("COUNTRIES", "DE,XX", "XX")):
        served.environment[f"HANSA_{name}"] = value
        done = served.run("serve")
        assert done.returncode == 2
        assert f"HANSA_{name}" in done.stderr
        assert named in done.stderr
        assert len(done.stderr.splitlines()) == 1
        del served.environment[f"HANSA_{name}"]


def test_a_misspelt_variable_is_told_and_does_no_harm(served: Served) -> None:
    served.environment["HANSA_PROT"] = "80"
    done = served.run("settings")
    assert (done.returncode, done.stderr) == (0, "hansa: HANSA_PROT is not a setting\n")


def test_an_export_says_that_its_file_cannot_be_written(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "nope" / "products.csv"
    done = served.run("export", "products", str(file))
    assert (done.returncode, done.stderr) == (2, f"hansa: {file} cannot be written\n")
