"""Search with its tables and its index, hearing of products as from the bus; the products themselves stand in."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.kernel.channel import Channel
from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids, slot_of
from hansa.kernel.page import Page
from hansa.platform.database.port import Database
from hansa.platform.messaging.port import Consumer
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.rpc.local import local, twice
from hansa.services.products.contract import ProductDraft, ProductRecord
from hansa.services.products.events import ProductPut, VariantAvailabilityChanged
from hansa.services.search.consumers import consumers
from hansa.services.search.contract import Results, Search
from hansa.services.search.service import SearchService
from hansa.services.search.tables import METADATA
from tests import databases
from tests.clocks import ManualClock
from tests.services.search import catalogue

CHANNEL = Channel(currencies=("USD", "EUR"), locales=("en", "zh"))
IN_ENGLISH: dict[str, Any] = {"locale": "en", "currency": "USD"}


@dataclass
class ProductsStandIn:
    """Tells of the products that it was given, in pages of two."""

    truth: list[ProductRecord] = field(default_factory=list)

    async def records(self, *, limit: int = 100, cursor: str | None = None) -> Page[ProductRecord]:
        start = int(cursor or 0)
        page = tuple(self.truth[start : start + 2])
        return Page(items=page, next_cursor=str(start + 2) if start + 2 < len(self.truth) else None)


@dataclass
class World:
    """The service, a client of it, and what it hears."""

    database: Database
    folder: Path
    clock: ManualClock
    ids: Ids
    wire: Any = local
    products: ProductsStandIn = field(default_factory=ProductsStandIn)
    ids_by_slug: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """A process that begins with what is in the folder and the tables."""
        self.service = SearchService(
            database=self.database,
            clock=self.clock,
            products=self.products,  # type: ignore[arg-type]
            channel=CHANNEL,
            folder=self.folder,
        )
        self.search: Search = self.wire(Search, self.service)

    def record(self, draft: ProductDraft, **facts: Any) -> ProductRecord:
        self.clock.advance(1)  # so that the order in which products were made is known
        product_id = self.ids_by_slug.setdefault(draft.slug, self.ids.new(slot=len(self.ids_by_slug) % 7))
        return catalogue.record(product_id, draft, **facts)

    def put_event(self, record: ProductRecord) -> Envelope:
        draft = record.draft
        event = ProductPut(
            product_id=record.id,
            slug=draft.slug,
            skus=tuple(each.sku for each in draft.variants),
            is_active=draft.status == "active",
            record=record,
        )
        return self.envelope(event, aggregate=record.id, version=record.version)

    def flip_event(self, slug: str, sku: str, is_available: bool, *, version: int) -> Envelope:
        product_id = self.ids_by_slug.setdefault(slug, self.ids.new(slot=len(self.ids_by_slug) % 7))
        event = VariantAvailabilityChanged(product_id=product_id, sku=sku, is_available=is_available)
        return self.envelope(event, aggregate=sku, version=version, slot=slot_of(product_id))

    def envelope(self, event: Event, *, aggregate: str, version: int, slot: int | None = None) -> Envelope:
        slot = slot_of(aggregate) if slot is None else slot
        return Envelope(
            id=self.ids.new(slot=slot),
            type=event.type,
            source="products",
            time=self.clock.now(),
            slot=slot,
            aggregate=aggregate,
            version=version,
            body=msgspec.Raw(msgspec.json.encode(event)),
        )

    async def hear(self, *envelopes: Envelope) -> None:
        """Deliver events, and let the index catch up."""
        for consumer in consumers(self.service):
            heard = [envelope for envelope in envelopes if envelope.type == consumer.hears.type]
            if heard:
                alone = Consumer(name=consumer.name, hears=consumer.hears, handle=consumer.handle)
                await Inbox(database=self.database, consumer=alone, clock=self.clock).deliver(heard)
        await self.service.catch_up()

    async def put(self, *drafts: ProductDraft, **facts: Any) -> None:
        await self.hear(*(self.put_event(self.record(draft, **facts)) for draft in drafts))

    async def find(self, q: str = "", **asked: Any) -> Results:
        return await self.search.search(q=q, **{**IN_ENGLISH, **asked})

    async def slugs(self, q: str = "", **asked: Any) -> list[str]:
        return slugs(await self.find(q, **asked))

    async def rebuilt(self) -> None:
        """Build anew, and wait for the end."""
        await self.search.rebuild(key=f"rebuild {self.clock.monotonic()}")
        assert self.service.rebuilding is not None
        await self.service.rebuilding


def slugs(results: Results) -> list[str]:
    return [item.slug for item in results.items]


async def opened_world(
    request: pytest.FixtureRequest, folder: Path, *, engine: str = databases.SQLITE, wire: Any = local
) -> AsyncIterator[World]:
    dsn = request.getfixturevalue("postgres_dsn") if engine == databases.POSTGRES else None
    clock = ManualClock()
    ids = Ids(clock=clock)
    async with databases.opened(
        engine=engine, name="search", metadata=METADATA, folder=folder, dsn=dsn, clock=clock, ids=ids
    ) as database:
        world = World(database=database, folder=folder / "search", clock=clock, ids=ids, wire=wire)
        try:
            yield world
        finally:
            await world.service.close()


WORLDS: Sequence[tuple[str, Any]] = (
    (databases.SQLITE, local),
    (databases.SQLITE, twice),
    (databases.POSTGRES, twice),
)


@pytest.fixture(params=WORLDS, ids=lambda world: f"{world[0]}-{world[1].__name__}")
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """On each engine, behind each wire."""
    engine, wire = request.param
    async for opened in opened_world(request, tmp_path, engine=engine, wire=wire):
        yield opened


@pytest.fixture
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """With some of everything in it."""
    async for opened in opened_world(request, tmp_path):
        await opened.put(*catalogue.SHOP)
        yield opened
