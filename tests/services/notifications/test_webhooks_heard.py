"""Every event is noted once for each webhook that hears it, in every process, and costs nothing where none does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.kernel.event import Event
from hansa.platform.outbox.inbox import Inbox
from hansa.services.notifications.consumers import PUBLIC, consumers
from hansa.services.notifications.contract import WebhookChange, WebhookDraft
from hansa.services.notifications.service.hearing import DEEPEST, LEASE_S, without_sealed
from hansa.services.notifications.store import webhooks as store
from tests import databases
from tests.architecture.test_events import every_event
from tests.services.notifications.desk import CHANGED, PLACED, STAFF, URL, Desk, Merchants, open_desk

OTHER = "https://other.example.com/"


@pytest.fixture(params=databases.ENGINES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == databases.POSTGRES else None
    async with open_desk(engine=request.param, folder=tmp_path, dsn=dsn) as opened:
        yield opened


@pytest.fixture
async def leased(tmp_path: Path) -> AsyncIterator[Desk]:
    """Processes that keep webhooks in mind for a while."""
    async with open_desk(engine=databases.SQLITE, folder=tmp_path, lease_s=LEASE_S) as opened:
        yield opened


def test_every_event_of_the_shop_can_be_heard():
    assert set(PUBLIC) == set(every_event())


async def test_every_type_of_event_is_heard_by_a_consumer_of_its_own(desk: Desk):
    heard = [each.hears for each in consumers(desk.service) if ".webhooks_" in each.name]
    names = [each.name for each in consumers(desk.service)]

    assert heard == list(PUBLIC)
    assert len(set(names)) == len(names)
    assert all(name.startswith("notifications.") for name in names)


async def test_an_event_is_noted_for_whom_it_concerns_and_once(desk: Desk):
    everything, orders = (await desk.create()).webhook, (await desk.create(OTHER, PLACED)).webhook
    placed, changed = desk.placed(), desk.changed()
    for _ in range(3):
        await desk.hear(placed, changed, placed)

    assert sorted((each.event_id, each.webhook_id) for each in await desk.log()) == sorted(
        [(placed.id, everything.id), (placed.id, orders.id), (changed.id, everything.id)]
    )


async def test_what_is_sent_of_an_event_is_its_type_its_moment_and_its_body(desk: Desk):
    await desk.create()
    placed = desk.placed(contact="sealed or not")
    await desk.hear(placed)
    await desk.send()
    assert isinstance(desk.poster, Merchants)
    [sent] = desk.poster.sent
    own = msgspec.json.decode(placed.body)
    del own["contact"]

    assert sent.id == placed.id
    assert msgspec.json.decode(sent.body) == {
        "type": "orders.order_placed.v1",
        "timestamp": "2026-01-01T00:00:00.000000Z",
        "data": own,
    }
    assert own["person"] == "order:7"


async def test_events_of_a_batch_that_is_delivered_anew_are_noted_once_by_two_processes(desk: Desk):
    await desk.create()
    other = desk.process()
    events = [desk.placed(slot=slot) for slot in range(20)]
    await asyncio.gather(
        *(desk.hear(*order, service=service) for service, order in ((desk.service, events), (other, events[::-1])))
    )

    assert len(await desk.log()) == 20


async def test_an_event_that_no_webhook_hears_leaves_no_note(leased: Desk):
    await leased.service.look()
    for _ in range(3):
        await leased.hear(leased.placed())
    assert await leased.notes() == 0

    await create(leased, OTHER, CHANGED)
    await leased.service.look()
    await leased.hear(leased.placed())
    assert await leased.notes() == 0
    await leased.hear(leased.changed())
    assert await leased.notes() == 1


async def test_while_nobody_hears_anything_events_ask_the_database_nothing(
    leased: Desk, monkeypatch: pytest.MonkeyPatch
):
    await leased.service.look()

    def touched(*anything: Any, **more: Any) -> Any:
        raise AssertionError("the database was asked")

    for door in ("write", "read", "all", "one"):
        monkeypatch.setattr(leased.database, door, touched)
    await leased.hear(leased.placed(), leased.changed())


async def test_a_process_that_does_not_know_the_webhooks_looks(leased: Desk):
    await create(leased)
    fresh = leased.process()
    await leased.hear(leased.placed(), service=fresh)

    assert len(await leased.log()) == 1


async def test_who_has_looked_a_moment_ago_still_hears_for_a_webhook_that_was_just_made(leased: Desk):
    """The other process has read that there are none, and goes by that for a while. Whoever makes one waits that long:
    so whatever happens after the answer is noted, by whichever process."""
    other = leased.process()
    await other.look()
    making = asyncio.ensure_future(leased.client.create_webhook(key="1", draft=WebhookDraft(url=URL), actor=STAFF))
    await committed(leased)
    await leased.clock.pass_time(LEASE_S * 0.9)
    assert not making.done()
    assert not other.may_be_told(PLACED), "it cannot know yet"
    await leased.clock.pass_time(LEASE_S)
    await making

    await leased.hear(placed := leased.placed(), service=other)
    assert [each.event_id for each in await leased.log()] == [placed.id]


async def test_the_same_holds_for_a_webhook_that_goes_on_or_hears_more(leased: Desk):
    made = (await create(leased, URL, CHANGED)).webhook
    other = leased.process()
    await other.look()
    change = WebhookChange(types=(PLACED,))
    changing = asyncio.ensure_future(
        leased.client.change_webhook(key="2", webhook_id=made.id, change=change, version=None, actor=STAFF)
    )
    await committed(leased)
    await leased.clock.pass_time(LEASE_S * 0.9)
    assert not changing.done()
    await leased.clock.pass_time(LEASE_S)
    await changing
    await leased.hear(leased.placed(), service=other)

    assert len(await leased.log()) == 1


async def test_a_slow_read_is_no_fresher_than_its_beginning(leased: Desk, monkeypatch: pytest.MonkeyPatch):
    """What was read is good from the moment on at which the reading began, not from its end."""
    other = leased.process()
    read_before = store.every

    async def slow(reader: Any) -> Any:
        found = await read_before(reader)
        leased.clock.advance(LEASE_S)
        return found

    monkeypatch.setattr(store, "every", slow)
    await other.look()

    assert other.may_be_told(PLACED)


async def test_what_is_noted_is_sent_soon(desk: Desk):
    await desk.create()
    consumer = next(each for each in consumers(desk.service) if each.name == "notifications.webhooks_order_placed")
    await Inbox(database=desk.database, consumer=consumer, clock=desk.clock).deliver([desk.placed()])
    await desk.service.quiet()

    assert isinstance(desk.poster, Merchants)
    assert len(desk.poster.sent) == 1


@pytest.mark.parametrize("count", [DEEPEST - 1, DEEPEST, DEEPEST + 1, 2_000])
def test_what_lies_too_deep_is_left_out(count: int):
    nested: Any = "innermost"
    for number in range(count):
        nested = [nested] if number % 2 else {"in": nested}
    kept, depth = without_sealed(nested), 0
    while kept and isinstance(kept, dict | list):
        kept, depth = kept["in"] if isinstance(kept, dict) else kept[0], depth + 1

    assert (depth, kept == "innermost") == ((count, True) if count <= DEEPEST else (DEEPEST - 1, False))


@pytest.mark.parametrize("event", PUBLIC, ids=lambda event: event.__name__)
def test_every_event_says_what_it_means(event: type[Event]):
    assert (event.__doc__ or "").strip().endswith((".", "`")), event
    assert not event.__doc__.startswith(event.__name__)  # type: ignore[union-attr]


async def create(desk: Desk, url: str = URL, *types: str) -> Any:
    """A webhook, with the time that it takes until everybody knows of it."""
    making = asyncio.ensure_future(desk.create(url, *types))
    await committed(desk)
    await desk.clock.pass_time(LEASE_S * 1.2)
    return await making


async def committed(desk: Desk) -> None:
    """Wait until somebody waits for nothing but the time."""
    while not desk.clock.sleeping:
        await asyncio.sleep(0.001)
