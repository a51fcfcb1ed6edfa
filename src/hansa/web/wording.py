"""The words of pages, by language: TOML files in `texts/<language>/`, named by dotted keys."""

import string
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError

FOLDER = Path(__file__).parent / "texts"
PLURALS = frozenset({"zero", "one", "two", "few", "many", "other"})
"""The plural categories of CLDR; a table of nothing but these is one text in several numbers."""

FREE = ("value.", "option.", "attribute.", "address.of.")
"""How a shop's products call things, and a country its fields: pages have no list of these."""


class WordingInvalid(Exception):
    """A shop's own texts cannot be read or said; the text names the file and the key."""


class Wording:
    """All texts of the pages. A missing text is an error: tests compare the languages and what templates ask for."""

    def __init__(self, own: Path | None = None) -> None:
        """`own` is a folder of a shop's own texts, which stand in for those of the same names. Raises WordingInvalid
        for one that no page could say."""
        self._texts = _read(FOLDER)
        usual = {key: text for texts in self._texts.values() for key, text in texts.items()}
        for language, texts in (_read_own(own, usual) if own else {}).items():
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


def _read_own(folder: Path, usual: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A shop's own texts by language. Raises WordingInvalid."""
    if not folder.is_dir():
        raise WordingInvalid(f"there is no folder {folder}")
    found: dict[str, dict[str, Any]] = {}
    for language in sorted(folder.iterdir()):
        if not language.is_dir() or language.name.startswith("."):
            continue
        try:
            Locale.parse(language.name)
        except (ValueError, UnknownLocaleError):
            raise WordingInvalid(f"the folder {language} is not called like a language") from None
        texts = found[language.name] = {}
        for file in sorted(language.glob("*.toml")):
            try:
                own = dict(_flat(tomllib.loads(file.read_text("utf-8"))))
            except tomllib.TOMLDecodeError as error:
                raise WordingInvalid(f"{file} is not valid TOML: {error}") from None
            except UnicodeDecodeError:
                raise WordingInvalid(f"{file} is not UTF-8") from None
            except OSError as error:
                raise WordingInvalid(f"{file} cannot be read: {error.strerror}") from None
            for key, text in own.items():
                if key in texts:
                    raise WordingInvalid(f"{file}: another file has the text {key} already")
                if wrong := _wrong(key, text, usual):
                    raise WordingInvalid(f"{file}: {wrong}")
            texts.update(own)
    return found


def _wrong(key: str, text: Any, usual: Mapping[str, Any]) -> str | None:
    """Why a text of the shop's own could not be said in place of the usual one; None if it can."""
    if key not in usual and not key.startswith(FREE):
        return f"no page has the text {key}"
    before = usual.get(key, "")
    forms = _forms(text)
    if not all(isinstance(form, str) for form in forms):
        return f"{key} is not a text"
    if isinstance(text, dict) and (not isinstance(before, dict) or "other" not in text):
        return f"{key} has no number" if isinstance(before, str) else f"{key} needs a text for `other`"
    known = set().union(*(_names(form) for form in _forms(before)))
    for form in forms:
        try:
            unknown = _names(form) - known
        except ValueError:
            return f"{key} has a brace too many or too few"
        if unknown:
            return f"{key} asks for {{{min(unknown)}}}, which is not known there"
    return None


def _forms(text: Any) -> list[Any]:
    return list(text.values()) if isinstance(text, dict) else [text]


def _names(text: str) -> set[str]:
    """What is filled in, as it is written: `{name!r}` and `{name:>9}` count as others. Raises ValueError."""
    return {
        name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
        for _, name, form, conversion in string.Formatter().parse(text)
        if name is not None
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
