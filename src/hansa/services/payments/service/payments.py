"""The contract of payments, fulfilled."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.ids import Ids, is_id
from hansa.kernel.money import Money
from hansa.platform.database.port import Database, Transaction
from hansa.platform.jobs.periodic import Job
from hansa.platform.jobs.soon import Soon
from hansa.platform.providers.payments import PaymentProvider
from hansa.platform.security.sealing import Keyring
from hansa.platform.security.webhooks import SignatureInvalid
from hansa.services.payments import rules, store
from hansa.services.payments.contract import NoSuchPayment, Payment, Refund, WebhookRefused
from hansa.services.payments.rules import Intent, Mode, RefundRow
from hansa.services.payments.service.asking import Providers
from hansa.services.payments.service.charging import Charging
from hansa.services.payments.service.record import Finding, Record
from hansa.services.payments.service.refunding import Refunding
from hansa.services.payments.service.rows import intent_of, place_of, refund_of

SWEEP_EVERY_S = 5.0
FORGET_EVERY_S = 3600.0
MOST_FOLLOWING_UP = 4
"""Times at once that what was written down is done at once: one slow provider does not hold up all others' news."""
NOTICES_REMEMBERED = timedelta(days=30)
"""No provider repeats a webhook for so long."""


class PaymentsService:
    """See the contract. Beyond it: `close_orders` and `following_up` for consumers, and what jobs run."""

    def __init__(
        self,
        *,
        database: Database,
        providers: Mapping[str, PaymentProvider],
        keyring: Keyring,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._database = database
        self._clock = clock
        self._providers = Providers(providers)
        self._record = Record(database=database, clock=clock, ids=ids)
        self._charging = Charging(record=self._record, providers=self._providers, keyring=keyring, clock=clock, ids=ids)
        self._refunding = Refunding(database=database, providers=self._providers, clock=clock, ids=ids)
        self.following_up = Soon(self.follow_up, name="payments.follow_up", most=MOST_FOLLOWING_UP)

    async def charge(self, *, key: str, order_id: str, provider: str, token: str, amount: Money) -> Payment:
        return await self._take(order_id=order_id, provider=provider, token=token, amount=amount, mode="charge")

    async def authorize(self, *, key: str, order_id: str, provider: str, token: str, amount: Money) -> Payment:
        return await self._take(order_id=order_id, provider=provider, token=token, amount=amount, mode="authorize")

    async def capture(self, *, key: str, order_id: str) -> Payment:
        intent, refunds = await self._get(order_id)
        return rules.payment(await self._charging.capture(intent), refunds)

    async def void(self, *, key: str, order_id: str) -> Payment:
        intent, refunds = await self._get(order_id)
        return rules.payment(await self._charging.void(intent), refunds)

    async def of_order(self, *, order_id: str) -> Payment:
        return rules.payment(*await self._get(order_id))

    async def check_provider(self, *, provider: str) -> bool:
        return provider in self._providers

    async def refund(self, *, key: str, order_id: str, amount: Money | None, reason: str) -> Refund:
        row, currency = await self._refunding.give_back(key=key, order_id=order_id, amount=amount, reason=reason)
        return rules.refund(row, currency)

    async def hear(self, *, key: str, provider: str, headers: dict[str, str], body: bytes) -> None:
        port = self._providers[provider]
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            notice = port.read_webhook(headers=lowered, body=body, now=self._clock.now())
        except SignatureInvalid as error:
            raise WebhookRefused() from error
        if notice is None or not is_id(notice.key):
            return
        await self._record.hear(
            Finding(order_id=notice.key, provider=provider, answer=notice.answer, notice_id=notice.id)
        )

    async def close_orders(self, tx: Transaction, *, order_ids: Sequence[str]) -> None:
        """In the transaction of the consumer that heard of it: these orders came to nothing."""
        await self._record.close(tx, order_ids=order_ids)

    async def follow_up(self) -> None:
        """Do at once what was written down to be done outside: void, and give back."""
        await self.settle()
        await self.pay_back()

    async def close(self) -> None:
        """Break off what is under way; the jobs after the next start go on with it."""
        await self.following_up.close()
        await self._record.break_off()

    async def settle(self) -> None:
        """Ask the providers about payments that are silent, and void those of closed orders."""
        await self._charging.sweep()

    async def pay_back(self) -> None:
        """Try the refunds that are due."""
        await self._refunding.run()

    async def forget_notices(self) -> None:
        async with self._database.write() as tx:
            await store.forget_notices(tx, before=to_micros(self._clock.now() - NOTICES_REMEMBERED))

    def jobs(self) -> Sequence[Job]:
        """What the service does by itself, and what its providers need to be run."""
        return (
            Job(name="payments.settle", every_s=SWEEP_EVERY_S, run=self.settle),
            Job(name="payments.refunds", every_s=SWEEP_EVERY_S, run=self.pay_back),
            Job(name="payments.forget_notices", every_s=FORGET_EVERY_S, run=self.forget_notices),
            *(job for provider in self._providers.all() for job in provider.jobs()),
        )

    async def _take(self, *, order_id: str, provider: str, token: str, amount: Money, mode: Mode) -> Payment:
        intent, is_new = await self._charging.take(
            order_id=order_id, provider=provider, token=token, amount=amount, mode=mode
        )
        return rules.payment(intent, () if is_new else (await self._get(order_id))[1])

    async def _get(self, order_id: str) -> tuple[Intent, list[RefundRow]]:
        """The payment and its refunds, of one moment. Raises NoSuchPayment."""
        slot, order = place_of(order_id)
        async with self._database.read(slot) as reader:
            intents = [intent_of(row) for row in await store.find_intents(reader, places=[(slot, order)])]
            rows = await store.list_refunds(reader, slot=slot, order_id=order)
        if not intents or not intents[0].is_payment:
            raise NoSuchPayment()
        return intents[0], [refund_of(row) for row in rows]
