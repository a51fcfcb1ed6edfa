"""The ladder: orders on SQLite from more and more connections, the Universal Scalability Law fitted to some rungs, and
what it says of the others."""

from collections.abc import Sequence

from bench.figures import median
from bench.results import Law, Rung
from bench.scalability import Scalability, fit, little_error
from bench.stage import Stage

ENGINE = "sqlite"
FEWEST_ORDERS = 60
ORDERS_EACH = 8
"""At least so many for each connection, so that the beginning and the end of a rung weigh little."""
FEWEST_GROUPED = 8
"""Connections from which on orders share commits. Fewer wait for one another and share nothing, which is another
system: the law is not fitted to it, and what it says of it is told apart."""


async def run(stage: Stage) -> None:
    """Climb up, then down, then up again, so that what the machine does meanwhile meets low rungs and high ones."""
    found: dict[int, list[Rung]] = {connections: [] for connections in stage.size.rungs}
    await stage.orders(ENGINE, count=FEWEST_ORDERS, connections=1)
    rate = 0.0
    for ascent in range(stage.size.rounds):
        for connections in stage.size.rungs if ascent % 2 == 0 else reversed(stage.size.rungs):
            rung = await _measured(stage, connections, rate=rate)
            found[connections].append(rung)
            rate = rung.throughput
    stage.results.ladder = [median_rung(measured) for measured in found.values()]
    stage.results.add("ladder.little_error", max(_little_error(rung) for rungs in found.values() for rung in rungs))
    judge_ladder(stage)
    await stage.rest(ENGINE)
    await stage.check(ENGINE, part="the ladder")


async def _measured(stage: Stage, connections: int, *, rate: float) -> Rung:
    """A rung; `rate` is that of the one before it, by which its length is chosen."""
    await stage.rest(ENGINE)
    count = int(max(FEWEST_ORDERS, ORDERS_EACH * connections, rate * stage.size.rung_s))
    outcome = await stage.orders(ENGINE, count=min(count, stage.size.most_orders), connections=connections)
    rung = Rung(connections=connections, throughput=outcome.throughput, mean_ms=outcome.mean_ms)
    stage.say(f"ladder, {connections} connections: {rung.throughput:.0f} orders/s, {rung.mean_ms:.1f} ms each")
    return rung


def median_rung(measured: Sequence[Rung]) -> Rung:
    return Rung(
        connections=measured[0].connections,
        throughput=median([rung.throughput for rung in measured]),
        mean_ms=median([rung.mean_ms for rung in measured]),
    )


def judge_ladder(stage: Stage) -> None:
    """Fit to every rung but those in between, and predict these."""
    fitted, predicted = parted(stage.results.ladder)
    law = fit([(rung.connections, rung.throughput) for rung in fitted])
    stage.results.law = Law(
        rate=law.rate,
        contention=law.contention,
        coherence=law.coherence,
        fitted_to=tuple(rung.connections for rung in fitted),
    )
    few = [rung for rung in stage.results.ladder if rung.connections < FEWEST_GROUPED]
    stage.results.add("ladder.prediction_error", _worst_error(law, predicted))
    stage.results.add("ladder.error_of_few", _worst_error(law, few))


def _worst_error(law: Scalability, rungs: Sequence[Rung]) -> float:
    return max(abs(law.throughput(rung.connections) / rung.throughput - 1) for rung in rungs)


def _little_error(rung: Rung) -> float:
    return abs(little_error(connections=rung.connections, throughput=rung.throughput, mean_s=rung.mean_ms / 1_000))


def parted(ladder: list[Rung]) -> tuple[list[Rung], list[Rung]]:
    """Of the rungs where orders share commits, those the law is fitted to, and those it must predict: every third one,
    neither the first nor the last."""
    grouped = [rung for rung in ladder if rung.connections >= FEWEST_GROUPED]
    predicted = [rung for place, rung in enumerate(grouped[:-1]) if place % 3 == 2]
    return [rung for rung in grouped if rung not in predicted], predicted
