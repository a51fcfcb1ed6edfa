"""A simulated cluster: machines with their clocks, the shop's processes on them, and everything that lies between.

Every process is a whole shop, composed as it is in production but for its adapters; calls between services go to any
process. A process that dies is gone at one stroke: its callbacks never run again, no `finally`, and its transactions
are rolled back. A new one starts on its machine from what the databases hold.
"""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from hansa.compose import compose
from hansa.compose.shop import Shop
from hansa.kernel.clock import Clock
from hansa.kernel.errors import BusinessError, Fault
from hansa.kernel.event import Envelope
from hansa.kernel.ids import SEQUENCES, Ids
from hansa.platform.messaging.local import LocalBus, Mischief, Retries
from hansa.platform.messaging.port import Permanent, Received, Subscriber
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.providers.sandbox import DELIVER_EVERY_S, SandboxProvider
from hansa.platform.security.passwords import Passwords
from hansa.settings import Settings
from tests.simulation import states
from tests.simulation.bus import Broker, BrokerClient
from tests.simulation.faults import RESTART_AFTER_S, Chances, Faults
from tests.simulation.loop import WHOSE, Moment, SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.outside import DistantProvider, Front, Letterbox, Webhooks, empty_ledger
from tests.simulation.plan import Plan
from tests.simulation.storage import SimulatedDatabase, Store, _SimulatedTransaction

T = TypeVar("T")
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
DAY_BEFORE_S = -86_400.0
"""When the scene is set: before any run, so that no identifier of the scene is made again."""
BLOCKS = 16
"""Blocks of sequence numbers that processes lease: no two of the last sixteen have the same."""
LEFT_OUT = ("search.catch_up", "search.compact", "recommendations.write", "backlog.look")
"""Jobs that do not run here: the search index has threads of its own, and the others only watch."""
MISCHIEF = Mischief(duplicate=0.2, reorder=0.2, split=0.2)
SECRET = b"the provider's secret, 32 bytes."
TYPICAL_DELAY_S = 0.001
NOW_AND_THEN = 0.2
"""Of statements and reads, how many take long enough for others to come in between."""


class SimulatedClock:
    """A machine's clock: the loop's time, and how wrong it is."""

    def __init__(self, loop: SimulatedLoop, *, offset_s: float = 0.0) -> None:
        self._loop = loop
        self.offset_s = offset_s

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time() + self.offset_s)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await Moment(self._loop, max(0.0, seconds))


