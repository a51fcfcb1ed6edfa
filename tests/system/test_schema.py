"""The OpenAPI document is true: generated requests of every kind find no server error and no undocumented answer."""

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest

from tests import audits
from tests.shops import opened_shop

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 12


@pytest.mark.timeout(240)
async def test_generated_requests_meet_only_documented_answers(tmp_path: Path) -> None:
    async with opened_shop(folder=tmp_path / "data") as shop:
        await shop.put_product("HAT", stock=1000)
        token = await shop.staff()
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"http://127.0.0.1:{shop.shop.settings.port}/openapi.json",
            *("--checks", CHECKS, "--phases", "coverage,fuzzing", "--warnings", "off"),
            *("--max-examples", str(EXAMPLES), "--generation-deterministic", "--continue-on-failure", "--no-color"),
            *("--header", f"Authorization: Bearer {token}"),
            # Signing out would end the session that every other request needs.
            *("--exclude-path", "/api/v1/sessions/current"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said[-6000:]
        await audits.drained(shop.shop)
        await audits.everything_balances(shop.shop)


async def test_the_document_names_every_code_a_client_may_meet(tmp_path: Path) -> None:
    async with opened_shop(folder=tmp_path / "data") as shop:
        async with shop.session.get("/openapi.json") as response:
            document = msgspec.json.decode(await response.read())
        orders = document["paths"]["/api/v1/orders"]["post"]["responses"]
        assert "inventory.out_of_stock" in orders["409"]["description"]
        assert "payments.declined" in orders["402"]["description"]
        assert "idempotency.key_reused" in orders["422"]["description"]
        assert "idempotency.key_missing" in orders["400"]["description"]
