"""Runs the examples of a guide: its `sh` blocks in order, in one shell, each against the answer that follows it.

An answer is a block `json` (a success whose body is this) or `http` (a status line, headers, an empty line, a body). It
is abridged: an object may have more members, a list more items behind, and "…" stands for any text.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ANY = "…"
_SHELL = """\
set -eu
curl() { command curl --silent --show-error --dump-header "$HEADERS" "$@"; }
"""
_JQ = """\
#!{python}
import json, re, sys
path = sys.argv[-1]
value = json.load(sys.stdin)
for name, index in re.findall(r"\\.?([a-z_]+)|\\[([0-9]+)\\]", path):
    value = value[name] if name else value[int(index)]
print(value if sys.argv[1] == "-r" and isinstance(value, str) else json.dumps(value))
"""
"""As much of jq as the guides use, where it is not installed."""


@dataclass
class Example:
    """Commands, the line of the guide that they begin in, and what it says of their answer (None: nothing)."""

    line: int
    commands: str
    status: int | None = None
    headers: dict[str, str] | None = None
    body: Any = None


@dataclass(frozen=True)
class Outcome:
    """What the last request of an example was answered with; `text` is all that its commands said."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The last of the JSON documents."""
        document, rest = None, self.text.strip()
        while rest:
            document, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].strip()
        return document


def examples_of(page: str) -> list[Example]:
    found: list[Example] = []
    for match in _BLOCK.finditer(page):
        if match["kind"] == "sh":
            found.append(Example(line=page.count("\n", 0, match.start()) + 1, commands=match["text"]))
        elif match["kind"] in ("json", "http") and found and found[-1].status is None:
            _expect(found[-1], match["kind"], match["text"])
    return found


def _expect(example: Example, kind: str, text: str) -> None:
    example.status, example.headers = 200, {}
    if kind == "http":
        head, _, text = text.partition("\n\n")
        status, *headers = head.splitlines()
        example.status = int(status.split()[1])
        example.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in headers)}
    example.body = json.loads(text) if text.strip() else None


def run(examples: list[Example], *, folder: Path, environment: dict[str, str]) -> list[Outcome]:
    """Every example, in one shell that works in the folder; it stops at the first command that fails."""
    programs = folder / "programs"
    programs.mkdir(parents=True)
    if shutil.which("jq") is None:
        (programs / "jq").write_text(_JQ.format(python=sys.executable))
        (programs / "jq").chmod(0o755)
    script = [_SHELL]
    for place, example in enumerate(examples):
        script.append(f'HEADERS="$PWD/{place}.headers"\n{{\n{example.commands}\n}} > {place}.out\n')
    done = subprocess.run(
        ["bash", "-c", "".join(script)],
        cwd=folder,
        env={**os.environ, **environment, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    outcomes = [_outcome(folder, place) for place in range(len(examples)) if (folder / f"{place}.out").exists()]
    if done.returncode:
        example = examples[len(outcomes) - 1]
        raise AssertionError(f"line {example.line} ends with {done.returncode}: {done.stderr}\n{example.commands}")
    return outcomes


def _outcome(folder: Path, place: int) -> Outcome:
    headers = folder / f"{place}.headers"
    lines = headers.read_text().strip().splitlines() if headers.exists() else []
    named = (line.partition(":") for line in lines[1:])
    return Outcome(
        status=int(lines[0].split()[1]) if lines else 0,
        headers={name.lower(): value.strip() for name, _, value in named},
        text=(folder / f"{place}.out").read_text(),
    )


def difference(expected: Any, found: Any, place: str = "") -> str:
    """Where an answer is not what the guide says; empty where it is."""
    if expected == ANY and found is not None:
        return ""
    if isinstance(expected, dict) and isinstance(found, dict):
        missing = [f"{place}.{name} is missing" for name in expected if name not in found]
        return missing[0] if missing else _first(difference(expected[n], found[n], f"{place}.{n}") for n in expected)
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) < len(expected):
            return f"{place} has {len(found)} items only"
        return _first(difference(one, found[index], f"{place}[{index}]") for index, one in enumerate(expected))
    if isinstance(expected, str) and isinstance(found, str) and ANY in expected:
        pattern = ".*".join(map(re.escape, expected.split(ANY)))
        return "" if re.fullmatch(pattern, found, re.DOTALL) else f"{place} is {found!r}, not {expected!r}"
    return "" if expected == found else f"{place} is {found!r}, not {expected!r}"


def _first(differences: Any) -> str:
    return next(filter(None, differences), "")
