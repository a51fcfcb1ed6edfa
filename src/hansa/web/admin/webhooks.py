"""The room of webhooks: where the shop's events are told, whether they arrive, and what is sent again."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from hansa.kernel.errors import BusinessError
from hansa.kernel.ids import is_id
from hansa.services.notifications.contract import (
    DeliveryUnknown,
    Notifications,
    ReplayTooSoon,
    TooManyWebhooks,
    Webhook,
    WebhookAsleep,
    WebhookChange,
    WebhookChanged,
    WebhookDraft,
    WebhookInvalid,
    WebhookSecret,
    WebhookUnknown,
)
from hansa.web.admin.editing import Difference, Values, marks, merged
from hansa.web.admin.fields import FieldsWrong, Reader, plain
from hansa.web.admin.lists import PAGE, choice_of, cursor_of, listed
from hansa.web.admin.shell import key_of, reason_of, shown
from hansa.web.forms import Form
from hansa.web.pages import Book, Page, Who
from hansa.web.visit import Moved, Shown, Visit

PLACE = "admin/webhooks"
ONE = f"{PLACE}/{{webhook_id}}"
DELIVERY = f"{ONE}/deliveries/{{event_id}}"
STATES = ("due", "delivered", "failed", "dropped")
HOURS = (1, 24, 7 * 24, 30 * 24)
"""How far back what failed may be sent again."""
SHOWN_ON_LIST = 10
"""The latest deliveries that failed, of all webhooks."""
NOTES = ("pinged", "replayed", "replaying", "deleted")
LONGEST_DESCRIPTION = 200


def pages() -> Sequence[Page]:
    book = Book(who=Who.STAFF)

    @book.personal(PLACE)
    async def webhooks(visit: Visit) -> Shown:
        return await _list(visit)

    @book.act(PLACE)
    async def create(visit: Visit, form: Form) -> Shown:
        """The answer itself shows the secret: it stands at no address that could be opened again."""
        values = _sent(form)
        try:
            draft = WebhookDraft(**_read(values))
            made = await _client(visit).create_webhook(
                key=key_of(visit, form, "webhook"), draft=draft, actor=visit.who.actor
            )
        except FieldsWrong as error:
            return await _list(visit, values=values, wrong=error.wrong, status=422)
        except (WebhookInvalid, TooManyWebhooks) as error:
            wrong = _wrong_of(error)
            failed = "" if wrong else reason_of(visit, error)
            return await _list(visit, values=values, wrong=wrong, failed=failed, status=422)
        return await _show(visit, made.webhook, secret=made.secret)

    @book.personal(ONE)
    async def webhook(visit: Visit, *, webhook_id: str) -> Shown:
        return await _show(visit, await _webhook(visit, webhook_id))

    @book.act(ONE)
    async def change(visit: Visit, form: Form, *, webhook_id: str) -> Shown | Moved:
        return await _save(visit, form, await _webhook(visit, webhook_id))

    @book.act(f"{ONE}/pause")
    async def pause(visit: Visit, form: Form, *, webhook_id: str) -> Moved:
        return await _set_paused(visit, form, webhook_id, is_paused=True)

    @book.act(f"{ONE}/resume")
    async def resume(visit: Visit, form: Form, *, webhook_id: str) -> Moved:
        return await _set_paused(visit, form, webhook_id, is_paused=False)

    @book.act(f"{ONE}/ping")
    async def ping(visit: Visit, form: Form, *, webhook_id: str) -> Shown | Moved:
        found = await _webhook(visit, webhook_id)
        try:
            await _client(visit).ping_webhook(
                key=key_of(visit, form, f"ping:{found.id}"), webhook_id=found.id, actor=visit.who.actor
            )
        except WebhookAsleep as error:
            return await _show(visit, found, failed=reason_of(visit, error), status=409)
        return Moved(to=visit.url(f"{PLACE}/{found.id}", done="pinged"))

    @book.act(f"{ONE}/secret")
    async def reveal(visit: Visit, form: Form, *, webhook_id: str) -> Shown:
        key, found = key_of(visit, form, f"reveal:{webhook_id}"), await _webhook(visit, webhook_id)
        opened = await _client(visit).reveal_secret(key=key, webhook_id=found.id, actor=visit.who.actor)
        return await _opened(visit, opened)

    @book.act(f"{ONE}/rotate")
    async def rotate(visit: Visit, form: Form, *, webhook_id: str) -> Shown:
        key, found = key_of(visit, form, f"rotate:{webhook_id}"), await _webhook(visit, webhook_id)
        opened = await _client(visit).rotate_secret(key=key, webhook_id=found.id, actor=visit.who.actor)
        return await _opened(visit, opened)

    @book.act(f"{ONE}/delete")
    async def delete(visit: Visit, form: Form, *, webhook_id: str) -> Moved:
        await _client(visit).delete_webhook(
            key=key_of(visit, form, f"delete:{webhook_id}"), webhook_id=_id(webhook_id), actor=visit.who.actor
        )
        return Moved(to=visit.url(PLACE, done="deleted"))

    @book.act(f"{ONE}/replay")
    async def replay_failed(visit: Visit, form: Form, *, webhook_id: str) -> Shown | Moved:
        found = await _webhook(visit, webhook_id)
        hours = next((each for each in HOURS if each == form.number("hours")), HOURS[0])
        since = visit.site.clock.now() - timedelta(hours=hours)
        try:
            await _client(visit).replay_failed(
                key=visit.ids.token(), webhook_id=found.id, since=since, actor=visit.who.actor
            )
        except (ReplayTooSoon, WebhookAsleep) as error:
            return await _show(visit, found, failed=reason_of(visit, error), status=409)
        return Moved(to=visit.url(f"{PLACE}/{found.id}", done="replaying"))

    @book.personal(DELIVERY)
    async def delivery(visit: Visit, *, webhook_id: str, event_id: str) -> Shown:
        return await _show_delivery(visit, webhook_id, event_id)

    @book.act(f"{DELIVERY}/replay")
    async def replay(visit: Visit, form: Form, *, webhook_id: str, event_id: str) -> Shown | Moved:
        if not is_id(event_id):
            raise DeliveryUnknown()
        try:
            await _client(visit).replay_delivery(
                key=key_of(visit, form, f"replay:{webhook_id}:{event_id}"),
                webhook_id=_id(webhook_id),
                event_id=event_id,
                actor=visit.who.actor,
            )
        except (WebhookAsleep, WebhookUnknown) as error:
            return await _show_delivery(visit, webhook_id, event_id, failed=reason_of(visit, error), status=409)
        return Moved(to=visit.url(f"{PLACE}/{webhook_id}/deliveries/{event_id}", done="replayed"))

    return book.pages


async def _save(visit: Visit, form: Form, present: Webhook) -> Shown | Moved:
    mine, version = _sent(form), form.number("version") or 0
    if version != present.version:
        outcome = merged(mine=mine, theirs=_values(present), seen=form.get("seen"))
        if outcome.differences:
            return await _show(visit, present, values=outcome.values, differences=outcome.differences, status=412)
    sent: dict[str, Any] = {"values": mine, "seen": form.get("seen")}
    try:
        await _client(visit).change_webhook(
            key=visit.ids.token(),
            webhook_id=present.id,
            change=WebhookChange(**_read(mine)),
            version=present.version,
            actor=visit.who.actor,
        )
    except FieldsWrong as error:
        return await _show(visit, present, wrong=error.wrong, status=422, **sent)
    except WebhookInvalid as error:
        return await _show(visit, present, wrong=_wrong_of(error), status=422, **sent)
    except WebhookChanged as error:
        return await _show(visit, present, failed=reason_of(visit, error), status=409, **sent)
    return Moved(to=visit.url(f"{PLACE}/{present.id}", saved=1))


async def _set_paused(visit: Visit, form: Form, webhook_id: str, *, is_paused: bool) -> Moved:
    await _client(visit).change_webhook(
        key=key_of(visit, form, f"paused:{is_paused}:{webhook_id}"),
        webhook_id=_id(webhook_id),
        change=WebhookChange(is_paused=is_paused),
        version=None,
        actor=visit.who.actor,
    )
    return Moved(to=visit.url(f"{PLACE}/{webhook_id}", saved=1))


def _client(visit: Visit) -> Notifications:
    return visit.client(Notifications)


def _id(text: str) -> str:
    """What cannot be an id is the name of nothing."""
    if not is_id(text):
        raise WebhookUnknown()
    return text


async def _webhook(visit: Visit, webhook_id: str) -> Webhook:
    return await _client(visit).webhook(webhook_id=_id(webhook_id))


def _sent(form: Form) -> Values:
    return {
        "url": plain(form.get("url")),
        "description": plain(form.get("description")),
        "types": " ".join(sorted(set(form.all("type")))),
    }


def _values(webhook: Webhook) -> Values:
    return {"url": webhook.url, "description": webhook.description, "types": " ".join(sorted(webhook.types))}


def _read(values: Mapping[str, str]) -> dict[str, Any]:
    """Raises FieldsWrong."""
    reader = Reader(dict(values))
    url = reader.text("url", is_required=True)
    if len(values["description"]) > LONGEST_DESCRIPTION:
        reader.wrong["description"] = "too_long"
    reader.done()
    return {"url": url, "description": values["description"], "types": tuple(values["types"].split())}


def _wrong_of(error: BusinessError) -> dict[str, str]:
    """The field that is to blame, and why; nothing for an error of none."""
    if not isinstance(error, WebhookInvalid):
        return {}
    return {"url": f"webhook_{error.reason}"} if error.pointer == "/url" else {"types": "webhook_types"}


def _explained(visit: Visit, error: str) -> str:
    """Why an attempt failed, in words."""
    if error.startswith("status "):
        return visit.say("webhook_error.status", status=error.removeprefix("status "))
    return visit.say_or(f"webhook_error.{error}", error)


async def _list(
    visit: Visit,
    *,
    values: Values | None = None,
    wrong: dict[str, str] | None = None,
    failed: str = "",
    status: int = 200,
) -> Shown:
    client = _client(visit)
    return await shown(
        visit,
        "webhooks/list.html",
        status=status,
        webhooks=(await client.webhooks()).items,
        lost=(await client.deliveries(state="failed", limit=SHOWN_ON_LIST)).items,
        values=values or {"url": "", "description": "", "types": ""},
        wrong=wrong or {},
        failed=failed,
        done=_done(visit),
        **await _words(visit),
    )


async def _opened(visit: Visit, opened: WebhookSecret) -> Shown:
    return await _show(visit, opened.webhook, secret=opened.secret)


async def _show(
    visit: Visit,
    webhook: Webhook,
    *,
    secret: str = "",
    values: Values | None = None,
    wrong: dict[str, str] | None = None,
    failed: str = "",
    differences: Sequence[Difference] = (),
    seen: str | None = None,
    status: int = 200,
) -> Shown:
    state = choice_of(visit, "state", STATES)
    page = await _client(visit).deliveries(webhook_id=webhook.id, state=state, limit=PAGE, cursor=cursor_of(visit))
    theirs = _values(webhook)
    return await shown(
        visit,
        "webhooks/detail.html",
        status=status,
        webhook=webhook,
        secret=secret,
        list=listed(visit, page, state=state),
        values=values or theirs,
        seen=marks(theirs) if seen is None else seen,
        wrong=wrong or {},
        failed=failed,
        differences=[(visit.say(f"staff_webhook.{each.name}"), each) for each in differences],
        states=[(each, visit.say(f"staff_webhook.delivery_{each}")) for each in STATES],
        hours=[(each, visit.say(f"staff_webhook.hours_{each}")) for each in HOURS],
        done=_done(visit),
        **await _words(visit),
    )


async def _show_delivery(visit: Visit, webhook_id: str, event_id: str, *, failed: str = "", status: int = 200) -> Shown:
    if not is_id(event_id):
        raise DeliveryUnknown()
    found = await _client(visit).delivery(webhook_id=_id(webhook_id), event_id=event_id)
    return await shown(
        visit,
        "webhooks/delivery.html",
        status=status,
        delivery=found.delivery,
        body=msgspec.json.format(found.body),
        failed=failed,
        done=_done(visit),
        explained=lambda error: _explained(visit, error),
    )


async def _words(visit: Visit) -> dict[str, Any]:
    types = (await _client(visit).event_types()).items
    return {
        "types": [
            (each.type, visit.say_or(f"webhook_event.{each.type.split('.')[1]}", each.summary)) for each in types
        ],
        "label": lambda name: visit.say(f"staff_webhook.{name}"),
        "explained": lambda error: _explained(visit, error),
    }


def _done(visit: Visit) -> str:
    return choice_of(visit, "done", NOTES) or ""
