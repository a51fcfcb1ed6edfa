"""Contracts consist of queries that say something and commands with a key; public routes are told apart."""

from collections.abc import Sequence
from typing import Protocol

import pytest

from hansa.compose.services import MANIFESTS
from hansa.kernel.contract import Key, command, methods_of, query
from hansa.platform.http.route import Route

CONTRACTS = [manifest.contract for manifest in MANIFESTS if manifest.contract is not None]


def flaws(contract: type) -> list[str]:
    """What is wrong with a contract; the kernel raises most of it (see tests/kernel for each)."""
    try:
        methods = methods_of(contract)
        for method in methods.values():
            assert method.arguments.__struct_config__.frozen
    except TypeError as error:
        return [str(error)]
    return [
        f"{contract.__name__}.{method.name} is a query and can say nothing"
        for method in methods.values()
        if not method.is_command and method.answer in (None, type(None)) and not method.errors
    ]


def doubled(routes: Sequence[Route]) -> list[str]:
    """Name routes that another one hides."""
    seen: set[str] = set()
    wrong = []
    for route in routes:
        marks = {f"the name {route.name}", f"{route.verb} {route.path}"}
        wrong += sorted(marks & seen)
        seen |= marks
    return wrong


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
def test_every_contract_is_made_of_queries_that_speak_and_keyed_commands(contract: type) -> None:
    assert flaws(contract) == []


def test_a_flawed_contract_is_reported() -> None:
    class Keyless(Protocol):
        @command()
        async def act(self) -> None: ...

    class Positional(Protocol):
        @command()
        async def act(self, key: Key) -> None: ...

    class Mute(Protocol):
        @query()
        async def look(self, *, sku: str) -> None: ...

    assert flaws(Keyless) == ["Keyless.act is a command and takes no key"]
    assert flaws(Positional) == ["Positional.act: key must be keyword-only"]
    assert flaws(Mute) == ["Mute.look is a query and can say nothing"]


def test_every_public_route_has_its_own_name_and_place() -> None:
    assert doubled([route for manifest in MANIFESTS for route in manifest.routes(None)]) == []


def test_a_route_that_is_there_twice_is_reported() -> None:
    orders = next(manifest for manifest in MANIFESTS if manifest.name == "orders").routes(None)

    assert doubled([*orders, orders[0]]) == sorted([f"the name {orders[0].name}", f"{orders[0].verb} {orders[0].path}"])
