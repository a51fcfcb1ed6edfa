"""A name has one product and a change is based on what was there, in whatever order two who write products meet."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hansa.platform.database.port import Database
from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.pictures import Pictures
from hansa.services.products.contract import (
    ProductChanged,
    ProductDraft,
    ProductPatch,
    ProductRecord,
    SkuTaken,
    SlugTaken,
)
from hansa.services.products.service import ProductsService
from tests.isolation.ground import Ground
from tests.isolation.stepping import Explored, Scene, explore
from tests.services.products.drafts import hat, variant

STAFF = "user:1"


class Catalogue:
    """Products of one process that prepares, and of two that meet."""

    def __init__(self, ground: Ground, doors: Sequence[Database], folder: Path) -> None:
        self.ground = ground
        pictures = Pictures(files=FolderFiles(folder=folder))
        self.one, self.two, self.three = [
            ProductsService(database=door, clock=ground.clock, ids=ids, pictures=pictures, default_locale="en")
            for door, ids in zip(doors, ground.ids_of_all, strict=True)
        ]
        self.made = 0

    def name(self) -> str:
        """What nothing is called yet."""
        self.made += 1
        return f"hat-{self.ground.day}-{self.made}"

    def create(self, products: ProductsService, draft: ProductDraft, *, key: str = "") -> Awaitable[ProductRecord]:
        return products.create(key=f"{draft.slug} {key or draft.variants[0].sku}", draft=draft, actor=STAFF)

    def change(
        self, products: ProductsService, record: ProductRecord, *, version: int | None = None, **patch: Any
    ) -> Awaitable[ProductRecord]:
        return products.change(
            key=f"{record.id} {patch}", product_id=record.id, patch=ProductPatch(**patch), version=version, actor=STAFF
        )

    async def explore(self, prepare: Any) -> Explored:
        return await explore(self.ground.stage, prepare)


@pytest.fixture
async def catalogue(ground: Ground, tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with ground.database("products") as database:
        yield Catalogue(ground, (database, *ground.stepped(database)), tmp_path)


async def test_a_slug_taken_twice_at_once_is_of_one_product(catalogue: Catalogue) -> None:
    async def prepare() -> Scene:
        slug = catalogue.name()
        drafts = [hat(slug, variants=(variant(f"{slug}-{size}"),)) for size in ("S", "M")]

        async def check(*outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {ProductRecord, SlugTaken}
            [made] = [outcome for outcome in outcomes if isinstance(outcome, ProductRecord)]
            assert await catalogue.one.record(product_id=made.id) == made

        return Scene(
            (
                lambda: catalogue.create(catalogue.two, drafts[0]),
                lambda: catalogue.create(catalogue.three, drafts[1]),
            ),
            check,
        )

    explored = await catalogue.explore(prepare)
    assert len(explored.outcomes) == 2
    assert explored.waits > 0


async def test_a_sku_taken_twice_at_once_is_of_one_product(catalogue: Catalogue) -> None:
    async def prepare() -> Scene:
        sku = catalogue.name()
        drafts = [hat(f"{sku}-{kind}", variants=(variant(sku),)) for kind in ("a", "b")]

        async def check(*outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {ProductRecord, SkuTaken}

        return Scene(
            (
                lambda: catalogue.create(catalogue.two, drafts[0]),
                lambda: catalogue.create(catalogue.three, drafts[1]),
            ),
            check,
        )

    explored = await catalogue.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_a_draft_put_twice_with_one_key_is_one_product(catalogue: Catalogue) -> None:
    async def prepare() -> Scene:
        draft = hat(catalogue.name())

        async def check(first: Any, second: Any) -> None:
            assert first == second

        return Scene(
            (lambda: catalogue.create(catalogue.two, draft), lambda: catalogue.create(catalogue.three, draft)), check
        )

    await catalogue.explore(prepare)


async def test_two_changes_of_one_version_are_one_change(catalogue: Catalogue) -> None:
    async def prepare() -> Scene:
        record = await catalogue.create(catalogue.one, hat(catalogue.name()))

        async def check(*outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {ProductRecord, ProductChanged}
            [made] = [outcome for outcome in outcomes if isinstance(outcome, ProductRecord)]
            assert await catalogue.one.record(product_id=record.id) == made
            assert made.version == record.version + 1

        return Scene(
            (
                lambda: catalogue.change(catalogue.two, record, version=record.version, brand="one"),
                lambda: catalogue.change(catalogue.three, record, version=record.version, brand="other"),
            ),
            check,
        )

    explored = await catalogue.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_changes_of_different_parts_at_once_are_both_made(catalogue: Catalogue) -> None:
    async def prepare() -> Scene:
        record = await catalogue.create(catalogue.one, hat(catalogue.name()))

        async def check(*_: Any) -> None:
            now = await catalogue.one.record(product_id=record.id)
            assert (now.draft.brand, now.draft.attributes, now.version) == ("Cap", {"felt": True}, record.version + 2)

        return Scene(
            (
                lambda: catalogue.change(catalogue.two, record, brand="Cap"),
                lambda: catalogue.change(catalogue.three, record, attributes={"felt": True}),
            ),
            check,
        )

    await catalogue.explore(prepare)
