"""Evidence from a shop that is composed in this process, on either engine."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import select

from hansa.compose.shop import Shop
from hansa.compose.stored import STORED
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from hansa.platform.providers.sandbox import SandboxProvider
from tests.reserved import lines_of
from tests.simulation.invariants.evidence import RESERVATION_LINES, Evidence, RowDict
from tests.simulation.workload.door import Operation

STATEMENTS = {
    (stored.name, table.name): (Statement(select(table)), tuple(table.c.keys()))
    for stored in STORED
    for table in stored.metadata.tables.values()
}
"""How every row of every table is read, and its columns."""


async def collect(
    shop: Shop, *, operations: Sequence[Operation] = (), received: Mapping[str, int] | None = None
) -> Evidence:
    """Everything that a shop at rest has to show for itself."""
    sandbox = shop.providers["sandbox"]
    assert isinstance(sandbox, SandboxProvider)
    return Evidence(
        tables=await tables_of(shop.databases),
        books=await sandbox.entries(),
        operations=operations,
        received=received or {},
        consumers=consumers_of(shop),
    )


async def tables_of(databases: Mapping[str, Database]) -> dict[tuple[str, str], list[RowDict]]:
    """Every row of every table of open databases, by their names; for a shop that runs in other processes, too."""
    tables: dict[tuple[str, str], list[RowDict]] = {
        (service, table): [{name: row[name] for name in columns} for row in await databases[service].all(statement)]
        for (service, table), (statement, columns) in STATEMENTS.items()
    }
    return tables | {RESERVATION_LINES: [*lines_of(tables["inventory", "reservations"])]}


def consumers_of(shop: Shop) -> dict[str, list[tuple[str, str]]]:
    """Who hears every event of a type, by the type: service and consumer."""
    hearing: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (service, name), inbox in shop.inboxes.items():
        if inbox._consumer.concerns is None:
            hearing[inbox._consumer.hears.type].append((service, name))
    return dict(hearing)
