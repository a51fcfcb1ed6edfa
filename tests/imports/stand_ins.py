"""Stand-ins for the services that imports and exports talk to: they keep in memory what they are given."""

from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from hansa.kernel.errors import Fault
from hansa.kernel.page import Page
from hansa.services.inventory.contract import Inventory, Level, NoSuchStock, Stock
from hansa.services.orders.contract import Orders, OrderSummary
from hansa.services.products.contract import (
    Drafts,
    ProductDraft,
    ProductRecord,
    Products,
    PutReport,
    Text,
    VariantDraft,
)
from tests.clocks import START


@dataclass
class Catalogue:
    """Products by slug. `faults` calls fail before and `lost` calls after they have been carried out."""

    drafts: dict[str, ProductDraft] = field(default_factory=dict)
    refusing: dict[str, str] = field(default_factory=dict)
    answers: dict[str, PutReport] = field(default_factory=dict)
    sets: list[int] = field(default_factory=list)
    actors: set[str] = field(default_factory=set)
    faults: int = 0
    lost: int = 0

    async def put_many(self, *, key: str, drafts: Drafts, actor: str) -> PutReport:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(drafts), type=Drafts) == drafts
        if self.faults:
            self.faults -= 1
            raise Fault("the connection was lost on the way there")
        self.actors.add(actor)
        if key not in self.answers:
            self.sets.append(len(drafts))
            self.answers[key] = self._put(drafts)
        if self.lost:
            self.lost -= 1
            raise Fault("the connection was lost on the way back")
        return self.answers[key]

    def _put(self, drafts: tuple[ProductDraft, ...]) -> PutReport:
        outcome: dict[str, list[str]] = {"created": [], "changed": [], "unchanged": []}
        refused = {draft.slug: self.refusing[draft.slug] for draft in drafts if draft.slug in self.refusing}
        for draft in drafts:
            if draft.slug in refused:
                continue
            known = self.drafts.get(draft.slug)
            kind = "created" if known is None else "unchanged" if known == draft else "changed"
            outcome[kind].append(draft.slug)
            self.drafts[draft.slug] = draft
        return PutReport(**{kind: tuple(slugs) for kind, slugs in outcome.items()}, refused=refused)

    async def records(self, *, limit: int, cursor: str | None) -> Page[ProductRecord]:
        start = int(cursor or 0)
        drafts = list(self.drafts.values())
        items = tuple(
            ProductRecord(id=str(start + place + 1), version=1, draft=draft, created_at=START, updated_at=START)
            for place, draft in enumerate(drafts[start : start + limit])
        )
        more = start + limit
        return Page(items=items, next_cursor=str(more) if more < len(drafts) else None)

    def fill(self, count: int) -> None:
        for number in range(count):
            text, variant = Text(name=f"Product {number}"), VariantDraft(sku=f"P-{number}")
            self.drafts[f"p-{number}"] = ProductDraft(slug=f"p-{number}", texts={"en": text}, variants=(variant,))

    @property
    def client(self) -> Products:
        return cast(Products, self)


@dataclass
class Warehouse:
    """Pieces by sku, each set once per key. It can be told to fail the next calls of set_many."""

    pieces: dict[str, int] = field(default_factory=dict)
    refusing: dict[str, str] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], str | None] = field(default_factory=dict)
    faults: int = 0

    async def set_many(self, *, key: str, on_hand: dict[str, int], actor: str, location: str) -> dict[str, str]:
        assert len(on_hand) <= 200
        if self.faults:
            self.faults -= 1
            raise Fault("the connection was lost on the way there")
        for sku, pieces in on_hand.items():
            if (key, sku) not in self.outcomes:
                self.outcomes[key, sku] = self.refusing.get(sku)
                if sku not in self.refusing:
                    self.pieces[sku] = pieces
        return {sku: code for sku in on_hand if (code := self.outcomes[key, sku]) is not None}

    async def available(self, *, skus: tuple[str, ...], locations: tuple[str, ...]) -> dict[str, int]:
        assert len(skus) <= 200
        return {sku: self.pieces.get(sku, 0) for sku in skus}

    async def stocks(self, *, skus: tuple[str, ...]) -> tuple[Stock, ...]:
        assert len(skus) <= 200
        return tuple([await self.stock(sku=sku) for sku in skus if sku in self.pieces])

    async def stock(self, *, sku: str) -> Stock:
        if sku not in self.pieces:
            raise NoSuchStock(sku=sku)
        counts: dict[str, Any] = {"on_hand": self.pieces[sku], "reserved": 0, "sold": 0, "available": self.pieces[sku]}
        return Stock(sku=sku, version=1, levels=(Level(location="main", **counts),), **counts)

    @property
    def client(self) -> Inventory:
        return cast(Inventory, self)


class Counter:
    """Where nothing has been ordered yet."""

    async def list_for_staff(self, *, limit: int, cursor: str | None) -> Page[OrderSummary]:
        return Page(items=())

    @property
    def client(self) -> Orders:
        return cast(Orders, self)
