"""Mails: write down what is to be said, and say it until it is said."""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from hansa.kernel.clock import Clock, to_micros
from hansa.kernel.ids import slot_of
from hansa.kernel.money import Money
from hansa.platform.database.port import Database, Transaction
from hansa.platform.jobs.soon import Soon
from hansa.platform.mail.port import Mail, Mailer, MailInvalid, MailRefused
from hansa.platform.security.sealing import Keyring, PersonErased
from hansa.services.notifications.rules import mails as rules
from hansa.services.notifications.rules.mails import Facts, Item
from hansa.services.notifications.store import mails as store
from hansa.services.orders.contract import CONTACT_CONTEXT, Contact

BATCH = 64
"""Mails under way at once."""
REST = 2.0
"""How long sending rests after a batch, in terms of how long that took: in a rush, shoppers come first."""
MOST_BATCHES = 16
"""Of one run of the job; what is left waits for the next."""

log = structlog.get_logger()


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """What a confirmation is made of: `lines` are name, pieces and total; `steps` are name, amount and whether the
    prices include it; `contact` is a `Contact` sealed by orders for the `person`."""

    order_id: str
    number: str
    lines: Sequence[tuple[str, int, Money]]
    steps: Sequence[tuple[str, Money, bool]]
    subtotal: Money
    total: Money
    locale: str
    person: str
    contact: str


class Mails:
    """Confirmations by mail. Nobody asks for them: orders are heard of, and `sending` sends at once. Links begin with
    `public_url`."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        keyring: Keyring,
        mailer: Mailer,
        public_url: str,
        shop_name: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._keyring = keyring
        self._mailer = mailer
        self._public_url = public_url
        self._shop_name = shop_name
        self.sending = Soon(self.send, name="notifications.send")

    async def orders_placed(self, tx: Transaction, *, confirmations: Sequence[Confirmation]) -> None:
        """Write confirmations down; within the transaction of the consumer that heard of the orders."""
        now = self._clock.now()
        mails = [
            store.Mail(
                order_id=each.order_id,
                kind=rules.ORDER_PLACED,
                person=each.person,
                contact=each.contact,
                locale=each.locale,
                facts=msgspec.json.encode(_facts(each)).decode(),
                attempts=0,
                next_at=to_micros(now),
            )
            for each in confirmations
        ]
        await store.add(tx, mails, at=now)

    async def send(self) -> None:
        """Send the mails that are due; harmless when several do it at once."""
        for _ in range(MOST_BATCHES):
            began = self._clock.monotonic()
            if await self._send_batch() < BATCH:
                return
            await self._clock.sleep(REST * (self._clock.monotonic() - began))

    async def close(self) -> None:
        """Break off what is being sent; it is due again after the next start."""
        await self.sending.close()

    async def _send_batch(self) -> int:
        """One attempt at a batch; answers how many were due."""
        now = self._clock.now()
        due = await store.due(self._database, at=now, limit=BATCH)
        if not due:
            return 0
        later = [(mail, rules.next_attempt(attempts=mail.attempts + 1, at=now)) for mail in due]
        async with self._database.write(*{slot_of(mail.order_id) for mail in due}) as tx:
            ours = await store.take(tx, later)
        mails = sorted(
            (mail for mail in due if (mail.order_id, mail.kind) in ours), key=lambda mail: int(mail.order_id)
        )
        states = await asyncio.gather(*(self._attempt(mail) for mail in mails))
        over = [(mail, state) for mail, state in zip(mails, states, strict=True) if state != "due"]
        if over:
            async with self._database.write(*{slot_of(mail.order_id) for mail, _ in over}) as tx:
                await store.end(tx, over, at=self._clock.now())
        return len(due)

    async def _attempt(self, mail: store.Mail) -> str:
        """What becomes of the mail: it stays `due` where another attempt may help."""
        try:
            await self._mailer.send(await self._written(mail))
        except PersonErased:
            return "dropped"
        except (MailInvalid, MailRefused) as error:
            log.warning("mail refused for good", order_id=mail.order_id, kind=mail.kind, code=error.code)
            return "failed"
        except Exception as error:  # one mail must not hurt its neighbours
            is_given_up = rules.is_given_up(attempts=mail.attempts + 1)
            # The error's type only: its text may name the person.
            log.warning(
                "mail not sent",
                order_id=mail.order_id,
                kind=mail.kind,
                error=type(error).__name__,
                is_given_up=is_given_up,
            )
            return "failed" if is_given_up else "due"
        return "sent"

    async def _written(self, mail: store.Mail) -> Mail:
        box = await self._keyring.box(person=mail.person)
        contact = box.open(mail.contact, Contact, context=CONTACT_CONTEXT)
        facts = msgspec.json.decode(mail.facts, type=Facts)
        letter = rules.letter(
            facts=facts, contact=contact, locale=mail.locale, public_url=self._public_url, shop_name=self._shop_name
        )
        return Mail(
            to=contact.email,
            subject=letter.subject,
            text=letter.text,
            message_key=rules.message_key(kind=mail.kind, order_id=mail.order_id),
            locale=mail.locale,
        )


def _facts(confirmation: Confirmation) -> Facts:
    return Facts(
        number=confirmation.number,
        items=tuple(Item(name=name, quantity=quantity, total=total) for name, quantity, total in confirmation.lines),
        steps=rules.summed(confirmation.steps),
        subtotal=confirmation.subtotal,
        total=confirmation.total,
    )
