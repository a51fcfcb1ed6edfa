"""Comparing what the tables hold with what an index was made of, page by page, without asking what the time was.

Catching up trusts the moments that processes noted by their own clocks. Where a clock was wrong by more than is looked
back, news would stay out of the index until a product changes again. Going round all products finds those.
"""

from hansa.kernel.clock import Clock
from hansa.platform.database.port import Database
from hansa.platform.jobs.worker import Worker
from hansa.services.search import store
from hansa.services.search.service.index import ProductIndex

PAGE = 500
"""Products compared at once."""
EVERY_S = 5.0
"""How long after a page the next one is compared: a round of 20,000 products takes less than four minutes."""
HURRIED_PAGES = 4
"""Pages of one go when a clock was found wrong; a go is as often as the index catches up."""


class Comparing:
    """Where the round of one process is. Paced by the monotonic clock: the other one is what may be wrong."""

    def __init__(self, *, database: Database, clock: Clock, worker: Worker) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker
        self._after: str | None = None
        """The last product compared in this round."""
        self._due_s = clock.monotonic()
        self._hurried_rounds = 0
        """Ends of rounds until there is time again."""

    def hurry(self) -> None:
        """A clock was found wrong: compare on without waiting, until all products were compared from now on."""
        self._hurried_rounds = 1 if self._after is None else 2

    async def differing(self, index: ProductIndex) -> list[str]:
        """Of the next page, when its time has come, the products of which the tables say something else."""
        now_s = self._clock.monotonic()
        if not self._hurried_rounds and now_s < self._due_s:
            return []
        self._due_s = now_s + EVERY_S
        found: list[str] = []
        for _ in range(HURRIED_PAGES if self._hurried_rounds else 1):
            found += await self._next_page(index)
            if self._after is None:
                self._hurried_rounds = max(self._hurried_rounds - 1, 0)
                if not self._hurried_rounds:
                    break
        return found

    async def _next_page(self, index: ProductIndex) -> list[str]:
        kept = await store.stamps(self._database, after=self._after, limit=PAGE)
        self._after = list(kept)[-1] if len(kept) == PAGE else None
        if not kept:
            return []
        put = await self._worker.run(index.stamps, [int(product_id) for product_id in kept])
        return [product_id for product_id, stamp in kept.items() if put.get(int(product_id)) != stamp]
