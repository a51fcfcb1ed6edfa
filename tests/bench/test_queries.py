"""The queries that the bench asks are different, repeatable, and misspelt as often as was said."""

import random
from difflib import SequenceMatcher

import pytest

from bench.queries import MISSPELT_EVERY, TooFewNames, different_queries, misspelt

NAMES = [f"Nordhavn {thing} {size} wireless" for thing in ("keyboard", "printer", "headset") for size in range(40)]


def test_the_same_seed_gives_the_same_queries_and_no_two_alike() -> None:
    queries = different_queries(NAMES, count=100, seed=7)

    assert queries == different_queries(NAMES, count=100, seed=7)
    assert queries != different_queries(NAMES, count=100, seed=8)
    assert len(set(queries)) == len(queries) == 100


def test_one_in_ten_holds_a_word_that_no_name_has() -> None:
    words = {word for name in NAMES for word in name.lower().split()}
    queries = different_queries(NAMES, count=100, seed=7)

    wrong = [place for place, query in enumerate(queries) if not words.issuperset(query.split())]

    assert wrong == list(range(MISSPELT_EVERY - 1, 100, MISSPELT_EVERY))


def test_a_mistake_is_one_letter_of_the_longest_word_and_never_its_first() -> None:
    for seed in range(200):
        wrong = misspelt("hp keyboard", random.Random(seed))

        assert wrong is None or (wrong.startswith("hp k") and wrong != "hp keyboard")
        assert wrong is None or SequenceMatcher(None, wrong, "hp keyboard").ratio() > 0.9


def test_what_cannot_be_misspelt_is_not() -> None:
    assert misspelt("hp x200", random.Random(1)) is None


def test_names_that_do_not_suffice_are_refused() -> None:
    with pytest.raises(TooFewNames):
        different_queries(["Mouse"], count=5, seed=1)
