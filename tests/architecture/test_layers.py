"""Arrows between the floors of the house run one way, and the contracts of import-linter see each that does not."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

CONFIGURATION = Path(__file__).resolve().parents[2] / "pyproject.toml"
FLOORS = (("cli", "compose"), ("settings",), ("web", "demo"), ("imports",), ("services",), ("platform",), ("kernel",))
"""From the roof down: who stands on a lower floor may know nobody on a higher one. Said here once more, so that a floor
that is dropped from the configuration is missed."""
ROOMS = [room for floor in FLOORS for room in floor]
UPWARDS = [(lower, upper) for above, below in combinations(FLOORS, 2) for upper in above for lower in below]
SIDEWAYS = [("web", "demo"), ("demo", "web")]
DOWNWARDS = [(upper, lower) for lower, upper in UPWARDS]

Lint = Callable[[Mapping[str, str]], str]


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """import-linter silences every logger there is, and adds to the path."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    loggers = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    were_disabled = [one.disabled for one in loggers]
    yield
    for one, was_disabled in zip(loggers, were_disabled, strict=True):
        one.disabled = was_disabled


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lint:
    """Judge a town, given as the source of each of its rooms, by Hansa's own contracts: what is wrong, or nothing."""
    # Another name, since the real house is imported already.
    _, section, contracts = CONFIGURATION.read_text(encoding="utf-8").partition("[tool.importlinter]")
    configuration = tmp_path / "pyproject.toml"
    configuration.write_text(section + contracts.replace('"hansa"', '"town"'), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def judge(sources: Mapping[str, str]) -> str:
        (tmp_path / "town").mkdir()
        (tmp_path / "town" / "__init__.py").touch()
        for room, source in sources.items():
            (tmp_path / "town" / room).mkdir()
            (tmp_path / "town" / room / "__init__.py").write_text(source, encoding="utf-8")
        status = lint_imports(config_filename=str(configuration), no_cache=True)
        said = " ".join(capsys.readouterr().out.split())
        assert f"Analyzed {len(sources) + 1} files" in said, said
        return "" if status == EXIT_STATUS_SUCCESS else said

    return judge


def test_the_contracts_of_import_linter_hold(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(CONFIGURATION), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.mark.parametrize(("lower", "upper"), UPWARDS + SIDEWAYS, ids="-knows-".join)
def test_a_wrong_arrow_is_reported(lint: Lint, lower: str, upper: str) -> None:
    said = lint({**dict.fromkeys(ROOMS, ""), lower: f"import town.{upper}\n"})

    assert f"town.{lower} is not allowed to import town.{upper}" in said


def test_an_arrow_from_deep_inside_of_a_room_is_reported(lint: Lint) -> None:
    late = "def act() -> None:\n    from ..platform import http\n"

    assert "town.kernel is not allowed to import town.platform" in lint({**dict.fromkeys(ROOMS, ""), "kernel": late})


def test_a_room_that_is_on_no_floor_is_reported(lint: Lint) -> None:
    assert "town.utils" in lint({**dict.fromkeys(ROOMS, ""), "utils": ""})


def test_right_arrows_are_not_reported(lint: Lint) -> None:
    knows = {room: "".join(f"import town.{lower}\n" for upper, lower in DOWNWARDS if upper == room) for room in ROOMS}
    knows["cli"] += "import town.compose\n"

    assert lint(knows) == ""
