"""The words of pages, by language: TOML files in `texts/<language>/`, named by dotted keys."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from babel import Locale

FOLDER = Path(__file__).parent / "texts"
PLURALS = frozenset({"zero", "one", "two", "few", "many", "other"})
"""The plural categories of CLDR; a table of nothing but these is one text in several numbers."""


class Wording:
    """All texts of the pages. A missing text is an error: tests compare the languages and what templates ask for."""

    def __init__(self, own: Path | None = None) -> None:
        """`own` is a folder of a shop's own texts, which stand in for those of the same names."""
        self._texts = _read(FOLDER)
        for language, texts in (_read(own) if own else {}).items():
            self._texts.setdefault(language, {}).update(texts)
        self._plurals = {language: Locale.parse(language).plural_form for language in self._texts}

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self._texts)

    def speaks(self, locale: str) -> bool:
        return _language(locale) in self._texts

    def keys(self, language: str) -> set[str]:
        return set(self._texts[language])

    def find(self, locale: str, key: str) -> str | None:
        """A text that may be missing, such as that of an error's code."""
        found = self._texts[_language(locale)].get(key)
        return found if isinstance(found, str) else None

    def say(self, locale: str, key: str, **values: Any) -> str:
        """A text with its `{names}` filled in. `count` chooses the number where a text has several."""
        language = _language(locale)
        text = self._texts[language][key]
        if not isinstance(text, str):
            text = text.get(self._plurals[language](values["count"])) or text["other"]
        return str(text.format(**values) if values else text)


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        language.name: dict(_flat(_merged(sorted(language.glob("*.toml")))))
        for language in sorted(folder.iterdir())
        if language.is_dir()
    }


def _language(locale: str) -> str:
    return locale.lower().partition("-")[0]


def _merged(files: list[Path]) -> dict[str, Any]:
    """One table of all files; each file has top-level tables of its own."""
    merged: dict[str, Any] = {}
    for file in files:
        for name, table in tomllib.loads(file.read_text("utf-8")).items():
            if name in merged:
                raise ValueError(f"{file}: another file has the table {name} already")
            merged[name] = table
    return merged


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and not PLURALS.issuperset(value):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
