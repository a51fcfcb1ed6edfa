"""A file of a service imports only what it may, and only tables, store and migrations speak SQL."""

from pathlib import Path

import pytest

from tests.architecture import arrows

SERVICES = Path(__file__).resolve().parents[2] / "src" / "hansa" / "services"


def test_every_file_of_a_service_imports_only_what_it_may() -> None:
    wrong = [
        line
        for path, module, is_package in arrows.service_modules(services=SERVICES)
        for line in arrows.wrong_imports(source=path.read_text(encoding="utf-8"), module=module, is_package=is_package)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("contract", "from hansa.services.carts.contract import Quote"),
        ("contract", "from hansa.services.orders import events"),
        ("contract", "import hansa.platform.rpc"),
        ("contract", "from ...platform import rpc"),
        ("events", "from hansa.services.orders.rules import draft"),
        ("rules", "from hansa.platform.database import Database"),
        ("rules", "from hansa.services.carts.events import CartEmptied"),
        ("tables", "from hansa.kernel.money import Money"),
        ("store", "from hansa.services.orders import rules"),
        ("store", "from . import service"),
        ("service", "from hansa.services.orders.api import routes"),
        ("service", "from hansa.services.orders import consumers"),
        ("service", "from hansa.services.inventory.store import reserve"),
        ("service", "from hansa.services import inventory"),
        ("service", "from hansa.services.inventory import *"),
        ("service", "from ..inventory import service"),
        ("service", "from hansa.platform import http"),
        ("service", "def place():\n    from hansa.services.inventory import rules"),
        ("service.place", "from ..api import routes"),
        ("service", "from hansa.settings import Settings"),
        ("service", "import hansa"),
        ("consumers", "from hansa.services.orders.store import find"),
        ("consumers", "from hansa.services.payments.contract import Payments"),
        ("api", "from hansa.services.orders.service import OrdersService"),
        ("api", "from hansa.platform.database import Database"),
        ("manifest", "from hansa.services.carts.service import CartsService"),
        ("manifest", "from hansa.compose import compose"),
        ("helpers", ""),
    ],
)
def test_a_wrong_import_is_reported(part: str, source: str) -> None:
    assert arrows.wrong_imports(source=source, module=f"hansa.services.orders.{part}")


@pytest.mark.parametrize(
    "source",
    [
        "import sqlalchemy",
        "import sqlite3",
        "from sqlalchemy import select",
        "from sqlalchemy.dialects.postgresql import insert",
        "def count():\n    from sqlalchemy import func",
        "from asyncpg import Connection",
        "from alembic import op",
        "from hansa.platform.database import statement",
        "from hansa.platform.database.statement import Statement",
        "from hansa.platform.database.platform_tables import OUTBOX",
    ],
)
@pytest.mark.parametrize(
    "part", ["__init__", "contract", "events", "rules", "service", "service.place", "consumers", "api", "manifest"]
)
def test_sql_outside_of_tables_store_and_migrations_is_reported(part: str, source: str) -> None:
    assert arrows.wrong_imports(source=source, module=f"hansa.services.orders.{part}")


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("contract", "import msgspec\nfrom hansa.kernel.money import Money"),
        ("contract.errors", "from hansa.services.orders.contract.shapes import Order"),
        ("events", "from hansa.services.orders.contract import Order"),
        ("rules", "from hansa.services.carts.contract import Quote"),
        ("tables", "from hansa.platform.database import Table\nfrom sqlalchemy import Table"),
        ("store", "from . import tables"),
        ("store.claims", "from sqlalchemy import select\nfrom hansa.platform.database.statement import Statement"),
        ("service", "from hansa.services.inventory.contract import Inventory\nfrom hansa.platform import database"),
        ("service", "from hansa.platform.database.port import Transaction"),
        ("service.place", "from hansa.services.orders import rules, store\nfrom . import cancel"),
        ("consumers", "from hansa.services.payments import events"),
        ("api", "from hansa.platform.http.routes import Route\nfrom hansa.platform.security import seal"),
        ("manifest", "from hansa.services.orders import api, consumers, service"),
        ("migrations.0001", "import sqlalchemy as sa\nfrom alembic import op"),
    ],
)
def test_a_right_import_is_not_reported(part: str, source: str) -> None:
    assert arrows.wrong_imports(source=source, module=f"hansa.services.orders.{part}") == []
