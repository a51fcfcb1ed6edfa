"""Confirmations: one mail for an order, in its buyer's language, whatever breaks on the way."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select

from hansa.kernel.address import Address
from hansa.kernel.clock import EPOCH
from hansa.kernel.event import Envelope
from hansa.kernel.ids import Ids, slot_of
from hansa.kernel.money import Money
from hansa.platform.database.port import Database
from hansa.platform.database.statement import Statement
from hansa.platform.mail.port import Mail, MailFailed, MailInvalid, MailRefused
from hansa.platform.messaging.port import Permanent
from hansa.platform.outbox.inbox import Inbox
from hansa.platform.outgoing.late import LatePoster
from hansa.platform.security import sealing
from hansa.platform.security.sealing import Keyring
from hansa.services.notifications.consumers import consumers
from hansa.services.notifications.manifest import MANIFEST
from hansa.services.notifications.rules import mails as rules
from hansa.services.notifications.service import NotificationsService
from hansa.services.notifications.service.mails import BATCH
from hansa.services.notifications.tables import MAILS, METADATA
from hansa.services.orders.contract import CONTACT_CONTEXT, Contact
from hansa.services.orders.events import OrderPlaced, SoldLine, Step
from tests import databases
from tests.clocks import ManualClock

ADDRESS = Address(name="Ada Lovelace", line1="1 Byron Row", city="London", country="GB")
SHOP_URL = "https://shop.example"
EVERYTHING = Statement(select(MAILS))


@dataclass
class Post:
    """A mailer that keeps what it is given, and does as it is told."""

    letters: list[Mail] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    is_slow: bool = False

    async def send(self, mail: Mail) -> None:
        if self.is_slow:
            await asyncio.sleep(0.01)
        if self.failures:
            raise self.failures.pop(0)
        self.letters.append(mail)

    @property
    def arrived(self) -> dict[str, Mail]:
        """Mails as they are read: one for each message key."""
        return {mail.message_key: mail for mail in self.letters}


@dataclass
class Office:
    """The service, its post, and the orders that it hears of."""

    database: Database
    keyring: Keyring
    clock: ManualClock
    ids: Ids
    post: Post = field(default_factory=Post)

    def __post_init__(self) -> None:
        self.service = self.process()

    def process(self) -> NotificationsService:
        return NotificationsService(
            database=self.database,
            clock=self.clock,
            ids=self.ids,
            keyring=self.keyring,
            mailer=self.post,
            poster=LatePoster(may_be_private=False),
            event_types={},
            public_url=SHOP_URL,
            shop_name="Elster",
        )

    async def order(self, *, locale: str = "en", email: str = "ada@example.org", person: str | None = None) -> Envelope:
        order_id = self.ids.new(slot=7)
        person = person or f"order:{order_id}"
        contact = Contact(order=f"{order_id}-secret", email=email, shipping_address=ADDRESS)
        box = await self.keyring.box(person=person)
        line = SoldLine(
            sku="HAT",
            product_id="1",
            name="A hat",
            quantity=2,
            unit_price=Money(1999, "EUR"),
            total=Money(3998, "EUR"),
            seller_id="shop",
        )
        event = OrderPlaced(
            order_id=order_id,
            number="0K4F9-ABCDE-1234",
            cart_id=None,
            lines=(line,),
            subtotal=Money(3998, "EUR"),
            steps=(
                Step(kind="tax", name="VAT", amount=Money(638, "EUR"), included=True),
                Step(kind="shipping", name="Parcel", amount=Money(500, "EUR"), included=False),
                Step(kind="tax", name="VAT", amount=Money(80, "EUR"), included=True),
            ),
            total=Money(4498, "EUR"),
            locale=locale,
            person=person,
            contact=box.seal(contact, context=CONTACT_CONTEXT),
        )
        return Envelope(
            id=self.ids.new(slot=7),
            type=event.type,
            source="orders",
            time=self.clock.now(),
            slot=slot_of(order_id),
            aggregate=order_id,
            body=msgspec.Raw(msgspec.json.encode(event)),
        )

    async def hear(self, *envelopes: Envelope) -> None:
        consumer = consumers(self.service)[0]
        await Inbox(database=self.database, consumer=replace_afterwards(consumer), clock=self.clock).deliver(envelopes)

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.database.all(EVERYTHING)]


def replace_afterwards(consumer):
    """Without the kick, so that tests say themselves when mails are sent."""
    return type(consumer)(name=consumer.name, hears=consumer.hears, handle=consumer.handle)


@pytest.fixture(params=databases.ENGINES)
async def office(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    dsn = request.getfixturevalue("postgres_dsn") if request.param == databases.POSTGRES else None
    clock = ManualClock()
    ids = Ids(clock=clock)
    async with (
        databases.opened(
            engine=request.param,
            name="notifications",
            metadata=METADATA,
            folder=tmp_path,
            dsn=dsn,
            clock=clock,
            ids=ids,
        ) as database,
        databases.opened(
            engine=databases.SQLITE, name="keys", metadata=sealing.METADATA, folder=tmp_path, clock=clock, ids=ids
        ) as keys,
    ):
        keyring = Keyring(database=keys, master=bytes(range(32)), clock=clock)
        yield Office(database=database, keyring=keyring, clock=clock, ids=ids)


async def test_who_has_ordered_is_told_so_once(office: Office):
    placed = await office.order()
    await office.hear(placed)
    await office.hear(placed, placed)
    await office.service.mails.send()
    await office.service.mails.send()

    [mail] = office.post.letters
    assert mail.to == "ada@example.org"
    assert mail.message_key == f"order-placed-{placed.aggregate}"
    for told in [
        "0K4F9-ABCDE-1234",
        "2 × A hat",
        "39.98 EUR",
        "44.98 EUR",
        "Parcel",
        "7.18 EUR",
        "Ada Lovelace",
        f"\nhttps://shop.example/en/orders/{placed.aggregate}-secret\n",
    ]:
        assert told in mail.text
    assert await office.states() == ["sent"]


async def test_the_same_order_told_by_another_event_is_one_mail(office: Office):
    placed = await office.order()
    await office.hear(placed)
    await office.hear(replace(placed, id=office.ids.new(slot=7)))
    await office.service.mails.send()

    assert len(office.post.letters) == 1


@pytest.mark.parametrize(
    ("locale", "subject"),
    [(locale, "Your Elster order") for locale in ("en", "pt-BR", "")]
    + [(locale, "您在 Elster 的订单") for locale in ("zh", "zh-CN")],
)
def test_mails_speak_the_buyers_language_or_else_english(locale: str, subject: str):
    facts = rules.Facts(number="N", items=(), subtotal=Money(0, "JPY"), total=Money(1200, "JPY"))
    nobody = Contact.erased(order="1", country="JP")
    letter = rules.letter(facts=facts, contact=nobody, locale=locale, public_url=SHOP_URL, shop_name="Elster")

    assert letter.subject == f"{subject} N"
    assert "1200 JPY" in letter.text


@pytest.mark.parametrize(
    ("locale", "link"),
    [
        ("zh", "https://shop.example/zh/orders/1-x"),
        ("pt-BR", "https://shop.example/pt-BR/orders/1-x"),
        ("", "https://shop.example/en/orders/1-x"),
        ("../..?", "https://shop.example/..%2F..%3F/orders/1-x"),
    ],
)
def test_the_link_leads_to_the_page_of_the_order_in_the_buyers_language(locale: str, link: str):
    assert rules.order_link("1-x", locale=locale, public_url=SHOP_URL) == link


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_names_that_others_chose_begin_no_line_of_their_own(locale: str):
    trick = "hat\r\n\r\nPay here:\u2028http://evil.example \u202egnp.\x00\x1b[2J\x85end"
    facts = rules.Facts(
        number="N",
        items=(rules.Item(name=trick, quantity=1, total=Money(1, "EUR")),),
        subtotal=Money(1, "EUR"),
        steps=(rules.Step(name=trick, amount=Money(1, "EUR"), included=False),),
        total=Money(1, "EUR"),
    )
    contact = Contact(order="1-x", email="a@example.org", shipping_address=msgspec.structs.replace(ADDRESS, name=trick))
    plain = msgspec.structs.replace(contact, shipping_address=ADDRESS)
    tricked = rules.letter(facts=facts, contact=contact, locale=locale, public_url=SHOP_URL, shop_name="Elster")
    honest = rules.letter(facts=facts, contact=plain, locale=locale, public_url=SHOP_URL, shop_name="Elster")

    assert tricked.text.count("hat Pay here: http://evil.example gnp. [2J end") == 2, "and no stranger is greeted so"
    assert len(tricked.text.splitlines()) == len(honest.text.splitlines())
    assert {character for character in tricked.text if ord(character) < 32} == {"\n"}
    assert "\u202e" not in tricked.text


@given(st.text(max_size=50))
def test_a_text_in_one_line_is_one_line_and_an_honest_one_is_left_alone(text: str):
    once = rules.one_line(text)
    assert len(once.splitlines()) <= 1
    assert rules.one_line(once) == once
    assert rules.one_line("Wollmütze 羊毛帽 👩‍🔬 (XL)") == "Wollmütze 羊毛帽 👩‍🔬 (XL)"


async def test_nothing_personal_rests_in_the_clear_and_nothing_at_all_once_it_is_sent(office: Office):
    await office.hear(await office.order())
    [row] = await office.database.all(EVERYTHING)
    assert not [name for name in MAILS.c.keys() if "ada" in str(row[name]).lower() and name != "contact"]

    await office.service.mails.send()

    [row] = await office.database.all(EVERYTHING)
    assert row["contact"] == ""


async def test_a_mail_that_fails_is_sent_later_and_not_at_once(office: Office):
    await office.hear(await office.order())
    office.post.failures = [MailFailed("greylisted"), OSError("no route")]

    for seconds, sent in [(0, 0), (1, 0), (5, 0), (5, 0), (6, 1)]:
        office.clock.advance(seconds)
        await office.service.mails.send()
        assert len(office.post.letters) == sent
    assert await office.states() == ["sent"]


@pytest.mark.parametrize("error", [MailInvalid(part="to"), MailRefused(reply=550)])
async def test_a_mail_that_is_refused_for_good_is_given_up(office: Office, error: Exception):
    await office.hear(await office.order())
    office.post.failures = [error]
    await office.service.mails.send()
    office.clock.advance(7200)
    await office.service.mails.send()

    assert (office.post.letters, await office.states()) == ([], ["failed"])


async def test_a_mail_that_always_fails_is_given_up_at_last(office: Office):
    await office.hear(await office.order())
    office.post.failures = [MailFailed("down") for _ in range(100)]
    for _ in range(rules.MOST_ATTEMPTS + 2):
        await office.service.mails.send()
        office.clock.advance(rules.LONGEST_DELAY_S)

    assert len(office.post.failures) == 100 - rules.MOST_ATTEMPTS
    assert await office.states() == ["failed"]


async def test_nobody_writes_to_somebody_who_was_erased(office: Office):
    await office.hear(await office.order(person="4711"))
    await office.keyring.erase(person="4711")
    await office.service.mails.send()

    assert (office.post.letters, await office.states()) == ([], ["dropped"])


async def test_one_bad_mail_does_not_hold_up_the_others(office: Office):
    await office.hear(*[await office.order() for _ in range(BATCH + 5)])
    office.post.failures = [MailRefused(reply=550)]
    await office.service.mails.send()

    assert sorted(await office.states()) == ["failed"] + ["sent"] * (BATCH + 4)


async def test_several_who_send_at_once_send_each_mail_once(office: Office):
    await office.hear(*[await office.order() for _ in range(20)])
    office.post.is_slow = True

    await asyncio.gather(*(office.process().mails.send() for _ in range(4)))

    assert len(office.post.letters) == 20
    assert len(office.post.arrived) == 20


async def test_a_process_that_dies_after_sending_sends_the_same_mail_again(office: Office):
    await office.hear(await office.order())
    service = office.service
    office.service = office.process()
    dying = asyncio.create_task(service.mails.send())
    while not office.post.letters:
        await asyncio.sleep(0)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    office.clock.advance(60)
    await office.service.mails.send()

    assert len(office.post.arrived) == 1
    assert await office.states() == ["sent"]


async def test_what_is_heard_is_sent_soon(office: Office):
    consumer = consumers(office.service)[0]
    await Inbox(database=office.database, consumer=consumer, clock=office.clock).deliver([await office.order()])
    while not office.post.letters:
        await asyncio.sleep(0.001)


async def test_an_event_that_is_none_is_parked_at_once(office: Office):
    placed = await office.order()
    with pytest.raises(Permanent):
        await office.hear(replace(placed, body=msgspec.Raw(b"{}")))


@given(attempts=st.integers(0, 1000))
def test_the_next_attempt_is_always_later_and_never_too_late(attempts: int):
    delay_s = (rules.next_attempt(attempts=attempts, at=EPOCH) - EPOCH).total_seconds()
    assert 0 < delay_s <= rules.LONGEST_DELAY_S


def test_the_manifest_asks_nobody():
    assert MANIFEST.uses == ()
