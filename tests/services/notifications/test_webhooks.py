"""Webhooks as staff make them, and the log of what was delivered to them."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import bindparam, select, update

from hansa.platform.database.platform_tables import AUDIT
from hansa.platform.database.statement import Statement
from hansa.platform.rpc.local import local, twice
from hansa.services.notifications.contract import (
    MOST_WEBHOOKS,
    PING,
    REPLAY_REST_S,
    Delivery,
    DeliveryUnknown,
    ReplayTooSoon,
    TooManyWebhooks,
    Webhook,
    WebhookAsleep,
    WebhookChange,
    WebhookChanged,
    WebhookInvalid,
    WebhookUnknown,
)
from hansa.services.notifications.rules import webhooks as rules
from hansa.services.notifications.service import logbook
from hansa.services.notifications.tables import WEBHOOK_DELIVERIES, WEBHOOK_MESSAGES, WEBHOOKS
from tests import databases
from tests.services.notifications.desk import CHANGED, PLACED, STAFF, URL, Desk, Merchants, open_desk

SHAPES = [(databases.SQLITE, local), (databases.SQLITE, twice), (databases.POSTGRES, twice)]

AUDITED = Statement(select(AUDIT))
DELIVERIES, MESSAGES = Statement(select(WEBHOOK_DELIVERIES)), Statement(select(WEBHOOK_MESSAGES))
_OTHER = WEBHOOKS.alias()
SWAP = Statement(
    update(WEBHOOKS)
    .where(WEBHOOKS.c.webhook_id == bindparam("of_webhook"))
    .values(secret=select(_OTHER.c.secret).where(_OTHER.c.webhook_id == bindparam("of_other")).scalar_subquery())
)


@pytest.fixture
def merchants() -> Merchants:
    return Merchants()


@pytest.fixture(params=SHAPES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path, merchants: Merchants) -> AsyncIterator[Desk]:
    engine, wire = request.param
    dsn = request.getfixturevalue("postgres_dsn") if engine == databases.POSTGRES else None
    async with open_desk(engine=engine, folder=tmp_path, dsn=dsn, poster=merchants, wire=wire) as opened:
        yield opened


async def test_a_webhook_has_a_secret_of_its_own_that_is_shown_when_it_is_made(desk: Desk):
    first, second = await desk.create(), await desk.create("https://other.example.com/", PLACED, PLACED, CHANGED)

    assert first.secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(first.secret.removeprefix("whsec_"))) <= 64
    assert first.secret != second.secret
    assert (await desk.client.webhooks()).items == (first.webhook, second.webhook)
    assert await desk.client.webhook(webhook_id=second.webhook.id) == second.webhook
    assert second.webhook.types == (CHANGED, PLACED)
    assert first.webhook.state == "active"


async def test_secrets_rest_sealed_and_stay_out_of_audit_rows(desk: Desk, caplog: pytest.LogCaptureFixture):
    made = await desk.create("https://merchant.example.com/services/s3cret?token=s3cret")
    rotated = await desk.client.rotate_secret(key=desk.key(), webhook_id=made.webhook.id, actor=STAFF)
    await desk.client.reveal_secret(key=desk.key(), webhook_id=made.webhook.id, actor=STAFF)
    await desk.hear(desk.placed())
    await desk.send()
    resting = await desk.everything()

    for secret in (made.secret, rotated.secret):
        assert secret not in resting
        assert secret.removeprefix("whsec_").rstrip("=") not in resting
        assert secret not in caplog.text
    details = [row["detail"] for row in await desk.database.all(AUDITED)]
    assert "https://merchant.example.com" in details[0]
    assert not [detail for detail in details if "s3cret" in detail]
    assert await desk.audited() == [f"notifications.webhook_{action}" for action in ("create", "rotate", "reveal")]


async def test_a_secret_moved_to_another_webhook_does_not_open(desk: Desk):
    first, second = await desk.create(), await desk.create("https://other.example.com/")
    async with desk.database.write() as tx:
        await tx.run(SWAP, of_webhook=int(second.webhook.id), of_other=int(first.webhook.id))

    with pytest.raises(Exception, match="does not open"):
        await desk.client.reveal_secret(key=desk.key(), webhook_id=second.webhook.id, actor=STAFF)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://merchant.example.com/", "scheme"),
        ("https://localhost/", "host"),
        ("https://127.0.0.1/", "private"),
        ("https://user:word@merchant.example.com/", "credentials"),
        ("https://merchant.example.com:25/", "port"),
        ("not a url", "malformed"),
    ],
)
async def test_where_nothing_may_be_sent_no_webhook_can_be(desk: Desk, url: str, reason: str):
    with pytest.raises(WebhookInvalid) as refused:
        await desk.create(url)
    assert (refused.value.pointer, refused.value.reason) == ("/url", reason)

    made = await desk.create()
    with pytest.raises(WebhookInvalid):
        await desk.client.change_webhook(
            key=desk.key(), webhook_id=made.webhook.id, change=WebhookChange(url=url), version=None, actor=STAFF
        )


async def test_only_types_of_events_that_there_are_can_be_heard(desk: Desk):
    known = [each.type for each in (await desk.client.event_types()).items]
    assert {PLACED, CHANGED} <= set(known)

    with pytest.raises(WebhookInvalid, match=r"no_such\.v1"):
        await desk.create(URL, PLACED, "orders.no_such.v1")


async def test_there_are_never_more_webhooks_than_there_are_places(desk: Desk):
    made = [await desk.create(f"https://m{number}.example.com/") for number in range(MOST_WEBHOOKS - 3)]
    outcomes = await asyncio.gather(
        *(desk.create(f"https://n{number}.example.com/") for number in range(6)), return_exceptions=True
    )

    assert sum(isinstance(each, TooManyWebhooks) for each in outcomes) == 3
    assert len((await desk.client.webhooks()).items) == MOST_WEBHOOKS
    await desk.client.delete_webhook(key=desk.key(), webhook_id=made[0].webhook.id, actor=STAFF)
    await desk.create("https://again.example.com/")


async def test_a_webhook_is_changed_paused_and_let_go_on(desk: Desk, merchants: Merchants):
    made = (await desk.create()).webhook

    async def change(version: int | None = None, **wanted: object) -> Webhook:
        return await desk.client.change_webhook(
            key=desk.key(),
            webhook_id=made.id,
            change=msgspec.convert(wanted, WebhookChange),
            version=version,
            actor=STAFF,
        )

    changed = await change(url="https://new.example.com/", types=[PLACED], description="  ERP ", version=1)
    assert (changed.url, changed.types, changed.description, changed.version) == (
        "https://new.example.com/",
        (PLACED,),
        "ERP",
        2,
    )
    with pytest.raises(WebhookChanged):
        await change(description="late", version=1)
    assert (await change(description="ERP")).version == 2, "nothing is other than it was"

    assert (await change(is_paused=True)).state == "paused"
    await desk.hear(desk.placed())
    await desk.send()
    assert merchants.sent == []
    assert (await change(is_paused=False)).state == "active"
    await desk.send()
    assert [sent.url for sent in merchants.sent] == ["https://new.example.com/"]


async def test_a_deleted_webhook_is_told_nothing_and_its_log_stays(desk: Desk, merchants: Merchants):
    made = (await desk.create()).webhook
    await desk.hear(desk.placed())
    await desk.send()
    await desk.hear(desk.placed())
    await desk.client.delete_webhook(key=desk.key(), webhook_id=made.id, actor=STAFF)
    await desk.hear(desk.placed())
    await desk.send()
    await desk.service.tidy()

    assert len(merchants.sent) == 1
    assert sorted(each.state for each in await desk.log(webhook_id=made.id)) == ["delivered", "dropped"]
    assert (await desk.client.webhooks()).items == ()
    for act in (desk.client.reveal_secret, desk.client.rotate_secret, desk.client.ping_webhook):
        with pytest.raises(WebhookUnknown):
            await act(key=desk.key(), webhook_id=made.id, actor=STAFF)


async def test_while_a_secret_is_changed_requests_are_signed_with_both(desk: Desk, merchants: Merchants):
    made = await desk.create()
    rotated = await desk.client.rotate_secret(key=desk.key(), webhook_id=made.webhook.id, actor=STAFF)
    assert rotated.secret != made.secret
    assert rotated.webhook.old_secret_until == desk.clock.now() + rules.OLD_SECRET_FOR
    for wait_s, signatures in ((0, 2), (24 * 3600 - 1, 2), (1, 1)):
        desk.clock.advance(wait_s)
        await desk.hear(desk.placed())
        await desk.send()
        assert len(merchants.sent[-1].headers["webhook-signature"].split(" ")) == signatures

    shown = await desk.client.reveal_secret(key=desk.key(), webhook_id=made.webhook.id, actor=STAFF)
    assert shown.secret == rotated.secret


async def test_a_test_event_is_sent_whatever_the_webhook_hears(desk: Desk, merchants: Merchants):
    made = (await desk.create(URL, CHANGED)).webhook
    pinged = await desk.client.ping_webhook(key=desk.key(), webhook_id=made.id, actor=STAFF)
    await desk.service.quiet()

    [sent] = merchants.sent
    assert (sent.id, pinged.type) == (pinged.event_id, PING)
    assert msgspec.json.decode(sent.body)["data"] == {"webhook_id": made.id}
    assert [each.state for each in await desk.log()] == ["delivered"]


async def test_a_paused_webhook_has_no_test_event(desk: Desk):
    made = (await desk.create()).webhook
    await pause(desk, made.id)

    with pytest.raises(WebhookAsleep):
        await desk.client.ping_webhook(key=desk.key(), webhook_id=made.id, actor=STAFF)


async def test_the_log_is_read_in_pages_of_one_webhook_or_state(desk: Desk, merchants: Merchants):
    good, bad = (await desk.create()).webhook, (await desk.create("https://bad.example.com/")).webhook
    merchants.says["https://bad.example.com/"] = [500]
    for _ in range(5):
        desk.clock.advance(1)
        await desk.hear(desk.placed())
    await desk.send()

    read: list[Delivery] = []
    cursor = None
    while True:
        page = await desk.client.deliveries(limit=3, cursor=cursor)
        read += page.items
        if (cursor := page.next_cursor) is None:
            break
    keys = [(int(each.event_id), int(each.webhook_id)) for each in read]
    assert keys == sorted(keys, reverse=True)
    assert len(set(keys)) == 10
    assert {each.webhook_id for each in await desk.log(webhook_id=good.id)} == {good.id}
    assert {each.webhook_id for each in await desk.log(state="due")} == {bad.id}
    assert await desk.log(webhook_id=good.id, state="due") == ()
    assert [each.error for each in await desk.log(webhook_id=bad.id, state="due")] == ["status 500"] * 5


async def test_a_delivery_is_shown_with_what_is_sent(desk: Desk, merchants: Merchants):
    made = (await desk.create()).webhook
    placed = desk.placed()
    await desk.hear(placed)
    await desk.send()
    found = await desk.client.delivery(webhook_id=made.id, event_id=placed.id)

    assert found.body.encode() == merchants.sent[0].body
    assert (found.delivery.state, found.delivery.status, found.delivery.attempts) == ("delivered", 204, 1)
    with pytest.raises(DeliveryUnknown):
        await desk.client.delivery(webhook_id=made.id, event_id="1")


async def test_a_replay_sends_the_same_event_under_the_same_id(desk: Desk, merchants: Merchants):
    made = (await desk.create()).webhook
    placed = desk.placed()
    await desk.hear(placed)
    await desk.send()
    desk.clock.advance(3600)
    replayed = await desk.client.replay_delivery(key=desk.key(), webhook_id=made.id, event_id=placed.id, actor=STAFF)
    await desk.service.quiet()

    first, second = merchants.sent
    assert (first.id, first.body) == (second.id, second.body) == (placed.id, first.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert (replayed.state, replayed.replays) == ("due", 1)


async def test_a_replay_that_is_asked_for_twice_at_once_is_sent_once(desk: Desk, merchants: Merchants):
    made = (await desk.create()).webhook
    placed = desk.placed()
    await desk.hear(placed)
    await desk.send()
    await pause(desk, made.id)
    for _ in range(3):
        await desk.client.replay_delivery(key=desk.key(), webhook_id=made.id, event_id=placed.id, actor=STAFF)
    await go_on(desk, made.id)
    await desk.send()

    assert len(merchants.sent) == 2
    [row] = await desk.log()
    assert (row.state, row.replays) == ("delivered", 1)


async def test_what_waits_for_its_next_attempt_can_be_sent_earlier(desk: Desk, merchants: Merchants):
    made = (await desk.create()).webhook
    merchants.says[URL] = [500, 500, 204]
    placed = desk.placed()
    await desk.hear(placed)
    await desk.send()
    desk.clock.advance(6)
    await desk.send()
    [waiting] = await desk.log()
    assert waiting.next_at is not None
    assert waiting.next_at - desk.clock.now() > timedelta(minutes=4)

    await desk.client.replay_delivery(key=desk.key(), webhook_id=made.id, event_id=placed.id, actor=STAFF)
    await desk.service.quiet()

    assert [each.state for each in await desk.log()] == ["delivered"]


async def test_all_that_failed_since_a_moment_is_sent_again_and_not_at_once_again(desk: Desk, merchants: Merchants):
    made = (await desk.create()).webhook
    merchants.says[URL] = [500]
    await desk.hear(desk.placed())
    await give_up(desk)
    desk.clock.advance(60)
    since = desk.clock.now()
    await desk.hear(desk.placed(), desk.placed())
    await give_up(desk)
    assert [each.state for each in await desk.log()] == ["failed"] * 3

    merchants.says[URL], merchants.sent = [204], []
    replayed = await desk.client.replay_failed(key=desk.key(), webhook_id=made.id, since=since, actor=STAFF)
    await desk.send()
    assert (replayed.count, len(merchants.sent)) == (2, 2)
    with pytest.raises(ReplayTooSoon) as soon:
        await desk.client.replay_failed(key=desk.key(), webhook_id=made.id, since=since, actor=STAFF)
    assert 0 < soon.value.retry_after_s <= REPLAY_REST_S
    desk.clock.advance(REPLAY_REST_S)
    again = await desk.client.replay_failed(key=desk.key(), webhook_id=made.id, since=since, actor=STAFF)
    assert again.count == 0
    assert sorted(each.state for each in await desk.log()) == ["delivered", "delivered", "failed"]


async def test_the_log_is_forgotten_after_thirty_days(desk: Desk):
    kept = (await desk.create()).webhook
    gone = (await desk.create("https://gone.example.com/")).webhook
    await desk.client.delete_webhook(key=desk.key(), webhook_id=gone.id, actor=STAFF)
    await desk.hear(desk.placed())
    await desk.send()
    desk.clock.advance(29 * 24 * 3600)
    await desk.hear(late := desk.placed())
    await desk.send()
    desk.clock.advance(1 * 24 * 3600 + 1)
    await desk.service.tidy()

    assert [each.event_id for each in await desk.log()] == [late.id]
    assert (await desk.client.webhooks()).items == (kept,)


async def test_what_is_old_is_forgotten_in_batches_that_keep_nobody_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logbook, "TIDIED_AT_ONCE", 3)
    monkeypatch.setattr(logbook, "MOST_BATCHES", 2)
    await desk.create()
    await desk.create("https://other.example.com/")
    await desk.hear(*(desk.placed(slot=slot) for slot in range(4)))
    desk.clock.advance(31 * 24 * 3600)
    left = []
    for _ in range(3):
        left.append((len(await desk.database.all(DELIVERIES)), len(await desk.database.all(MESSAGES))))
        await desk.service.tidy()

    assert left == [(8, 4), (2, 0), (0, 0)]


async def pause(desk: Desk, webhook_id: str) -> None:
    await desk.client.change_webhook(
        key=desk.key(), webhook_id=webhook_id, change=WebhookChange(is_paused=True), version=None, actor=STAFF
    )


async def go_on(desk: Desk, webhook_id: str) -> None:
    await desk.client.change_webhook(
        key=desk.key(), webhook_id=webhook_id, change=WebhookChange(is_paused=False), version=None, actor=STAFF
    )


async def give_up(desk: Desk) -> None:
    """Let all attempts pass."""
    for delay_s in (*rules.DELAYS_S, 0):
        await desk.send()
        desk.clock.advance(delay_s * (1 + rules.JITTER) + 1)
