"""Two people at one form: what the other one has changed meanwhile, and what becomes of one's own words.

A form carries, besides the version it was made from, a mark of each value it showed. So when somebody else was
quicker, it is known of each field who changed it: what only one of both changed is taken from that one, and what both
changed stays as one wrote it, next to what the other one saved.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

Values = dict[str, str]
"""What stands in the fields of a form, by name; no field is the same as an empty one."""
MARK_BYTES = 6


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field that somebody else changed."""

    name: str
    theirs: str
    mine: str
    is_contested: bool
    """Whether both changed it."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """One's own words upon another's."""

    values: Values
    differences: tuple[Difference, ...]


def marks(values: Mapping[str, str]) -> str:
    """The marks of all values, as a form carries them."""
    return msgspec.json.encode({name: _mark(value) for name, value in values.items() if value}).decode()


def merged(*, mine: Mapping[str, str], theirs: Mapping[str, str], seen: str) -> Merged:
    """`seen` are the marks of what both began with; forged ones make everything contested."""
    began = _read(seen)
    values: Values = {}
    differences = []
    for name in dict.fromkeys((*theirs, *mine)):
        my, their = mine.get(name, ""), theirs.get(name, "")
        mark = began.get(name, _mark(""))
        is_theirs, is_mine = _mark(their) != mark, _mark(my) != mark
        values[name] = my if is_mine else their
        if is_theirs and my != their:
            differences.append(Difference(name=name, theirs=their, mine=my, is_contested=is_mine))
    return Merged(values=values, differences=tuple(differences))


def _mark(value: str) -> str:
    return hashlib.blake2b(value.encode(), digest_size=MARK_BYTES).hexdigest() if value else ""


def _read(seen: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(seen, type=dict[str, str])
    except msgspec.MsgspecError:
        return {}
