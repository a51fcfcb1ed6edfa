"""The simulator's own promises: virtual time, one history per seed, and processes that are gone when they are gone."""

import asyncio
import random
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

import pytest

from tests.simulation.loop import WHOSE, SimulatedLoop, Stalled

NEVER = 1 << 60


class Victim:
    """A process to be killed or frozen."""

    def __init__(self) -> None:
        self.is_dead = False
        self.is_frozen = False
        self.steps = 0
        self.befallen_at = NEVER
        self.kept: list[Any] = []

    def befall(self) -> None:
        self.is_dead, self.befallen_at = True, NEVER

    def keep(self, handle: Any) -> None:
        self.kept.append(handle)


def loop_of(seed: int, *, is_wild: bool = False) -> SimulatedLoop:
    return SimulatedLoop(chance=random.Random(seed), is_wild=is_wild)


def started(loop: SimulatedLoop, work: Coroutine[Any, Any, Any], *, of: Victim | None = None) -> asyncio.Task[Any]:
    context = Context()
    context.run(WHOSE.set, of)
    return loop.create_task(work, context=context)


def test_an_hour_passes_at_once():
    loop = loop_of(1)
    loop.run_until_complete(asyncio.sleep(3600))
    assert 3600 <= loop.time() < 3601
    loop.close()


def test_who_waits_for_nothing_is_told_so():
    loop = loop_of(1)
    with pytest.raises(Stalled):
        loop.run_until_complete(loop.create_future())


def race(seed: int, *, is_wild: bool) -> list[int]:
    loop, seen = loop_of(seed, is_wild=is_wild), []

    async def runner(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(number)

    async def everybody() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(runner(number))

    loop.run_until_complete(everybody())
    loop.close()
    return seen


def test_the_legal_mode_is_fair_and_the_wild_one_is_not():
    fair = race(1, is_wild=False)
    assert fair == [0, 1, 2, 3, 4] * 3 == race(2, is_wild=False)
    assert race(1, is_wild=True) == race(1, is_wild=True)
    assert len({tuple(race(seed, is_wild=True)) for seed in range(10)}) == 10


def test_tasks_are_cancelled_in_the_same_order_in_every_run():
    """Sets of tasks would have the order of their addresses."""

    def ended() -> list[int]:
        loop, seen = loop_of(1), []

        async def sleeper(number: int) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                seen.append(number)

        async def group_that_fails() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(40):
                    group.create_task(sleeper(number))
                await asyncio.sleep(1)
                raise ZeroDivisionError

        with pytest.raises(ExceptionGroup):
            loop.run_until_complete(group_that_fails())
        loop.close()
        return seen

    assert ended() == ended()


@pytest.mark.parametrize("step", range(1, 8))
def test_a_killed_process_does_nothing_more_not_even_finally(step: int):
    loop, victim = loop_of(1), Victim()
    seen: list[int | str] = []

    async def work() -> None:
        try:
            for number in range(6):
                seen.append(number)
                await asyncio.sleep(1)
        finally:
            seen.append("finally")

    victim.befallen_at = step
    started(loop, work(), of=victim)
    loop.run_until_complete(asyncio.sleep(30))
    assert seen == list(range(step // 2))  # a sleep takes two callbacks: the timer, and who wakes
    assert victim.is_dead
    loop.forget()
    loop.close()


def test_a_task_in_a_context_of_its_own_belongs_to_the_process_that_made_it():
    loop, victim, seen = loop_of(1), Victim(), []

    async def child() -> None:
        await asyncio.sleep(5)
        seen.append("still here")

    async def parent() -> None:
        asyncio.get_running_loop().create_task(child(), context=Context())

    started(loop, parent(), of=victim)
    loop.call_later(1, victim.befall)
    loop.run_until_complete(asyncio.sleep(30))
    assert seen == []
    loop.forget()
    loop.close()


def test_a_frozen_process_goes_on_where_it_was():
    loop, victim, seen = loop_of(1), Victim(), []

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(round(asyncio.get_running_loop().time()))

    def freeze() -> None:
        victim.is_frozen = True

    def thaw() -> None:
        victim.is_frozen = False
        loop.again(victim.kept)

    started(loop, work(), of=victim)
    loop.call_later(1.5, freeze)
    loop.call_later(10, thaw)
    loop.run_until_complete(asyncio.sleep(30))
    assert seen == [1, 10, 11]
    loop.close()


def test_what_would_be_done_in_a_thread_is_done_at_one_stroke_a_little_later():
    loop = loop_of(1)

    async def work() -> tuple[int, bool]:
        before = loop.time()
        answer = await asyncio.to_thread(pow, 2, 10)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        return answer, loop.time() > before

    assert loop.run_until_complete(work()) == (1024, True)
    loop.close()
