"""The OpenAPI document is true: generated requests of every kind find no server error and no undocumented answer."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests import audits
from tests.shops import OpenedShop, opened_shop

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EVERY_WAY = ("--phases", "coverage,fuzzing", "--max-examples", "12")
A_FEW = ("--phases", "fuzzing", "--max-examples", "5")
"""For whom most of the answers are refusals."""


@pytest.mark.timeout(240)
async def test_generated_requests_of_every_role_meet_only_documented_answers(tmp_path: Path) -> None:
    async with opened_shop(folder=tmp_path / "data") as shop:
        await shop.put_product("HAT", stock=1000)
        staff, customer = await shop.staff(), await shop.member("ada@example.com")
        told = await asyncio.gather(
            _run(shop, tmp_path / "staff", EVERY_WAY, token=staff),
            _run(shop, tmp_path / "customer", A_FEW, token=customer),
            _run(shop, tmp_path / "nobody", A_FEW, token=None),
        )
        for role, (code, said) in zip(("staff", "customer", "nobody"), told, strict=True):
            assert code == 0, f"{role}: {said[-6000:]}"
        await audits.drained(shop.shop)
        await audits.everything_balances(shop.shop)


async def _run(shop: OpenedShop, folder: Path, amount: Sequence[str], *, token: str | None) -> tuple[int | None, str]:
    folder.mkdir()
    # Signing out would end the session that every other request needs.
    as_somebody = ("--header", f"Authorization: Bearer {token}", "--exclude-path", "/api/v1/sessions/current")
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://127.0.0.1:{shop.shop.settings.port}/openapi.json",
        *("--checks", CHECKS, *amount, "--warnings", "off"),
        *("--generation-deterministic", "--continue-on-failure", "--no-color"),
        *(as_somebody if token else ()),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    return process.returncode, said


async def test_the_document_names_every_code_a_client_may_meet(tmp_path: Path) -> None:
    async with opened_shop(folder=tmp_path / "data") as shop:
        async with shop.session.get("/openapi.json") as response:
            document = msgspec.json.decode(await response.read())
        orders = document["paths"]["/api/v1/orders"]["post"]["responses"]
        assert "inventory.out_of_stock" in orders["409"]["description"]
        assert "payments.declined" in orders["402"]["description"]
        assert "idempotency.key_reused" in orders["422"]["description"]
        assert "idempotency.key_missing" in orders["400"]["description"]
