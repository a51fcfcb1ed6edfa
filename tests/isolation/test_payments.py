"""Nobody is charged twice and nothing is given back twice, in whatever order two who write of one payment meet."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest

from hansa.kernel.ids import slot_of
from hansa.kernel.money import Money
from hansa.platform.database.port import Database
from hansa.platform.jobs.periodic import Job
from hansa.platform.providers.payments import Answer, Notice, RefundAnswer
from hansa.platform.security.sealing import Keyring
from hansa.services.payments.contract import Payment, PaymentConflict, Refund, RefundTooLarge
from hansa.services.payments.events import PaymentCaptured, PaymentFailed, PaymentRefunded
from hansa.services.payments.service import PaymentsService
from tests.isolation.ground import KEYRING, Ground, said_of
from tests.isolation.stepping import Act, Explored, Scene, explore

PRICE = Money(1000, "EUR")


class Bank:
    """A provider that answers at once and keeps its promises; `first` is what it says when asked to take money."""

    name = "bank"

    def __init__(self) -> None:
        self.first = "captured"
        self.charges: dict[str, str] = {}
        self.refunds: dict[str, int] = {}
        self.asked: Counter[tuple[str, str]] = Counter()

    async def charge(self, *, key: str, token: str, amount: Money, capture: bool) -> Answer:
        self.asked["charge", key] += 1
        return self._answer(self.charges.setdefault(key, self.first))

    async def capture(self, *, key: str, reference: str) -> Answer:
        return self.turn(key, "captured")

    async def void(self, *, key: str, reference: str) -> Answer:
        return self.turn(key, "voided")

    async def refund(self, *, key: str, reference: str, amount: Money) -> RefundAnswer:
        self.asked["refund", key.partition(":")[0]] += 1
        self.refunds.setdefault(key, amount.amount)
        return RefundAnswer(state="refunded")

    async def find(self, *, key: str) -> Answer | None:
        self.asked["find", key] += 1
        return self._answer(self.charges[key]) if key in self.charges else None

    def turn(self, key: str, state: str) -> Answer:
        """Let a charge that has not ended end so; answers how it ended."""
        if self.charges.get(key, "pending") in ("pending", "authorized"):
            self.charges[key] = state
        return self._answer(self.charges[key])

    def given_back(self, order_id: str) -> int:
        return sum(amount for key, amount in self.refunds.items() if key.startswith(f"{order_id}:"))

    def read_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        return msgspec.json.decode(body, type=Notice)

    def jobs(self) -> Sequence[Job]:
        return ()

    async def close(self) -> None: ...

    def _answer(self, state: Any) -> Answer:
        return Answer(state=state)


class Tills:
    """A till that prepares, and two that meet."""

    def __init__(
        self, ground: Ground, doors: Sequence[Database], bank: Bank, services: Sequence[PaymentsService]
    ) -> None:
        self.ground, self.doors, self.database, self.bank = ground, doors, doors[0], bank
        self.one, self.two, self.three = services
        self.made = 0

    def order(self) -> str:
        self.made += 1
        return self.ground.ids.new(slot=self.made)

    def charge(self, till: PaymentsService, order: str) -> Awaitable[Payment]:
        return till.charge(key=order, order_id=order, provider="bank", token="tok", amount=PRICE)

    async def authorized(self) -> str:
        order = self.order()
        self.bank.first = "authorized"
        await self.one.authorize(key=order, order_id=order, provider="bank", token="tok", amount=PRICE)
        return order

    async def captured(self) -> str:
        order = self.order()
        self.bank.first = "captured"
        await self.charge(self.one, order)
        return order

    def refund(self, till: PaymentsService, order: str, key: str, amount: int | None) -> Awaitable[Refund]:
        wanted = None if amount is None else Money(amount, "EUR")
        return till.refund(key=key, order_id=order, amount=wanted, reason="scratched")

    async def hear(self, number: int, till: PaymentsService, order: str, state: str) -> None:
        """The bank acts at some moment, and its webhook comes to that process: it says what became of the charge."""
        stage = self.ground.stage
        await stage.gate(stage.actors[number - 1], f"the bank: {state}")
        said = Notice(id=f"notice of {order}", key=order, answer=self.bank.turn(order, state))
        await till.hear(key=said.id, provider="bank", headers={}, body=msgspec.json.encode(said))

    async def close(self, number: int, till: PaymentsService, order: str) -> None:
        """The order came to nothing, heard within a transaction of the process of that number."""
        async with self.doors[number].write(slot_of(order)) as tx:
            await till.close_orders(tx, order_ids=[order])

    async def explore(self, prepare: Any, *, switches: int = 1) -> Explored:
        return await explore(self.ground.stage, prepare, switches=switches)

    def scene(self, order: str, first: Act, second: Act, expected: Any) -> Scene:
        """`expected` is told the payment, the counted events of the order, and the outcomes."""

        async def check(*outcomes: Any) -> None:
            payment = await self.one.of_order(order_id=order)
            events = Counter(await said_of(self.database, order))
            assert events[PaymentCaptured.type] <= 1, "that money came is said once"
            assert events[PaymentCaptured.type] == (payment.captured > 0)
            assert payment.refunded == self.bank.given_back(order) <= payment.captured
            promised = sum(refund.amount.amount for refund in payment.refunds if refund.state != "failed")
            assert promised <= payment.captured, "never more is promised back than was taken"
            assert events[PaymentRefunded.type] == sum(refund.state == "refunded" for refund in payment.refunds)
            expected(payment, events, *outcomes)

        return Scene((first, second), check)


@pytest.fixture
async def tills(ground: Ground) -> AsyncIterator[Tills]:
    async with ground.database("payments") as database, ground.database(KEYRING) as keys:
        bank = Bank()
        keyring = Keyring(database=keys, master=bytes(32), clock=ground.clock)
        doors = (database, *ground.stepped(database))
        services = [
            PaymentsService(database=door, providers={"bank": bank}, keyring=keyring, clock=ground.clock, ids=ids)
            for door, ids in zip(doors, ground.ids_of_all, strict=True)
        ]
        yield Tills(ground, doors, bank, services)


async def test_one_order_charged_twice_pays_once(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = tills.order()

        def expected(payment: Payment, events: Counter[str], *outcomes: Any) -> None:
            assert payment.captured == PRICE.amount
            assert {outcome.id for outcome in outcomes} == {payment.id}, "both are told of the same payment"

        return tills.scene(
            order, lambda: tills.charge(tills.two, order), lambda: tills.charge(tills.three, order), expected
        )

    await tills.explore(prepare)


async def test_the_answer_to_a_charge_and_its_webhook_are_one_capture(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = tills.order()

        def expected(payment: Payment, events: Counter[str], *_: Any) -> None:
            assert payment.captured == PRICE.amount

        return tills.scene(
            order,
            lambda: tills.charge(tills.two, order),
            lambda: tills.hear(2, tills.three, order, "captured"),
            expected,
        )

    await tills.explore(prepare, switches=2)


async def test_a_late_answer_does_not_undo_what_the_webhook_said(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = tills.order()
        tills.bank.first = "pending"
        await tills.charge(tills.one, order)
        tills.ground.clock.advance(60)

        def expected(payment: Payment, events: Counter[str], *_: Any) -> None:
            assert payment.state == "captured"

        return tills.scene(
            order, lambda: tills.two.settle(), lambda: tills.hear(2, tills.three, order, "captured"), expected
        )

    await tills.explore(prepare)


async def test_a_webhook_that_comes_twice_counts_once(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = tills.order()
        tills.bank.first = "pending"
        await tills.charge(tills.one, order)

        def expected(payment: Payment, events: Counter[str], *_: Any) -> None:
            assert payment.state == "captured"

        return tills.scene(
            order,
            lambda: tills.hear(1, tills.two, order, "captured"),
            lambda: tills.hear(2, tills.three, order, "captured"),
            expected,
        )

    await tills.explore(prepare, switches=2)


@pytest.mark.parametrize("amount", [600, None])
async def test_two_refunds_never_give_back_more_than_is_left(tills: Tills, amount: int | None) -> None:
    async def prepare() -> Scene:
        order = await tills.captured()

        def expected(payment: Payment, events: Counter[str], *outcomes: Any) -> None:
            assert {type(outcome) for outcome in outcomes} == {Refund, RefundTooLarge}
            assert payment.refunded == (amount or PRICE.amount)

        return tills.scene(
            order,
            lambda: tills.refund(tills.two, order, "a", amount),
            lambda: tills.refund(tills.three, order, "b", amount),
            expected,
        )

    explored = await tills.explore(prepare)
    assert len(explored.outcomes) == 2, "either may be the one"


async def test_one_refund_asked_for_twice_is_given_once(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = await tills.captured()

        def expected(payment: Payment, events: Counter[str], first: Any, second: Any) -> None:
            assert first.id == second.id
            assert payment.refunded == 400

        return tills.scene(
            order,
            lambda: tills.refund(tills.two, order, "a", 400),
            lambda: tills.refund(tills.three, order, "a", 400),
            expected,
        )

    await tills.explore(prepare)


async def test_letting_go_and_the_news_of_a_capture_end_as_the_bank_has_it(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = await tills.authorized()

        def expected(payment: Payment, events: Counter[str], *_: Any) -> None:
            assert payment.state == tills.bank.charges[order]
            assert events[PaymentCaptured.type] + events[PaymentFailed.type] == 1

        return tills.scene(
            order,
            lambda: tills.two.void(key="v", order_id=order),
            lambda: tills.hear(2, tills.three, order, "captured"),
            expected,
        )

    explored = await tills.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_letting_go_and_capturing_at_once_end_as_the_bank_has_it(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = await tills.authorized()

        def expected(payment: Payment, events: Counter[str], *outcomes: Any) -> None:
            assert payment.state == tills.bank.charges[order]
            assert sorted(isinstance(outcome, PaymentConflict) for outcome in outcomes) == [False, True]

        return tills.scene(
            order,
            lambda: tills.two.void(key="v", order_id=order),
            lambda: tills.three.capture(key="c", order_id=order),
            expected,
        )

    explored = await tills.explore(prepare)
    assert len(explored.outcomes) == 2


async def test_two_sweeps_at_once_settle_a_payment_once(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = tills.order()
        tills.bank.first = "pending"
        await tills.charge(tills.one, order)
        tills.bank.turn(order, "captured")
        tills.ground.clock.advance(60)

        def expected(payment: Payment, events: Counter[str], *_: Any) -> None:
            assert payment.state == "captured"
            assert tills.bank.asked["find", order] == 1, "one of them goes and asks"

        return tills.scene(order, lambda: tills.two.settle(), lambda: tills.three.settle(), expected)

    await tills.explore(prepare)


async def test_two_runs_at_once_try_a_refund_once(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = await tills.captured()
        await tills.close(0, tills.one, order)

        def expected(payment: Payment, events: Counter[str], *_: Any) -> None:
            assert payment.refunded == PRICE.amount
            assert tills.bank.asked["refund", order] == 1

        return tills.scene(order, lambda: tills.two.pay_back(), lambda: tills.three.pay_back(), expected)

    await tills.explore(prepare)


async def test_money_of_an_order_that_is_closed_meanwhile_goes_back_whole(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = await tills.captured()

        def expected(payment: Payment, events: Counter[str], *_: Any) -> None:
            assert sum(refund.amount.amount for refund in payment.refunds) == PRICE.amount

        return tills.scene(
            order,
            lambda: tills.refund(tills.two, order, "a", 400),
            lambda: tills.close(2, tills.three, order),
            expected,
        )

    await tills.explore(prepare)


async def test_a_capture_of_an_order_that_is_closed_meanwhile_is_owed_back(tills: Tills) -> None:
    async def prepare() -> Scene:
        order = tills.order()
        tills.bank.first = "pending"
        await tills.charge(tills.one, order)

        def expected(payment: Payment, events: Counter[str], *_: Any) -> None:
            assert payment.captured == PRICE.amount
            assert sum(refund.amount.amount for refund in payment.refunds) == PRICE.amount

        return tills.scene(
            order,
            lambda: tills.hear(1, tills.two, order, "captured"),
            lambda: tills.close(2, tills.three, order),
            expected,
        )

    await tills.explore(prepare)
