"""How far publishing is behind: unsent events, the age of the oldest one, and parked events, per database."""

from collections.abc import Mapping

from hansa.kernel.clock import Clock, from_micros
from hansa.platform.database.platform_tables import COUNT_DEAD, OUTBOX_AGE
from hansa.platform.database.port import Database

LOOK_EVERY_S = 5.0


class Backlog:
    """Figures as of the last look; a scrape of the metrics must not wait for databases."""

    def __init__(self, *, databases: Mapping[str, Database], clock: Clock) -> None:
        self._databases = databases
        self._clock = clock
        self.unsent: dict[str, float] = {}
        self.oldest_s: dict[str, float] = {}
        self.parked: dict[str, float] = {}

    async def look(self) -> None:
        for name, database in self._databases.items():
            figures = (await database.all(OUTBOX_AGE))[0]
            count, oldest = figures[0], figures[1]
            age = (self._clock.now() - from_micros(oldest)).total_seconds() if oldest else 0.0
            self.unsent[name] = count
            self.oldest_s[name] = max(age, 0.0)
            self.parked[name] = (await database.all(COUNT_DEAD))[0][0]
