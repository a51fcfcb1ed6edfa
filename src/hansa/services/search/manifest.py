"""What search says of itself: it hears of products, and reads them all when it is rebuilt."""

from collections.abc import Sequence
from pathlib import Path

from hansa.kernel import tags
from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.products.contract import Products
from hansa.services.search.api import routes
from hansa.services.search.consumers import consumers
from hansa.services.search.contract import Search
from hansa.services.search.service import SearchService
from hansa.services.search.tables import METADATA

FOLDER = "search_folder"
"""The adapter that says where this process keeps its index."""
CATCH_UP_EVERY_S = 0.5
"""For what other processes have heard, and for prices that begin by the clock."""
COMPACT_EVERY_S = 10.0
LET_GO_EVERY_S = 60.0
"""A shop that is seldom asked in Chinese has no dictionary in memory between; to load it again takes 0.2 s."""


def build(parts: Parts) -> SearchService:
    return SearchService(
        database=parts.database,
        clock=parts.clock,
        products=parts.client(Products),
        channel=parts.channel,
        folder=parts.adapters[FOLDER],
        told=lambda: parts.changes.tell((tags.SEARCH,)),
    )


def jobs(service: SearchService) -> Sequence[Job]:
    return [
        Job(name="search.catch_up", every_s=CATCH_UP_EVERY_S, run=service.catch_up),
        Job(name="search.compact", every_s=COMPACT_EVERY_S, run=service.compact),
        Job(name="search.let_go", every_s=LET_GO_EVERY_S, run=service.let_go),
    ]


MANIFEST = Manifest(
    name="search",
    contract=Search,
    uses=(Products,),
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    consumers=consumers,
    settling=lambda service: service.catching_up.quiet,
    jobs=jobs,
    close=SearchService.close,
    routes=routes,
)
