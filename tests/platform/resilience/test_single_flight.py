"""One act of a name at a time: shared by all who ask, ended by none who leave."""

import asyncio
from contextvars import ContextVar

import pytest

from hansa.kernel.errors import CommandInFlight, Fault
from hansa.platform.resilience.single_flight import Flights

whose = ContextVar("whose", default="nobody's")


class Baking:
    """An act that takes until its gate is opened, and counts how often it was begun and ended."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.gate = asyncio.Event()
        self.failure: Exception | None = None
        self.context = ""

    async def __call__(self) -> int:
        self.begun += 1
        self.context = whose.get()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.ended += 1
        return self.begun


async def begun(baking: Baking, *tasks: "asyncio.Task[int]") -> None:
    while not baking.begun:
        await asyncio.sleep(0)
    for _ in tasks:
        await asyncio.sleep(0)


async def test_whoever_asks_for_what_is_under_way_shares_its_end() -> None:
    flights, baking = Flights[int](), Baking()
    asking = [asyncio.create_task(flights.share("bread", baking)) for _ in range(5)]
    await begun(baking, *asking)
    baking.gate.set()
    assert await asyncio.gather(*asking) == [1] * 5
    assert await flights.share("bread", baking) == 2


async def test_acts_of_other_names_do_not_wait_for_each_other() -> None:
    flights, bread, cake = Flights[int](), Baking(), Baking()
    waiting = asyncio.create_task(flights.share("bread", bread))
    cake.gate.set()
    assert await flights.share("cake", cake) == 1
    assert not waiting.done()
    bread.gate.set()
    await waiting


async def test_what_goes_wrong_goes_wrong_for_all_who_share_it_and_not_for_those_after() -> None:
    flights, baking = Flights[int](), Baking()
    asking = [asyncio.create_task(flights.share("bread", baking)) for _ in range(3)]
    await begun(baking, *asking)
    baking.failure = ValueError("burnt")
    baking.gate.set()
    assert [str(error) for error in await asyncio.gather(*asking, return_exceptions=True)] == ["burnt"] * 3
    baking.failure = None
    assert await flights.share("bread", baking) == 2


async def test_who_leaves_or_loses_patience_ends_nothing() -> None:
    flights, baking = Flights[int](), Baking()
    leaving = asyncio.create_task(flights.share("bread", baking))
    await begun(baking)
    leaving.cancel()
    with pytest.raises(CommandInFlight):
        await flights.share("bread", baking, patience_s=0.001)
    staying = asyncio.create_task(flights.share("bread", baking))
    await asyncio.sleep(0)
    baking.gate.set()
    assert await staying == 1
    assert (baking.begun, baking.ended) == (1, 1)


async def test_an_act_belongs_to_no_caller() -> None:
    flights, baking = Flights[int](), Baking()
    baking.gate.set()
    whose.set("the first caller's")
    await flights.share("bread", baking)
    assert baking.context == "nobody's"


async def test_what_is_closed_breaks_off_and_whoever_waits_is_told_that_nobody_knows() -> None:
    flights, baking = Flights[int](), Baking()
    waiting = asyncio.create_task(flights.share("bread", baking))
    await begun(baking)
    late = asyncio.create_task(flights.share("cake", baking))
    await asyncio.sleep(0)  # it is asked for, and has not begun
    await flights.close()
    for asked in (waiting, late):
        with pytest.raises(Fault):
            await asked
    assert baking.ended == 0
    baking.gate.set()
    assert await flights.share("cake", baking) == baking.begun


class Panic(BaseException):
    """What a library of another language raises when it gives up."""


async def test_whoever_shares_what_ends_in_a_panic_does_not_wait_for_ever() -> None:
    async def panic() -> int:
        await asyncio.sleep(0)
        raise Panic

    with pytest.raises(Fault):
        await asyncio.wait_for(Flights[int]().share("bread", panic), 5)
