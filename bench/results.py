"""What a run has found: series of values by name, and everything else that is kept of it, as JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.figures import median, spread
from bench.machine import Machine


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """Throughput and mean time of an answer at so many connections."""

    connections: int
    throughput: float
    mean_ms: float


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """The Universal Scalability Law fitted to some rungs of the ladder."""

    rate: float
    contention: float
    coherence: float
    fitted_to: tuple[int, ...]


class Results(msgspec.Struct, kw_only=True):
    """All of a run. A series is named `part.what.unit`; its values are those of the repetitions."""

    mode: str
    at: str
    machine: Machine | None = None
    versions: dict[str, str] = {}
    series: dict[str, list[float]] = {}
    ladder: list[Rung] = []
    law: Law | None = None
    wrong: list[str] = []
    """What the audits found, as sentences: empty if everything is right."""
    notes: list[str] = []
    """What was left out, and why; what was strange without being wrong."""
    elapsed_s: float = 0.0

    def add(self, name: str, value: float) -> None:
        """One more repetition."""
        self.series.setdefault(name, []).append(value)

    def median(self, name: str) -> float | None:
        values = self.series.get(name)
        return median(values) if values else None

    def spread(self, name: str) -> float | None:
        values = self.series.get(name)
        return spread(values) if values else None


def write_results(results: Results, file: Path) -> None:
    """Write all of it, rounded to what was measured."""
    rounded = msgspec.structs.replace(results, series=_rounded(results.series))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(rounded), indent=2) + b"\n")


def read_results(file: Path) -> Results:
    return msgspec.json.decode(file.read_bytes(), type=Results)


def _rounded(series: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {name: [float(f"{value:.6g}") for value in values] for name, values in series.items()}
