"""Queries as shoppers type them, all different, drawn from what the products of a catalogue are called.

A query is a few neighbouring words of one product's name, which begins with its brand in most catalogues: one word in
ten queries, two in nine of twenty, three in six of twenty, the first word and any later one (brand and what it is) in
three of twenty. Signs around words are left out, as people leave them out; case is kept lower. Categories and brands by
themselves are drawn like names: add them to the list. One query in ten is misspelt: in its longest word of letters one
letter is left out, doubled, changed for its neighbour on the keyboard, or exchanged with the next one. No query stands
twice in the list, so nothing that was computed for one answers another.
"""

import random
import re
from collections.abc import Iterator, Sequence

MISSPELT_EVERY = 10
"""One query of so many is misspelt, at an even pace, so that each part of the list is like the whole."""
SHORTEST_MISSPELT = 5
"""Letters of a word that people misspell without noticing."""
MOST_TRIES = 50
"""Draws for each query that is wanted, before the catalogue is too small for so many."""
SHAPES = (1, 1, *(2,) * 9, *(3,) * 6, 0, 0, 0)
"""How many neighbouring words, each as likely as any; 0: the first word and a later one."""

_WORD = re.compile(r"[^\W_](?:[^\W_]|[-.'][^\W_])*")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    letter: row[max(place - 1, 0) : place] + row[place + 1 : place + 2]
    for row in _ROWS
    for place, letter in enumerate(row)
}


class TooFewNames(ValueError):
    """The names do not make so many different queries."""


def different_queries(names: Sequence[str], *, count: int, seed: int) -> list[str]:
    """So many queries, no two alike; the same names, count and seed give the same list. Raises TooFewNames."""
    chance = random.Random(seed)
    seen: set[str] = set()
    found: list[str] = []
    for query in _drawn(names, chance, most=count * MOST_TRIES):
        if len(found) % MISSPELT_EVERY == MISSPELT_EVERY - 1:
            query = misspelt(query, chance) or ""
        if query and query not in seen:
            seen.add(query)
            found.append(query)
        if len(found) == count:
            return found
    raise TooFewNames(f"{len(names)} names make {len(found)} different queries, not {count}")


def misspelt(query: str, chance: random.Random) -> str | None:
    """The query with one mistake in its longest word; None if no word can be misspelt."""
    words = query.split()
    candidates = [word for word in words if word.isascii() and word.isalpha() and len(word) >= SHORTEST_MISSPELT]
    if not candidates:
        return None
    word = max(candidates, key=len)
    place = chance.randrange(1, len(word) - 1)  # people seldom mistake the first letter
    letter = word[place]
    changed = chance.choice(
        (
            word[:place] + word[place + 1 :],
            word[:place] + letter + word[place:],
            word[:place] + chance.choice(_BESIDE[letter]) + word[place + 1 :],
            word[:place] + word[place + 1] + letter + word[place + 2 :],
        )
    )
    if changed == word:
        return None
    words[words.index(word)] = changed
    return " ".join(words)


def _drawn(names: Sequence[str], chance: random.Random, *, most: int) -> Iterator[str]:
    if not names:
        return
    for _ in range(most):
        words = _WORD.findall(chance.choice(names).lower())
        if not words:
            continue
        length = chance.choice(SHAPES)
        if length:
            start = chance.randrange(max(len(words) - length + 1, 1))
            yield " ".join(words[start : start + length])
        elif len(words) > 1:
            yield f"{words[0]} {chance.choice(words[1:])}"
