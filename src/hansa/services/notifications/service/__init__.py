"""What notifications do: each use case is a module here, and this is the whole of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from hansa.kernel.clock import Clock
from hansa.kernel.event import Envelope
from hansa.kernel.ids import Ids
from hansa.kernel.page import Page
from hansa.platform.database.port import Database, Transaction
from hansa.platform.mail.port import Mailer
from hansa.platform.outgoing.port import Poster
from hansa.platform.security.sealing import Keyring
from hansa.services.notifications.contract import (
    Delivery,
    DeliveryRecord,
    DeliveryState,
    EventTypeList,
    Replayed,
    Webhook,
    WebhookChange,
    WebhookDraft,
    Webhooks,
    WebhookSecret,
)
from hansa.services.notifications.service.hearing import LEASE_S, Hearing, Roster
from hansa.services.notifications.service.logbook import Logbook
from hansa.services.notifications.service.mails import Confirmation as Confirmation
from hansa.services.notifications.service.mails import Mails
from hansa.services.notifications.service.secrets import Secrets
from hansa.services.notifications.service.sending import Sending
from hansa.services.notifications.service.staffing import Staffing


class NotificationsService:
    """Mails and webhooks. See the contract. `mails` are heard of and sent; `webhooks` are sent.

    `event_types` are all types of events with what each means. What a process knows of webhooks is good for `lease_s`.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ids: Ids,
        keyring: Keyring,
        mailer: Mailer,
        poster: Poster,
        event_types: Mapping[str, str],
        public_url: str,
        shop_name: str,
        lease_s: float = LEASE_S,
    ) -> None:
        self.mails = Mails(
            database=database,
            clock=clock,
            keyring=keyring,
            mailer=mailer,
            public_url=public_url,
            shop_name=shop_name,
        )
        secrets = Secrets(keyring=keyring, ids=ids)
        roster = Roster(database=database, clock=clock, lease_s=lease_s)
        self.webhooks_sent = Sending(database=database, clock=clock, poster=poster, secrets=secrets, roster=roster)
        self._hearing = Hearing(roster=roster, clock=clock)
        self._staffing = Staffing(
            database=database,
            clock=clock,
            ids=ids,
            poster=poster,
            secrets=secrets,
            roster=roster,
            event_types=event_types,
        )
        self._logbook = Logbook(database=database, clock=clock, ids=ids, sending=self.webhooks_sent)

    # What staff ask

    async def create_webhook(self, *, key: str, draft: WebhookDraft, actor: str) -> WebhookSecret:
        return await self._staffing.create(key=key, draft=draft, actor=actor)

    async def webhooks(self) -> Webhooks:
        return await self._staffing.every()

    async def event_types(self) -> EventTypeList:
        return self._staffing.event_types()

    async def webhook(self, *, webhook_id: str) -> Webhook:
        return await self._staffing.get(webhook_id=webhook_id)

    async def change_webhook(
        self, *, key: str, webhook_id: str, change: WebhookChange, version: int | None, actor: str
    ) -> Webhook:
        return await self._staffing.change(key=key, webhook_id=webhook_id, change=change, version=version, actor=actor)

    async def delete_webhook(self, *, key: str, webhook_id: str, actor: str) -> None:
        await self._staffing.delete(key=key, webhook_id=webhook_id, actor=actor)

    async def reveal_secret(self, *, key: str, webhook_id: str, actor: str) -> WebhookSecret:
        return await self._staffing.reveal(key=key, webhook_id=webhook_id, actor=actor)

    async def rotate_secret(self, *, key: str, webhook_id: str, actor: str) -> WebhookSecret:
        return await self._staffing.rotate(key=key, webhook_id=webhook_id, actor=actor)

    async def ping_webhook(self, *, key: str, webhook_id: str, actor: str) -> Delivery:
        return await self._logbook.ping(key=key, webhook_id=webhook_id, actor=actor)

    async def deliveries(
        self,
        *,
        webhook_id: str | None = None,
        state: DeliveryState | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[Delivery]:
        return await self._logbook.page(webhook_id=webhook_id, state=state, limit=limit, cursor=cursor)

    async def delivery(self, *, webhook_id: str, event_id: str) -> DeliveryRecord:
        return await self._logbook.get(webhook_id=webhook_id, event_id=event_id)

    async def replay_delivery(self, *, key: str, webhook_id: str, event_id: str, actor: str) -> Delivery:
        return await self._logbook.replay(key=key, webhook_id=webhook_id, event_id=event_id, actor=actor)

    async def replay_failed(self, *, key: str, webhook_id: str, since: datetime, actor: str) -> Replayed:
        return await self._logbook.replay_failed(key=key, webhook_id=webhook_id, since=since, actor=actor)

    # What is heard

    def may_be_told(self, type_: str) -> bool:
        """Whether a webhook may hear events of a type; false only if it is certain that none does."""
        return self._hearing.may_be_told(type_)

    async def heard(self, tx: Transaction, events: Sequence[Envelope]) -> None:
        """Note events for the webhooks that hear them; within the transaction of the consumer that heard of them."""
        await self._hearing.note(tx, events)

    async def stir(self) -> None:
        """Begin to send what was just noted."""
        for webhook_id in self._hearing.stirred():
            await self.webhooks_sent.kick(webhook_id)

    # What is done again and again

    async def look(self) -> None:
        """Begin to send what is due at webhooks."""
        await self.webhooks_sent.look()

    async def tidy(self) -> None:
        """Give up what is due where nobody listens any more, and forget what is older than 30 days."""
        await self._logbook.tidy()

    async def quiet(self) -> None:
        await self.mails.sending.quiet()
        await self.webhooks_sent.quiet()

    async def close(self) -> None:
        """Break off what is being sent; it is due again after the next start."""
        await self.mails.close()
        await self.webhooks_sent.close()
