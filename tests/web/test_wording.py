"""What pages say: the same in every language, all of it there, and nothing that nobody says."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel import Locale

import hansa
from hansa import demo
from hansa.kernel.errors import BusinessError
from hansa.web.site import TEMPLATES
from hansa.web.wording import Wording, WordingInvalid

WEB = TEMPLATES.parent
LANGUAGES = ("en", "zh")
_IN_TEMPLATE = re.compile(
    r"""(?<![\w.])(?P<verb>t|visit\.say|visit\.say_or)\(\s*(?P<mark>["'])(?P<key>[^"']+)(?P=mark)\s*(?P<next>.)"""
)
_QUOTED = re.compile(r"""["'](?P<key>[a-z_]+(?:\.[a-zA-Z_]+)+)["']""")


NAMES = {"API", "CSV", "JSON Lines"}
"""What is called the same in Chinese."""
FILE_KINDS = ("html", "css", "js", "json", "xml", "csv", "jsonl", "toml", "txt", "svg")


@pytest.fixture(scope="module")
def wording() -> Wording:
    return Wording()


def sources() -> list[tuple[Path, str]]:
    files = [*TEMPLATES.rglob("*.html"), *WEB.rglob("*.py")]
    return [(file, file.read_text("utf-8")) for file in sorted(files)]


def said(wording: Wording) -> Iterator[tuple[str, str]]:
    """Every key that is written out in a template or module, and where."""
    for file, text in sources():
        where = str(file.relative_to(WEB))
        if file.suffix == ".py":
            yield from ((where, key) for key in _said_in_module(text))
        else:
            for match in _IN_TEMPLATE.finditer(text):
                if match["next"] in ",)i":  # the end, another argument, or ` if … else`: else the key is being built
                    yield where, match["key"]


def built() -> set[str]:
    """The beginnings of keys that are put together while a page is made."""
    return {beginning for beginning, _ in built_and_needed()}


def built_and_needed() -> set[tuple[str, bool]]:
    """The same, and whether there must be such a text: `say_or` has another one to fall back to."""
    found: set[tuple[str, bool]] = set()
    for file, text in sources():
        if file.suffix == ".py":
            found |= set(_built_in_module(text))
        else:
            matches = (match for match in _IN_TEMPLATE.finditer(text) if match["next"] not in ",)i")
            found |= {(match["key"], match["verb"] != "visit.say_or") for match in matches}
    return found


def test_all_languages_say_the_same_things(wording: Wording):
    first = wording.keys(LANGUAGES[0])
    for language in LANGUAGES[1:]:
        assert wording.keys(language) == first


def test_everything_that_pages_say_is_written(wording: Wording):
    keys = wording.keys(LANGUAGES[0])
    assert not {(where, key) for where, key in said(wording) if key not in keys}


def test_everything_in_quotation_marks_that_looks_like_a_text_is_one(wording: Wording):
    """For keys that are chosen in one place and said in another."""
    keys = wording.keys(LANGUAGES[0])
    tables, beginnings = {key.partition(".")[0] for key in keys}, built()
    unknown = {
        (str(file.relative_to(WEB)), match["key"])
        for file, text in sources()
        for match in _QUOTED.finditer(text)
        if match["key"].partition(".")[0] in tables
        and match["key"].rpartition(".")[2] not in FILE_KINDS
        and match["key"] not in keys | beginnings
        and not any(key.startswith(f"{match['key']}.") for key in keys)
    }
    assert not unknown


def test_nothing_is_written_that_no_page_says(wording: Wording):
    """What begins like a key that is put together counts as said, and so does a key in quotation marks anywhere."""
    quoted = {match["key"] for _, text in sources() for match in _QUOTED.finditer(text)}
    beginnings = tuple(built())
    unsaid = {key for key in wording.keys(LANGUAGES[0]) - quoted if not key.startswith(beginnings)}
    assert not unsaid


def test_keys_that_are_put_together_begin_with_a_table_of_texts(wording: Wording):
    """A beginning that says less would make every text count as said."""
    keys = wording.keys(LANGUAGES[0])
    for beginning, is_needed in built_and_needed():
        assert "." in beginning, beginning
        assert not is_needed or any(key.startswith(beginning) for key in keys), beginning


def test_all_languages_fill_in_the_same_values(wording: Wording):
    for key in wording.keys(LANGUAGES[0]):
        names = {language: _names(wording, language, key) for language in LANGUAGES}
        assert len(set(map(frozenset, names.values()))) == 1, (key, names)


def test_numbers_have_all_the_forms_that_their_language_needs(wording: Wording):
    for language in LANGUAGES:
        needed = {*Locale.parse(language).plural_form.tags, "other"}
        for key in wording.keys(language):
            text = _text(wording, language, key)
            if isinstance(text, dict):
                assert set(text) == needed, (language, key)


def test_every_text_says_something_and_holds_no_markup(wording: Wording):
    """Texts are escaped where they are shown: markup would be seen."""
    for language in LANGUAGES:
        for key in wording.keys(language):
            for text in _forms(wording, language, key):
                assert text == text.strip(), (language, key)
                assert text or key == "footer.photos", (language, key)
                assert not re.search(r"<\w|&\w+;|  ", text), (language, key)


def test_chinese_texts_are_chinese(wording: Wording):
    for key in wording.keys("zh"):
        for text in _forms(wording, "zh", key):
            bare = re.sub(r"\{\w+\}", "", text)
            is_chinese = re.search(r"[\u4e00-\u9fff]", bare) or not re.search(r"[A-Za-z]", bare)
            assert is_chinese or text in NAMES, (key, text)
            assert not re.search(r"[\u4e00-\u9fff][,;!?]", bare), (key, text)


def test_every_error_with_words_of_its_own_exists(wording: Wording):
    """A code that was renamed would fall back to words that say little."""
    _import_contracts()
    codes = {cls.code for cls in _subclasses(BusinessError)}
    for key in wording.keys("en"):
        if key.startswith("errors."):
            assert key.removeprefix("errors.") in codes, key


def own(folder: Path, text: bytes) -> Path:
    """A shop's own texts, in one English file."""
    file = folder / "texts" / "en" / "own.toml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text)
    return folder / "texts"


def test_the_demos_own_texts_can_be_said():
    assert "public domain" in Wording(demo.TEXTS).say("en", "footer.photos")


def test_own_texts_stand_in_for_the_usual_ones_and_name_what_the_shop_alone_knows(tmp_path: Path):
    wording = Wording(
        own(tmp_path, b'[ribbon]\ntext = "Sale"\n[value]\nred = "Crimson"\n[option.fit]\nslim = "Slim"\n')
    )
    assert [wording.say("en", key) for key in ("ribbon.text", "value.red", "option.fit.slim")] == [
        "Sale",
        "Crimson",
        "Slim",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[ribbon\n", "not valid TOML"),
        (b'[ribbon]\ntext = "\xff"\n', "not UTF-8"),
        (b'[ribbn]\ntext = "Sale"\n', "no page has the text ribbn.text"),
        (b'[ribbon]\ntext = "Sale, {who}"\n', "ribbon.text asks for {who}"),
        (b'[ribbon]\ntext = "Sale {"\n', "ribbon.text has a brace"),
        (b'[ribbon]\ntext = "Sale }"\n', "ribbon.text has a brace"),
        (b'[ribbon]\ntext = "Sale {}"\n', "ribbon.text asks for {}"),
        (b"[ribbon]\ntext = 7\n", "ribbon.text is not a text"),
        (b'[ribbon.text]\nother = "Sale"\n', "ribbon.text has no number"),
        (b'[common.items]\none = "{count} piece"\n', "common.items needs a text for `other`"),
        (b'[common.items]\none = "1"\nother = "{count.real}"\n', "common.items asks for {count.real}"),
        (b'[common.items]\none = "1"\nother = "{count:q}"\n', "common.items asks for {count:q}"),
    ],
)
def test_own_texts_that_no_page_could_say_are_refused_by_file_and_key(tmp_path: Path, text: bytes, reason: str):
    with pytest.raises(WordingInvalid) as refused:
        Wording(own(tmp_path, text))
    assert "own.toml" in str(refused.value)
    assert reason in str(refused.value)


def test_a_folder_of_own_texts_must_be_there_and_name_languages(tmp_path: Path):
    with pytest.raises(WordingInvalid, match="nope"):
        Wording(tmp_path / "nope")
    (tmp_path / "english words").mkdir()
    with pytest.raises(WordingInvalid, match="english words"):
        Wording(tmp_path)


def _said_in_module(text: str) -> Iterator[str]:
    for call in _calls(text):
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
            yield call.args[0].value


def _built_in_module(text: str) -> Iterator[tuple[str, bool]]:
    for call in _calls(text):
        if isinstance(call.args[0], ast.JoinedStr):
            beginning = call.args[0].values[0]
            is_needed = isinstance(call.func, ast.Attribute) and call.func.attr == "say"
            yield str(beginning.value) if isinstance(beginning, ast.Constant) else "", is_needed


def _calls(text: str) -> Iterator[ast.Call]:
    """Calls of `….say(…)` and `….say_or(…)`."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Attribute(attr="say" | "say_or"), args=[_, *_]):
                yield node


def _text(wording: Wording, language: str, key: str) -> Any:
    return wording._texts[language][key]


def _forms(wording: Wording, language: str, key: str) -> list[str]:
    text = _text(wording, language, key)
    return list(text.values()) if isinstance(text, dict) else [text]


def _names(wording: Wording, language: str, key: str) -> set[str]:
    forms = _forms(wording, language, key)
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}


def _import_contracts() -> None:
    import importlib
    import pkgutil

    for module in pkgutil.walk_packages(hansa.__path__, "hansa."):
        if ".contract" in module.name or module.name.startswith(("hansa.kernel", "hansa.web.forms")):
            importlib.import_module(module.name)


def _subclasses(cls: type[BusinessError]) -> Iterator[type[BusinessError]]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)
