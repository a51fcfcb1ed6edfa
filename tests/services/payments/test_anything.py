"""Anything that can happen, in any order, with a mischievous provider: in the end the books agree to the cent."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hansa.kernel.errors import BusinessError, Fault
from hansa.kernel.money import Money
from hansa.services.payments.contract import NoSuchPayment
from hansa.services.payments.events import PaymentCaptured
from tests import databases
from tests.services.payments.till import Killed, Till, dies, opened_till

TOKENS = ["tok_success", "tok_declined", "tok_late", "tok_twice", "tok_timeout", "tok_unheard_of"]
CALLS = ["charge", "capture", "void", "refund", "find"]
MOST_ORDERS = 3
WHEN = st.sampled_from(["before", "after"])
ORDERS = st.integers(0, MOST_ORDERS - 1)


class Anything(RuleBasedStateMachine):
    """Drives a till; `till` and `run` are set by the test."""

    till: Till
    runner: asyncio.Runner

    def run(self, awaitable: Awaitable[object]) -> None:
        """Run it; dying restarts the process, and refusals and faults are answers like others."""

        async def attempt() -> None:
            with suppress(BusinessError, Fault):
                if await dies(awaitable, database=self.till.database):
                    self.till.restart()

        self.runner.run(attempt())

    @initialize(tokens=st.lists(st.sampled_from(TOKENS), min_size=MOST_ORDERS, max_size=MOST_ORDERS))
    def begin(self, tokens: list[str]) -> None:
        self.orders = [self.till.order() for _ in range(MOST_ORDERS)]
        self.tokens = tokens
        self.closed: set[str] = set()
        self.refunds = 0
        self.till.is_deaf = False
        self.till.posted.clear()

    @rule(order=ORDERS)
    def charge(self, order: int) -> None:
        self.run(self.till.charge(self.orders[order], self.tokens[order]))

    @rule(order=ORDERS)
    def charge_twice_at_once(self, order: int) -> None:
        async def both() -> None:
            charges = [self.till.charge(self.orders[order], self.tokens[order]) for _ in range(2)]
            for outcome in await asyncio.gather(*charges, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome

        self.run(both())

    @rule(order=ORDERS)
    def authorize(self, order: int) -> None:
        self.run(self.till.authorize(self.orders[order], self.tokens[order]))

    @rule(order=ORDERS, act=st.sampled_from(["capture", "void"]))
    def capture_or_void(self, order: int, act: str) -> None:
        self.run(getattr(self.till.payments, act)(key=act, order_id=self.orders[order]))

    @rule(order=ORDERS, cents=st.sampled_from([1, 500, 1000, 1999, None]))
    def refund(self, order: int, cents: int | None) -> None:
        self.refunds += 1
        amount = None if cents is None else Money(cents, "EUR")
        key = f"r{self.refunds}"
        self.run(self.till.payments.refund(key=key, order_id=self.orders[order], amount=amount, reason=""))

    @rule(order=ORDERS, is_rejection=st.booleans())
    def close(self, order: int, is_rejection: bool) -> None:
        # The bus delivers until it succeeds.
        self.run(self.till.close(self.orders[order], is_rejection=is_rejection))
        self.till.database.live()
        self.run(self.till.close(self.orders[order], is_rejection=is_rejection))
        self.closed.add(self.orders[order])

    @rule(seconds=st.integers(1, 12))
    def pass_time(self, seconds: int) -> None:
        self.run(self.till.pass_time(seconds))

    @rule()
    def work(self) -> None:
        self.run(self.till.work())

    @rule(call=st.sampled_from(CALLS), when=WHEN, is_death=st.booleans())
    def disturb(self, call: str, when: str, is_death: bool) -> None:
        self.till.provider.disturb(call, when, Killed() if is_death else None)

    @rule(at_write=st.integers(1, 3), when=WHEN)
    def doom(self, at_write: int, when: str) -> None:
        self.till.database.die(at_write=at_write, when=when)

    @rule(is_deaf=st.booleans())
    def hear_or_not(self, is_deaf: bool) -> None:
        self.till.is_deaf = is_deaf

    @rule()
    def repeat_a_webhook(self) -> None:
        for headers, body in self.till.posted[-1:]:
            self.run(self.till.payments.hear(key="k", provider="sandbox", headers=headers, body=body))

    @invariant()
    def nothing_is_believed_that_the_provider_did_not_do(self) -> None:
        for order_id in getattr(self, "orders", []):
            books, believed = self.runner.run(self._books_and_belief(order_id))
            assert books["captured"] in (0, 1999)
            assert books["refunded"] <= books["captured"]
            assert believed[0] <= books["captured"]
            assert believed[1] <= books["refunded"]

    def teardown(self) -> None:
        self.till.provider.plan.clear()
        self.till.is_deaf = False
        self.till.restart()
        self.runner.run(self.till.pass_time(400))
        for order_id in getattr(self, "orders", []):
            books, (captured, refunded, state) = self.runner.run(self._books_and_belief(order_id))
            assert (captured, refunded) == (books["captured"], books["refunded"])
            assert state not in ("created", "pending")
            assert len(self.runner.run(self.till.events(PaymentCaptured, order_id))) == (captured > 0)
            if order_id in self.closed:
                assert captured == refunded
                assert state != "authorized"
                assert books["authorized"] == books["voided"] + min(books["authorized"], books["captured"])

    async def _books_and_belief(self, order_id: str) -> tuple[Any, tuple[int, int, str]]:
        try:
            payment = await self.till.service.of_order(order_id=order_id)
        except NoSuchPayment:
            return await self.till.books(order_id), (0, 0, "")
        return await self.till.books(order_id), (payment.captured, payment.refunded, payment.state)


@pytest.mark.parametrize(("engine", "examples"), [(databases.SQLITE, 40), (databases.POSTGRES, 8)])
def test_whatever_happens_the_books_agree_in_the_end(
    engine: str, examples: int, folder: Path, request: pytest.FixtureRequest
) -> None:
    dsn = request.getfixturevalue("postgres_dsn") if engine == databases.POSTGRES else None
    with asyncio.Runner() as runner:
        opening = opened_till(engine=engine, wire="local", folder=folder, dsn=dsn)
        till = runner.run(opening.__aenter__())
        try:
            machine = type("Anything", (Anything,), {"till": till, "runner": runner})
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opening.__aexit__(None, None, None))
