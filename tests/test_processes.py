"""How tests are dealt out to the processes that run them."""

from pathlib import Path

from tests.conftest import COSTLY


def test_whatever_is_begun_first_is_there() -> None:
    root = Path(__file__).parents[1]

    assert [path for path in COSTLY if not (root / path).exists()] == []
