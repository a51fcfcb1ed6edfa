"""Whatever is asked in whatever order and however often: no piece is lost, made up, or promised twice."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete

from hansa.kernel.errors import BusinessError
from hansa.platform.database.statement import Statement
from hansa.services.inventory.contract import BelowReserved, OutOfStock, ReservationGone, StockChanged
from hansa.services.inventory.tables import METADATA
from tests.databases import POSTGRES, SQLITE
from tests.services.inventory.shelves import Shelves, lines_of, opened

SKUS = ("HAT", "SHOE")
LOCATIONS = ("main", "east")
ORDERS = range(4)
_EMPTY = [Statement(delete(table)) for table in METADATA.tables.values()]

skus = st.sampled_from(SKUS)
places = st.tuples(skus, st.sampled_from(LOCATIONS))
orders = st.sampled_from(ORDERS)
pieces = st.integers(1, 4)
asked = st.lists(st.tuples(skus, pieces), min_size=1, max_size=2).map(tuple)


class Counting(RuleBasedStateMachine):
    """A shop of two skus at two locations, beside it a reckoning on the back of an envelope: sums per sku only.

    Each order asks for the same lines whenever it asks. Keys are drawn from few, so that many calls are repetitions.
    """

    shelves: Shelves
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.here: Counter[str] = Counter()
        self.sold: Counter[str] = Counter()
        self.state = dict.fromkeys(ORDERS, "new")
        self.held: dict[int, Counter[str]] = {number: Counter() for number in ORDERS}
        self.bought: dict[int, Counter[str]] = {number: Counter() for number in ORDERS}
        self.lines: dict[int, tuple[tuple[str, int], ...]] = {}
        self.expires_at = dict.fromkeys(ORDERS, self.shelves.clock.now())
        self.answers: dict[str, object] = {}
        self.keys = itertools.count()
        self.ids = {number: self.shelves.order(slot=number) for number in ORDERS}
        self._run(self._empty())

    @initialize(
        lines=st.lists(asked, min_size=len(ORDERS), max_size=len(ORDERS)),
        fates=st.lists(st.sampled_from(["new", "held", "sold"]), min_size=len(ORDERS), max_size=len(ORDERS)),
    )
    def the_shop_has_opened(self, lines: list[tuple[tuple[str, int], ...]], fates: list[str]) -> None:
        self.lines = dict(zip(ORDERS, lines, strict=True))
        for location in LOCATIONS:
            self.count_many(dict.fromkeys(SKUS, 6), location)
        for order, fate in zip(ORDERS, fates, strict=True):
            if fate != "new":
                self.reserve(order, seconds=60)
            if fate == "sold":
                self.sell(order)

    @rule(place=places, count=st.integers(0, 9), is_stale=st.booleans())
    def count(self, place: tuple[str, str], count: int, is_stale: bool) -> None:
        sku, location = place
        before = self._levels(sku)
        on_hand, reserved = before.get(location, (0, 0))
        version = self._version(sku) - is_stale if is_stale else None
        outcome = self._ask(
            self.shelves.inventory.set_on_hand(
                key=self._new_key(), sku=sku, on_hand=count, version=version, actor="user:1", location=location
            )
        )
        if is_stale:
            assert isinstance(outcome, StockChanged)
        elif count < reserved:
            assert isinstance(outcome, BelowReserved)
        else:
            self.here[sku] += count - on_hand

    @rule(counts=st.dictionaries(skus, st.integers(0, 9), min_size=1), location=st.sampled_from(LOCATIONS))
    def count_many(self, counts: dict[str, int], location: str) -> None:
        before = {sku: self._levels(sku).get(location, (0, 0)) for sku in counts}
        refused = self._ask(
            self.shelves.inventory.set_many(key=self._new_key(), on_hand=counts, actor="user:1", location=location)
        )
        assert isinstance(refused, dict)
        assert set(refused) == {sku for sku, count in counts.items() if count < before[sku][1]}
        for sku in counts.keys() - refused.keys():
            self.here[sku] += counts[sku] - before[sku][0]

    @rule(order=orders, seconds=st.integers(0, 60))
    def reserve(self, order: int, seconds: int) -> None:
        wanted = Counter[str]()
        for sku, quantity in self.lines[order]:
            wanted[sku] += quantity
        available = {sku: self.here[sku] - self._reserved(sku) for sku in wanted}
        expires_at = self.shelves.clock.now() + timedelta(seconds=seconds)
        outcome = self._ask(
            self.shelves.reserve(self.ids[order], *self.lines[order], locations=LOCATIONS, expires_at=expires_at)
        )
        if self.state[order] == "new":
            missing = [sku for sku in wanted if available[sku] < wanted[sku]]
            if missing:
                assert _said(outcome) == str(OutOfStock(sku=missing[0], left=available[missing[0]]))
                self.state[order] = "refused"
                self.answers[f"reserve {order}"] = _said(outcome)
            else:
                self.state[order], self.held[order], self.expires_at[order] = "held", wanted, expires_at
                self.answers[f"reserve {order}"] = _said(outcome)
        elif self.state[order] in ("expired", "released"):
            assert isinstance(outcome, ReservationGone)
        else:
            assert _said(outcome) == self.answers[f"reserve {order}"]

    @rule(order=orders)
    def sell(self, order: int) -> None:
        if self.state[order] == "expired":
            self.take_afresh(order)
        outcome = self._ask(self.shelves.sell(self.ids[order]))
        if self.state[order] == "held":
            assert outcome is None
            self.state[order], self.bought[order], self.held[order] = "sold", self.held[order], Counter()
            self.here -= self.bought[order]
            self.sold += self.bought[order]
        else:
            assert isinstance(outcome, ReservationGone) == (self.state[order] != "sold")

    def take_afresh(self, order: int) -> None:
        """What selling does for an order whose time was over, before it sells."""
        wanted = Counter[str]()
        for sku, quantity in self.lines[order]:
            wanted[sku] += quantity
        left = {sku: self.here[sku] - self._reserved(sku) for sku in wanted}
        if missing := [sku for sku in wanted if left[sku] < wanted[sku]]:
            self.state[order] = "refused"
            self.answers[f"reserve {order}"] = str(OutOfStock(sku=missing[0], left=left[missing[0]]))
        else:
            self.state[order], self.held[order] = "held", wanted

    @rule(order=orders)
    def release(self, order: int) -> None:
        assert self._ask(self.shelves.release(self.ids[order])) is None
        self._bring_back(order, Counter(self.bought[order]))
        self.held[order] = Counter()
        if self.state[order] != "refused":
            self.state[order] = "released"

    @rule(order=orders, lines=asked, is_repeated=st.booleans())
    def take_back(self, order: int, lines: tuple[tuple[str, int], ...], is_repeated: bool) -> None:
        key = f"take back {order} {lines}" if is_repeated else self._new_key()
        self._ask(self.shelves.inventory.take_back(key=key, order_id=self.ids[order], lines=lines_of(*lines)))
        if key not in self.answers:
            self.answers[key] = None
            wanted = Counter[str]()
            for sku, quantity in lines:
                wanted[sku] += quantity
            self._bring_back(order, wanted & self.bought[order])

    @rule(place=places, quantity=st.integers(1, 9), is_repeated=st.booleans())
    def sell_at_a_till(self, place: tuple[str, str], quantity: int, is_repeated: bool) -> None:
        sku, location = place
        key = f"till {place} {quantity}" if is_repeated else self._new_key()
        on_hand, reserved = self._levels(sku).get(location, (0, 0))
        stock = self._ask(
            self.shelves.inventory.record_sale(
                key=key, receipt=key, sku=sku, quantity=quantity, location=location, actor="user:2"
            )
        )
        assert self.answers.setdefault(key, stock) == stock
        if self.answers[key] is stock:
            self.here[sku] += max(0, quantity - (on_hand - reserved)) - quantity
            self.sold[sku] += quantity

    @rule(seconds=st.integers(0, 40))
    def time_passes(self, seconds: int) -> None:
        self.shelves.clock.advance(seconds)
        self._run(self.shelves.service.expire())
        for order in ORDERS:
            if self.state[order] == "held" and self.expires_at[order] <= self.shelves.clock.now():
                self.state[order], self.held[order] = "expired", Counter()

    @invariant()
    def the_reckoning_agrees(self) -> None:
        found = {sku: self._sums(sku) for sku in SKUS}
        assert found == {sku: (self.here[sku], self._reserved(sku), self.sold[sku]) for sku in SKUS}

    @invariant()
    def the_books_are_right(self) -> None:
        self._run(self.shelves.check_books())

    def _bring_back(self, order: int, back: Counter[str]) -> None:
        self.bought[order] -= back
        self.here += back
        self.sold -= back

    def _reserved(self, sku: str) -> int:
        return sum(held[sku] for held in self.held.values())

    def _levels(self, sku: str) -> dict[str, tuple[int, int]]:
        stock = self._ask(self.shelves.inventory.stock(sku=sku))
        return (
            {}
            if isinstance(stock, Exception)
            else {level.location: (level.on_hand, level.reserved) for level in stock.levels}
        )

    def _version(self, sku: str) -> int:
        stock = self._ask(self.shelves.inventory.stock(sku=sku))
        return 0 if isinstance(stock, Exception) else stock.version

    def _sums(self, sku: str) -> tuple[int, int, int]:
        stock = self._ask(self.shelves.inventory.stock(sku=sku))
        return (0, 0, 0) if isinstance(stock, Exception) else (stock.on_hand, stock.reserved, stock.sold)

    def _new_key(self) -> str:
        return f"new {next(self.keys)}"

    def _ask(self, act: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self._run(act)
        except BusinessError as error:
            return error

    def _run(self, act: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(act)

    async def _empty(self) -> None:
        async with self.shelves.database.write() as tx:
            for statement in _EMPTY:
                await tx.run(statement)


def _said(outcome: object) -> object:
    return str(outcome) if isinstance(outcome, Exception) else outcome


@pytest.mark.parametrize(("engine", "wire", "examples"), [(SQLITE, "twice", 50), (POSTGRES, "local", 5)])
def test_no_piece_is_lost_or_made_up_or_promised_twice(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str, wire: str, examples: int
) -> None:
    dsn = request.getfixturevalue("inventory_database") if engine == POSTGRES else None
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()
    try:
        shelves = loop.run_until_complete(
            stack.enter_async_context(opened(engine=engine, folder=tmp_path, dsn=dsn, wire=wire))
        )
        run_state_machine_as_test(
            type("Machine", (Counting,), {"shelves": shelves, "loop": loop}),
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.run_until_complete(stack.aclose())
        loop.close()
