"""What a query means: its units, and the kind of thing that is looked for."""

from dataclasses import dataclass

import pytest

from hansa.services.search.rules.queries import Meaning, meaning, words_of


@dataclass(frozen=True)
class Lexicon:
    """Knows a few kinds and words."""

    kinds: frozenset[str] = frozenset({"notebook", "notebookbatteri", "batteri", "toner", "printer", "coat"})
    heads: frozenset[str] = frozenset({"cabl"})
    words: frozenset[str] = frozenset({"notebook", "laptop", "batteri", "hp", "toner", "tshirt", "coat"})

    def count(self, word: str) -> int:
        return int(word in self.words)

    def is_kind(self, kind: str) -> bool:
        return kind in self.kinds

    def is_head(self, kind: str) -> bool:
        return kind in self.heads

    def stands(self, stem: str) -> bool:
        return stem in self.words

    def is_said(self, stem: str) -> bool:
        return stem in self.words

    def is_named(self, stem: str) -> bool:
        return stem in self.words


def meant(query: str) -> Meaning:
    return meaning(words_of(query), Lexicon())


@pytest.mark.parametrize(
    ("query", "kind", "others"),
    [
        ("notebook", "notebook", ()),
        ("laptop", "notebook", ()),
        ("laptop battery", "notebookbatteri", ()),
        ("toner printer", "printer", ("toner",)),
        ("toner for printer", "toner", ("printer",)),
        ("hp toner", "toner", ()),
        ("notebook with battery", "notebook", ("batteri",)),
        ("toner hp cheap", "toner", ()),
        ("unheard of", None, ()),
    ],
)
def test_what_is_looked_for_is_named_last_or_before_what_it_is_for(
    query: str, kind: str | None, others: tuple[str, ...]
) -> None:
    found = meant(query)

    assert (found.kinds[:1], found.others) == ((kind,) if kind else (), others)


def test_a_kind_is_also_known_by_its_last_word() -> None:
    assert (meant("blue cable").kinds, meant("blue cable").heads) == ((), ("cabl",))


def test_each_word_is_a_unit_unless_several_are_one_thing() -> None:
    assert [unit.readings[0] for unit in meant("hp note book").units] == [("hp",), ("note", "book")]
    assert ("notebook",) in meant("hp note book").units[1].readings
    assert [unit.readings[0] for unit in meant("t shirt").units] == [("t", "shirt")]
    assert ("tshirt",) in meant("t-shirt").units[0].readings


def test_synonyms_that_no_product_has_are_not_looked_for() -> None:
    [unit] = meant("coat").units
    assert unit.readings == (("coat",),)


def test_words_that_say_nothing_are_left_out_unless_there_are_no_others() -> None:
    assert [word.text for word in words_of("the bag of a lady")] == ["bag", "lady"]
    assert [word.text for word in words_of("The Who")] == ["who"]
    assert [word.text for word in words_of("of the")] == ["of", "the"]


def test_what_may_be_a_model_number_is_kept_as_one() -> None:
    assert meant("CE-285A").units[0].code == "ce285a"
    assert meant("006r 90321").code == "006r90321"
    assert meant("40 inch").units[0].code == ""
