"""The public events as an AsyncAPI 3.0 document: every event with its JSON Schema, who says it, and who hears it.

See https://www.asyncapi.com/docs/reference/specification/v3.0.0 and, for the headers, CloudEvents' bindings for AMQP
(`cloudEvents:`) and Kafka (`ce_`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from inspect import cleandoc, getdoc
from sys import modules
from typing import Any

import msgspec
from msgspec import inspect

from hansa.kernel.event import Event
from hansa.platform.field_words import field_words
from hansa.platform.manifest import Manifest
from hansa.platform.messaging.cloudevents import BATCH, JSON, SPECVERSION
from hansa.platform.messaging.names import address_of, routing_key_of

Document = dict[str, Any]
AMQP_PREFIX = "cloudEvents:"
KAFKA_PREFIX = "ce_"
REFERENCE = "#/components/schemas/{name}"
TYPE = "type"
ATTRIBUTES = {
    "specversion": "The version of CloudEvents.",
    "id": "What names the event: 64 bits as a decimal string, ascending with time. A repetition has the same one.",
    "source": "The service that says it.",
    TYPE: "The event's type and version.",
    "time": "When it happened (RFC 3339, UTC).",
    "subject": "The id of the thing that it is about, such as an order.",
    "aggregateversion": "The version of that thing, where the event tells how it is now: a later one is greater.",
    "slot": "The shard of that thing, 0 to 4095; the key on Kafka.",
    "channel": "The sales channel.",
    "seller": "Whose goods it is about.",
    "location": "The place of the stock it is about.",
    "person": "A pseudonym of the person concerned; never a name.",
    "session": "The visit that it came of.",
    "consent": "What the person has agreed to.",
    "correlation": "Ties together what one request has caused.",
    "traceparent": "W3C Trace Context of that request.",
}
"""The attributes of CloudEvents that an event travels with, and its extensions."""
REQUIRED = ("specversion", "id", "source", TYPE, "time", "subject", "aggregateversion", "slot")
"""Those that are always there; others are left out where they are empty."""
_SERVERS = {
    "rabbitmq": {
        "host": "localhost:5672",
        "protocol": "amqp",
        "protocolVersion": "0.9.1",
        "description": 'RabbitMQ (`bus = "amqp://…"`): a topic exchange per service, a queue per consumer.',
    },
    "kafka": {
        "host": "localhost:9092",
        "protocol": "kafka",
        "description": 'Kafka (`bus = "kafka://…"`): a topic per service, one event a record, the slot as its key.',
    },
    "redis": {
        "host": "localhost:6379",
        "protocol": "redis",
        "description": 'Redis (`bus = "redis://…"`): a stream per service, `events:orders`. It may lose some of it.',
    },
}


class Anything:
    """Stands in for a service where only the names of its consumers are asked for."""

    def __getattr__(self, name: str) -> "Anything":
        return self


@dataclass(frozen=True, kw_only=True)
class Hearer:
    """A consumer as the public sees it."""

    service: str
    name: str
    hears: type[Event]
    words: str


def hearers_of(manifests: Sequence[Manifest]) -> list[Hearer]:
    """Every consumer of every service, by name."""
    found = [
        Hearer(service=manifest.name, name=consumer.name, hears=consumer.hears, words=getdoc(consumer.handle) or "")
        for manifest in manifests
        for consumer in manifest.consumers(Anything())
    ]
    return sorted(found, key=lambda hearer: hearer.name)


def asyncapi(manifests: Sequence[Manifest], *, version: str) -> Document:
    """The document; the services that say something stand in the order of their names."""
    saying = sorted((manifest for manifest in manifests if manifest.emits), key=lambda manifest: manifest.name)
    events = [event for manifest in saying for event in manifest.emits]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:hansa:events",
        "info": {
            "title": "Hansa's events",
            "version": version,
            "description": "What has happened in the shop, as CloudEvents 1.0. See docs/events.md.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "servers": _SERVERS,
        "channels": {manifest.name: _channel(manifest) for manifest in saying},
        "operations": {
            **{f"{manifest.name}.say": _sending(manifest) for manifest in saying},
            **{hearer.name: _receiving(hearer) for hearer in hearers_of(manifests)},
        },
        "components": {
            "messages": {**{event.type: _message(event) for event in events}, "batch": _batch()},
            "schemas": {**schemas(events), "CloudEvent": _cloud_event(), "CloudEventHeaders": _headers()},
        },
    }


def schemas(events: Sequence[type[Event]]) -> dict[str, Any]:
    """The JSON Schemas of events, and of all that they consist of, with the words of the source."""
    components = msgspec.json.schema_components(events, ref_template=REFERENCE)[1]
    structs = {struct for event in events for struct in _structs(inspect.type_info(event), frozenset())}
    for struct in structs:
        _describe(components[struct.__name__], struct)
    return dict(sorted(components.items()))


def _describe(schema: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    schema["description"] = cleandoc(schema.get("description", ""))
    words = field_words(struct)
    for field in msgspec.structs.fields(struct):
        described = schema["properties"][field.encode_name]
        if field.type in (datetime, datetime | None):
            # msgspec says so only of moments that must bear their offset.
            text_of = next(each for each in described.get("anyOf", [described]) if each["type"] == "string")
            text_of["format"] = "date-time"
        if text := words.get(field.name):
            # Beside a reference nothing else is read by older tools.
            schema["properties"][field.encode_name] = (
                {"allOf": [described], "description": text}
                if "$ref" in described
                else {**described, "description": text}
            )


def _structs(shape: inspect.Type, inside: frozenset[type]) -> Iterator[type[msgspec.Struct]]:
    if isinstance(shape, inspect.StructType):
        if shape.cls not in inside:
            yield shape.cls
            for field in shape.fields:
                yield from _structs(field.type, inside | {shape.cls})
    elif isinstance(shape, inspect.CollectionType):
        yield from _structs(shape.item_type, inside)
    elif isinstance(shape, inspect.DictType):
        yield from _structs(shape.value_type, inside)
    elif isinstance(shape, inspect.UnionType):
        for part in shape.types:
            yield from _structs(part, inside)


def words_of(manifest: Manifest) -> str:
    """What a service says of its events as a whole."""
    return getdoc(modules[manifest.emits[0].__module__]) or ""


def _channel(manifest: Manifest) -> Document:
    name = address_of(manifest.emits[0].type)
    return {
        "address": name,
        "title": name,
        "description": words_of(manifest),
        "messages": {
            **{event.type: {"$ref": f"#/components/messages/{event.type}"} for event in manifest.emits},
            "batch": {"$ref": "#/components/messages/batch"},
        },
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": name, "type": "topic", "durable": True, "autoDelete": False},
                "bindingVersion": "0.3.0",
            },
            "kafka": {"topic": name, "bindingVersion": "0.5.0"},
        },
    }


def _sending(manifest: Manifest) -> Document:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{manifest.name}"},
        "summary": f"{manifest.name} says what has happened.",
        "messages": [_within(manifest.name, event) for event in manifest.emits],
    }


def _receiving(hearer: Hearer) -> Document:
    service = address_of(hearer.hears.type)
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{service}"},
        "summary": hearer.words or f"{hearer.service} hears {hearer.hears.type}.",
        "messages": [_within(service, hearer.hears)],
        "x-queue": hearer.name,
        "bindings": {"kafka": {"groupId": {"type": "string", "enum": [hearer.service]}, "bindingVersion": "0.5.0"}},
    }


def _within(service: str, event: type[Event]) -> Document:
    return {"$ref": f"#/channels/{service}/messages/{event.type}"}


def _message(event: type[Event]) -> Document:
    words = getdoc(event) or ""
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": words.partition("\n")[0],
        "description": words,
        "contentType": JSON,
        "headers": {
            "allOf": [{"$ref": REFERENCE.format(name="CloudEventHeaders")}],
            "properties": {f"{prefix}{TYPE}": {"const": event.type} for prefix in (AMQP_PREFIX, KAFKA_PREFIX)},
        },
        "payload": {"$ref": REFERENCE.format(name=event.__name__)},
        "x-routing-key": routing_key_of(event.type),
    }


def _batch() -> Document:
    return {
        "name": BATCH,
        "title": "Many events of one type in one message",
        "summary": "CloudEvents' JSON batch format: on RabbitMQ, where events come faster than messages are worth.",
        "contentType": BATCH,
        "payload": {"type": "array", "minItems": 1, "items": {"$ref": REFERENCE.format(name="CloudEvent")}},
    }


def _headers() -> Document:
    """Either all with the one prefix or all with the other; on Redis they are fields, which need none."""
    return {
        "title": "The attributes of an event as headers (binary mode)",
        "type": "object",
        "properties": {
            f"{prefix}{name}": {"type": "string", "description": words}
            for prefix in (AMQP_PREFIX, KAFKA_PREFIX)
            for name, words in ATTRIBUTES.items()
        },
        "anyOf": [{"required": [f"{prefix}{name}" for name in REQUIRED]} for prefix in (AMQP_PREFIX, KAFKA_PREFIX)],
    }


def _cloud_event() -> Document:
    properties: Document = {name: {"type": "string", "description": words} for name, words in ATTRIBUTES.items()}
    properties["specversion"]["const"] = SPECVERSION
    properties["time"]["format"] = "date-time"
    properties["slot"].update({"type": "integer", "minimum": 0, "maximum": 4095})
    properties["data"] = {"type": "object", "description": "The event itself, as its type says."}
    return {
        "title": "An event with its attributes, in the JSON format of CloudEvents",
        "type": "object",
        "properties": properties,
        "required": [*REQUIRED, "data"],
    }
