"""The beacon as browsers send it, and as those send it who mean harm."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from hansa.platform.database.statement import Statement
from hansa.services.recommendations import service as module
from hansa.services.recommendations.api import LARGEST_BEACON
from hansa.services.recommendations.contract import MOST_BEHAVIOURS
from hansa.services.recommendations.tables import METADATA
from tests.services.recommendations.conftest import VISITOR, Browser

VIEW = {"kind": "view", "slug": "wool-beret"}


def beacon(*events: Any, **parts: Any) -> dict[str, Any]:
    return {"consent": True, "visitor": VISITOR, "events": list(events)} | parts


@pytest.mark.parametrize(
    "content_type", ["text/plain;charset=UTF-8", "application/json", "application/beacon+json", ""]
)
async def test_a_batch_is_accepted_with_nothing_to_read(browser: Browser, content_type: str):
    assert await browser.send(beacon(VIEW, VIEW), content_type=content_type) == (202, None)

    assert browser.last_headers["cache-control"] == "private, no-store"
    assert len(await browser.rows()) == 2


@pytest.mark.parametrize("missing", [{"consent": False}, {"consent": None}, {}])
async def test_without_consent_nothing_is_kept_and_nothing_said(browser: Browser, missing: dict[str, Any]):
    body = beacon(VIEW)
    del body["consent"]
    status, _ = await browser.send(body | missing)

    assert status == (400 if missing == {"consent": None} else 202)
    assert await browser.rows() == []


async def test_whoever_does_not_consent_need_not_have_a_pseudonym(browser: Browser):
    assert await browser.send({}) == (202, None)
    assert await browser.send({"events": [VIEW]}) == (202, None)
    assert await browser.send({"consent": True, "events": [VIEW]}) == (400, "request.invalid")
    assert await browser.rows() == []


@pytest.mark.parametrize("header", [{"Sec_GPC": "1"}, {"DNT": "1"}, {"Sec_Fetch_Site": "cross-site"}])
async def test_a_browser_that_objects_and_another_site_are_not_heard(browser: Browser, header: dict[str, str]):
    assert await browser.send(beacon(VIEW), **header) == (202, None)
    assert await browser.rows() == []

    assert await browser.send(beacon(VIEW), Sec_GPC="0", DNT="0", Sec_Fetch_Site="same-origin") == (202, None)
    assert len(await browser.rows()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 10_000,
        msgspec.json.encode(beacon(*[VIEW] * (MOST_BEHAVIOURS + 1))),
        msgspec.json.encode(beacon(VIEW, consent="yes")),
        msgspec.json.encode(beacon(VIEW, consent=1)),
        msgspec.json.encode(beacon(VIEW, visitor="short")),
        msgspec.json.encode(beacon(VIEW, visitor="x" * 65)),
        msgspec.json.encode(beacon(VIEW, visitor="ada@example.com-and-more")),
        msgspec.json.encode(beacon(VIEW, visitor=VISITOR + "\n")),
        msgspec.json.encode(beacon(VIEW, events="all")),
        msgspec.json.encode(beacon(VIEW, events={})),
    ],
)
async def test_a_body_that_is_no_beacon_is_refused_whole(browser: Browser, body: bytes):
    assert await browser.send(body) == (400, "request.invalid")
    assert await browser.rows() == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"kind": "purchase", "slug": "wool-beret"},
        {"kind": ["view"], "slug": "wool-beret"},
        {"kind": "view", "product_id": 42},
        {"kind": "view", "product_id": "-1"},
        {"kind": "view", "product_id": "1; DROP TABLE behaviour"},
        {"kind": "view", "product_id": "9" * 20},
        {"kind": "view", "slug": "Wool Beret"},
        {"kind": "view", "slug": "wool-beret\n"},
        {"kind": "view", "slug": "ada@example.com"},
        {"kind": "view", "slug": "a" * 121},
        {"kind": "view", "sku": "<script>"},
        {"kind": "click", "slug": "hat", "position": -1},
        {"kind": "click", "slug": "hat", "position": "first"},
        {"kind": "click", "slug": "hat", "position": 1e9},
        {"kind": "search", "query": "x" * 2_001},
        {"kind": "search", "query": {"$gt": ""}},
        {"kind": "view", "page": "/en/orders/123-secret"},
        {"kind": "view", "page": "product", "locale": "../../etc"},
        {"kind": "view", "slug": "hat", "age_ms": -1},
        {"kind": "view", "slug": "hat", "age_ms": 10**12},
        {"kind": "view", "slug": "hat", "age_ms": float("1e30")},
    ],
)
async def test_an_event_of_a_wrong_kind_or_shape_is_refused_with_its_place(browser: Browser, event: dict[str, Any]):
    assert await browser.send(beacon(VIEW, event)) == (400, "request.invalid")
    assert await browser.rows() == []


async def test_a_forged_product_is_nobodys_and_harmless(browser: Browser):
    forged = {"kind": "view", "product_id": "9223372036854775807"}
    too_large = {"kind": "view", "product_id": "9223372036854775808"}
    assert await browser.send(beacon(forged, too_large)) == (202, None)

    assert [row["product_id"] for row in await browser.rows()] == [2**63 - 1]


async def test_a_body_that_is_too_large_or_of_another_kind_is_refused(browser: Browser):
    assert (await browser.send(b" " * (LARGEST_BEACON + 1)))[0] == 413
    assert await browser.send(beacon(VIEW), content_type="text/html") == (415, "request.not_json")
    assert (await browser.send(beacon(VIEW), content_type="application/x-www-form-urlencoded"))[0] == 415
    assert await browser.rows() == []


async def test_a_nul_character_does_not_reach_the_rows(browser: Browser):
    assert await browser.send(beacon({"kind": "search", "query": "wool\0coat"})) == (202, None)

    assert [row["query"] for row in await browser.rows()] == ["wool coat"]


async def test_nothing_of_a_person_reaches_the_rows(browser: Browser):
    private = ("ada@example.com", "4111 1111 1111 1111", "+44 20 7946 0958", "Ada Byron", "203.0.113.9")
    sent = beacon(
        *({"kind": "search", "query": text} for text in private if text != "Ada Byron"),
        {**VIEW, "email": "ada@example.com", "name": "Ada Byron", "query": "4111111111111111"},
        email="ada@example.com",
        name="Ada Byron",
    )
    headers = {"X_Forwarded_For": "203.0.113.9", "User_Agent": "Ada Byron's", "Cookie": "session=1-secret-of-ada"}
    assert await browser.send(sent, Idempotency_Key="ada@example.com", **headers) == (202, None)

    (row,) = await browser.rows()
    assert (row["slug"], row["query"]) == ("wool-beret", None)
    database = browser.listening.database
    for table in METADATA.tables.values():
        kept = str([list(row) for row in await database.all(Statement(select(table)))])  # type: ignore[call-overload]
        for text in (*private, VISITOR, "127.0.0.1", "secret-of-ada"):
            assert text not in kept, (table.name, text)


async def test_a_flood_is_told_when_to_come_again(browser: Browser):
    statuses = [(await browser.send(beacon(VIEW)))[0] for _ in range(module.BATCHES_PER_VISITOR + 3)]

    assert statuses == [202] * module.BATCHES_PER_VISITOR + [429] * 3
    assert browser.last_headers["retry-after"] == str(int(module.WINDOW_S))
    assert len(await browser.rows()) == module.BATCHES_PER_VISITOR
