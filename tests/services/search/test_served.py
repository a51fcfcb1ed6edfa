"""The search index of a shop that is served by a process of its own: built anew meanwhile, and after damage."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served, pause

PATIENCE_S = 30.0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "data")
    served.start()
    yield served
    if served.process is not None and served.process.poll() is None:
        served.stop()


def total(served: Served, q: str = "") -> int:
    found: int = served.get(f"/api/v1/search?q={q}")["total"]
    return found


def wait_for(served: Served, count: int) -> None:
    began = time.monotonic()
    while total(served) != count:
        assert time.monotonic() - began < PATIENCE_S, total(served)
        pause()


def test_the_index_is_rebuilt_with_one_command_while_the_shop_serves(served: Served) -> None:
    products = len(served.get("/api/v1/products?limit=100")["items"])
    wait_for(served, products)

    done = served.run("search", "rebuild")

    assert done.returncode == 0, done.stderr
    assert f"{products} products can be found" in done.stdout
    assert total(served) == products
    assert total(served, "coat") > 0
    assert len(list((served.folder / "search").glob("index-*"))) == 1


def test_the_index_is_rebuilt_when_nobody_serves_and_made_anew_when_it_is_gone(served: Served) -> None:
    products = len(served.get("/api/v1/products?limit=100")["items"])
    served.stop()
    shutil.rmtree(served.folder / "search")

    done = served.run("search", "rebuild")
    assert f"{products} products can be found" in done.stdout, done.stderr

    shutil.rmtree(served.folder / "search")
    served.start()
    wait_for(served, products)


def test_a_killed_process_leaves_an_index_that_the_next_one_reads(served: Served) -> None:
    products = len(served.get("/api/v1/products?limit=100")["items"])
    wait_for(served, products)
    served.kill()
    served.start()

    wait_for(served, products)
