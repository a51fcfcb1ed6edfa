"""What the numbers in the index stand for: categories, brands, values of attributes; and which kinds there are.

tantivy counts numbers many times faster than texts. A number is given once and kept as long as its index.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from hansa.services.search.rules.synonyms import Stems
from hansa.services.search.rules.words import stems

Key = tuple[str, str, str]
"""What sort of value it is (category, brand, attribute), the attribute's name, and the value."""


class _Packed(msgspec.Struct, frozen=True):
    keys: list[Key]
    categories: dict[str, dict[str, str]]
    kinds: dict[str, set[str]]
    heads: dict[str, set[str]]
    plan: frozenset[str] | None


class Values:
    """Numbers by value and back. Read while it is written, by threads that need not agree: it only ever grows."""

    def __init__(self) -> None:
        self.is_changed = True
        """Whether there is something that was not written yet."""
        self._numbers: dict[Key, int] = {}
        self.keys: list[Key] = []
        """Values by number."""
        self._by_slug: dict[str, str] = {}
        self._brands: dict[str, int] = {}
        """By the stems of their names."""
        self.categories: dict[str, dict[str, str]] = {}
        """Names by language, by path."""
        self.kinds: dict[str, set[str]] = {}
        """What categories and product types are called, and the paths of products that are called so."""
        self.heads: dict[str, set[str]] = {}
        """The same of what such names end with."""
        self.plan: frozenset[str] | None = None
        """The attributes that are counted; None, and all of them are, while that is not decided."""

    @staticmethod
    def read(path: Path) -> "Values":
        packed = msgspec.json.decode(path.read_bytes(), type=_Packed)
        values = Values()
        for key in packed.keys:
            values.number(*key)
        values.learn(categories=packed.categories)
        values.kinds, values.heads = packed.kinds, packed.heads
        values.plan = packed.plan
        values.is_changed = False
        return values

    def packed(self) -> bytes:
        return msgspec.json.encode(_Packed(self.keys, self.categories, self.kinds, self.heads, self.plan))

    def number(self, sort: str, name: str, value: str) -> int:
        """The number of a value, which it is given if it has none."""
        key = (sort, name, value)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
            self.is_changed = True
            if sort == "brand":
                self._brands.setdefault("".join(stems(value)), number)
        return number

    def find(self, sort: str, name: str, value: str) -> int | None:
        """The number of a value, if it has one."""
        return self._numbers.get((sort, name, value))

    def learn(
        self, *, categories: Mapping[str, dict[str, str]], kinds: Iterable[str] = (), heads: Iterable[str] = ()
    ) -> None:
        """What a product says: the names of its categories from the root down, its kinds and their heads."""
        path = ""
        for path, names in categories.items():
            if self.categories.get(path) != names:
                self.categories[path] = names
                self._by_slug.setdefault(path.rpartition("/")[2], path)
                self.is_changed = True
        for known, more in ((self.kinds, kinds), (self.heads, heads)):
            for kind in more:
                if path not in (paths := known.setdefault(kind, set())):
                    paths.add(path)
                    self.is_changed = True

    def brands(self, *, readings: Iterable[Stems]) -> list[int]:
        """The numbers of the brands that are called so."""
        return [number for reading in readings if (number := self._brands.get("".join(reading))) is not None]

    def path(self, category: str) -> str | None:
        """The path that is meant by a path or by the last slug of one."""
        return category if category in self.categories else self._by_slug.get(category)
