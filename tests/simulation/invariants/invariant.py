"""What an invariant is: a name, one sentence, and a search for what breaks it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import cleandoc

from tests.simulation.invariants.evidence import Evidence, Violation

Finding = tuple[object, str]
"""Whose promise was broken (an id, a sku), and how."""


@dataclass(frozen=True)
class Invariant:
    """A check that knows its name and the sentence that docs/reliability.md has of it."""

    name: str
    sentence: str
    find: Callable[[Evidence], Iterable[Finding]]

    def __call__(self, evidence: Evidence) -> list[Violation]:
        return [Violation(check=self.name, subject=str(subject), text=text) for subject, text in self.find(evidence)]


def invariant(name: str) -> Callable[[Callable[[Evidence], Iterable[Finding]]], Invariant]:
    """The first paragraph of the function's docstring is the sentence."""

    def named(find: Callable[[Evidence], Iterable[Finding]]) -> Invariant:
        sentence = " ".join(cleandoc(find.__doc__ or "").split("\n\n")[0].split())
        return Invariant(name, sentence, find)

    return named
