"""What must hold of all services together: who may ask whom, and that migrations and tables agree."""

import graphlib
from pathlib import Path

import pytest

from hansa.compose import MANIFESTS, STORED, Stored
from hansa.kernel.contract import methods_of
from hansa.platform.database.autogeneration import difference

CALLS = {
    "products": set[str](),
    "users": set[str](),
    "inventory": set[str](),
    "payments": set[str](),
    "shipping": set[str](),
    "carts": {"products", "shipping"},
    "orders": {"carts", "inventory", "payments", "shipping"},
    "notifications": set[str](),
}
"""Who asks whom. Facts travel back as events; a new arrow here is a decision to be written down."""


def calls() -> dict[str, set[str]]:
    names = {manifest.contract: manifest.name for manifest in MANIFESTS}
    return {manifest.name: {names[contract] for contract in manifest.uses} for manifest in MANIFESTS}


def test_services_ask_only_whom_they_may() -> None:
    assert calls() == CALLS


def test_nobody_asks_in_a_circle_and_whoever_is_asked_is_built_first() -> None:
    order = list(graphlib.TopologicalSorter(calls()).static_order())
    assert set(order) == set(CALLS)
    built: set[str] = set()
    for manifest in MANIFESTS:
        assert calls()[manifest.name] <= built, manifest.name
        built.add(manifest.name)


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.name)
def test_migrations_and_tables_agree(stored: Stored) -> None:
    folder: Path = stored.folder / "migrations"
    assert not difference(folder=folder, metadata=stored.metadata), f"write one: hansa migration {stored.name} …"


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.name)
def test_every_table_leads_with_its_slot(stored: Stored) -> None:
    for table in stored.metadata.tables.values():
        columns = [column.name for column in table.primary_key.columns]
        assert columns[0] == "slot", table.name
        for index in table.indexes:
            assert not index.unique or "slot" in index.columns, index.name


def test_every_contract_is_made_of_queries_and_keyed_commands() -> None:
    for manifest in MANIFESTS:
        if manifest.contract is not None:
            for method in methods_of(manifest.contract).values():
                assert method.arguments is not None
                assert method.answer is not None or method.is_command


def test_every_public_route_has_its_own_name() -> None:
    routes = [route for manifest in MANIFESTS for route in manifest.routes(None)]
    assert len({route.name for route in routes}) == len(routes)
    assert len({(route.verb, route.path) for route in routes}) == len(routes)
