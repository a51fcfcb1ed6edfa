"""A front page with what it hears written by hand: products, availability and orders, in whatever order."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from hansa.kernel.event import Envelope, Event
from hansa.kernel.ids import Ids, slot_of
from hansa.kernel.money import Money
from hansa.kernel.page import Page
from hansa.platform.database.port import Database
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.rpc.local import local
from hansa.services.home.consumers import consumers
from hansa.services.home.contract import Front, Home
from hansa.services.home.service import HomeService
from hansa.services.home.tables import METADATA
from hansa.services.orders.events import OrderCancelled, OrderPlaced, SoldLine
from hansa.services.products.contract import (
    Availability,
    CategoryDraft,
    ImageDraft,
    PriceDraft,
    ProductDraft,
    ProductRecord,
    Products,
    Text,
    VariantDraft,
)
from hansa.services.products.events import ProductPut, VariantAvailabilityChanged
from tests.clocks import ManualClock
from tests.databases import opened

IN_ENGLISH: dict[str, Any] = {"locale": "en", "currency": "USD"}
DAY_S = 86_400
PAGE = 2
"""Records on a page of the stand-in, so that rebuilding turns pages."""


class Catalogue:
    """Products as home asks them: to build anew, and at no other time."""

    def __init__(self) -> None:
        self.all: list[ProductRecord] = []
        self.is_dead = False

    async def records(self, *, limit: int = PAGE, cursor: str | None = None) -> Page[ProductRecord]:
        if self.is_dead:
            raise ConnectionError("products are dead")
        start = int(cursor or 0)
        end = start + PAGE
        return Page(items=tuple(self.all[start:end]), next_cursor=str(end) if end < len(self.all) else None)


@dataclass(kw_only=True)
class Window:
    """The service, and the hand that writes what it hears."""

    database: Database
    clock: ManualClock
    ids: Ids
    service: HomeService
    home: Home
    catalogue: Catalogue
    keys: int = field(default=0)

    def key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    async def page(self, **asked: Any) -> Front:
        return await self.home.page(**(IN_ENGLISH | asked))

    async def hear(self, *envelopes: Envelope) -> None:
        """Deliver events, each to whom it is for, in batches of a type as they come."""
        inboxes = {
            consumer.hears.type: Inbox(database=self.database, consumer=consumer, clock=self.clock)
            for consumer in consumers(self.service)
        }
        batch: list[Envelope] = []
        for envelope in envelopes:
            if batch and batch[0].type != envelope.type:
                await inboxes[batch[0].type].deliver(batch)
                batch = []
            batch.append(envelope)
        if batch:
            await inboxes[batch[0].type].deliver(batch)

    def said(self, event: Event, *, aggregate: str, version: int = 1, at: datetime | None = None) -> Envelope:
        slot = slot_of(aggregate) if aggregate.isdigit() else 7
        return Envelope(
            id=self.ids.new(slot=slot),
            type=event.type,
            source="elsewhere",
            time=at or self.clock.now(),
            slot=slot,
            aggregate=aggregate,
            version=version,
            body=msgspec.Raw(msgspec.json.encode(event)),
        )

    def put(self, record: ProductRecord) -> Envelope:
        event = ProductPut(
            product_id=record.id,
            slug=record.draft.slug,
            skus=tuple(variant.sku for variant in record.draft.variants),
            is_active=record.draft.status == "active",
            record=record,
        )
        return self.said(event, aggregate=record.id, version=record.version)

    def available(self, product_id: str, sku: str, is_available: bool, *, version: int) -> Envelope:
        event = VariantAvailabilityChanged(product_id=product_id, sku=sku, is_available=is_available)
        return msgspec.structs.replace(
            self.said(event, aggregate=sku, version=version), slot=slot_of(product_id), aggregate=sku
        )

    def placed(self, pieces: Mapping[str, int], *, order_id: str = "", at: datetime | None = None) -> Envelope:
        order_id = order_id or self.ids.new(slot=3)
        total = Money(100, "USD")
        event = OrderPlaced(
            order_id=order_id,
            number="N",
            cart_id=None,
            lines=tuple(
                SoldLine(
                    sku=f"S{number}",
                    product_id=product_id,
                    name="A thing",
                    quantity=quantity,
                    unit_price=total,
                    total=total,
                    seller_id="shop",
                )
                for number, (product_id, quantity) in enumerate(pieces.items())
            ),
            subtotal=total,
            total=total,
            locale="en",
            person="1",
            contact="sealed",
        )
        return self.said(event, aggregate=order_id, at=at)

    def cancelled(self, order_id: str, *, at: datetime | None = None) -> Envelope:
        return self.said(OrderCancelled(order_id=order_id, reason="changed mind"), aggregate=order_id, at=at)

    def record(
        self,
        slug: str,
        *,
        product_id: str = "",
        version: int = 1,
        available: bool | Mapping[str, tuple[bool, int]] = True,
        created_at: datetime | None = None,
        **parts: Any,
    ) -> ProductRecord:
        """A product of one variant that can be had, unless said otherwise."""
        parts.setdefault("texts", {"en": Text(name=slug.title())})
        parts.setdefault("variants", (variant(slug.upper()),))
        draft = ProductDraft(slug=slug, **parts)
        if isinstance(available, bool):
            available = {each.sku: (available, 1) for each in draft.variants}
        return ProductRecord(
            id=product_id or self.ids.new(slot=len(slug)),
            version=version,
            draft=draft,
            availability={
                sku: Availability(is_available=flag, version=count) for sku, (flag, count) in available.items()
            },
            created_at=created_at or self.clock.now(),
            updated_at=self.clock.now(),
        )


@asynccontextmanager
async def window_on(engine: str, folder: Path, dsn: str | None = None, wire: Any = local) -> AsyncIterator[Window]:
    clock = ManualClock()
    ids = Ids(clock=clock)
    catalogue = Catalogue()
    async with opened(
        engine=engine, name="home", metadata=METADATA, folder=folder, dsn=dsn, clock=clock, ids=ids
    ) as database:
        service = HomeService(
            database=database,
            clock=clock,
            ids=ids,
            products=local(Products, catalogue),
            default_locale="en",
        )
        yield Window(
            database=database, clock=clock, ids=ids, service=service, home=wire(Home, service), catalogue=catalogue
        )


def variant(sku: str, *prices: PriceDraft, **facts: Any) -> VariantDraft:
    return VariantDraft(sku=sku, prices=prices or (usd(1000),), **facts)


def usd(amount: int, **terms: Any) -> PriceDraft:
    return PriceDraft(amount=amount, currency="USD", **terms)


def category(path: str) -> tuple[CategoryDraft, ...]:
    return tuple(
        CategoryDraft(slug=slug, names={"en": slug.title(), "zh": f"{slug}（中）"}) for slug in path.split("/")
    )


def image(name: str) -> ImageDraft:
    return ImageDraft(url=f"/media/{name}.jpg", alt={"en": f"A {name}", "zh": f"{name}（中）"})


def shuffled(envelopes: Sequence[Envelope], *, chance: random.Random) -> list[Envelope]:
    return chance.sample(list(envelopes), len(envelopes))


def slugs(items: Sequence[Any]) -> list[str]:
    return [item.slug for item in items]


def counts(front: Front) -> dict[str, int]:
    """Products by category."""
    return Counter({category.path: category.products for top in front.categories for category in (top, *top.children)})
