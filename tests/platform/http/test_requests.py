"""What the HTTP layer accepts, refuses and says, over a real socket."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

KEY = {"Idempotency-Key": "k1"}


async def problem(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json()
    assert body["status"] == response.status
    assert {"type", "title", "code"} <= body.keys()
    return body


async def test_a_public_read_has_an_etag_and_is_not_sent_again(tea: aiohttp.ClientSession) -> None:
    first = await tea.get("/api/v1/tea?limit=5")
    assert first.status == 200
    assert "public" in first.headers["cache-control"]
    again = await tea.get("/api/v1/tea?limit=5", headers={"If-None-Match": first.headers["etag"]})
    assert again.status == 304
    assert await again.read() == b""


async def test_language_and_currency_are_chosen_from_what_the_channel_has(tea: aiohttp.ClientSession) -> None:
    wish = {"Accept-Language": "fr, zh-TW;q=0.8, en;q=0.5"}
    body = await (await tea.get("/api/v1/tea?currency=CNY", headers=wish)).json()
    assert (body["locale"], body["currency"]) == ("zh", "CNY")
    refused = await problem(await tea.get("/api/v1/tea?currency=XXX"))
    assert (refused["status"], refused["code"]) == (400, "request.currency_unknown")
    odd = await tea.get("/api/v1/tea", headers={"Accept-Language": ";q=abc,,*;q=0"})
    assert (await odd.json())["locale"] == "en"
    anything_but = await tea.get("/api/v1/tea", headers={"Accept-Language": "zh;q=0"})
    assert (await anything_but.json())["locale"] == "en"
    spaced = await tea.get("/api/v1/tea", headers={"Accept-Language": "en ; q=0.1, zh ; q=0.9"})
    assert (await spaced.json())["locale"] == "zh"


@pytest.mark.parametrize("limit", ["0", "101", "many", "1e3", "-1", "99999999999999999999"])
async def test_a_wrong_query_is_pointed_at(tea: aiohttp.ClientSession, limit: str) -> None:
    refused = await problem(await tea.get(f"/api/v1/tea?limit={limit}"))
    assert (refused["status"], refused["code"], refused["pointer"]) == (400, "request.invalid", "/limit")


async def test_who_may_do_what(tea: aiohttp.ClientSession) -> None:
    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}", "If-Match": '"1"'}

    assert (await tea.get("/api/v1/tea/x")).status == 401
    assert "Bearer" in (await tea.get("/api/v1/tea/x")).headers["www-authenticate"]
    assert (await tea.get("/api/v1/tea/x", headers=bearer("nobody"))).status == 401
    assert (await tea.get("/api/v1/tea/x", headers=bearer("customer"))).status == 200
    assert (await tea.patch("/api/v1/tea/x", json={"cups": 1}, headers=bearer("customer"))).status == 403
    assert (await tea.patch("/api/v1/tea/x", json={"cups": 1}, headers=bearer("staff"))).status == 200
    assert (await tea.delete("/api/v1/tea/x", headers=bearer("customer"))).status == 204


async def test_an_edit_needs_the_version_it_was_based_on(tea: aiohttp.ClientSession) -> None:
    staff = {"Authorization": "Bearer staff"}
    read = await tea.get("/api/v1/tea/abc", headers=staff)
    assert read.headers["etag"] == '"7"'
    assert (await tea.patch("/api/v1/tea/abc", json={"cups": 1}, headers=staff)).status == 428
    wrong = await tea.patch("/api/v1/tea/abc", json={"cups": 1}, headers={**staff, "If-Match": "abc"})
    assert wrong.status == 412
    right = await tea.patch("/api/v1/tea/abc", json={"cups": 1}, headers={**staff, "If-Match": read.headers["etag"]})
    assert (await right.json())["version"] == 7


async def test_a_key_is_demanded_and_bound_to_who_uses_it(tea: aiohttp.ClientSession) -> None:
    missing = await problem(await tea.post("/api/v1/tea", json={"cups": 1}))
    assert (missing["status"], missing["code"]) == (400, "idempotency.key_missing")
    odd = await problem(await tea.post("/api/v1/tea", json={"cups": 1}, headers={"Idempotency-Key": "a b"}))
    assert odd["code"] == "idempotency.key_invalid"
    one = await (await tea.post("/api/v1/tea", json={"cups": 1}, headers=KEY)).json()
    same = await (await tea.post("/api/v1/tea", json={"cups": 1}, headers=KEY)).json()
    other = await (
        await tea.post("/api/v1/tea", json={"cups": 1}, headers={**KEY, "Authorization": "Bearer customer"})
    ).json()
    assert one["key"] == same["key"] != other["key"]


async def test_a_guests_key_counts_only_where_one_is_demanded(tea: aiohttp.ClientSession) -> None:
    async def key_of(path: str, headers: dict[str, str]) -> str:
        key: str = (await (await tea.post(path, json={"cups": 1}, headers=headers)).json())["key"]
        return key

    member = {**KEY, "Authorization": "Bearer customer"}
    assert await key_of("/api/v1/pot", KEY) != await key_of("/api/v1/pot", KEY)
    assert await key_of("/api/v1/pot", member) == await key_of("/api/v1/pot", member)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"cups": 0}', "/cups"),
        (b'{"cups": "two"}', "/cups"),
        (b'{"cups": 1.5}', "/cups"),
        (b'{"cups": 99999999999999999999999}', "/cups"),
        (b'{"cups": 1, "names": ["a", 3]}', "/names/1"),
        (b"{}", ""),
        (b"[]", ""),
        (b"{", ""),
        (b"", ""),
        (b"\xff\xfe", ""),
        (b'{"cups": 1, "names": ["\\u0000"]}', ""),
        (b'{"cups": 1, "names": ["\\\\\\u0000"]}', ""),
        (b'{"cups": 1, "names": ["\\ud800"]}', ""),
        (b'{"cups": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
    ],
)
async def test_a_bad_body_is_refused_with_a_pointer(tea: aiohttp.ClientSession, body: bytes, pointer: str) -> None:
    headers = {**KEY, "Content-Type": "application/json"}
    refused = await problem(await tea.post("/api/v1/tea", data=body, headers=headers))
    assert (refused["status"], refused["code"]) == (400, "request.invalid")
    assert refused["pointer"] == pointer


async def test_a_text_may_speak_of_nul(tea: aiohttp.ClientSession) -> None:
    headers = {**KEY, "Content-Type": "application/json"}
    taken = await tea.post("/api/v1/tea", data=b'{"cups": 1, "names": ["\\\\u0000"]}', headers=headers)
    assert taken.status == 201


async def test_a_body_that_is_too_large_is_refused_however_it_is_sent(tea: aiohttp.ClientSession) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 10_000

    headers = {**KEY, "Content-Type": "application/json"}
    for data in (b" " * 300_000, endless()):
        refused = await problem(await tea.post("/api/v1/tea", data=data, headers=headers))
        assert (refused["status"], refused["code"]) == (413, "request.too_large")


async def test_a_form_is_not_json(tea: aiohttp.ClientSession) -> None:
    refused = await problem(await tea.post("/api/v1/tea", data={"cups": "1"}, headers=KEY))
    assert (refused["status"], refused["code"]) == (415, "request.not_json")


async def test_errors_keep_their_code_and_fields_and_faults_their_secrets(tea: aiohttp.ClientSession) -> None:
    spilled = await problem(await tea.post("/api/v1/tea", json={"cups": 9}, headers=KEY))
    assert (spilled["status"], spilled["code"], spilled["cups"]) == (409, "tea.spilled", 9)
    full = await problem(await tea.post("/api/v1/tea", json={"cups": 8}, headers=KEY))
    assert (full["status"], full["code"]) == (507, "storage.full")
    assert "repeat the request with the same key" in full["title"]  # the act may have begun: it must not be made anew
    broken = await problem(await tea.post("/api/v1/tea", json={"cups": 7}, headers=KEY))
    assert (broken["status"], broken["code"]) == (500, "fault.internal")
    for said in (full, broken):
        assert "secret" not in json.dumps(said)
        assert said["correlation"]


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1/", "/api/v1/tea/x/y", "/api/v1/tea/%00", "/api/v1/tea/%ff", "/docs/"]
)
async def test_an_unknown_address_is_a_problem_too(tea: aiohttp.ClientSession, path: str) -> None:
    refused = await problem(await tea.get(path, headers={"Authorization": "Bearer customer"}))
    assert refused["status"] == 404


async def test_a_wrong_verb_is_told_the_right_ones(tea: aiohttp.ClientSession) -> None:
    response = await tea.put("/api/v1/tea")
    assert (await problem(response))["status"] == 405
    assert {"GET", "POST"} <= {verb.strip() for verb in response.headers["allow"].split(",")}


async def test_every_answer_names_its_request_and_forbids_sniffing(tea: aiohttp.ClientSession) -> None:
    response = await tea.get("/api/v1/tea", headers={"X-Request-Id": "abcdefgh-1"})
    assert response.headers["x-request-id"] == "abcdefgh-1"
    assert response.headers["x-content-type-options"] == "nosniff"
    forged = await tea.get("/api/v1/tea", headers={"X-Request-Id": "a b"})
    assert forged.headers["x-request-id"] != "a b"


async def test_raw_bytes_reach_a_raw_route_untouched(tea: aiohttp.ClientSession) -> None:
    response = await tea.post("/api/v1/steam", data=b"\x00\xff{")
    assert (await response.json())["cups"] == 3


async def test_the_metrics_tell_times_rates_concurrency_and_users(tea: aiohttp.ClientSession) -> None:
    await asyncio.gather(*(tea.get("/api/v1/tea") for _ in range(20)))
    text = await (await tea.get("/metrics")).text()
    for word in ("/api/v1/tea", 'quantile="0.5"', "0.95", "0.99", "mean", "last_minute", "concurrent_users 1"):
        assert word in text, word


async def test_health_readiness_and_documents(tea: aiohttp.ClientSession) -> None:
    assert (await tea.get("/healthz")).status == 200
    assert (await tea.get("/readyz")).status == 200
    document = await (await tea.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {"200", "400", "401", "500"} <= document["paths"]["/api/v1/tea/{name}"]["get"]["responses"].keys()
    docs = await (await tea.get("/docs")).text()
    assert "/api/v1/tea" in docs
    assert (await tea.get("/")).status == 404, "an application without pages has no front page"
    assert "<b>Query</b>: <code>limit</code>" in docs
