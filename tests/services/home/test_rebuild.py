"""Building the page anew from the catalogue, while it is being read and while news come."""

import asyncio
from contextvars import Context

import asyncpg
from sqlalchemy import delete, update

from hansa.platform.database.statement import Statement
from hansa.services.home.tables import CARDS, CATEGORIES, SHELVES, VARIANTS
from tests.services.home.window_shop import Window, category, counts, image, slugs


async def test_a_page_that_heard_nothing_is_built_from_the_catalogue(window: Window):
    window.catalogue.all = [
        window.record("hat", category=category("hats"), images=(image("hat"),)),
        window.record("shoe", category=category("shoes")),
        window.record("old", category=category("shoes"), status="archived"),
    ]

    assert (await window.home.rebuild(key=window.key())).products == 3

    front = await window.page()
    assert set(slugs(front.new)) == {"hat", "shoe"}
    assert counts(front) == {"hats": 1, "shoes": 1}


async def test_sales_stay_when_the_page_is_built_anew(window: Window):
    hat = window.record("hat")
    await window.hear(window.put(hat), window.placed({hat.id: 2}))
    window.catalogue.all = [hat]

    await window.home.rebuild(key=window.key())

    assert slugs((await window.page()).best_sellers) == ["hat"]


async def test_what_was_damaged_is_mended(window: Window):
    records = []
    for slug in ("a", "b", "c"):
        window.clock.advance(60)
        records.append(window.record(slug, category=category("hats"), images=(image(slug),)))
    await window.hear(*(window.put(record) for record in records), window.placed({records[0].id: 2}))
    window.catalogue.all = records
    before = await window.page()
    damages = (
        [delete(SHELVES)],
        [update(SHELVES).values(score=-SHELVES.c.score)],
        [update(CATEGORIES).values(products=7, names="{}")],
        [update(CATEGORIES).values(products=0), update(CARDS).values(category="hats/wool", version=0)],
        [update(CARDS).values(is_active=False, face='{"slug":"x","brand":null,"names":{},"prices":[]}')],
        [delete(VARIANTS), update(CARDS).values(is_available=False), delete(SHELVES).where(SHELVES.c.shelf == "new")],
    )
    for damage in damages:
        async with window.database.write() as tx:
            for statement in damage:
                await tx.run(Statement(statement))
        assert await window.page() != before
        await window.home.rebuild(key=window.key())
        assert await window.page() == before


async def test_a_newer_word_heard_meanwhile_is_not_undone(window: Window):
    hat = window.record("hat", brand="Old")
    window.catalogue.all = [hat]
    await window.hear(window.put(window.record("hat", product_id=hat.id, version=2, brand="New")))
    await window.hear(window.available(hat.id, "HAT", False, version=2))

    await window.home.rebuild(key=window.key())
    assert (await window.page()).new == ()

    await window.hear(window.available(hat.id, "HAT", True, version=3))
    assert [item.brand for item in (await window.page()).new] == ["New"]


async def test_news_and_building_anew_at_once_leave_the_counts_right(racing_window: Window):
    window = racing_window
    records = [window.record(f"p-{number}", category=category("hats")) for number in range(12)]
    window.catalogue.all = records
    archived = [
        window.record(f"p-{number}", product_id=records[number].id, version=2, status="archived")
        for number in range(0, 12, 2)
    ]
    await asyncio.gather(
        window.home.rebuild(key="1"),
        *(window.hear(window.put(record)) for record in (*records, *archived)),
        window.home.rebuild(key="2"),
    )

    front = await window.page()
    assert counts(front) == {"hats": 6}
    assert slugs(front.new) == sorted((f"p-{n}" for n in range(1, 12, 2)), key=lambda s: int(s[2:]), reverse=True)


async def test_what_is_being_written_while_the_counts_are_set_is_counted(racing_window: Window, home_database: str):
    """The counts wait for whoever is changing them, and are taken after that."""
    window = racing_window
    await window.hear(window.put(window.record("first", category=category("hats"))))
    async with window.database.write() as tx:
        await window.service.hear_products(tx, records=[window.record("second", category=category("hats"))])
        # A context of its own: it is somebody else, who holds no transaction.
        rebuilding = asyncio.get_running_loop().create_task(window.home.rebuild(key="k"), context=Context())
        await _until_somebody_waits(home_database)
    await rebuilding

    assert counts(await window.page()) == {"hats": 2}


async def _until_somebody_waits(dsn: str) -> None:
    """Until a transaction in the database waits for another one."""
    connection = await asyncpg.connect(dsn)
    try:
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0)
    finally:
        await connection.close()


async def test_orders_and_cancellations_at_once_are_counted_once(racing_window: Window):
    window = racing_window
    hat, shoe = window.record("hat"), window.record("shoe")
    orders = [window.ids.new(slot=number) for number in range(20)]
    news = [window.placed({hat.id: 1, shoe.id: 2}, order_id=order) for order in orders]
    news += [window.cancelled(order) for order in orders]
    news += [window.placed({hat.id: 1}), window.put(hat), window.put(shoe)]
    await asyncio.gather(*(window.hear(envelope) for envelope in news))

    assert slugs((await window.page()).best_sellers) == ["hat"]
