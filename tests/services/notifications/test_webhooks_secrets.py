"""Secrets of webhooks are forgotten with them, whatever was asked before and is repeated after."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from hansa.platform.database.statement import Statement
from hansa.platform.rpc.local import local, twice
from hansa.services.notifications.contract import WebhookChange, WebhookDraft, WebhookUnknown
from hansa.services.notifications.tables import WEBHOOKS
from tests import databases
from tests.services.notifications.desk import STAFF, URL, Desk, open_desk

SEALED = Statement(select(WEBHOOKS.c.secret, WEBHOOKS.c.old_secret))
SHAPES = [(databases.SQLITE, local), (databases.SQLITE, twice), (databases.POSTGRES, twice)]


@pytest.fixture(params=SHAPES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    engine, wire = request.param
    dsn = request.getfixturevalue("postgres_dsn") if engine == databases.POSTGRES else None
    async with open_desk(engine=engine, folder=tmp_path, dsn=dsn, wire=wire) as opened:
        yield opened


async def sealed(desk: Desk) -> set[str]:
    """All secrets as they rest."""
    [row] = await desk.database.all(SEALED)
    return {row["secret"], row["old_secret"]} - {""}


async def test_nothing_is_left_of_the_secrets_of_a_deleted_webhook(desk: Desk):
    made = (await desk.create()).webhook
    rested = await sealed(desk)
    for _ in range(2):
        await desk.client.reveal_secret(key=desk.key(), webhook_id=made.id, actor=STAFF)
        await desk.client.rotate_secret(key=desk.key(), webhook_id=made.id, actor=STAFF)
        rested |= await sealed(desk)
    assert len(rested) == 3
    assert [each for each in rested if each in await desk.everything()], "as it would be found"
    await desk.client.delete_webhook(key=desk.key(), webhook_id=made.id, actor=STAFF)
    resting = await desk.everything()

    assert [each for each in rested if each in resting] == []


async def test_an_answer_with_a_secret_is_not_repeated_once_the_webhook_is_deleted(desk: Desk):
    draft = WebhookDraft(url=URL)
    made = await desk.client.create_webhook(key="1", draft=draft, actor=STAFF)
    webhook_id = made.webhook.id
    revealed = await desk.client.reveal_secret(key="2", webhook_id=webhook_id, actor=STAFF)
    assert revealed == made == await desk.client.create_webhook(key="1", draft=draft, actor=STAFF)
    rotated = await desk.client.rotate_secret(key="3", webhook_id=webhook_id, actor=STAFF)
    assert rotated == await desk.client.rotate_secret(key="3", webhook_id=webhook_id, actor=STAFF)
    await desk.client.delete_webhook(key="4", webhook_id=webhook_id, actor=STAFF)

    with pytest.raises(WebhookUnknown):
        await desk.client.create_webhook(key="1", draft=draft, actor=STAFF)
    with pytest.raises(WebhookUnknown):
        await desk.client.reveal_secret(key="2", webhook_id=webhook_id, actor=STAFF)
    with pytest.raises(WebhookUnknown):
        await desk.client.rotate_secret(key="3", webhook_id=webhook_id, actor=STAFF)


async def test_secrets_that_are_changed_at_once_follow_one_another(desk: Desk):
    """Without the wire that asks twice: the second answer shows what the others have made of it meanwhile."""
    made = (await desk.create()).webhook
    rotated = await asyncio.gather(
        *(desk.service.rotate_secret(key=f"r{number}", webhook_id=made.id, actor=STAFF) for number in range(8))
    )
    shown = await desk.client.reveal_secret(key="s", webhook_id=made.id, actor=STAFF)

    assert sorted(each.webhook.version for each in rotated) == list(range(2, 10))
    assert shown.secret == max(rotated, key=lambda each: each.webhook.version).secret
    assert len({each.secret for each in rotated}) == 8


async def test_a_change_of_the_rest_leaves_the_secret_as_it_is(desk: Desk):
    made = await desk.create()
    rotated = await desk.client.rotate_secret(key="r", webhook_id=made.webhook.id, actor=STAFF)
    changed = await desk.client.change_webhook(
        key="c", webhook_id=made.webhook.id, change=WebhookChange(description="ERP"), version=2, actor=STAFF
    )

    assert changed.old_secret_until == rotated.webhook.old_secret_until
    assert (await desk.client.reveal_secret(key="s", webhook_id=changed.id, actor=STAFF)).secret == rotated.secret
