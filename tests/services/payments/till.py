"""A till for tests: the service on a database, the real sandbox as its provider, and ways to disturb both."""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hansa.kernel.errors import Fault
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids
from hansa.kernel.money import Money
from hansa.platform.database.platform_tables import UNSENT_EVENTS
from hansa.platform.database.port import Database, Reader, Transaction
from hansa.platform.jobs.periodic import Job
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.providers.payments import Answer, Notice, PaymentProvider, ProviderSilent, RefundAnswer
from hansa.platform.providers.sandbox import SandboxProvider
from hansa.platform.rpc.local import local, twice
from hansa.platform.security import sealing
from hansa.platform.security.sealing import Keyring
from hansa.services.orders.events import OrderCancelled, OrderRejected
from hansa.services.payments.consumers import consumers
from hansa.services.payments.contract import Payment, Payments
from hansa.services.payments.service import PaymentsService
from hansa.services.payments.tables import METADATA
from tests import databases
from tests.clocks import ManualClock

T = TypeVar("T")
E = TypeVar("E", bound=Event)

SECRET = b"a secret of some thirty-two bytes"
WIRES: dict[str, Any] = {"local": local, "twice": twice}
PRICE = Money(1999, "EUR")
SWEEP_S = 5


class Killed(BaseException):
    """The process died here."""


async def dies(act: Awaitable[object], *, database: "Mortal") -> bool:
    """Whether the process dies of it, alone, among tasks that go on beside it, or in a batch that serves several."""
    try:
        await act
    except Killed:
        return True
    except Fault:
        if not database.is_dead:
            raise
    except BaseExceptionGroup as group:
        if (rest := group.split(Killed)[1]) is not None:
            raise rest from None
        return True
    return database.is_dead


class Disturbed:
    """A provider behind a bad line: `plan` names for coming calls what goes wrong, and when."""

    name = "sandbox"

    def __init__(self, provider: PaymentProvider) -> None:
        self._provider = provider
        self.plan: dict[str, list[tuple[str, BaseException] | None]] = defaultdict(list)
        self.calls: Counter[str] = Counter()

    def disturb(self, call: str, when: str, error: BaseException | None = None) -> None:
        """`when` is `before` or `after` the provider acts."""
        self.plan[call].append((when, error or ProviderSilent("a bad line")))

    async def charge(self, *, key: str, token: str, amount: Money, capture: bool) -> Answer:
        return await self._pass(
            "charge", lambda: self._provider.charge(key=key, token=token, amount=amount, capture=capture)
        )

    async def capture(self, *, key: str, reference: str) -> Answer:
        return await self._pass("capture", lambda: self._provider.capture(key=key, reference=reference))

    async def void(self, *, key: str, reference: str) -> Answer:
        return await self._pass("void", lambda: self._provider.void(key=key, reference=reference))

    async def refund(self, *, key: str, reference: str, amount: Money) -> RefundAnswer:
        return await self._pass("refund", lambda: self._provider.refund(key=key, reference=reference, amount=amount))

    async def find(self, *, key: str) -> Answer | None:
        return await self._pass("find", lambda: self._provider.find(key=key))

    def read_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        return self._provider.read_webhook(headers=headers, body=body, now=now)

    def jobs(self) -> Sequence[Job]:
        return self._provider.jobs()

    async def close(self) -> None: ...

    async def _pass(self, call: str, act: Callable[[], Awaitable[T]]) -> T:
        self.calls[call] += 1
        when, error = (self.plan[call].pop(0) if self.plan[call] else None) or ("", None)
        if error is not None and when == "before":
            raise error
        try:
            return await act()
        finally:
            if error is not None:
                raise error


class Mortal(Database):
    """A database whose process dies before or after one of the next commits."""

    def __init__(self, database: Database) -> None:
        self.name = database.name
        self._database = database
        self._doom: tuple[int, str] | None = None
        self.is_dead = False

    def die(self, *, at_write: int, when: str) -> None:
        """`at_write` counts from 1; `when` is `before` or `after` its commit."""
        self._doom = (at_write, when)

    def live(self) -> None:
        self._doom = None
        self.is_dead = False

    @asynccontextmanager
    async def write(self, *slots: int) -> AsyncIterator[Transaction]:
        when = ""
        if self.is_dead:
            raise Killed
        if self._doom is not None:
            left, when_doomed = self._doom
            self._doom = (left - 1, when_doomed)
            when = when_doomed if left == 1 else ""
        async with self._database.write(*slots) as tx:
            yield tx
            if when == "before":
                self.is_dead = True
                raise Killed
        if when == "after":
            self.is_dead = True
            raise Killed

    @asynccontextmanager
    async def read(self, *slots: int) -> AsyncIterator[Reader]:
        async with self._database.read(*slots) as reader:
            yield reader

    async def open(self) -> None: ...

    async def close(self) -> None: ...


