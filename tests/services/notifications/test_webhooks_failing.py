"""A webhook is paused when failures went on for days, by what is true at that moment; and what hangs holds up nothing
that is noted later."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from hansa.platform.outgoing.port import Answered
from hansa.services.notifications.contract import Webhook
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.service.sending import BATCH
from tests import databases
from tests.services.notifications.desk import URL, Desk, Merchants, Sent, open_desk

DAY = 24
FRIDAY = 4 * DAY
"""Hours since Monday."""


class Holding(Merchants):
    """Keeps one delivery waiting, and answers it with 500 when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.held = ""
        self.came = asyncio.Event()
        self.let_go = asyncio.Event()

    async def post(self, *, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        if headers["webhook-id"] != self.held:
            return await super().post(url=url, headers=headers, body=body)
        self.came.set()
        await self.let_go.wait()
        self.sent.append(Sent(url=url, headers=headers, body=body))
        return Answered(status=500)


@pytest.fixture
def merchants() -> Holding:
    return Holding()


@pytest.fixture(params=databases.ENGINES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path, merchants: Holding) -> AsyncIterator[Desk]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == databases.POSTGRES else None
    async with open_desk(engine=request.param, folder=tmp_path, dsn=dsn, poster=merchants) as opened:
        yield opened


async def pass_hours(desk: Desk, count: int) -> None:
    for _ in range(count):
        await desk.send()
        desk.clock.advance(3600)


async def given_up_on_monday(desk: Desk, merchants: Holding) -> None:
    """One event at which all attempts have failed; then nothing happens until Friday."""
    await desk.create()
    merchants.says[URL] = [500]
    await desk.hear(desk.placed())
    await pass_hours(desk, FRIDAY)
    assert [each.state for each in await desk.log()] == ["failed"]


async def only(desk: Desk) -> Webhook:
    [found] = (await desk.client.webhooks()).items
    return found


@pytest.mark.parametrize("failing", range(0, BATCH, 5))
async def test_what_was_given_up_days_ago_does_not_count_when_one_of_many_fails(
    desk: Desk, merchants: Holding, failing: int
):
    await given_up_on_monday(desk, merchants)
    merchants.says[URL] = [204]
    events = [desk.placed() for _ in range(BATCH)]
    merchants.held = events[failing].id
    await desk.hear(*events)
    await desk.service.look()
    while len(await desk.log(state="delivered")) < BATCH - 1:
        await asyncio.sleep(0.001)
    merchants.let_go.set()
    await desk.service.quiet()

    assert (await only(desk)).state == "active"
    assert sorted(each.state for each in await desk.log()) == [*["delivered"] * (BATCH - 1), "due", "failed"]


async def test_the_first_failure_after_days_of_silence_is_the_first(desk: Desk, merchants: Holding):
    await given_up_on_monday(desk, merchants)
    friday = desk.clock.now()
    await desk.hear(desk.placed())
    await desk.send()

    found = await only(desk)
    assert (found.state, found.failing_since) == ("active", friday)
    await pass_hours(desk, 2 * DAY)
    assert (await only(desk)).state == "active"


async def test_a_webhook_that_hears_little_is_paused_too_when_nothing_of_it_arrives(desk: Desk, merchants: Holding):
    await desk.create()
    merchants.says[URL] = [500]
    monday = desk.clock.now()
    for _ in range(2):
        await desk.hear(desk.placed())
        await pass_hours(desk, 2 * DAY)

    found = await only(desk)
    assert (found.state, found.reason, found.failing_since) == ("failing", "status 500", monday)


async def test_a_late_failure_does_not_undo_that_the_webhook_works_again(desk: Desk, merchants: Holding):
    """It was begun while the webhook had been failing for days, and ends after others have arrived."""
    await desk.create()
    merchants.says[URL] = [500]
    for _ in range(3 * DAY - 1):
        await desk.hear(desk.placed())
        await pass_hours(desk, 1)
    assert (await only(desk)).failing_since is not None
    merchants.says[URL] = [204]
    await desk.hear(late := desk.placed())
    merchants.held = late.id
    await desk.service.look()
    await merchants.came.wait()
    while (await only(desk)).failing_since is not None:
        await asyncio.sleep(0.001)
    desk.clock.advance(rules.GIVEN_UP_AFTER.total_seconds())
    merchants.let_go.set()
    await desk.service.quiet()

    assert (await only(desk)).state == "active"


@pytest.mark.parametrize("is_looked", [True, False])
async def test_what_is_noted_while_another_hangs_is_sent_at_once(desk: Desk, merchants: Holding, is_looked: bool):
    await desk.create()
    await desk.hear(hanging := desk.placed())
    merchants.held = hanging.id
    await desk.service.look()
    await merchants.came.wait()
    later = [desk.placed() for _ in range(3)]
    for number, each in enumerate(later, start=1):
        await desk.hear(each)
        await (desk.service.look() if is_looked else desk.service.stir())
        async with asyncio.timeout(30):
            while len(merchants.sent) < number:
                await asyncio.sleep(0.001)

    assert [sent.id for sent in merchants.sent] == [each.id for each in later]
    merchants.let_go.set()
    await desk.service.quiet()
