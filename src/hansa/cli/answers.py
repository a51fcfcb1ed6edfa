"""How a command answers: on its output, on its error output with status 2, or by refusing."""

import sys


class Refusal(Exception):
    """A command cannot do what it was asked to; the text says why, for people."""


def say(text: str) -> None:
    """What others have written may be in it (an error, a name): nothing of it commands the terminal."""
    print("".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text), flush=True)


def complain(text: str) -> int:
    print(f"hansa: {text}", file=sys.stderr, flush=True)
    return 2
