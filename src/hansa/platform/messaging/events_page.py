"""The public events as a page for people (docs/events.md), made of the AsyncAPI document."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hansa.kernel.event import Envelope
from hansa.platform.messaging.asyncapi import AMQP_PREFIX, ATTRIBUTES, KAFKA_PREFIX, REQUIRED, Document
from hansa.platform.messaging.cloudevents import BATCH, JSON, attributes_of, write_batch

Schema = Mapping[str, Any]
_SCHEMAS = "#/components/schemas/"

_FRAME = Path(__file__).with_suffix(".md")
"""The page without what is made; `<<name>>` is replaced."""


def events_page(document: Document, *, one: Envelope, many: Sequence[Envelope]) -> str:
    """The page, with an example of an event alone, and of some in a batch."""
    attributes = "\n".join(
        f"| `{name}` | {'yes' if name in REQUIRED else ''} | {words} |" for name, words in ATTRIBUTES.items()
    )
    events = [_overview(document), *(_service(document, name) for name in document["channels"]), _shapes(document)]
    made = {
        "json": JSON,
        "batch": BATCH,
        "amqp": AMQP_PREFIX,
        "kafka": KAFKA_PREFIX,
        "attributes": attributes,
        "examples": _examples(one, many),
        "events": "".join(events).rstrip(),
    }
    page = _FRAME.read_text(encoding="utf-8")
    for name, text in made.items():
        page = page.replace(f"<<{name}>>", text)
    return page


def _examples(one: Envelope, many: Sequence[Envelope]) -> str:
    headers = "\n".join(f"{AMQP_PREFIX}{name}: {value}" for name, value in attributes_of(one).items())
    body = _json(json.loads(bytes(one.body)))
    batch = _json(json.loads(write_batch(many)))
    return (
        f"An event in binary mode on RabbitMQ, from the exchange `{one.source}`:\n\n"
        f"```\ncontent-type: {JSON}\n{headers}\n\n{body}\n```\n\n"
        f"Two of another type in a batch:\n\n```json\n{batch}\n```"
    )


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _overview(document: Document) -> str:
    rows = []
    for name, channel in document["channels"].items():
        for type_ in _types(channel):
            message = document["components"]["messages"][type_]
            rows.append(f"| [`{type_}`](#{_anchor(type_)}) | `{name}` | `{message['x-routing-key']}` |")
    return (
        "## All events\n\n| type | exchange, topic, stream | routing key |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
    )


def _types(channel: Schema) -> list[str]:
    return [type_ for type_ in channel["messages"] if type_ != "batch"]


def _service(document: Document, name: str) -> str:
    channel = document["channels"][name]
    heading = f"## {name}\n\n{_flowing(channel['description'])}\n\n"
    return heading + "".join(_event(document, name, type_) for type_ in _types(channel))


def _event(document: Document, service: str, type_: str) -> str:
    message = document["components"]["messages"][type_]
    schema = document["components"]["schemas"][message["payload"]["$ref"].removeprefix(_SCHEMAS)]
    reference = {"$ref": f"#/channels/{service}/messages/{type_}"}
    hearers = [
        f"`{name}`"
        for name, operation in document["operations"].items()
        if operation["action"] == "receive" and reference in operation["messages"]
    ]
    heard = f"Heard by {', '.join(hearers)}." if hearers else "Nobody in the shop hears it."
    return f"### `{type_}`\n\n{_flowing(message['description'])}\n\n{heard}\n\n{_fields(schema)}\n"


def _shapes(document: Document) -> str:
    schemas = document["components"]["schemas"]
    bodies = {message["payload"].get("$ref") for message in document["components"]["messages"].values()}
    own = {"CloudEvent", "CloudEventHeaders"}
    shapes = [name for name in schemas if f"{_SCHEMAS}{name}" not in bodies and name not in own]
    sections = [
        f"### {name}\n\n{_flowing(schemas[name]['description'])}\n\n{_fields(schemas[name])}\n" for name in shapes
    ]
    return "## Shapes within events\n\n" + "".join(sections)


def _fields(schema: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        f"| `{name}`{'' if name in required else ' (optional)'} | {_kind(described)} | {_meaning(described)} |"
        for name, described in schema["properties"].items()
    ]
    return "| field | type | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _meaning(schema: Schema) -> str:
    words = _flowing(schema.get("description", ""))
    default = schema.get("default")
    if default in (None, "", [], {}):
        return words
    return f"{words} `{json.dumps(default)}` if absent.".strip()


def _kind(schema: Schema) -> str:
    if "allOf" in schema:
        return _kind(schema["allOf"][0])
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return f"[{name}](#{_anchor(name)})"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if schema.get("type") == "object":
        return f"{_kind(schema['additionalProperties'])} by text"
    if schema.get("pattern", "").startswith("^[1-9][0-9]{0,18}$"):
        return "id"
    kinds = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return {"date-time": "moment"}.get(schema.get("format", ""), kinds.get(schema.get("type", ""), "null"))


def _flowing(text: str) -> str:
    """On one line, as a cell of a table must be; paragraphs are told apart by nothing."""
    return " ".join(text.split()).replace("|", "\\|")


def _anchor(heading: str) -> str:
    return heading.lower().replace(".", "")
