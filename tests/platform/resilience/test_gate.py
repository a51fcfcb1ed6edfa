"""So many at once, in the order of their arrival, whoever leaves on the way."""

import asyncio
import random

import pytest

from hansa.kernel.errors import Fault
from hansa.platform.http.problems import status_of
from hansa.platform.resilience.gate import Gate, GateFull


class Visitors:
    """Some who go through a gate, each staying until it is told to leave."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._leaving: dict[int, asyncio.Event] = {}
        self.entered: list[int] = []
        self.left: list[int] = []

    def send(self, number: int) -> "asyncio.Task[None]":
        self._leaving[number] = asyncio.Event()
        return asyncio.create_task(self._visit(number))

    def tell(self, number: int) -> None:
        self._leaving[number].set()

    async def _visit(self, number: int) -> None:
        async with self._gate:
            self.entered.append(number)
            await self._leaving[number].wait()
        self.left.append(number)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_as_many_as_may_are_inside_and_the_others_follow_in_the_order_in_which_they_came() -> None:
    gate = Gate(most=2, most_waiting=10)
    visitors = Visitors(gate)
    tasks = [visitors.send(number) for number in range(5)]
    await settled()
    assert (visitors.entered, gate.inside, gate.waiting) == ([0, 1], 2, 3)

    for number in (1, 0, 2, 3, 4):
        visitors.tell(number)
        await settled()

    await asyncio.gather(*tasks)
    assert visitors.entered == [0, 1, 2, 3, 4]
    assert (gate.inside, gate.waiting, gate.most_inside) == (0, 0, 2)


async def test_who_comes_by_does_not_overtake_who_waits() -> None:
    gate = Gate(most=1, most_waiting=10)
    visitors = Visitors(gate)
    first, waiting = visitors.send(0), visitors.send(1)
    await settled()

    visitors.tell(0)
    await first
    late = visitors.send(2)  # the place is free, as it seems: who waits has not run yet
    await settled()

    assert (visitors.entered, gate.inside) == ([0, 1], 1)
    visitors.tell(1)
    visitors.tell(2)
    await asyncio.gather(waiting, late)


async def test_when_too_many_wait_one_is_refused_at_once_and_told_to_come_again() -> None:
    gate = Gate(most=1, most_waiting=2)
    visitors = Visitors(gate)
    tasks = [visitors.send(number) for number in range(3)]
    await settled()

    with pytest.raises(GateFull) as refused:
        async with gate:
            pass

    assert isinstance(refused.value, Fault)
    assert status_of(refused.value) == 503
    assert (gate.inside, gate.waiting) == (1, 2)
    for number in range(3):
        visitors.tell(number)
    await asyncio.gather(*tasks)
    async with gate:
        assert gate.inside == 1


async def test_a_failure_inside_gives_the_place_back() -> None:
    gate = Gate(most=1, most_waiting=0)
    with pytest.raises(ValueError, match="burnt"):
        async with gate:
            raise ValueError("burnt")
    assert gate.inside == 0


async def test_one_who_leaves_the_queue_makes_room_in_it() -> None:
    gate = Gate(most=1, most_waiting=1)
    visitors = Visitors(gate)
    inside, leaving = visitors.send(0), visitors.send(1)
    await settled()
    leaving.cancel()
    await settled()
    assert gate.waiting == 0

    staying = visitors.send(2)
    await settled()
    visitors.tell(0)
    visitors.tell(2)

    await asyncio.gather(inside, staying)
    assert visitors.left == [0, 2]


async def test_one_who_leaves_when_it_is_its_turn_gives_the_turn_on() -> None:
    gate = Gate(most=1, most_waiting=5)
    visitors = Visitors(gate)
    inside, leaving, next_one = (visitors.send(number) for number in range(3))
    await settled()

    visitors.tell(0)
    while not inside.done():
        await asyncio.sleep(0)
    leaving.cancel()  # it has been given the place, or has just entered
    await settled()

    visitors.tell(2)
    await next_one
    assert (gate.inside, gate.waiting) == (0, 0)


async def test_a_turn_given_and_taken_away_in_the_same_moment_is_not_lost() -> None:
    gate = Gate(most=1, most_waiting=5)
    await gate.__aenter__()
    entered: list[str] = []

    async def enter(name: str) -> None:
        async with gate:
            entered.append(name)

    first, second = asyncio.create_task(enter("first")), asyncio.create_task(enter("second"))
    await settled()
    await gate.__aexit__(None, None, None)
    first.cancel()  # before it could run
    await settled()

    assert first.cancelled()
    assert entered == ["second"]
    assert (second.done(), gate.inside) == (True, 0)


async def test_one_who_is_cancelled_first_is_not_given_the_turn() -> None:
    gate = Gate(most=1, most_waiting=5)
    await gate.__aenter__()
    visitors = Visitors(gate)
    first, second = visitors.send(1), visitors.send(2)
    await settled()
    first.cancel()
    await gate.__aexit__(None, None, None)
    await settled()
    assert visitors.entered == [2]
    visitors.tell(2)
    await second
    assert (gate.inside, gate.waiting) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
async def test_however_they_come_and_leave_no_place_is_lost_and_none_is_invented(seed: int) -> None:
    chance = random.Random(seed)
    gate = Gate(most=3, most_waiting=4)
    inside = 0
    refused = 0

    async def visit() -> None:
        nonlocal inside, refused
        try:
            async with gate:
                inside += 1
                try:
                    assert inside <= gate.inside <= 3
                    for _ in range(chance.randrange(12)):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1
        except GateFull:
            refused += 1

    tasks = []
    for _ in range(300):
        tasks.append(asyncio.create_task(visit()))
        if chance.random() < 0.4:
            chance.choice(tasks).cancel()
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
    ended = await asyncio.gather(*tasks, return_exceptions=True)

    assert not [each for each in ended if isinstance(each, Exception)]
    assert any(isinstance(each, asyncio.CancelledError) for each in ended)
    assert refused
    assert (gate.inside, gate.waiting, gate.most_inside) == (0, 0, 3)
