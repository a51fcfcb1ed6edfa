"""Whether events have only grown: what of one AsyncAPI document breaks those who read events by an earlier one.

Old and new run side by side, and events lie in queues and logs: the new must read what the old said, and whoever reads
by the old schema what the new says. So a version of an event may gain fields that may be absent, and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
WORDS = frozenset({"title", "description", "default", "examples", "format"})
"""What says something about a value and lets no other values in."""
_DEEPEST = 64


def breaking_changes(*, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Every reason why the later document must not be released with these versions of its events; empty for none."""
    old, new = _messages(before), _messages(after)
    found = []
    for type_, message in old.items():
        if type_ not in new:
            found.append(f"{type_} is gone")
        else:
            walk = _Walk(before, after)
            found += [f"{type_}: {line}" for line in walk.differences(message["payload"], new[type_]["payload"], ())]
    return found


def _messages(document: Mapping[str, Any]) -> dict[str, Any]:
    return {message["name"]: message for message in document["components"]["messages"].values()}


class _Walk:
    """Two schemas side by side, each with the document that its references are of."""

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self._before = before
        self._after = after
        self._seen: set[tuple[str, str]] = set()

    def differences(self, old: Schema, new: Schema, path: tuple[str, ...]) -> Iterator[str]:
        if len(path) > _DEEPEST:
            raise ValueError("a schema that is nested without an end")
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if all(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        old, new = _resolved(old, self._before), _resolved(new, self._after)
        yield from self._of_fields(old, new, path)
        for name in sorted((old.keys() | new.keys()) - WORDS - {"properties", "required"}):
            yield from self._of_keyword(name, old.get(name), new.get(name), path)

    def _of_fields(self, old: Schema, new: Schema, path: tuple[str, ...]) -> Iterator[str]:
        had, has = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        for name in had:
            where = (*path, name)
            if name not in has:
                yield f"{_said(where)} was taken away"
                continue
            if name in needs - needed:
                yield f"{_said(where)} could be absent and must be there now"
            elif name in needed - needs:
                yield f"{_said(where)} was always there and may be absent now"
            yield from self.differences(had[name], has[name], where)
        for name in sorted((has.keys() - had.keys()) & needs):
            yield f"{_said((*path, name))} is new and must be there: give it a default"

    def _of_keyword(self, name: str, old: Any, new: Any, path: tuple[str, ...]) -> Iterator[str]:
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from self.differences(old, new, (*path, f"({name})"))
        elif _are_schemas(old) and _are_schemas(new) and len(old) == len(new):
            for number, (one, other) in enumerate(zip(old, new, strict=True)):
                yield from self.differences(one, other, (*path, f"({name} {number})"))
        elif old != new:
            yield f"{_said(path)} has another {name}: {_value(new)} instead of {_value(old)}"


def _resolved(schema: Schema, document: Mapping[str, Any]) -> Schema:
    """What a reference stands for, also one that has words of its own beside it."""
    whole = schema.get("allOf")
    if whole is not None and len(whole) == 1 and not schema.keys() - WORDS - {"allOf"}:
        return _resolved(whole[0], document)
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return _resolved(found, document)


def _are_schemas(value: Any) -> bool:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return is_list and bool(value) and all(isinstance(each, Mapping) for each in value)


def _said(path: tuple[str, ...]) -> str:
    return ".".join(path) if path else "the whole"


def _value(value: Any) -> str:
    return "none" if value is None else str(value)