@dataclass
class Till:
    """Everything a test needs. `payments` is the client under the test's wire."""

    clock: ManualClock
    ids: Ids
    database: Mortal
    keyring: Keyring
    sandbox: SandboxProvider
    provider: Disturbed
    wire: Any
    payments: Payments = field(init=False)
    service: PaymentsService = field(init=False)
    is_deaf: bool = False
    """Whether webhooks are lost on their way."""
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process over the same data."""
        self.database.live()
        self.service = PaymentsService(
            database=self.database,
            providers={"sandbox": self.provider},
            keyring=self.keyring,
            clock=self.clock,
            ids=self.ids,
        )
        self.payments = self.wire(Payments, self.service)

    def order(self) -> str:
        return self.ids.new(slot=random.Random(self.ids.secret()).randrange(4096))

    async def charge(self, order_id: str, token: str = "tok_success", amount: Money = PRICE) -> Payment:
        return await self.payments.charge(
            key=order_id, order_id=order_id, provider="sandbox", token=token, amount=amount
        )

    async def authorize(self, order_id: str, token: str = "tok_success", amount: Money = PRICE) -> Payment:
        return await self.payments.authorize(
            key=order_id, order_id=order_id, provider="sandbox", token=token, amount=amount
        )

    async def close(self, order_id: str, *, is_rejection: bool = False) -> None:
        """Let the service hear, through its inbox, that the order came to nothing, and do what follows."""
        type_ = OrderRejected if is_rejection else OrderCancelled
        await self.hear(type_(order_id=order_id, reason="changed my mind"))
        await self.service.following_up.quiet()

    async def hear(self, event: OrderRejected | OrderCancelled) -> None:
        envelope = Envelope(
            id=self.ids.new(slot=1),
            type=event.type,
            source="orders",
            time=self.clock.now(),
            slot=1,
            aggregate=event.order_id,
            body=msgspec.Raw(msgspec.json.encode(event)),
        )
        [consumer] = [consumer for consumer in consumers(self.service) if consumer.hears is type(event)]
        await Inbox(database=self.database, consumer=consumer, clock=self.clock).deliver([envelope])

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, with every job at its time."""
        steps, rest = divmod(seconds, SWEEP_S)
        for _ in range(int(steps)):
            self.clock.advance(SWEEP_S)
            await self.work()
        self.clock.advance(rest)

    async def work(self) -> None:
        for job in self.service.jobs():
            await job.run()

    async def post(self, *, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """How the sandbox's webhooks come in."""
        self.posted.append((dict(headers), body))
        if self.is_deaf:
            raise ConnectionError("nobody listens")
        await self.payments.hear(key=self.ids.new(slot=0), provider="sandbox", headers=dict(headers), body=body)
        return 204

    async def events(self, type_: type[E], order_id: str) -> list[E]:
        rows = await self.database.all(UNSENT_EVENTS, limit=10_000)
        envelopes = [msgspec.json.decode(row["envelope"], type=Envelope) for row in rows]
        return [
            msgspec.json.decode(envelope.body, type=type_)
            for envelope in envelopes
            if envelope.type == type_.type and envelope.aggregate == order_id
        ]

    async def books(self, order_id: str) -> Counter[str]:
        """The sums in the provider's ledger, by kind."""
        sums: Counter[str] = Counter()
        for entry in await self.sandbox.entries():
            if entry.key == order_id:
                sums[entry.kind] += entry.amount.amount
        return sums


@asynccontextmanager
async def opened_till(
    *, engine: str, wire: str, folder: Path, dsn: str | None, clock: ManualClock | None = None, ids: Ids | None = None
) -> AsyncIterator[Till]:
    clock = clock or ManualClock()
    ids = ids or Ids(clock=clock)
    shared: dict[str, Any] = {"engine": engine, "folder": folder, "dsn": dsn, "clock": clock, "ids": ids}
    async with (
        databases.opened(name="payments", metadata=METADATA, **shared) as database,
        databases.opened(name="keyring", metadata=sealing.METADATA, **shared) as keys,
    ):

        async def post(*, url: str, headers: Mapping[str, str], body: bytes) -> int:
            return await till.post(url=url, headers=headers, body=body)

        sandbox = SandboxProvider(
            folder=folder / "sandbox",
            webhook_url="http://127.0.0.1/",
            secret=SECRET,
            clock=clock,
            transport=post,
            silence_s=0,
        )
        till = Till(
            clock=clock,
            ids=ids,
            database=Mortal(database),
            keyring=Keyring(database=keys, master=bytes(32), clock=clock),
            sandbox=sandbox,
            provider=Disturbed(sandbox),
            wire=WIRES[wire],
        )
        try:
            yield till
        finally:
            await sandbox.close()
