"""What may be asked of notifications: webhooks, which tell a merchant's own programs what has happened."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id
from hansa.kernel.page import CursorInvalid, Limit, Page

MOST_WEBHOOKS = 50
MOST_REPLAYED = 10_000
"""Deliveries of one replay of all that failed."""
REPLAY_REST_S = 60
"""Seconds between two such replays of a webhook."""
PING = "notifications.ping.v1"
"""The type of the test event, which every webhook hears whatever it subscribes to."""

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Description = Annotated[str, msgspec.Meta(max_length=200)]
EventTypes = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], ...], msgspec.Meta(max_length=100)
]
"""Types as events have them, such as `orders.order_placed.v1`; none at all stands for every type."""
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""With its offset from UTC."""
WebhookState = Literal["active", "paused", "failing", "gone"]
"""`paused` by staff, `failing` paused by the shop since nothing has arrived for days, `gone` since the receiver has
answered 410. While it is paused, by whomever, deliveries are noted and wait; one that is gone is told nothing."""
DeliveryState = Literal["due", "delivered", "failed", "dropped"]
"""`due` until the receiver has answered with 2xx (`delivered`) or the last attempt was made (`failed`); `dropped` where
the webhook was gone or deleted before."""


class WebhookUnknown(BusinessError, code="notifications.webhook_not_found", kind=Kind.NOT_FOUND):
    """There is no such webhook."""


class WebhookInvalid(BusinessError, code="notifications.webhook_invalid", kind=Kind.INVALID):
    """The webhook cannot be as described; `pointer` names the part and `reason` says why."""

    pointer: str
    reason: str


class TooManyWebhooks(BusinessError, code="notifications.too_many_webhooks", kind=Kind.CONFLICT):
    """There are as many webhooks as a shop can have."""

    most: int


class WebhookChanged(BusinessError, code="notifications.webhook_version_conflict", kind=Kind.PRECONDITION_FAILED):
    """Somebody else has changed the webhook meanwhile; read it again."""

    version: int


class WebhookAsleep(BusinessError, code="notifications.webhook_asleep", kind=Kind.CONFLICT):
    """The webhook is paused or gone: let it go on first."""

    state: str


class DeliveryUnknown(BusinessError, code="notifications.delivery_not_found", kind=Kind.NOT_FOUND):
    """There is no such delivery; they are remembered for 30 days."""


class ReplayTooSoon(BusinessError, code="notifications.replay_too_soon", kind=Kind.TOO_MANY):
    """What failed was replayed a moment ago; wait until that has gone out."""

    retry_after_s: int


class WebhookDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Where to tell, and what of. `url` is https, of a public host, without user information."""

    url: Url
    types: EventTypes = ()
    description: Description = ""


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be otherwise; None stays. `is_paused` false lets a webhook go on, whatever it was stopped for."""

    url: Url | None = None
    types: EventTypes | None = None
    description: Description | None = None
    is_paused: bool | None = None


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as staff see it; the secret is asked for by itself."""

    id: Id
    url: str
    types: tuple[str, ...]
    description: str
    state: WebhookState
    reason: str
    """Why the shop stopped it, in a word such as `timeout` or `status 500`; empty if it did not."""
    failing_since: datetime | None
    """The first failure since something last arrived, or since nothing was tried for a day; None while all is well."""
    old_secret_until: datetime | None
    """Until when requests are signed with the secret before the present one, too."""
    created_at: datetime
    updated_at: datetime
    version: int


class WebhookSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook together with what its requests are signed with: `whsec_` and base64, after Standard Webhooks."""

    webhook: Webhook
    secret: str


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """All webhooks, the oldest first; at most 50."""

    items: tuple[Webhook, ...]


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of events that a webhook can subscribe to, and what such an event means."""

    type: str
    summary: str


class EventTypeList(msgspec.Struct, frozen=True, kw_only=True):
    """All types of events, by name."""

    items: tuple[EventType, ...]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event at one webhook. `attempts` counts from the last replay on."""

    webhook_id: Id
    event_id: Id
    """The header `webhook-id` of every attempt, by which receivers know what they have had already."""
    type: str
    state: DeliveryState
    attempts: int
    replays: int
    status: int | None
    """The status of the latest answer, if there was one."""
    error: str
    """Why the latest attempt failed: `timeout`, `connection`, `tls`, `name_unknown`, `address_refused`, `broken_off`,
    or `status 500`."""
    took_ms: int | None
    """How long the latest attempt took."""
    noted_at: datetime
    last_at: datetime | None
    next_at: datetime | None
    """When the next attempt is due, at the earliest."""


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with the body that is sent."""

    delivery: Delivery
    body: str


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries are due again; at most 10,000 at a time, the oldest first."""

    count: int


