"""Who asks whom: an acyclic graph that is written down, and a service is handed no client that it does not declare."""

import graphlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from hansa.compose.services import MANIFESTS
from hansa.platform.manifest import Manifest, Parts
from hansa.services.carts.contract import Carts
from hansa.services.orders.contract import Orders
from hansa.services.payments.contract import Payments
from tests.architecture import arrows

SERVICES = Path(__file__).resolve().parents[2] / "src" / "hansa" / "services"
CALLS = {
    "products": set[str](),
    "users": set[str](),
    "inventory": set[str](),
    "payments": set[str](),
    "promotions": set[str](),
    "shipping": set[str](),
    "carts": {"products", "shipping"},
    "orders": {"carts", "inventory", "payments", "promotions", "shipping"},
    "notifications": set[str](),
    "home": {"products"},
    "recommendations": set[str](),
    "search": {"products"},
}
"""Who asks whom. Facts travel back as events; a new arrow here is a decision to be written down."""
CONTRACTS = {
    f"{manifest.contract.__module__}.{manifest.contract.__name__}": manifest.name
    for manifest in MANIFESTS
    if manifest.contract is not None
}

Calls = Mapping[str, set[str]]


def calls(manifests: Sequence[Manifest]) -> dict[str, set[str]]:
    names = {manifest.contract: manifest.name for manifest in manifests}
    return {manifest.name: {names[contract] for contract in manifest.uses} for manifest in manifests}


def not_written_down(found: Calls) -> list[str]:
    """Name every call that is made and not written down in CALLS, or the other way round."""
    arrows_found, arrows_written = (
        {f"{asker} -> {asked}" for asker, all_asked in graph.items() for asked in all_asked} | set(graph)
        for graph in (found, CALLS)
    )
    return sorted(arrows_found ^ arrows_written)


def circles(found: Calls) -> list[str]:
    """The services that ask each other in a circle; empty if nobody does."""
    try:
        graphlib.TopologicalSorter(found).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def built_too_early(manifests: Sequence[Manifest]) -> list[str]:
    """Name every service that stands before one that it asks."""
    built: set[str] = set()
    wrong = []
    for name, asked in calls(manifests).items():
        wrong += [f"{name} before {other}" for other in sorted(asked - built)]
        built.add(name)
    return wrong


def clients_taken(manifest: Manifest) -> set[type]:
    """The contracts whose clients the service takes while it is built. KeyError for one that it does not declare."""
    clients = _Clients({contract: MagicMock() for contract in manifest.uses})
    parts: dict[str, Any] = {part.name: MagicMock() for part in fields(Parts)}
    manifest.build(Parts(**{**parts, "clients": clients}))
    return clients.taken


class _Clients(dict[type, Any]):
    def __init__(self, clients: Mapping[type, Any]) -> None:
        super().__init__(clients)
        self.taken: set[type] = set()

    def __getitem__(self, contract: type) -> Any:
        self.taken.add(contract)
        return super().__getitem__(contract)


def clients_known(*, source: str, module: str, is_package: bool = False) -> Iterator[str]:
    """The other services whose contract itself (not only its shapes and errors) a module imports."""
    own = module.split(".")[2]
    for _, target in arrows.imports(source=source, module=module, is_package=is_package):
        for contract, service in CONTRACTS.items():
            # The module of the contract, imported whole, brings the contract along.
            if service != own and target in (contract, contract.rpartition(".")[0]):
                yield service


def manifest_of(name: str) -> Manifest:
    return next(manifest for manifest in MANIFESTS if manifest.name == name)


def with_changed(name: str, **changes: Any) -> list[Manifest]:
    return [replace(manifest, **changes) if manifest.name == name else manifest for manifest in MANIFESTS]


def test_services_ask_only_whom_they_may() -> None:
    assert not_written_down(calls(MANIFESTS)) == []


def test_a_call_that_is_not_written_down_is_reported() -> None:
    found = calls(with_changed("notifications", uses=(Orders,)))

    assert not_written_down(found) == ["notifications -> orders"]


def test_a_call_that_is_written_down_and_never_made_is_reported() -> None:
    found = calls(with_changed("orders", uses=tuple(set(manifest_of("orders").uses) - {Payments})))

    assert not_written_down(found) == ["orders -> payments"]


def test_a_service_that_is_not_written_down_is_reported() -> None:
    assert not_written_down({**calls(MANIFESTS), "wishes": set()}) == ["wishes"]


def test_nobody_asks_in_a_circle() -> None:
    assert circles(calls(MANIFESTS)) == []


def test_a_circle_is_reported() -> None:
    assert set(circles(calls(with_changed("carts", uses=(Orders,))))) == {"carts", "orders"}
    assert set(circles(calls(with_changed("shipping", uses=(Orders,))))) >= {"orders", "shipping"}
    assert set(circles(calls(with_changed("carts", uses=(Carts,))))) == {"carts"}


def test_whoever_is_asked_is_built_first() -> None:
    assert built_too_early(MANIFESTS) == []


def test_whoever_is_built_too_early_is_reported() -> None:
    order = [manifest_of("orders"), *(manifest for manifest in MANIFESTS if manifest.name != "orders")]

    assert built_too_early(order) == [
        "orders before carts",
        "orders before inventory",
        "orders before payments",
        "orders before promotions",
        "orders before shipping",
    ]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest.name)
def test_a_service_takes_the_clients_that_it_declares_and_no_others(manifest: Manifest) -> None:
    assert clients_taken(manifest) == set(manifest.uses)


def test_a_client_that_is_not_declared_is_not_to_be_had() -> None:
    with pytest.raises(KeyError, match="Payments"):
        clients_taken(replace(manifest_of("orders"), uses=tuple(set(manifest_of("orders").uses) - {Payments})))


def test_a_client_that_is_declared_and_not_taken_is_reported() -> None:
    idle = replace(manifest_of("shipping"), uses=(Payments,))

    assert clients_taken(idle) != set(idle.uses)


def test_no_module_knows_a_client_that_its_service_does_not_declare() -> None:
    wrong = [
        f"{module}: {asked}"
        for path, module, is_package in arrows.service_modules(services=SERVICES)
        for asked in clients_known(source=path.read_text(encoding="utf-8"), module=module, is_package=is_package)
        if asked not in CALLS[module.split(".")[2]]
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("from hansa.services.payments.contract import Payments", ["payments"]),
        ("from hansa.services.payments import contract", ["payments"]),
        ("import hansa.services.payments.contract", ["payments"]),
        ("from ..payments.contract import Payment, Payments as Money", ["payments"]),
        ("def pay():\n    from hansa.services.payments.contract import Payments", ["payments"]),
        ("from hansa.services.payments.contract import Payment, PaymentDeclined", []),
        ("from hansa.services.carts.contract import Carts", []),
    ],
)
def test_a_client_that_a_module_knows_is_reported(source: str, known: list[str]) -> None:
    assert list(clients_known(source=source, module="hansa.services.carts.service")) == known
