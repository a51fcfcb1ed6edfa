"""What the numbers in the index stand for: categories, brands, values of attributes; and which kinds there are.

tantivy counts numbers many times faster than texts. A number is given once and kept as long as its index.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

Key = tuple[str, str, str]
"""What sort of value it is (category, brand, attribute), the attribute's name, and the value."""


class _Packed(msgspec.Struct, frozen=True):
    keys: list[Key]
    categories: dict[str, dict[str, str]]
    kinds: list[str]
    heads: list[str]
    plan: frozenset[str] | None


class Values:
    """Numbers by value and back. Read while it is written, by threads that need not agree: it only ever grows."""

    def __init__(self) -> None:
        self._numbers: dict[Key, int] = {}
        self._keys: list[Key] = []
        self._by_slug: dict[str, str] = {}
        self.categories: dict[str, dict[str, str]] = {}
        """Names by language, by path."""
        self.kinds: set[str] = set()
        self.heads: set[str] = set()
        self.plan: frozenset[str] | None = None
        """The attributes that are counted; None, and all of them are, while that is not decided."""

    @staticmethod
    def read(path: Path) -> "Values":
        packed = msgspec.json.decode(path.read_bytes(), type=_Packed)
        values = Values()
        for key in packed.keys:
            values.number(*key)
        values.learn(categories=packed.categories, kinds=packed.kinds, heads=packed.heads)
        values.plan = packed.plan
        return values

    def packed(self) -> bytes:
        return msgspec.json.encode(
            _Packed(self._keys, self.categories, sorted(self.kinds), sorted(self.heads), self.plan)
        )

    def number(self, sort: str, name: str, value: str) -> int:
        """The number of a value, which it is given if it has none."""
        key = (sort, name, value)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return number

    def find(self, sort: str, name: str, value: str) -> int | None:
        """The number of a value, if it has one."""
        return self._numbers.get((sort, name, value))

    def key(self, number: int) -> Key:
        return self._keys[number]

    def learn(self, *, categories: Mapping[str, dict[str, str]], kinds: Iterable[str], heads: Iterable[str]) -> None:
        for path, names in categories.items():
            if self.categories.get(path) != names:
                self.categories[path] = names
                self._by_slug.setdefault(path.rpartition("/")[2], path)
        self.kinds.update(kinds)
        self.heads.update(heads)

    def path(self, category: str) -> str | None:
        """The path that is meant by a path or by the last slug of one."""
        return category if category in self.categories else self._by_slug.get(category)