class Notifications(Protocol):
    """Webhooks: each event is noted for each webhook that hears it exactly once, and sent until it has arrived. `actor`
    is whoever of the staff asks; every deed leaves an audit row."""

    @command(errors=(WebhookInvalid, TooManyWebhooks, WebhookUnknown))
    async def create_webhook(self, *, key: Key, draft: WebhookDraft, actor: str) -> WebhookSecret:
        """Have events told to a URL. Returns once every process of the shop knows of it, in about a second: whatever
        is committed from then on is delivered. The secret is not shown again unless it is asked for. A repetition
        shows the webhook as it is by then, and WebhookUnknown if it was deleted."""
        ...

    @query()
    async def webhooks(self) -> Webhooks: ...

    @query()
    async def event_types(self) -> EventTypeList: ...

    @query(errors=(WebhookUnknown,))
    async def webhook(self, *, webhook_id: Id) -> Webhook: ...

    @command(errors=(WebhookUnknown, WebhookInvalid, WebhookChanged))
    async def change_webhook(
        self, *, key: Key, webhook_id: Id, change: WebhookChange, version: int | None, actor: str
    ) -> Webhook:
        """Change a webhook if it is still at `version` (None: whatever it is at). What is due already goes to the new
        URL. Returns once every process of the shop knows of it."""
        ...

    @command(errors=(WebhookUnknown,))
    async def delete_webhook(self, *, key: Key, webhook_id: Id, actor: str) -> None:
        """Tell it nothing any more, and forget its secret; the log of its deliveries is kept for its time."""
        ...

    @command(errors=(WebhookUnknown,))
    async def reveal_secret(self, *, key: Key, webhook_id: Id, actor: str) -> WebhookSecret:
        """Show the secret once more; who asked for it is noted."""
        ...

    @command(errors=(WebhookUnknown,))
    async def rotate_secret(self, *, key: Key, webhook_id: Id, actor: str) -> WebhookSecret:
        """Make a new secret. For 24 hours requests are signed with the old one as well, so that receivers can change
        over; the one before the old one counts no longer."""
        ...

    @command(errors=(WebhookUnknown, WebhookAsleep))
    async def ping_webhook(self, *, key: Key, webhook_id: Id, actor: str) -> Delivery:
        """Send a test event; what became of it stands in the log."""
        ...

    @query(errors=(CursorInvalid,))
    async def deliveries(
        self,
        *,
        webhook_id: Id | None = None,
        state: DeliveryState | None = None,
        limit: Limit = 20,
        cursor: str | None = None,
    ) -> Page[Delivery]:
        """The log of the last 30 days, the newest events first."""
        ...

    @query(errors=(DeliveryUnknown,))
    async def delivery(self, *, webhook_id: Id, event_id: Id) -> DeliveryRecord: ...

    @command(errors=(WebhookUnknown, WebhookAsleep, DeliveryUnknown))
    async def replay_delivery(self, *, key: Key, webhook_id: Id, event_id: Id, actor: str) -> Delivery:
        """Send an event again, with the same `webhook-id`, or earlier than it would be. One that is being sent anyway
        is not sent twice."""
        ...

    @command(errors=(WebhookUnknown, WebhookAsleep, ReplayTooSoon))
    async def replay_failed(self, *, key: Key, webhook_id: Id, since: Moment, actor: str) -> Replayed:
        """Send again what happened from a moment on and failed or was dropped."""
        ...
