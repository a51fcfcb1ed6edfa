"""Search: queries that never repeat, one in ten misspelt, over 19,406 products."""

import time
from urllib.parse import quote

from bench.catalogue import icecat_names
from bench.machine import usage
from bench.queries import different_queries
from bench.stage import LoadFailed, Stage

CONNECTIONS = 8
SEED = 20_260
WARM = 200
FEWEST = 500
LONGEST_S = 10
"""So long may a repetition take, by the rate of the first queries."""


async def run(stage: Stage) -> None:
    if not stage.size.has_icecat:
        stage.results.notes.append("search was left out: it needs the 19,406 products, which take a while to import")
        return
    shop = stage.shop("sqlite")
    await stage.calm("sqlite")
    queries = different_queries(icecat_names(), count=stage.size.searches * stage.size.rounds + WARM, seed=SEED)
    rate, _ = await _ask(stage, queries[:WARM])
    count = min(stage.size.searches, max(FEWEST, int(rate * LONGEST_S)))
    for number in range(stage.size.rounds):
        asked = queries[WARM + number * count : WARM + (number + 1) * count]
        before = usage(shop.process_id)
        outcome = await _ask(stage, asked)
        spent = usage(shop.process_id).since(before)
        stage.results.add("search.per_core", len(asked) / spent.cpu_s)
        stage.results.add("search.rate", outcome[0])
        stage.results.add("search.p95_ms", outcome[1])
        stage.say(
            f"search {number + 1}/{stage.size.rounds}: {len(asked) / spent.cpu_s:.0f} a core-second, "
            f"{outcome[0]:.0f}/s, p95 {outcome[1]:.1f} ms"
        )


async def _ask(stage: Stage, queries: list[str]) -> tuple[float, float]:
    """Throughput and p95 in milliseconds."""
    paths = stage.folder / f"queries-{time.monotonic_ns()}"
    paths.write_text("\n".join(f"/api/v1/search?q={quote(query)}" for query in queries))
    outcome = await stage.load(
        "gets",
        stage.shop("sqlite"),
        *("--paths", str(paths), "--count", str(len(queries)), "--connections", str(CONNECTIONS)),
    )
    if set(outcome.statuses) != {"200"}:
        raise LoadFailed(f"not every search was answered: {outcome.statuses}")
    return outcome.throughput, outcome.p95_ms
