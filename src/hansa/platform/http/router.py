"""Which route a path leads to: a tree of its parts, so that the thousandth route is found as fast as the first.

A path is declared as `/carts/{cart}/lines/{sku}`; `{path:path}` at the end takes the rest, slashes and all. A part that
is written out goes before one that is named, and a part has at least one character.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")
REST = ":path}"


class _Place(Generic[T]):
    """A place in the tree. The names of parts belong to the routes: two routes may name the same part otherwise."""

    __slots__ = ("ends", "named", "rests", "written")

    def __init__(self) -> None:
        self.written: dict[str, _Place[T]] = {}
        self.named: _Place[T] | None = None
        self.ends: dict[str, tuple[T, tuple[str, ...]]] = {}
        self.rests: dict[str, tuple[T, tuple[str, ...]]] = {}


class Router(Generic[T]):
    """See the module. `T` is whatever answers a verb at a path."""

    def __init__(self) -> None:
        self._root: _Place[T] = _Place()

    def add(self, path: str, verb: str, target: T) -> None:
        """Of two targets for one verb and path the first stays."""
        place, names = self._root, []
        for part in path.split("/")[1:]:
            if part.endswith(REST):
                names.append(part[1 : -len(REST)])
                place.rests.setdefault(verb, (target, tuple(names)))
                return
            if part.startswith("{"):
                names.append(part[1:-1])
                if place.named is None:
                    place.named = _Place()
                place = place.named
            else:
                place = place.written.setdefault(part, _Place())
        place.ends.setdefault(verb, (target, tuple(names)))

    def find(self, path: str, verb: str) -> tuple[T, dict[str, str]] | None:
        """What answers the verb at the path, and the path's named parts."""
        parts = path.split("/")
        return _find(self._root, parts, 1, (), verb) if not parts[0] else None

    def verbs(self, path: str) -> tuple[str, ...]:
        """The verbs that are answered at the path, in order; none if it leads nowhere."""
        parts = path.split("/")
        found: Mapping[str, None] = dict.fromkeys(_verbs(self._root, parts, 1)) if not parts[0] else {}
        return tuple(sorted(found))


def _find(
    place: _Place[T], parts: list[str], index: int, values: tuple[str, ...], verb: str
) -> tuple[T, dict[str, str]] | None:
    if index == len(parts):
        end = place.ends.get(verb)
        return (end[0], dict(zip(end[1], values, strict=True))) if end else None
    part = parts[index]
    if (next_place := place.written.get(part)) is not None:
        found = _find(next_place, parts, index + 1, values, verb)
        if found is not None:
            return found
    if place.named is not None and part:
        found = _find(place.named, parts, index + 1, (*values, part), verb)
        if found is not None:
            return found
    if (rest := place.rests.get(verb)) is not None:
        return rest[0], dict(zip(rest[1], (*values, "/".join(parts[index:])), strict=True))
    return None


def _verbs(place: _Place[T], parts: list[str], index: int) -> list[str]:
    if index == len(parts):
        return list(place.ends)
    found = list(place.rests)
    if (next_place := place.written.get(parts[index])) is not None:
        found += _verbs(next_place, parts, index + 1)
    if place.named is not None and parts[index]:
        found += _verbs(place.named, parts, index + 1)
    return found
