"""A version of an event may gain fields that may be absent, at any depth, and nothing else."""

from copy import deepcopy
from typing import Any, ClassVar, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.event import Event
from hansa.kernel.ids import Id
from hansa.platform.messaging.asyncapi import schemas
from hansa.platform.messaging.growth import breaking_changes


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of something."""

    sku: str
    quantity: int


class Sold(Event, frozen=True, kw_only=True):
    """Something was sold."""

    type: ClassVar[str] = "test.sold.v1"

    order_id: Id
    pieces: tuple[Piece, ...]
    by_sku: dict[str, Piece] = msgspec.field(default_factory=dict)
    state: Literal["new", "old"] = "new"
    note: str | None = None


def document(*events: type[Event]) -> dict[str, Any]:
    messages = {
        event.type: {"name": event.type, "payload": {"$ref": f"#/components/schemas/{event.__name__}"}}
        for event in events
    }
    return {"components": {"messages": messages, "schemas": schemas(events)}}


BEFORE = document(Sold)


def changed(struct: str, **fields: Any) -> dict[str, Any]:
    """The document with other fields of a struct; None takes one away."""
    after = deepcopy(BEFORE)
    properties = after["components"]["schemas"][struct]["properties"]
    for name, field in fields.items():
        if field is None:
            del properties[name]
        else:
            properties[name] = field
    return after


def requiring(struct: str, *names: str) -> dict[str, Any]:
    after = deepcopy(BEFORE)
    after["components"]["schemas"][struct]["required"] = list(names)
    return after


def test_nothing_is_broken_where_nothing_has_changed() -> None:
    assert breaking_changes(before=BEFORE, after=deepcopy(BEFORE)) == []


def test_optional_fields_and_new_events_are_growth() -> None:
    class Returned(Event, frozen=True, kw_only=True):
        """It came back."""

        type: ClassVar[str] = "test.returned.v1"
        order_id: Id

    after = changed("Piece", seller={"type": "string", "default": ""})
    after["components"]["messages"] |= document(Returned)["components"]["messages"]

    assert breaking_changes(before=BEFORE, after=after) == []
    assert breaking_changes(before=after, after=BEFORE) == [
        "test.sold.v1: pieces.(items).seller was taken away",
        "test.returned.v1 is gone",
    ]


def test_other_words_break_nothing() -> None:
    words = {"allOf": [{"type": "string"}], "description": "What it is called."}

    assert breaking_changes(before=BEFORE, after=changed("Piece", sku=words)) == []


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (changed("Sold", note=None), "note was taken away"),
        (changed("Piece", quantity=None), "pieces.(items).quantity was taken away"),
        (changed("Piece", quantity={"type": "string"}), "quantity has another type: string instead of integer"),
        (changed("Piece", quantity={"type": "integer", "maximum": 9}), "another maximum: 9 instead of none"),
        (changed("Sold", order_id={"type": "string"}), "order_id has another pattern: none instead of"),
        (changed("Sold", state={"enum": ["new", "old", "lost"], "default": "new"}), "state has another enum"),
        (changed("Sold", note={"anyOf": [{"type": "integer"}, {"type": "null"}]}), "(anyOf 0) has another type"),
        (changed("Sold", note={"anyOf": [{"type": "string"}]}), "note has another anyOf"),
        (requiring("Piece", "sku"), "quantity was always there and may be absent now"),
        (requiring("Sold", "order_id", "pieces", "note"), "note could be absent and must be there now"),
    ],
)
def test_everything_else_is_refused_with_its_place(after: dict[str, Any], said: str) -> None:
    [line] = breaking_changes(before=BEFORE, after=after)

    assert line.startswith("test.sold.v1: ")
    assert said in line


def test_a_new_field_that_must_be_there_is_refused() -> None:
    after = changed("Piece", seller={"type": "string"})
    after["components"]["schemas"]["Piece"]["required"].append("seller")

    [line] = breaking_changes(before=BEFORE, after=after)

    assert line == "test.sold.v1: pieces.(items).seller is new and must be there: give it a default"


def test_another_version_is_another_event() -> None:
    after = deepcopy(BEFORE)
    after["components"]["messages"]["test.sold.v2"] = {"name": "test.sold.v2", "payload": {"type": "string"}}

    assert breaking_changes(before=BEFORE, after=after) == []


def test_what_contains_itself_is_compared_to_its_end() -> None:
    tree = {"type": "object", "properties": {"children": {"items": {"$ref": "#/components/schemas/Tree"}}}}
    before = {
        "components": {
            "messages": {"t": {"name": "test.grown.v1", "payload": {"$ref": "#/components/schemas/Tree"}}},
            "schemas": {"Tree": tree},
        }
    }
    after = deepcopy(before)
    after["components"]["schemas"]["Tree"]["properties"]["children"]["maxItems"] = 3  # type: ignore[index]

    assert breaking_changes(before=before, after=before) == []
    assert len(breaking_changes(before=before, after=after)) == 1


KINDS = st.sampled_from([str, int, bool, str | None, tuple[int, ...], dict[str, int]])
NAMES = st.text("abc", min_size=1, max_size=3)


@given(fields=st.dictionaries(NAMES, KINDS, min_size=1), more=st.dictionaries(NAMES, KINDS))
def test_whoever_reads_by_an_earlier_schema_reads_what_has_grown_and_the_other_way_round(
    fields: dict[str, Any], more: dict[str, Any]
) -> None:
    values: dict[Any, Any] = {
        str: "x",
        int: 1,
        bool: True,
        str | None: None,
        tuple[int, ...]: (1, 2),
        dict[str, int]: {},
    }
    added = {f"new_{name}": kind for name, kind in more.items()}
    old = msgspec.defstruct("Grown", list(fields.items()), kw_only=True)
    new = msgspec.defstruct(
        "Grown", [*fields.items(), *((name, kind, values[kind]) for name, kind in added.items())], kw_only=True
    )
    mine = {name: values[kind] for name, kind in fields.items()}
    documents = []
    for struct in (old, new):
        [payload], components = msgspec.json.schema_components([struct], ref_template="#/components/schemas/{name}")
        documents.append(
            {"components": {"messages": {"g": {"name": "test.g.v1", "payload": payload}}, "schemas": components}}
        )

    assert breaking_changes(before=documents[0], after=documents[1]) == []
    assert len(breaking_changes(before=documents[1], after=documents[0])) == len(added)
    assert msgspec.json.decode(msgspec.json.encode(new(**mine)), type=old) == old(**mine)
    assert msgspec.json.decode(msgspec.json.encode(old(**mine)), type=new) == new(**mine)
