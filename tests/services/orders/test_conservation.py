"""Whatever shoppers, staff, banks and deaths do in whatever order: money and pieces are conserved."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hansa.kernel.errors import BusinessError, Fault
from hansa.services.orders.contract import FulfilmentDraft, FulfilmentLine, RefundDraft
from tests import databases
from tests.services.orders.conftest import opened
from tests.services.orders.shop import MEMBER, Shop, draft
from tests.services.orders.trouble import Broken, Death

PIECES = 6
PICKS = st.integers(0, 5)
KEYS = st.integers(1, 12).map(lambda number: f"k{number}")
TOKENS = st.sampled_from(["tok_success", "tok_success", "tok_declined", "tok_late", "tok_refused", "tok_silent"])


class Trading(RuleBasedStateMachine):
    """Every rule may be refused; what counts is what the books say at the end."""

    shop: Shop

    def __init__(self) -> None:
        super().__init__()
        self.names: list[tuple[str, str | None]] = []
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()

    @initialize()
    def open(self) -> None:
        self.shop = self.loop.run_until_complete(
            self.stack.enter_async_context(
                opened(engine=databases.SQLITE, wire="local", dsn=None, folder=Path(self.folder.name))
            )
        )
        self.shop.inventory.on_hand = {"HAT": PIECES}

    @rule(key=KEYS, token=TOKENS, quantity=st.integers(1, 3), member=st.sampled_from([None, MEMBER]))
    def place(self, key: str, token: str, quantity: int, member: str | None) -> None:
        order = self.run(self.shop.place(key, draft(token, HAT=quantity), member=member))
        if order is not None:
            self.names.append((order.id, member))

    @rule(number=st.integers(1, 40), failure=st.sampled_from([Death, Broken]))
    def let_something_fail_soon(self, number: int, failure: type[Exception]) -> None:
        self.shop.trouble.plan(at=number, failure=failure)

    @precondition(lambda self: self.names)
    @rule(pick=PICKS, key=KEYS)
    def cancel(self, pick: int, key: str) -> None:
        name, member = self.picked(pick)
        self.run(self.shop.orders.cancel(key=key, order=name, member=member))

    @precondition(lambda self: self.names)
    @rule(pick=PICKS, quantity=st.integers(1, 3), key=KEYS)
    def fulfil(self, pick: int, quantity: int, key: str) -> None:
        asked = FulfilmentDraft(lines=(FulfilmentLine(sku="HAT", quantity=quantity),))
        order_id = self.picked(pick)[0].partition("-")[0]
        self.run(self.shop.orders.fulfil(key=f"f{key}", order_id=order_id, draft=asked, actor="user:1"))

    @precondition(lambda self: self.names)
    @rule(pick=PICKS, amount=st.none() | st.integers(1, 900), back=st.integers(0, 2), key=KEYS)
    def refund(self, pick: int, amount: int | None, back: int, key: str) -> None:
        restock = (FulfilmentLine(sku="HAT", quantity=back),) if back else ()
        asked = RefundDraft(amount=amount, restock=restock)
        order_id = self.picked(pick)[0].partition("-")[0]
        self.run(self.shop.orders.refund(key=f"r{key}", order_id=order_id, draft=asked, actor="user:1"))

    def picked(self, pick: int) -> tuple[str, str | None]:
        return self.names[pick % len(self.names)]

    @rule()
    def let_the_bank_speak(self) -> None:
        self.shop.payments.settle()

    @rule()
    def deliver(self) -> None:
        self.run(self.shop.deliver())

    @rule(seconds=st.sampled_from([3, 30, 300]))
    def sweep(self, seconds: int) -> None:
        self.shop.clock.advance(seconds)
        self.run(self.shop.service.resume())

    @rule()
    def expire(self) -> None:
        self.shop.clock.advance(200)
        self.shop.inventory.expire()

    @rule()
    def restart(self) -> None:
        self.shop.restart()

    @invariant()
    def nothing_is_promised_or_charged_twice(self) -> None:
        if hasattr(self, "shop"):
            assert self.shop.inventory.available("HAT") >= 0
            assert all(charge.times_taken <= 1 for charge in self.shop.payments.charges.values())

    def teardown(self) -> None:
        self.shop.trouble.plan(at=None)
        self.shop.restart()
        self.loop.run_until_complete(self.come_to_an_end())
        self.loop.run_until_complete(self.stack.aclose())
        self.loop.close()
        self.folder.cleanup()

    async def come_to_an_end(self) -> None:
        await self.shop.pass_time(1000, step=50)
        await self.shop.settle()
        await self.shop.audit()
        for order_id, status in (await self.shop.statuses()).items():
            assert status != "pending", "every order ends"
            order = await self.shop.service.get_for_staff(order_id=order_id)
            charge = self.shop.payments.charges.get(order_id)
            if charge is not None:
                known = (order.payments[0].captured, order.payments[0].refunded)
                assert known == (charge.payment.captured, charge.payment.refunded)
            held = self.shop.inventory.orders.get(order_id)
            if status in ("placed", "completed"):
                assert held is not None
                assert order.lines[0].returned == held.returned.get("HAT", 0)

    def run(self, act: Any) -> Any:
        """The answer, or None for a no of any kind; after a death a new process goes on."""
        try:
            return self.loop.run_until_complete(act)
        except (BusinessError, Fault):
            return None
        except Death:
            self.shop.restart()
            return None
        except ExceptionGroup:
            return None


TestTrading = Trading.TestCase
TestTrading.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
