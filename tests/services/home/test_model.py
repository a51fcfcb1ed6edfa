"""Whatever comes, in whatever order and however often: the page is what a reckoning over all of it would show."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from hansa.kernel.event import Envelope
from hansa.platform.database.statement import Statement
from hansa.services.home.contract import Front
from hansa.services.home.tables import METADATA
from hansa.services.products.contract import ProductRecord
from tests.databases import POSTGRES, SQLITE
from tests.services.home.conftest import emptied
from tests.services.home.window_shop import DAY_S, Window, category, counts, image, slugs, variant, window_on

NUMBERS = range(4)
SKUS = ("S", "M")
PATHS = ("", "tops", "tops/shirts", "hats/wool/flat")
DAYS = 45
"""The last of the orders may be as old; the page counts 30."""
_EMPTY = [Statement(delete(table)) for table in METADATA.tables.values()]


class Put(NamedTuple):
    """One version of a product."""

    is_active: bool
    path: str
    skus: tuple[str, ...]
    has_picture: bool


class Bought(NamedTuple):
    """An order: pieces by number of product, so many days ago, and perhaps cancelled so many days after."""

    pieces: dict[int, int]
    days_ago: int
    cancelled_after: int | None


class Story(NamedTuple):
    """All that happened, by number of product where it belongs to one, and how it was told."""

    puts: tuple[tuple[Put, ...], ...]
    words: tuple[dict[str, tuple[bool, ...]], ...]
    orders: tuple[Bought, ...]
    seed: int


puts = st.builds(
    Put,
    st.booleans(),
    st.sampled_from(PATHS),
    st.sampled_from([("S",), ("M",), ("S", "M")]),
    st.booleans(),
)
words = st.fixed_dictionaries({sku: st.lists(st.booleans(), max_size=3).map(tuple) for sku in SKUS})
orders = st.builds(
    Bought,
    st.dictionaries(st.sampled_from(NUMBERS), st.integers(1, 3), min_size=1, max_size=2),
    st.integers(0, DAYS),
    st.none() | st.integers(0, 5),
)
stories = st.builds(
    Story,
    st.tuples(*(st.lists(puts, max_size=3).map(tuple) for _ in NUMBERS)),
    st.tuples(*(words for _ in NUMBERS)),
    st.lists(orders, max_size=5).map(tuple),
    st.integers(0, 2**32),
)


class Told(NamedTuple):
    """A story as events, and what the page must show at the end of it, by slug."""

    envelopes: list[Envelope]
    new: list[str]
    best: list[str]
    categories: dict[str, int]
    pictured: dict[str, str]


def told(window: Window, story: Story) -> Told:
    """A reckoning over all of a story at once, which knows nothing of order."""
    now = window.clock.now()
    ids = [window.ids.new(slot=number) for number in NUMBERS]
    created = [now - timedelta(days=number) for number in NUMBERS]
    envelopes, latest, sold = [], dict[int, Put](), Counter[int]()
    chance = random.Random(story.seed)
    for number in NUMBERS:
        for version, put in enumerate(story.puts[number], start=1):
            envelopes.append(window.put(_record(window, story, number, version, put, ids, created, chance)))
            latest[number] = put
        for sku, flags in story.words[number].items():
            for version, flag in enumerate(flags, start=1):
                envelopes.append(window.available(ids[number], f"{sku}-{number}", flag, version=version))
    for order in story.orders:
        order_id = window.ids.new(slot=99)
        at = now - timedelta(days=order.days_ago)
        envelopes.append(
            window.placed({ids[n]: pieces for n, pieces in order.pieces.items()}, order_id=order_id, at=at)
        )
        if order.cancelled_after is not None:
            later = min(now, at + timedelta(days=order.cancelled_after))
            envelopes.append(window.cancelled(order_id, at=later))
        elif order.days_ago < 30:
            sold.update(order.pieces)
    active = {number: put for number, put in latest.items() if put.is_active}
    shown = [n for n, put in active.items() if any((story.words[n][sku] or (False,))[-1] for sku in put.skus)]
    categories, pictured = Counter[str](), dict[str, str]()
    for number, put in sorted(active.items()):  # the newest first
        for path in {"/".join(put.path.split("/")[:depth]) for depth in (1, 2)} if put.path else ():
            categories[path] += 1
            if put.has_picture:
                pictured.setdefault(path, f"/media/p{number}.jpg")
    best = sorted((n for n in shown if sold[n]), key=lambda n: (sold[n], int(ids[n])), reverse=True)
    return Told(
        envelopes=envelopes,
        new=[f"p{number}" for number in sorted(shown)],
        best=[f"p{number}" for number in best],
        categories=dict(categories),
        pictured=pictured,
    )


def _record(
    window: Window,
    story: Story,
    number: int,
    version: int,
    put: Put,
    ids: Sequence[str],
    created: Sequence[Any],
    chance: random.Random,
) -> ProductRecord:
    """A version of a product, which may have known some of what was said of its variants."""
    available: dict[str, tuple[bool, int]] = {}
    for sku in put.skus:
        flags = (False, *story.words[number][sku])
        known = chance.randrange(len(flags))
        available[f"{sku}-{number}"] = (flags[known], known)
    return window.record(
        f"p{number}",
        product_id=ids[number],
        version=version,
        available=available,
        created_at=created[number],
        status="active" if put.is_active else "archived",
        category=category(put.path) if put.path else (),
        images=(image(f"p{number}"),) if put.has_picture else (),
        variants=tuple(variant(f"{sku}-{number}") for sku in put.skus),
    )


async def tell(window: Window, envelopes: Sequence[Envelope], *, seed: int) -> None:
    """In any order, some twice: as the same event, or as another one that says the same; in batches of any size."""
    chance = random.Random(seed)
    doubled = [each for each in envelopes if chance.random() < 0.4]
    again = [
        msgspec.structs.replace(each, id=window.ids.new(slot=each.slot)) if chance.random() < 0.5 else each
        for each in doubled
    ]
    told_in_order = [*envelopes, *again]
    chance.shuffle(told_in_order)
    while told_in_order:
        size = chance.randint(1, 6)
        batch, told_in_order = told_in_order[:size], told_in_order[size:]
        await window.hear(*sorted(batch, key=lambda envelope: envelope.type))
        if chance.random() < 0.2:
            await window.service.forget()


def check(front: Front, story: Told) -> None:
    assert slugs(front.new) == story.new
    assert slugs(front.best_sellers) == story.best
    assert counts(front) == story.categories
    assert _pictured(front) == story.pictured


def _pictured(front: Front) -> Mapping[str, str]:
    every = itertools.chain.from_iterable((top, *top.children) for top in front.categories)
    return {category.path: category.image.url for category in every if category.image}


async def once(window: Window, story: Story) -> None:
    reckoned = told(window, story)
    await tell(window, reckoned.envelopes, seed=story.seed)
    check(await window.page(), reckoned)
    await window.service.forget()
    check(await window.page(), reckoned)
    window.clock.advance(31 * DAY_S)
    await window.service.forget()
    check(await window.page(), reckoned._replace(best=[]))
    async with window.database.write() as tx:
        for statement in _EMPTY:
            await tx.run(statement)


def run(examples: int, *, engine: str, folder: Path, dsn: str | None = None) -> None:
    """One database for all examples, each of which leaves it empty."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        window = runner.run(stack.enter_async_context(window_on(engine, folder, dsn)))

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
        @given(story=stories)
        def anything(story: Story) -> None:
            runner.run(once(window, story))

        try:
            anything()
        finally:
            runner.run(stack.aclose())


def test_the_page_is_what_was_said_in_whatever_order_and_however_often(tmp_path: Path):
    run(150, engine=SQLITE, folder=tmp_path)


@pytest.mark.parametrize("examples", [25])
def test_the_page_is_what_was_said_on_postgres_too(home_database: str, tmp_path: Path, examples: int):
    run(examples, engine=POSTGRES, folder=tmp_path, dsn=asyncio.run(emptied(home_database)))