class Machine:
    """Where one process at a time runs."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.name = f"m{number}"
        self.clock = SimulatedClock(world.loop, offset_s=world.clock.offset_s)
        self.process: Process | None = None
        self._boots = 0

    def boot(self) -> None:
        """Start a process; it comes up when its shop is composed."""
        self._boots += 1
        self.process = Process(self.world, self, f"{self.name}.{self._boots}")
        self.world.note("starts", self.process.name, None)
        self.world.network.carry_out(self.process, self.process.start())


class Process:
    """One incarnation of the shop on a machine."""

    def __init__(self, world: "World", machine: Machine, name: str) -> None:
        self.world = world
        self.name = name
        self.machine = machine.name
        self.clock: Clock = machine.clock
        self.block = world.lease_block()
        self.context: Context = world.context.copy()
        self.services: dict[str, Any] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.clients: list[asyncio.Future[Any]] = []
        """Whoever waits for an answer of this process."""
        self.shop: Shop
        self.front: Front
        self.is_dead = False
        self.is_frozen = False
        self.steps = 0
        self.befallen_at = World.NEVER
        self._fates: list[tuple[int, int, Callable[[], None]]] = []
        self._host = machine
        world.processes.append(self)
        self._frozen: list[Any] = []

    async def start(self) -> None:
        world = self.world
        chance = random.Random(f"{world.plan.seed} {self.name}")
        self.shop = await compose(
            world.settings,
            clock=self.clock,
            chance=chance,
            entropy=chance,
            ids=Ids(clock=self.clock, sequences=self.block, chance=chance),
            wire=world.network.wire(self),
            database=self._database,
            bus=BrokerClient(world, self) if world.plan.bus == "broker" else self._local_bus(chance),
            mailer=world.letterbox,
            providers={world.provider.name: DistantProvider(world, self, world.provider)},
            passwords=Passwords(memory_kib=64, passes=1, chance=chance),
            has_pages=False,
        )
        self.front = Front(self.shop.app)
        for (service, _), inbox in self.shop.inboxes.items():
            world.watch(service, inbox)
        await self.shop.services["search"].catching_up.close()
        for relay in self.shop.relays:
            relay.start()
        for jobs in self.shop.jobs_of.values():
            self.shop.jobs.start([job for job in jobs if job.name not in LEFT_OUT])
        world.up.append(self)
        world.note("is up", self.name, None)

    def _local_bus(self, chance: random.Random) -> LocalBus:
        retries = Retries(attempts=self.world.plan.attempts)
        return LocalBus(clock=self.clock, chance=chance, retries=retries, mischief=MISCHIEF)

    def _database(self, settings: Settings, name: str, clock: Clock, ids: Ids) -> SimulatedDatabase:
        return SimulatedDatabase(world=self.world, process=self, store=self.world.stores[name], clock=clock, ids=ids)

    def soon(self, after_steps: int, fate: Callable[[], None]) -> None:
        """Have it die or freeze so many callbacks later, which may be anywhere in what it does."""
        heapq.heappush(self._fates, (self.steps + 1 + after_steps, len(self._fates), fate))
        self.befallen_at = self._fates[0][0]

    def befall(self) -> None:
        _, _, fate = heapq.heappop(self._fates)
        self.befallen_at = self._fates[0][0] if self._fates else World.NEVER
        fate()

    def spare(self) -> None:
        """Nothing befalls it any more."""
        self._fates.clear()
        self.befallen_at = World.NEVER
        self.thaw()

    def die(self) -> None:
        """At once. Whoever waits for it may find out, or may not."""
        world = self.world
        self.is_dead = True
        world.note("dies", self.name, self.steps)
        if self in world.up:
            world.up.remove(self)
        for store in world.stores.values():
            if store.forget(self):
                world.states[states.DIED_IN_TRANSACTION] += 1
        if any(not waiting.done() for waiting in self.clients):
            world.states[states.DIED_ASKED] += 1
        for waiting in self.clients:
            if not waiting.done() and world.chances["resets"].random() < 0.7:
                waiting.set_exception(Fault("connection reset"))
                waiting.exception()
        self.thaw()
        world.loop.call_later(RESTART_AFTER_S, self._host.boot, context=world.context)

    def keep(self, handle: Any) -> None:
        self._frozen.append(handle)

    def freeze(self, seconds: float) -> None:
        self.is_frozen = True
        if any(store.holding is self and store.connection.in_transaction for store in self.world.stores.values()):
            self.world.states[states.FROZE_IN_TRANSACTION] += 1
        self.world.loop.call_later(seconds, self.thaw, context=self.world.context)

    def thaw(self) -> None:
        self.is_frozen = False
        handles, self._frozen = self._frozen, []
        self.world.loop.again(handles)


class World:
    """Everything of one run."""

    NEVER = 1 << 60

    def __init__(
        self, plan: Plan, *, loop: SimulatedLoop, images: Mapping[str, bytes], folder: Path, offset_s: float = 0.0
    ) -> None:
        self.plan = plan
        self.loop = loop
        self.chances = Chances(plan.seed)
        self.context = Context()
        self.context.run(WHOSE.set, None)
        self.settings = Settings(data=str(folder), port=1)
        self.stores = {name: Store(name, image) for name, image in images.items()}
        self.clock = SimulatedClock(loop, offset_s=offset_s)
        self.network = Network(self)
        self.faults = Faults(self)
        self.broker = Broker(self)
        self.letterbox = Letterbox(self)
        self.provider = SandboxProvider(
            folder=folder,
            webhook_url="http://shop.example",
            secret=SECRET,
            clock=self.clock,
            transport=Webhooks(self),
        )
        self.provider._ledger._connection = empty_ledger()
        self.processes: list[Process] = []
        """All that there ever were."""
        self.up: list[Process] = []
        self.machines = [Machine(self, number) for number in range(plan.machines)]
        self.notes: list[tuple[float, str, Any, Any]] = []
        self.digest = blake2b(digest_size=16)
        self.emitted: dict[str, str] = {}
        """Types of all events that were committed, by id."""
        self.consumers: dict[str, list[tuple[str, str]]] = {}
        """Who hears a type of event: service and consumer."""
        self.handled: Counter[str] = Counter()
        """How often an event's effect was committed, by consumer and event id."""
        self.surprises: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        """Rare states that were seen (see states.py)."""
        self.watchers: list[Callable[[Store, Any], None]] = []
        """Told of every commit."""
        self.rested_s = 0.0
        self._leased = 0
        self._delays = self.chances["delays"]

    # Time

    async def pause(self) -> None:
        """A moment for others: what a disk or a server takes."""
        if self.plan.is_wild:
            await asyncio.sleep(0)
        else:
            await Moment(self.loop, self._delays.random() * TYPICAL_DELAY_S)

    async def pause_now_and_then(self) -> None:
        if self._delays.random() < NOW_AND_THEN:
            await self.pause()

    async def travel(self, *, is_late: bool = False, late_s: float = 3.0) -> None:
        """What a message takes to arrive."""
        if is_late:
            await Moment(self.loop, self._delays.random() * late_s)
        else:
            await self.pause()

    # What is seen

    def note(self, kind: str, what: Any, data: Any) -> None:
        self.digest.update(f"{self.loop.steps} {self.loop.time():.6f} {kind}".encode())
        self.notes.append((self.loop.time(), kind, what, data))

    def committed(self, store: Store, transaction: _SimulatedTransaction) -> None:
        for envelope in transaction.events:
            self.emitted[envelope.id] = envelope.type
        for consumer, event_id in transaction.handled:
            self.handled[f"{consumer} {event_id}"] += 1
        if any(machine.clock.offset_s != self.clock.offset_s for machine in self.machines):
            self.states[states.WRONG_CLOCK] += 1
        for watch in self.watchers:
            watch(store, transaction)

    def surprised_by(self, error: Exception, where: str) -> None:
        """Errors that no environment explains: somebody's mistake."""
        if not isinstance(error, (Fault, BusinessError, TimeoutError, Permanent)):
            self.surprises[f"{where}: {type(error).__name__}: {error}"] += 1

    def watch(self, service: str, inbox: Inbox) -> None:
        """Have it noted what its consumer does."""
        consumer = inbox._consumer
        hearers = self.consumers.setdefault(consumer.hears.type, [])
        if consumer.concerns is None and (service, consumer.name) not in hearers:
            hearers.append((service, consumer.name))

        async def handle(tx: Any, batch: Sequence[Received[Any]]) -> None:
            await consumer.handle(tx, batch)
            tx.handled += [(consumer.name, received.envelope.id) for received in batch]

        inbox._consumer = replace(consumer, handle=handle)
        deliver = inbox.deliver

        async def watched(batch: Sequence[Envelope]) -> None:
            if any(f"{consumer.name} {envelope.id}" in self.handled for envelope in batch):
                self.states[states.OFFERED_AGAIN] += 1
            await deliver(batch)

        inbox.deliver = watched  # type: ignore[method-assign]

    # What runs

    def lease_block(self) -> range:
        """A block of sequence numbers for the identifiers of one process."""
        size = SEQUENCES // BLOCKS
        number = self._leased % BLOCKS
        self._leased += 1
        return range(number * size, (number + 1) * size)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Let something run that belongs to no process."""
        return self.loop.create_task(work, context=self.context.copy())

    async def in_process(self, target: Process, act: Callable[[], Awaitable[T]], *, timeout_s: float) -> T | bool:
        """What the act answers in a process; False if that dies or takes too long."""
        waiting: asyncio.Future[T] = self.loop.create_future()

        async def work() -> None:
            answer = await act()
            if not waiting.done():
                waiting.set_result(answer)

        self.network.carry_out(target, work(), waiting)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiting
        except (TimeoutError, Fault):
            return False

    async def deliver_webhooks(self) -> None:
        """The provider's own machine at work."""
        while True:
            await self.clock.sleep(DELIVER_EVERY_S * 4)
            await self.provider.deliver()

    def door(self, actor: str) -> Any:
        """The shop's front door for a client."""
        return _Door(self, actor)

    def boot(self) -> None:
        for machine in self.machines:
            machine.boot()
        self.spawn(self.deliver_webhooks())
        self.spawn(self.faults.unfold())

    def close(self) -> None:
        """Cut everything off, so that nothing that is collected later touches anything.

        What refers to each other in rings is taken apart here, which is cheaper than to have it collected.
        """
        for machine in self.machines:
            if machine.process is not None:
                machine.process.is_dead = True
        for store in self.stores.values():
            store.holder = None
            store.connection.close()
        self.provider._ledger._disconnect()
        for process in self.processes:
            process.__dict__.pop("shop", None)
            process.__dict__.pop("front", None)
            for owned in (process.services, process.subscribers, process.clients):
                owned.clear()
        self.notes.clear()


class _Door:
    def __init__(self, world: World, actor: str) -> None:
        self._world = world
        self._actor = actor

    async def request(
        self, verb: str, path: str, body: Any = None, *, token: str = "", key: str = "", version: int | None = None
    ) -> Any:
        world = self._world
        world.note("request", f"{self._actor}: {verb} {path} {key}", body)
        try:
            reply = await world.network.request(verb, path, body, token=token, key=key, version=version)
        except Exception as error:
            world.note("no reply", f"{self._actor}: {verb} {path} {key}", error)
            raise
        world.note("reply", f"{self._actor}: {verb} {path} {key}", reply)
        return reply
