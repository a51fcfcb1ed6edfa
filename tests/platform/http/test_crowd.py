"""Of a crowd a few are turned away in each turn of the loop, for as long as their share of it lasts."""

import asyncio

import pytest

from hansa.platform.http.crowd import Crowd
from tests.clocks import ManualClock

SHARE_S = 0.004
REFUSAL_S = 0.001
A_TURN = 4
"""So many refusals fit into a turn's share."""


class Door:
    """Refuses all but those who are `welcome`; each refusal takes a while. `said` is who was told what, in turn."""

    def __init__(self, *, welcome: set[int] | None = None) -> None:
        self.clock = ManualClock()
        self.crowd = Crowd(clock=self.clock, share_s=SHARE_S)
        self.welcome = welcome or set()
        self.refused: list[int] = []
        self.begun: list[int] = []

    def come(self, *numbers: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._come(number)) for number in numbers]

    async def _come(self, number: int) -> None:
        def refuse() -> bool:
            if number in self.welcome:
                return False
            self.clock.advance(REFUSAL_S)
            self.refused.append(number)
            return True

        if not await self.crowd.turned_away(refuse):
            self.begun.append(number)


async def counts(door: Door, *, turns: int) -> list[tuple[int, int]]:
    """How many have been turned away, and begun, after each turn; the first is the one in which they come."""
    seen = []
    for _ in range(turns):
        await asyncio.sleep(0)
        seen.append((len(door.refused), len(door.begun)))
    return seen


async def test_of_a_crowd_as_many_are_turned_away_in_a_turn_as_its_share_allows():
    door = Door()
    tasks = door.come(*range(10))

    assert [refused for refused, _ in await counts(door, turns=4)] == [0, A_TURN, 2 * A_TURN, 10]
    assert door.refused == list(range(10))
    await asyncio.gather(*tasks)


async def test_of_those_who_are_not_turned_away_one_begins_in_a_turn():
    door = Door(welcome={0, 1, 2})
    tasks = door.come(0, 1, 2)

    assert [begun for _, begun in await counts(door, turns=5)] == [0, 0, 1, 2, 3]
    assert door.begun == [0, 1, 2]
    await asyncio.gather(*tasks)


async def test_nobody_overtakes():
    door = Door(welcome={0, 1})
    tasks = door.come(0, 1, 2)

    assert await counts(door, turns=4) == [(0, 0), (0, 0), (1, 1), (1, 2)], "the third waited for the second"
    await asyncio.gather(*tasks)


async def test_who_waits_is_turned_away_if_there_is_nothing_left_by_then():
    door = Door(welcome={0, 1})
    tasks = door.come(0, 1)
    await counts(door, turns=2)
    door.welcome.clear()
    await asyncio.gather(*tasks)

    assert (door.begun, door.refused) == ([0], [1])


async def test_who_has_gone_away_is_passed_over():
    door = Door()
    tasks = door.come(0, 1, 2)
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)

    assert door.refused == [0, 2]


async def test_a_refusal_that_fails_is_its_own_callers_alone():
    door = Door()

    def broken() -> bool:
        raise RuntimeError("no answer")

    bad = asyncio.create_task(door.crowd.turned_away(broken))
    tasks = door.come(0)
    await asyncio.gather(*tasks)

    with pytest.raises(RuntimeError, match="no answer"):
        await bad
    assert door.refused == [0]


async def test_after_a_crowd_the_next_one_is_served_again():
    door = Door()
    await asyncio.gather(*door.come(0))
    await asyncio.gather(*door.come(1))

    assert door.refused == [0, 1]


class Panic(BaseException):
    """Not an Exception."""


async def test_a_panic_is_one_callers_alone_and_the_line_goes_on():
    crowd = Crowd(clock=ManualClock())

    def panic() -> bool:
        raise Panic

    with pytest.raises(Panic):
        await asyncio.wait_for(crowd.turned_away(panic), 5)

    assert await asyncio.wait_for(crowd.turned_away(lambda: True), 5)
