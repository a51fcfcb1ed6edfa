"""Deliveries arrive, each at least once and under one id, whatever the receivers, the network and the shop do."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from hansa.kernel.clock import SystemClock
from hansa.platform.outgoing.guarded import Guarded
from hansa.platform.outgoing.late import LatePoster
from hansa.platform.outgoing.port import Answered, NotAnswered
from hansa.services.notifications.contract import WebhookChange
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.service.sending import BATCH, MOST_AT_ONCE, TAKEN_FOR
from tests import databases
from tests.clocks import ManualClock
from tests.platform.outgoing.receiver import OK, Got, Receiver, answer, receiving
from tests.services.notifications.desk import STAFF, URL, Desk, Merchants, Sent, open_desk

OTHER = "https://other.example.com/"


@pytest.fixture
def merchants() -> Merchants:
    return Merchants()


@pytest.fixture(params=databases.ENGINES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path, merchants: Merchants) -> AsyncIterator[Desk]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == databases.POSTGRES else None
    async with open_desk(engine=request.param, folder=tmp_path, dsn=dsn, poster=merchants) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


class NowClock(ManualClock):
    """Begins now: the library that verifies asks the machine's own clock."""

    def __init__(self) -> None:
        super().__init__(start=SystemClock().now())


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Desk]:
    """Sends for real, to this machine."""
    poster = LatePoster(may_be_private=True)
    async with open_desk(engine=databases.SQLITE, folder=tmp_path, poster=poster, clock=NowClock()) as opened:
        yield opened
    await poster.close()


