"""How texts become words."""

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.services.search.rules.kinds import kinds_of
from hansa.services.search.rules.queries import readable, words_of
from hansa.services.search.rules.synonyms import FILE, Synonyms, synonyms
from hansa.services.search.rules.words import (
    LONGEST_WORD,
    dictionary_uses,
    is_measure,
    let_go_of_dictionary,
    stem,
    stems,
    surfaces,
    tokens,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("16 GB 16gb 16-GB", [("16gb",)] * 3),
        ('40" 40 inch 40-inch 40in 40寸', [("40inch",)] * 5),
        ("1920 x 1080 1920x1080 1920×1080", [("1920x1080",)] * 3),
        ("2 x 2 GB", [("2",), ("x",), ("2gb",)]),
        ("10,000 mAh 15,6 cm 2.0 m", [("10000mah",), ("15.6cm",), ("2m",)]),
        ("usb 2.0 usb2.0", [("usb",), ("2.0",), ("usb",), ("2.0",)]),
        ("700 W", [("700", "w")]),
        ("dv7-1211ea T-Shirt Cat.6 Wi-Fi", [("dv7", "1211ea"), ("t", "shirt"), ("cat", "6"), ("wi", "fi")]),
        ("Men’s Größe ÉCRAN ＡＢＣ Core™2", [("men",), ("grosse",), ("ecran",), ("abc",), ("core",), ("2",)]),
        ("", []),
        ("!?* ()", []),
    ],
)
def test_what_is_one_thing_is_one_token_however_it_is_written(text: str, found: list[tuple[str, ...]]) -> None:
    assert tokens(text) == found


def test_joined_words_are_found_whole_and_in_parts() -> None:
    assert surfaces("dv7-1211ea") == ["dv71211ea", "dv7", "1211ea"]
    assert surfaces("T-shirts") == ["tshirts", "t", "shirts"]


def test_a_screen_is_found_by_the_size_it_is_sold_as() -> None:
    assert surfaces('(64.5")') == ["64.5inch", "65inch"]


def test_forms_of_an_english_word_have_one_stem() -> None:
    for forms in (("cartridge", "cartridges"), ("battery", "batteries"), ("mouse", "mice"), ("women", "woman")):
        assert len({stem(form) for form in forms}) == 1, forms
    assert stem("ddr4") == "ddr4"


def test_chinese_is_cut_into_words_and_for_products_into_the_words_within_them() -> None:
    assert tokens("羊毛大衣智能手机", is_query=True) == [("羊毛",), ("大衣",), ("智能手机",)]
    assert {"羊毛", "大衣", "智能手机", "手机"} <= set(stems("羊毛大衣智能手机"))


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_any_text_has_words_of_a_bearable_length_without_spaces(text: str) -> None:
    for word in stems(readable(text)):
        assert 0 < len(word) <= LONGEST_WORD * 2
        assert not any(sign.isspace() for sign in word)
    assert len(words_of(text)) <= 16


@given(st.text(alphabet="abc 123.x\"'-/gbGB大衣", max_size=60))
def test_reading_a_text_again_changes_nothing(text: str) -> None:
    assert surfaces(text) == surfaces(text.upper()) == surfaces(f"  {text}  ")


def test_sizes_and_measures_are_told_from_model_numbers() -> None:
    assert all(map(is_measure, ("40inch", "16gb", "1920x1080", "15.6cm")))
    assert not any(map(is_measure, ("ce285a", "1211ea", "t61", "006r90321")))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("Notebook bags", {"notebookbag"}),
        ("Mice and pads", {"mous", "pad"}),
        ("Serial and parallel cables", {"serialcabl", "parallelcabl"}),
        ("USB flash drives", {"usbflashdrive"}),
        ("硒鼓与墨粉", {"硒鼓", "墨粉"}),
        ("A very long description of what this might be after all", set[str]()),
        ("", set[str]()),
    ],
)
def test_a_categorys_name_says_what_kinds_are_in_it(name: str, kinds: set[str]) -> None:
    assert kinds_of((name,))[0] == kinds


def test_the_last_words_of_a_kind_name_it_too() -> None:
    assert kinds_of(("Large format printers",))[1] == {"formatprinter", "printer"}


def test_synonyms_hold_in_the_direction_that_the_file_gives_them() -> None:
    known = Synonyms("# a comment\ncoat, Overcoats , 大衣\nmac => raincoat\n\n=> nothing\nlonely")

    assert known.of(("coat",)) == (("overcoat",), ("大衣",))
    assert known.of(("大衣",)) == (("coat",), ("overcoat",))
    assert known.of(("mac",)) == (("raincoat",),)
    assert known.of(("raincoat",)) == known.of(("lone",)) == ()


def test_the_synonyms_of_the_shop_know_both_languages() -> None:
    assert ("notebook",) in synonyms().of(("laptop",))
    assert ("television",) not in synonyms().of(("televis",))
    assert ("televis",) in synonyms().of(("tv",))
    assert ("手机",) in synonyms().of(("智能手机",))
    assert ("大衣",) in synonyms().of(("coat",))


def test_synonyms_in_chinese_are_written_as_they_are_cut_when_somebody_types_them() -> None:
    for line in FILE.read_text("utf-8").splitlines():
        for expression in line.partition("#")[0].replace("=>", ",").split(","):
            together = re.sub(r"(?<=[^\x00-\x7f]) (?=[^\x00-\x7f])", "", expression)

            assert tokens(expression, is_query=True, is_cut=True) == tokens(together, is_query=True), expression


def test_the_chinese_dictionary_is_let_go_and_comes_back_with_the_next_chinese_text() -> None:
    cut = tokens("高效能系列", is_query=False)
    assert dictionary_uses() > 0

    let_go_of_dictionary()
    assert dictionary_uses() == 0
    assert "rjieba" not in sys.modules, "the package would keep its own"

    assert tokens("高效能系列", is_query=False) == cut
    assert dictionary_uses() == 1
