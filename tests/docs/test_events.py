"""The public events as they are told: the document is AsyncAPI, what travels is as it says, the page is of today."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from hansa.compose.events import events_document, events_json, events_markdown
from hansa.compose.services import MANIFESTS
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids, slot_of
from hansa.platform.messaging.asyncapi import AMQP_PREFIX, ATTRIBUTES, KAFKA_PREFIX, REQUIRED, hearers_of
from hansa.platform.messaging.cloudevents import attributes_of, write_batch
from hansa.platform.messaging.growth import breaking_changes
from tests.clocks import ManualClock
from tests.shops import opened_shop

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = events_document()
MESSAGES = {name: each for name, each in DOCUMENT["components"]["messages"].items() if name != "batch"}
META = json.loads(gzip.decompress((ROOT / "tests" / "data" / "asyncapi" / "3.0.0.json.gz").read_bytes()))
EVENTS = {event.type: event for manifest in MANIFESTS for event in manifest.emits}


def complaints(value: Any, schema: Any) -> list[str]:
    """Why a value is not what a schema of the document says."""
    whole = {**schema, "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(value)]


def example_of(shape: Any) -> Any:
    """A value of a schema, as JSON has it: everything that may be there is there."""
    if "$ref" in shape:
        return example_of(DOCUMENT["components"]["schemas"][shape["$ref"].rpartition("/")[2]])
    if "allOf" in shape:
        return example_of(shape["allOf"][0])
    if "anyOf" in shape:
        return example_of(shape["anyOf"][0])
    if "enum" in shape:
        return shape["enum"][0]
    if shape["type"] == "object":
        if "additionalProperties" in shape:
            return {"en": example_of(shape["additionalProperties"])}
        return {name: example_of(each) for name, each in shape["properties"].items()}
    if shape["type"] == "array":
        return [example_of(shape["items"])]
    if shape.get("format") == "date-time":
        return "2027-01-20T12:00:00Z"
    if shape["type"] == "string":
        samples = ("12345678", "USD", "A", "a", "en", "/a", "AB")
        return next(each for each in samples if re.search(shape.get("pattern", ""), each))
    return {"integer": max(1, shape.get("minimum", 1)), "number": 1.5, "boolean": True}[shape["type"]]


def test_the_files_are_what_make_docs_would_write() -> None:
    assert (ROOT / "docs" / "asyncapi.json").read_bytes() == events_json(), "events have changed: run `make docs`"
    assert (ROOT / "docs" / "events.md").read_text("utf-8") == events_markdown(), "events have changed: run `make docs`"


def test_nothing_that_is_committed_was_broken() -> None:
    """Against the file beside it until there is a release; from then on, against that of the latest one."""
    before = json.loads((ROOT / "docs" / "asyncapi.json").read_bytes())

    assert breaking_changes(before=before, after=DOCUMENT) == []


def test_the_document_obeys_the_meta_schema_of_asyncapi() -> None:
    validator = jsonschema.Draft7Validator(META)

    assert [error.message for error in validator.iter_errors(DOCUMENT)] == []
    assert list(validator.iter_errors({**DOCUMENT, "chanels": {}})), "the meta schema refuses what it does not know"


async def test_a_shop_serves_it_beside_the_description_of_its_api(tmp_path: Path) -> None:
    async with opened_shop(folder=tmp_path / "data") as shop, shop.session.get("/asyncapi.json") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert await answer.read() == events_json()


def test_every_reference_leads_somewhere() -> None:
    for reference in set(re.findall(rb'"\$ref": "#/([^"]+)"', events_json())):
        place: Any = DOCUMENT
        for part in reference.decode().split("/"):
            place = place[part]
        assert place


def test_it_names_every_event_every_service_and_every_consumer() -> None:
    operations = DOCUMENT["operations"]
    sent = {name.removesuffix(".say") for name, each in operations.items() if each["action"] == "send"}
    received = {name: each["messages"] for name, each in operations.items() if each["action"] == "receive"}

    assert set(MESSAGES) == set(EVENTS)
    assert sent == set(DOCUMENT["channels"]) == {manifest.name for manifest in MANIFESTS if manifest.emits}
    assert set(received) == {hearer.name for hearer in hearers_of(MANIFESTS)}
    for hearer in hearers_of(MANIFESTS):
        source = hearer.hears.type.partition(".")[0]
        assert received[hearer.name] == [{"$ref": f"#/channels/{source}/messages/{hearer.hears.type}"}]


@pytest.mark.parametrize("type_", sorted(EVENTS))
def test_a_body_is_read_by_the_shop_if_and_only_if_its_schema_takes_it(type_: str) -> None:
    schema = MESSAGES[type_]["payload"]
    body = example_of(schema)

    read = msgspec.convert(body, EVENTS[type_], strict=True)
    written = json.loads(msgspec.json.encode(read))

    assert complaints(written, schema) == []
    assert complaints({**body, "something_new": 1}, schema) == [], "whoever reads must take what is added"
    for name in DOCUMENT["components"]["schemas"][EVENTS[type_].__name__]["required"]:
        less = {key: value for key, value in body.items() if key != name}
        assert complaints(less, schema), name
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(less, EVENTS[type_], strict=True)


def test_what_travels_is_as_the_document_says() -> None:
    ids = Ids(clock=ManualClock())
    envelope = Envelope(
        id=(event_id := ids.new(slot=7)),
        type="orders.order_rejected.v1",
        source="orders",
        time=ManualClock().now(),
        slot=slot_of(event_id),
        aggregate=event_id,
        correlation="abc",
        body=msgspec.Raw(b'{"order_id":"1","reason":"x"}'),
    )
    attributes = attributes_of(envelope)
    headers = MESSAGES[envelope.type]["headers"]

    for prefix in (AMQP_PREFIX, KAFKA_PREFIX):
        sent = {f"{prefix}{name}": value for name, value in attributes.items()}
        assert complaints(sent, headers) == []
        for name in REQUIRED:
            assert complaints({key: value for key, value in sent.items() if key != prefix + name}, headers), name
        assert complaints({**sent, f"{prefix}type": "orders.order_placed.v1"}, headers)
    assert set(attributes) <= set(ATTRIBUTES)
    batch = json.loads(write_batch([envelope, envelope]))
    assert complaints(batch, DOCUMENT["components"]["messages"]["batch"]["payload"]) == []
    assert complaints([{"id": "1"}], DOCUMENT["components"]["messages"]["batch"]["payload"])


def test_every_field_of_an_event_is_explained_or_says_it_by_its_name() -> None:
    plain = {"sku", "product_id", "order_id", "payment_id", "refund_id", "fulfilment_id", "sale_id", "amount"}
    plain |= {"starts_at", "ends_at", "lines"}
    silent = [
        f"{type_}.{name}"
        for type_, event in EVENTS.items()
        for name, field in DOCUMENT["components"]["schemas"][event.__name__]["properties"].items()
        if not field.get("description") and name not in plain
    ]
    assert silent == []


def test_moments_and_ids_are_told_from_texts() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    assert schemas["FlashSaleAnnounced"]["properties"]["starts_at"]["format"] == "date-time"
    assert "pattern" in schemas["OrderPlaced"]["properties"]["order_id"]


def test_the_page_tells_of_every_event_and_of_both_modes() -> None:
    page = events_markdown()

    for type_, event in EVENTS.items():
        [section] = re.findall(rf"^### `{re.escape(type_)}`\n(.*?)(?=^##)", page, re.S | re.M)
        for name in msgspec.structs.fields(event):
            assert f"| `{name.name}`" in section
    assert "content-type: application/json\ncloudEvents:specversion: 1.0" in page
    assert "<<" not in page
    anchors = {heading.replace(".", "").strip("`") for heading in re.findall(r"^#+ (.*)$", page.lower(), re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors


def test_an_event_of_the_examples_is_one() -> None:
    [batch] = re.findall(r"```json\n(.*?)```", events_markdown(), re.S)
    for event in json.loads(batch):
        decoded: Event = msgspec.convert(event["data"], EVENTS[event["type"]])
        assert decoded.type == event["type"]
