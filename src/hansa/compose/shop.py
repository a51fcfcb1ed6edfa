"""A shop that has been composed: what it consists of, how it begins to work by itself, and how it stops."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hansa.compose.services import MANIFESTS
from hansa.kernel.clock import Clock
from hansa.kernel.ids import Ids
from hansa.platform.cache.caching import Cache
from hansa.platform.cache.changes import Changes
from hansa.platform.cache.freshness import Freshness
from hansa.platform.cache.hottest import Hottest
from hansa.platform.database.port import Database
from hansa.platform.files.port import Files
from hansa.platform.http.front import FrontDoor
from hansa.platform.jobs.periodic import Job, Jobs
from hansa.platform.jobs.transfers import Transfers
from hansa.platform.leases.ranges import SlotRanges
from hansa.platform.messaging.port import Bus
from hansa.platform.outbox.dead_letters import DeadLetters
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outbox.relay import Relay
from hansa.platform.providers.payments import PaymentProvider
from hansa.platform.telemetry.metrics import RequestMetrics
from hansa.settings import Settings


@dataclass(kw_only=True)
class Shop:
    """A composed shop. Opened, its relays and jobs run; `app` answers HTTP."""

    settings: Settings
    clock: Clock
    ids: Ids
    databases: dict[str, Database]
    services: dict[str, Any] = field(default_factory=dict)
    clients: dict[type, Any] = field(default_factory=dict)
    bus: Bus = field(init=False)
    relays: list[Relay] = field(default_factory=list)
    ranges: list[SlotRanges] = field(default_factory=list)
    """What the relays look after, where there may be others at the same databases."""
    inboxes: dict[tuple[str, str], Inbox] = field(default_factory=dict)
    """By service and consumer."""
    dead_letters: DeadLetters = field(init=False)
    transfers: Transfers = field(init=False)
    jobs: Jobs
    jobs_of: dict[str, Sequence[Job]] = field(default_factory=dict)
    providers: Mapping[str, PaymentProvider]
    files: Files
    metrics: RequestMetrics
    changes: Changes = field(default_factory=Changes)
    cache: Cache = field(init=False)
    hottest: Hottest = field(init=False)
    freshness: Freshness = field(init=False)
    app: FrontDoor = field(init=False)
    starting: list[Callable[[], None]] = field(default_factory=list)
    closing: list[Callable[[], Any]] = field(default_factory=list)

    def client(self, contract: type) -> Any:
        return self.clients[contract]

    async def warm(self) -> None:
        """Read what was asked for most often of late, for some seconds at most, before anybody asks."""
        await self.cache.start()
        await self.hottest.warm()

    async def join(self) -> None:
        """Begin to hear events, and take a share of what other processes have left unsent. Raises BusUnusable."""
        await self.cache.start()
        await self.bus.start()
        for ranges in self.ranges:
            await ranges.renew()

    def start(self) -> None:
        """Let the relays and jobs work by themselves."""
        for relay in self.relays:
            relay.start()
        for jobs in self.jobs_of.values():
            self.jobs.start(jobs)
        for start in self.starting:
            start()

    async def settle(self, *, rounds: int = 10) -> None:
        """Run every job and publish every event until nothing is left to publish: for tests and orderly stops."""
        for _ in range(rounds):
            for jobs in self.jobs_of.values():
                for job in jobs:
                    await job.run()
            sent = 0
            for relay in self.relays:
                sent += await relay.drain()
            if self.bus.has_broker:
                await self.freshness.settled(since=0)
            for manifest in MANIFESTS:
                await manifest.quiet(self.services[manifest.name])
            if not sent:
                return

    async def close(self) -> None:
        await self.transfers.close()
        await self.jobs.close()
        for relay in self.relays:
            await relay.close()
        await self.bus.close()  # nothing more is delivered to services that stop
        for ranges in self.ranges:
            with suppress(Exception):  # they run out by themselves
                await ranges.leave()
        for manifest in reversed(MANIFESTS):  # whoever asks stops before whoever is asked
            await manifest.close(self.services[manifest.name])
        with suppress(OSError):  # it only spares the next start something
            await self.hottest.note()
        await self.cache.close()
        for close in self.closing:
            outcome = close()
            if outcome is not None:
                await outcome
        for database in self.databases.values():
            await database.close()
