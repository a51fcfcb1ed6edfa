"""Notifications with webhooks, as one or several processes have them, for tests."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
from sqlalchemy import select

from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids
from hansa.kernel.money import Money
from hansa.platform.database.platform_tables import AUDIT, COMMANDS, INBOX
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from hansa.platform.mail.port import Mail
from hansa.platform.messaging.port import Consumer
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outgoing.addresses import flaw_of
from hansa.platform.outgoing.port import Answered, Flaw, Poster
from hansa.platform.rpc.local import local
from hansa.platform.security import sealing
from hansa.platform.security.sealing import Keyring
from hansa.services.inventory.events import AvailabilityChanged
from hansa.services.notifications.consumers import consumers, event_types
from hansa.services.notifications.contract import Delivery, Notifications, WebhookDraft, WebhookSecret
from hansa.services.notifications.service import NotificationsService
from hansa.services.notifications.tables import METADATA, WEBHOOK_DELIVERIES, WEBHOOK_MESSAGES, WEBHOOKS
from hansa.services.orders.events import OrderPlaced
from tests import databases
from tests.clocks import ManualClock

STAFF = "user:1"
URL = "https://merchant.example.com/hook"
PLACED, CHANGED = OrderPlaced.type, AvailabilityChanged.type
EVERYTHING = [Statement(select(table)) for table in (WEBHOOKS, WEBHOOK_MESSAGES, WEBHOOK_DELIVERIES, AUDIT, COMMANDS)]
NOTES = Statement(select(INBOX))


@dataclass
class Letterbox:
    """No mail is of interest here."""

    async def send(self, mail: Mail) -> None: ...


@dataclass(kw_only=True)
class Sent:
    """A request as it would go out."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Merchants:
    """All receivers in one: answers as told by URL, 204 by default; an exception is raised."""

    sent: list[Sent] = field(default_factory=list)
    says: dict[str, Sequence[Answered | int | Exception]] = field(default_factory=dict)

    def flaw(self, *, url: str) -> Flaw | None:
        return flaw_of(url, may_be_private=False)

    async def post(self, *, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        self.sent.append(Sent(url=url, headers=headers, body=body))
        said = list(self.says.get(url, (204,)))
        if len(said) > 1:
            self.says[url] = said[1:]
        if isinstance(said[0], Exception):
            raise said[0]
        return Answered(status=said[0]) if isinstance(said[0], int) else said[0]

    async def close(self) -> None: ...


@dataclass
class Desk:
    """A process of notifications, and what stands around it."""

    database: Database
    keyring: Keyring
    clock: ManualClock
    ids: Ids
    poster: Poster
    wire: Any = local
    lease_s: float = 0
    service: NotificationsService = field(init=False)
    _keys: int = 0

    def __post_init__(self) -> None:
        self.service = self.process()

    def process(self) -> NotificationsService:
        """Another one at the same database."""
        return NotificationsService(
            database=self.database,
            clock=self.clock,
            ids=self.ids,
            keyring=self.keyring,
            mailer=Letterbox(),
            poster=self.poster,
            event_types=event_types(),
            public_url="https://shop.example",
            shop_name="Elster",
            lease_s=self.lease_s,
        )

    @property
    def client(self) -> Notifications:
        client: Notifications = self.wire(Notifications, self.service)
        return client

    def key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    async def create(self, url: str = URL, *types: str) -> WebhookSecret:
        return await self.client.create_webhook(key=self.key(), draft=WebhookDraft(url=url, types=types), actor=STAFF)

    def event(self, event: Event, *, slot: int = 7) -> Envelope:
        return Envelope(
            id=self.ids.new(slot=slot),
            type=event.type,
            source=event.type.partition(".")[0],
            time=self.clock.now(),
            slot=slot,
            aggregate="1",
            body=msgspec.Raw(msgspec.json.encode(event)),
        )

    def placed(self, *, slot: int = 7, contact: str = "") -> Envelope:
        return self.event(
            OrderPlaced(
                order_id="7",
                number="0K4F9-ABCDE-1234",
                cart_id=None,
                lines=(),
                subtotal=Money(3998, "EUR"),
                total=Money(4498, "EUR"),
                locale="en",
                person="order:7",
                contact=contact,
            ),
            slot=slot,
        )

    def changed(self, sku: str = "HAT") -> Envelope:
        return self.event(AvailabilityChanged(sku=sku, location="main", is_available=True))

    async def hear(self, *envelopes: Envelope, service: NotificationsService | None = None) -> None:
        """As the bus would deliver them, without what is set going by it."""
        for envelope in envelopes:
            for consumer in consumers(service or self.service):
                if consumer.hears.type == envelope.type and ".webhooks_" in consumer.name:
                    quiet = Consumer(
                        name=consumer.name, hears=consumer.hears, handle=consumer.handle, concerns=consumer.concerns
                    )
                    await Inbox(database=self.database, consumer=quiet, clock=self.clock).deliver([envelope])

    async def send(self, service: NotificationsService | None = None) -> None:
        """Send what is due now."""
        service = service or self.service
        await service.look()
        await service.quiet()

    async def log(self, **wanted: Any) -> tuple[Delivery, ...]:
        return (await self.client.deliveries(limit=100, **wanted)).items

    async def everything(self) -> str:
        """All that rests in the database, as text."""
        rows = [row for statement in EVERYTHING for row in await self.database.all(statement)]
        return "\n".join(str(tuple(cast("Iterable[object]", row))) for row in rows)

    async def audited(self) -> list[str]:
        return [row["action"] for row in await self.database.all(EVERYTHING[3])]

    async def notes(self) -> int:
        """Rows in the inbox."""
        return len(await self.database.all(NOTES))


@asynccontextmanager
async def open_desk(
    *, engine: str, folder: Path, dsn: str | None = None, poster: Poster | None = None, **options: Any
) -> AsyncIterator[Desk]:
    clock = options.pop("clock", None) or ManualClock()
    ids = Ids(clock=clock)
    async with (
        databases.opened(
            engine=engine, name="notifications", metadata=METADATA, folder=folder, dsn=dsn, clock=clock, ids=ids
        ) as database,
        databases.opened(
            engine=databases.SQLITE, name="keys", metadata=sealing.METADATA, folder=folder, clock=clock, ids=ids
        ) as keys,
    ):
        keyring = Keyring(database=keys, master=bytes(range(32)), clock=clock)
        desk = Desk(database=database, keyring=keyring, clock=clock, ids=ids, poster=poster or Merchants(), **options)
        try:
            yield desk
        finally:
            await desk.service.close()
