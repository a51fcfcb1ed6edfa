"""The public routes of notifications: webhooks, for staff."""

from collections.abc import Sequence

import msgspec

from hansa.kernel.ids import Id, is_id
from hansa.kernel.page import Limit, Page
from hansa.platform.http.route import STAFF_ONLY, Api, Call, Route
from hansa.services.notifications.contract import (
    Delivery,
    DeliveryRecord,
    DeliveryState,
    DeliveryUnknown,
    EventTypeList,
    Moment,
    Notifications,
    Replayed,
    Webhook,
    WebhookChange,
    WebhookDraft,
    Webhooks,
    WebhookSecret,
    WebhookUnknown,
)


class DeliveriesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the log, of one webhook or of all, in one state or in any."""

    webhook_id: Id | None = None
    state: DeliveryState | None = None
    limit: Limit = 20
    cursor: str | None = None


class ReplayBody(msgspec.Struct, frozen=True, kw_only=True):
    """From which moment on what failed is sent again."""

    since: Moment


def routes(notifications: Notifications) -> Sequence[Route]:
    api = Api("webhooks")

    @api.get("/admin/webhooks", access=STAFF_ONLY, calls=Notifications.webhooks)
    async def list_webhooks(call: Call) -> Webhooks:
        """All webhooks."""
        return await notifications.webhooks()

    @api.post("/admin/webhooks", access=STAFF_ONLY, calls=Notifications.create_webhook)
    async def create_webhook(call: Call, *, body: WebhookDraft) -> WebhookSecret:
        """Have events told to a URL. The answer holds the secret that requests are signed with; keep it."""
        return await notifications.create_webhook(key=call.key, draft=body, actor=call.actor)

    @api.get("/admin/webhooks/event-types", access=STAFF_ONLY, calls=Notifications.event_types)
    async def list_event_types(call: Call) -> EventTypeList:
        """The types of events that a webhook can hear."""
        return await notifications.event_types()

    @api.get("/admin/webhooks/deliveries", access=STAFF_ONLY, calls=Notifications.deliveries)
    async def list_deliveries(call: Call, *, query: DeliveriesQuery) -> Page[Delivery]:
        """The log of the last 30 days, the newest events first."""
        return await notifications.deliveries(
            webhook_id=query.webhook_id, state=query.state, limit=query.limit, cursor=query.cursor
        )

    @api.get("/admin/webhooks/{webhook_id}", access=STAFF_ONLY, calls=Notifications.webhook)
    async def get_webhook(call: Call, *, webhook_id: str) -> Webhook:
        """A webhook, without its secret."""
        return await notifications.webhook(webhook_id=_id(webhook_id))

    @api.patch("/admin/webhooks/{webhook_id}", access=STAFF_ONLY, calls=Notifications.change_webhook)
    async def change_webhook(call: Call, *, webhook_id: str, body: WebhookChange) -> Webhook:
        """Change a webhook, pause it, or let it go on. With If-Match, only if nothing has changed since."""
        return await notifications.change_webhook(
            key=call.key, webhook_id=_id(webhook_id), change=body, version=call.version, actor=call.actor
        )

    @api.delete("/admin/webhooks/{webhook_id}", access=STAFF_ONLY, calls=Notifications.delete_webhook)
    async def delete_webhook(call: Call, *, webhook_id: str) -> None:
        """Delete a webhook and its secret."""
        await notifications.delete_webhook(key=call.key, webhook_id=_id(webhook_id), actor=call.actor)

    @api.post("/admin/webhooks/{webhook_id}/reveal", access=STAFF_ONLY, calls=Notifications.reveal_secret, status=200)
    async def reveal_webhook_secret(call: Call, *, webhook_id: str) -> WebhookSecret:
        """Show the secret once more; that is noted."""
        return await notifications.reveal_secret(key=call.key, webhook_id=_id(webhook_id), actor=call.actor)

    @api.post("/admin/webhooks/{webhook_id}/rotate", access=STAFF_ONLY, calls=Notifications.rotate_secret, status=200)
    async def rotate_webhook_secret(call: Call, *, webhook_id: str) -> WebhookSecret:
        """Make a new secret; the old one signs as well for 24 hours."""
        return await notifications.rotate_secret(key=call.key, webhook_id=_id(webhook_id), actor=call.actor)

    @api.post("/admin/webhooks/{webhook_id}/ping", access=STAFF_ONLY, calls=Notifications.ping_webhook)
    async def ping_webhook(call: Call, *, webhook_id: str) -> Delivery:
        """Send a test event."""
        return await notifications.ping_webhook(key=call.key, webhook_id=_id(webhook_id), actor=call.actor)

    @api.post("/admin/webhooks/{webhook_id}/replay", access=STAFF_ONLY, calls=Notifications.replay_failed, status=200)
    async def replay_failed_deliveries(call: Call, *, webhook_id: str, body: ReplayBody) -> Replayed:
        """Send again what has failed since a moment; once a minute."""
        return await notifications.replay_failed(
            key=call.key, webhook_id=_id(webhook_id), since=body.since, actor=call.actor
        )

    @api.get("/admin/webhooks/{webhook_id}/deliveries/{event_id}", access=STAFF_ONLY, calls=Notifications.delivery)
    async def get_delivery(call: Call, *, webhook_id: str, event_id: str) -> DeliveryRecord:
        """A delivery with the body that is sent."""
        return await notifications.delivery(webhook_id=_known(webhook_id), event_id=_known(event_id))

    @api.post(
        "/admin/webhooks/{webhook_id}/deliveries/{event_id}/replay",
        access=STAFF_ONLY,
        calls=Notifications.replay_delivery,
        status=200,
    )
    async def replay_delivery(call: Call, *, webhook_id: str, event_id: str) -> Delivery:
        """Send an event again, with the same `webhook-id`."""
        return await notifications.replay_delivery(
            key=call.key, webhook_id=_id(webhook_id), event_id=_known(event_id), actor=call.actor
        )

    return api.routes


def _id(name: str) -> str:
    """What cannot be an id is the name of nothing."""
    if not is_id(name):
        raise WebhookUnknown()
    return name


def _known(name: str) -> str:
    if not is_id(name):
        raise DeliveryUnknown()
    return name
