"""The invariants find nothing in a healthy shop, and each of them finds what it is there for in a doctored one."""

import asyncio

import pytest

from tests.simulation.doctorings import (
    of_answers,
    of_flash_sales,
    of_money,
    of_orders,
    of_pieces,
    of_promises,
    of_the_rest,
)
from tests.simulation.doctorings.doctored import Act, Doctored
from tests.simulation.invariants.every_check import EVERY_CHECK, judge
from tests.simulation.invariants.evidence import Evidence
from tests.simulation.invariants.healthy import healthy

DOCTORINGS = [
    doctoring
    for part in (of_pieces, of_money, of_orders, of_answers, of_promises, of_the_rest, of_flash_sales)
    for doctoring in part.DOCTORINGS
]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return asyncio.run(healthy(tmp_path_factory.mktemp("healthy")))


def test_a_healthy_shop_breaks_no_promise(evidence: Evidence):
    assert [str(violation) for violation in judge(evidence)] == []


def test_every_check_has_a_name_of_its_own_and_a_sentence():
    assert len({check.name for check in EVERY_CHECK}) == len(EVERY_CHECK)
    assert all(check.sentence for check in EVERY_CHECK)


def test_every_check_has_something_that_it_finds():
    assert {check.name for check in EVERY_CHECK} == {name for name, _, _ in DOCTORINGS}


@pytest.mark.parametrize(
    ("check", "doctoring"),
    [pytest.param(name, doctoring, id=f"{name}: {what}") for name, what, doctoring in DOCTORINGS],
)
def test_a_doctored_shop_is_found_out(check: str, doctoring: Act, evidence: Evidence):
    doctored = Doctored(evidence)
    doctoring(doctored)

    assert check in {violation.check for violation in judge(doctored.evidence())}
