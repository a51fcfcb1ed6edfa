"""The API guide: every one of its examples is carried out, in order, in a demo shop, and answered as it says."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.examples import Example, Outcome, difference, examples_of, run
from tests.served import Served
from tests.shops import STAFF

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLES = examples_of(GUIDE.read_text("utf-8"))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Outcome]]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("guide")
    shop = Served(folder / "data")
    shop.start()
    environment = {"SHOP": shop.address, "STAFF_EMAIL": STAFF[0], "STAFF_PASSWORD": STAFF[1]}
    try:
        yield run(EXAMPLES, folder=folder / "work", environment=environment)
    finally:
        shop.kill()


@pytest.mark.parametrize(
    ("place", "example"), list(enumerate(EXAMPLES)), ids=[f"line-{example.line}" for example in EXAMPLES]
)
def test_an_example_is_answered_as_the_guide_says(outcomes: list[Outcome], place: int, example: Example) -> None:
    found = outcomes[place]
    if example.status is None:
        assert found.status in range(200, 300) or not found.status, found.text
        return

    assert found.status in ((200, 201) if example.status == 200 else (example.status,)), found.text
    for name, value in (example.headers or {}).items():
        assert difference(value, found.headers.get(name)) == "", f"{name} of {found.headers}"
    if example.body is not None:
        assert difference(example.body, found.body) == "", found.text


def test_the_guide_speaks_of_every_part_of_the_api() -> None:
    page = GUIDE.read_text("utf-8")
    named = set(re.findall(r"/api/v1/([a-z-]+)", page))

    assert {
        "products",
        "categories",
        "carts",
        "orders",
        "users",
        "sessions",
        "search",
        "home",
        "events",
        "flash-sales",
        "admin",
    } <= named
    assert len(EXAMPLES) >= 25


def test_an_answer_that_differs_from_the_guide_is_found() -> None:
    assert difference({"a": "…", "b": [1]}, {"a": "x", "b": [1, 2], "c": 3}) == ""
    assert difference({"a": "x-…"}, {"a": "x-1"}) == ""
    for expected, found in (
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ([1, 2], [1]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}),
        ({"a": "x-…"}, {"a": "y-1"}),
        ({"a": "…"}, {"a": None}),
        (True, "true"),
    ):
        assert difference(expected, found) != "", (expected, found)
