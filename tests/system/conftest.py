"""The whole shop, composed on real parts: in this process over both wires and engines, or served as a process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.shops import OpenedShop, opened_shop


@pytest.fixture(params=[("sqlite", "local"), ("sqlite", "twice"), ("postgres", "local"), ("postgres", "twice")])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenedShop]:
    """The shop with its relays and jobs at work, on each engine and over each wire."""
    engine, wire = request.param
    dsn = request.getfixturevalue("postgres_dsn") if engine == "postgres" else None
    async with opened_shop(folder=tmp_path / "data", dsn=dsn, wire=wire) as opened:
        yield opened
