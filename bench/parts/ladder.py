"""The ladder: orders on SQLite from more and more connections, the Universal Scalability Law fitted to some rungs, and
what it says of the others."""

from bench.results import Law, Rung
from bench.scalability import fit, little_error
from bench.stage import Stage

ENGINE = "sqlite"
FEWEST_ORDERS = 60
ORDERS_EACH = 8
"""At least so many for each connection, so that the beginning and the end of a rung weigh little."""


async def run(stage: Stage) -> None:
    rate = 0.0
    await stage.orders(ENGINE, count=FEWEST_ORDERS, connections=1)
    for connections in stage.size.rungs:
        await stage.rest(ENGINE)
        count = int(max(FEWEST_ORDERS, ORDERS_EACH * connections, rate * stage.size.rung_s))
        outcome = await stage.orders(ENGINE, count=min(count, stage.size.most_orders), connections=connections)
        rate = outcome.throughput
        rung = Rung(connections=connections, throughput=rate, mean_ms=outcome.mean_ms)
        stage.results.ladder.append(rung)
        stage.say(f"ladder, {connections} connections: {rate:.0f} orders/s, {rung.mean_ms:.1f} ms each")
    judge_ladder(stage)
    await stage.rest(ENGINE)
    await stage.check(ENGINE, part="the ladder")


def judge_ladder(stage: Stage) -> None:
    """Fit to every rung but those in between, predict these, and hold Little's law against all."""
    ladder = stage.results.ladder
    fitted, predicted = parted(ladder)
    law = fit([(rung.connections, rung.throughput) for rung in fitted])
    stage.results.law = Law(
        rate=law.rate,
        contention=law.contention,
        coherence=law.coherence,
        fitted_to=tuple(rung.connections for rung in fitted),
    )
    errors = [abs(law.throughput(rung.connections) / rung.throughput - 1) for rung in predicted]
    stage.results.add("ladder.prediction_error", max(errors))
    little = [
        abs(little_error(connections=rung.connections, throughput=rung.throughput, mean_s=rung.mean_ms / 1_000))
        for rung in ladder
    ]
    stage.results.add("ladder.little_error", max(little))


def parted(ladder: list[Rung]) -> tuple[list[Rung], list[Rung]]:
    """Those the law is fitted to, and those it must predict: every third one, neither the first nor the last."""
    predicted = [rung for place, rung in enumerate(ladder[:-1]) if place % 3 == 2]
    return [rung for rung in ladder if rung not in predicted], predicted
