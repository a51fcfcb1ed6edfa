"""A payment provider to try the shop with. It behaves as an outside party: own books, own commits, own webhooks.

What a token does: `tok_success` is captured at once; `tok_declined` and unknown ones are declined; of `tok_timeout` the
money is taken, but the call never answers and no webhook comes; `tok_late` answers pending, is captured two seconds
later and told by a webhook; `tok_twice` after one second, by a webhook that comes twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.errors import Fault
from hansa.kernel.money import Money
from hansa.platform.jobs.periodic import Job
from hansa.platform.providers import sandbox_ledger as books
from hansa.platform.providers.payments import Answer, Notice, ProviderSilent, RefundAnswer
from hansa.platform.providers.sandbox_ledger import SECOND, Charging, Ledger
from hansa.platform.providers.sandbox_words import Charge, Delivery, Entry, Fate, Message
from hansa.platform.security.webhooks import sign_webhook, verify_webhook

if TYPE_CHECKING:
    import aiohttp

SILENCE_S = 0.5
"""How long a call that will not be answered keeps the caller waiting."""
DELIVER_EVERY_S = 0.25
MOST_DELIVERIES = 8
"""Rounds of webhooks in one run of the job."""
WEBHOOK_TIMEOUT_S = 5.0

_SILENT = "tok_timeout"
_FATES = {
    "tok_success": Fate(),
    "tok_declined": Fate(is_declined=True, reason="the card was declined"),
    _SILENT: Fate(),
    "tok_late": Fate(ripens_after=2 * SECOND, webhooks=1),
    "tok_twice": Fate(ripens_after=1 * SECOND, webhooks=2),
}
_UNKNOWN = Fate(is_declined=True, reason="unknown token")

log = structlog.get_logger()


class Transport(Protocol):
    """Posts a webhook and gives the status of the answer; raises if there was none."""

    async def __call__(self, *, url: str, headers: Mapping[str, str], body: bytes) -> int: ...


class SandboxProvider:
    """A `PaymentProvider` with its ledger in `folder`; signs webhooks with `secret` and posts them to `webhook_url`."""

    name = "sandbox"

    def __init__(
        self,
        *,
        folder: Path,
        webhook_url: str,
        secret: bytes,
        clock: Clock,
        transport: Transport | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._ledger = Ledger(folder=folder)
        self._webhook_url = webhook_url
        self._secrets = (secret,)
        self._clock = clock
        self._http = None if transport else HttpTransport()
        self._transport: Transport = transport or self._http  # type: ignore[assignment]
        self._silence_s = silence_s

    async def charge(self, *, key: str, token: str, amount: Money, capture: bool) -> Answer:
        if amount.amount <= 0:
            raise ValueError("a charge takes something")
        now, fate = self._now(), _FATES.get(token, _UNKNOWN)
        answer: Answer = await self._ledger.run(
            Charging(Charge(key=key, token=token, amount=amount, capture=capture, fate=fate, now=now))
        )
        if token == _SILENT and answer.state in ("authorized", "captured"):
            await self._clock.sleep(self._silence_s)
            raise ProviderSilent(f"no answer to the charge {key}")
        return answer

    async def capture(self, *, key: str, reference: str) -> Answer:
        return await self._ledger.run(partial(books.capture, key=key, now=self._now()))

    async def void(self, *, key: str, reference: str) -> Answer:
        return await self._ledger.run(partial(books.void, key=key, now=self._now()))

    async def refund(self, *, key: str, reference: str, amount: Money) -> RefundAnswer:
        return await self._ledger.run(
            partial(books.refund, key=key, reference=reference, amount=amount, now=self._now())
        )

    async def find(self, *, key: str) -> Answer | None:
        return await self._ledger.run(partial(books.find, key=key, now=self._now()))

    def read_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        message_id = verify_webhook(secrets=self._secrets, headers=headers, body=body, now=now)
        try:
            message = msgspec.json.decode(body, type=Message)
        except msgspec.MsgspecError as error:
            # Signed and yet not understood: no acknowledgement, so that it comes again.
            raise Fault(f"the webhook {message_id} is not readable") from error
        return Notice(id=message_id, key=message.key, answer=message.answer)

    def jobs(self) -> Sequence[Job]:
        return (Job(name="sandbox.deliver", every_s=DELIVER_EVERY_S, run=self.deliver),)

    async def deliver(self) -> None:
        """Send the webhooks that are due; those not acknowledged are due again later, also after a restart."""
        for _ in range(MOST_DELIVERIES):
            deliveries = await self._ledger.run(partial(books.due, now=self._now()))
            if not deliveries:
                return
            await asyncio.gather(*(self._send(delivery) for delivery in deliveries))

    async def entries(self) -> list[Entry]:
        """The books, as an auditor sees them, oldest line first."""
        return await self._ledger.run(books.entries)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
        await self._ledger.close()

    async def _send(self, delivery: Delivery) -> None:
        headers = sign_webhook(
            secrets=self._secrets, message_id=delivery.id, at=self._clock.now(), body=delivery.body
        ) | {"content-type": "application/json"}
        try:
            status = await self._transport(url=self._webhook_url, headers=headers, body=delivery.body)
        except Exception as error:
            # Whatever is wrong with the receiver, the webhook stays due.
            log.warning("webhook not delivered", webhook=delivery.id, error=type(error).__name__)
            status = 0
        note = books.delivered if 200 <= status < 300 else books.undelivered
        await self._ledger.run(partial(note, number=delivery.number, now=self._now()))

    def _now(self) -> int:
        return to_micros(self._clock.now())


class HttpTransport:
    """Posts by HTTP; connects when first needed."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, *, url: str, headers: Mapping[str, str], body: bytes) -> int:
        # Takes 11 MB, and there may never be a webhook.
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WEBHOOK_TIMEOUT_S))
        async with self._session.post(url, headers=headers, data=body, allow_redirects=False) as response:
            return response.status

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