class Hanging(Merchants):
    """Takes everything, and answers late."""

    def __init__(self, says: dict[str, list[Answered | int | Exception]] | None = None) -> None:
        super().__init__(says=dict(says or {URL: [NotAnswered("timeout")]}))
        self.came = asyncio.Event()
        self.let_go = asyncio.Event()

    async def post(self, *, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        self.came.set()
        waiting = Sent(url=url, headers=headers, body=body)
        self.sent.append(waiting)
        await self.let_go.wait()
        self.sent.remove(waiting)
        return await super().post(url=url, headers=headers, body=body)


async def states(desk: Desk) -> list[str]:
    return sorted(each.state for each in await desk.log())


# Against a real receiver


async def test_a_receiver_verifies_what_it_gets_with_the_standards_own_library(wired: Desk, receiver: Receiver):
    made = await wired.create(receiver.url)
    placed = wired.placed()
    await wired.hear(placed)
    await wired.send()

    [got] = receiver.got
    verified = Verifier(made.secret).verify(got.body, got.headers)
    assert verified["type"] == "orders.order_placed.v1"
    assert verified["data"]["number"] == "0K4F9-ABCDE-1234"
    assert (got.id, got.headers["content-type"]) == (placed.id, "application/json")
    assert await states(wired) == ["delivered"]

    rotated = await wired.client.rotate_secret(key="r", webhook_id=made.webhook.id, actor=STAFF)
    await wired.hear(wired.placed())
    await wired.send()
    for secret in (made.secret, rotated.secret):
        Verifier(secret).verify(receiver.got[1].body, receiver.got[1].headers)


async def test_a_receiver_that_fails_and_breaks_off_gets_it_in_the_end(wired: Desk, receiver: Receiver):
    receiver.always(answer(500), b"", answer(302, f"Location: {receiver.url}/else"), OK)
    await wired.create(receiver.url)
    await wired.hear(wired.placed())
    errors = []
    for delay_s in rules.DELAYS_S[:4]:
        await wired.send()
        errors.append((await wired.log())[0].error)
        wired.clock.advance(delay_s * 1.2)

    assert errors == ["status 500", "broken_off", "status 302", ""]
    assert len({got.id for got in receiver.got}) == 1
    assert [got.line for got in receiver.got] == ["POST /hook HTTP/1.1"] * 4
    assert await states(wired) == ["delivered"]


async def test_a_slow_receiver_holds_up_nobody_else(wired: Desk, receiver: Receiver):
    let_go = asyncio.Event()

    async def hang(got: Got) -> bytes:
        await let_go.wait()
        return OK

    async with receiving() as slow:
        slow.say = hang
        await wired.create(slow.url)
        await wired.create(receiver.url)
        events = [wired.placed() for _ in range(BATCH * 3)]
        await wired.hear(*events)
        await wired.service.look()
        while len(receiver.got) < len(events):
            await asyncio.sleep(0.001)

        assert len(slow.got) == slow.most_at_once == MOST_AT_ONCE
        assert receiver.most_at_once <= MOST_AT_ONCE
        let_go.set()
        await wired.service.quiet()
        assert len(slow.got) == len(events)
    assert await states(wired) == ["delivered"] * 2 * len(events)


async def test_what_hangs_stands_in_the_way_of_nothing_that_comes_later(wired: Desk, receiver: Receiver):
    let_go = asyncio.Event()

    async def hang_at_first(got: Got) -> bytes:
        if got.id == first.id:
            await let_go.wait()
        return OK

    receiver.say = hang_at_first
    await wired.create(receiver.url)
    first, *others = [wired.placed() for _ in range(BATCH * 2)]
    await wired.hear(first, *others)
    await wired.service.look()
    while len(receiver.got) < len(others) + 1:
        await asyncio.sleep(0.001)
    let_go.set()
    await wired.service.quiet()

    assert await states(wired) == ["delivered"] * (len(others) + 1)


async def test_a_name_that_leads_to_this_machine_is_not_followed(tmp_path: Path, receiver: Receiver):
    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    class Poster(Merchants):
        guarded = Guarded(may_be_private=False, lookup=inside)

        async def post(self, *, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
            return await self.guarded.post(url=url, headers=headers, body=body)

    poster = Poster()
    async with open_desk(engine=databases.SQLITE, folder=tmp_path, poster=poster) as desk:
        await desk.create(f"https://merchant.example.com:{receiver.port}/")
        await desk.hear(desk.placed())
        await desk.send()

        assert [each.error for each in await desk.log()] == ["address_refused"]
    await poster.guarded.close()
    assert receiver.connections == 0


# When it is tried again


async def test_what_fails_is_tried_again_by_the_schedule_and_then_given_up(desk: Desk, merchants: Merchants):
    merchants.says[URL] = [NotAnswered("timeout")]
    await desk.create()
    await desk.hear(desk.placed())
    for count, delay_s in enumerate((*rules.DELAYS_S, 10**6), start=1):
        await desk.send()
        await desk.send()
        assert len(merchants.sent) == count
        desk.clock.advance(delay_s * 0.99)
        await desk.send()
        assert len(merchants.sent) == count, "not before its time"
        desk.clock.advance(delay_s * (0.01 + rules.JITTER) + 1)

    [row] = await desk.log()
    assert (row.state, row.attempts, row.error, row.status) == ("failed", rules.MOST_ATTEMPTS, "timeout", None)
    assert len({sent.id for sent in merchants.sent}) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_who_asks_to_be_left_alone_is(desk: Desk, merchants: Merchants, status: int):
    until = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    merchants.says[URL] = [
        Answered(status=status, retry_after="600"),
        Answered(status=status, retry_after=format_datetime(until, usegmt=True)),
        204,
    ]
    await desk.create()
    await desk.hear(desk.placed())
    await desk.send()
    desk.clock.advance(599)
    await desk.send()
    assert len(merchants.sent) == 1
    desk.clock.advance(62)
    await desk.send()
    desk.clock.advance((until - desk.clock.now()).total_seconds() - 1)
    await desk.send()
    assert len(merchants.sent) == 2
    desk.clock.advance(200)
    await desk.send()

    assert await states(desk) == ["delivered"]


async def test_one_that_fails_stands_in_the_way_of_no_other(desk: Desk, merchants: Merchants):
    merchants.says[URL] = [500, 204]
    await desk.create()
    events = [desk.placed(slot=slot) for slot in range(40)]
    await desk.hear(*events)
    await desk.send()

    assert await states(desk) == ["delivered"] * 39 + ["due"]
    assert [sent.id for sent in merchants.sent] == [event.id for event in events], (
        "in the order in which they were heard"
    )


# A receiver that is gone, or fails for days


async def test_a_receiver_that_says_it_is_gone_is_told_nothing_more(desk: Desk, merchants: Merchants):
    merchants.says[URL] = [410]
    made = (await desk.create()).webhook
    await desk.hear(desk.placed())
    await desk.send()
    await desk.hear(desk.placed())
    await desk.send()

    found = await desk.client.webhook(webhook_id=made.id)
    assert (found.state, found.reason, found.version) == ("gone", "status 410", 2)
    assert len(merchants.sent) == 1
    assert await states(desk) == ["failed"]


async def test_what_still_waited_for_a_receiver_that_is_gone_is_dropped(desk: Desk, merchants: Merchants):
    merchants.says[URL] = [500, 410]
    await desk.create()
    await desk.hear(desk.placed())
    await desk.send()
    await desk.hear(desk.placed())
    await desk.send()
    await desk.service.tidy()

    assert await states(desk) == ["dropped", "failed"]


async def test_a_webhook_at_which_nothing_arrives_for_days_is_paused_and_its_events_wait(
    desk: Desk, merchants: Merchants
):
    merchants.says[URL] = [503]
    made = (await desk.create()).webhook
    for _ in range(4 * 24):
        await desk.hear(desk.placed())
        await desk.send()
        desk.clock.advance(3600)
    found = await desk.client.webhook(webhook_id=made.id)
    assert (found.state, found.reason) == ("failing", "status 503")
    assert found.failing_since is not None
    tried = len(merchants.sent)
    await desk.hear(desk.placed())
    await desk.send()
    assert len(merchants.sent) == tried

    merchants.says[URL] = [204]
    waiting = len(await desk.log(state="due"))
    resumed = await desk.client.change_webhook(
        key="resume", webhook_id=made.id, change=WebhookChange(is_paused=False), version=None, actor=STAFF
    )
    await desk.send()
    assert (resumed.state, resumed.failing_since, resumed.reason) == ("active", None, "")
    assert waiting > 20
    assert await desk.log(state="due") == ()


async def test_what_arrives_now_and_then_pauses_nothing(desk: Desk, merchants: Merchants):
    made = (await desk.create()).webhook
    for hour in range(5 * 24):
        merchants.says[URL] = [204 if hour % 24 == 0 else 500]
        await desk.hear(desk.placed())
        await desk.send()
        desk.clock.advance(3600)

    assert (await desk.client.webhook(webhook_id=made.id)).state == "active"


# Several processes, and one that dies


async def test_several_processes_send_each_delivery_once(desk: Desk, merchants: Merchants):
    await desk.create()
    await desk.create(OTHER)
    await desk.hear(*(desk.placed(slot=slot) for slot in range(60)))
    processes = [desk.service, desk.process(), desk.process()]
    await asyncio.gather(*(desk.send(process) for process in processes))

    assert len(merchants.sent) == 120
    assert await states(desk) == ["delivered"] * 100, "of 120, a page"


async def test_a_process_that_dies_before_it_can_note_sends_the_same_again_under_the_same_id(
    desk: Desk, merchants: Merchants
):
    await desk.create()
    await desk.hear(placed := desk.placed())
    desk.poster = hanging = Hanging()
    dying = desk.process()
    await dying.look()
    await hanging.came.wait()
    await dying.close()
    assert [sent.id for sent in hanging.sent] == [placed.id]

    await desk.send()
    assert merchants.sent == [], "not as long as the other one may live"
    assert await states(desk) == ["due"]
    desk.clock.advance(TAKEN_FOR.total_seconds())
    await desk.send()
    assert [sent.id for sent in merchants.sent] == [placed.id]
    assert await states(desk) == ["delivered"]


async def test_who_comes_late_with_a_failure_does_not_undo_what_has_arrived(desk: Desk, merchants: Merchants):
    """The first attempt hangs beyond its time, another process sends meanwhile; then the first one fails."""
    await desk.create()
    await desk.hear(desk.placed())
    desk.poster = hanging = Hanging()
    slow = desk.process()
    await slow.look()
    await hanging.came.wait()
    desk.clock.advance(TAKEN_FOR.total_seconds())
    await desk.send()
    hanging.let_go.set()
    await slow.quiet()

    assert await states(desk) == ["delivered"]
    [row] = await desk.log()
    assert (row.status, row.error) == (204, "")


@pytest.mark.parametrize(
    ("said", "state", "error"), [(NotAnswered("timeout"), "due", "status 500"), (204, "delivered", "")]
)
async def test_of_an_attempt_that_was_overtaken_only_its_success_is_news(
    desk: Desk, merchants: Merchants, said: Exception | int, state: str, error: str
):
    await desk.create()
    await desk.hear(desk.placed())
    desk.poster = hanging = Hanging(says={URL: [said]})
    slow = desk.process()
    await slow.look()
    await hanging.came.wait()
    desk.clock.advance(TAKEN_FOR.total_seconds())
    merchants.says[URL] = [500]
    await desk.send()
    hanging.let_go.set()
    await slow.quiet()

    [row] = await desk.log()
    assert (row.state, row.error, row.attempts) == (state, error, 2)


async def test_a_process_that_is_stopped_breaks_off_and_sends_nothing_more(desk: Desk, merchants: Merchants):
    await desk.create()
    await desk.hear(desk.placed())
    await desk.service.close()
    await desk.service.look()
    await desk.service.quiet()

    assert merchants.sent == []
