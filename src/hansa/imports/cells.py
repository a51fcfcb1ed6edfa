"""Texts in CSV files that people open in spreadsheets, which would take some of them for formulas."""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
GUARD = "'"


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula: with an apostrophe before it where it begins like one.

    One that begins with apostrophes and then like a formula gets another one, so that `unguarded` gives the same text
    back, whatever it is.
    """
    return f"{GUARD}{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """The text that was guarded; any other one as it is."""
    return text[1:] if _GUARDED.match(text) else text
