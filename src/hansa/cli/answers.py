"""How a command answers: on its output, on its error output with status 2, or by refusing."""

import sys


class Refusal(Exception):
    """A command cannot do what it was asked to; the text says why, for people."""


def say(text: str) -> None:
    print(text, flush=True)


def complain(text: str) -> int:
    print(f"hansa: {text}", file=sys.stderr, flush=True)
    return 2
