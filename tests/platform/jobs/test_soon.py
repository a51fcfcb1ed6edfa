"""What is kicked is done at once, without anybody waiting, and no kick is lost."""

import asyncio

import pytest

from hansa.platform.jobs.soon import Soon


class Sweeping:
    """An act that sees what had been written down when it began, and then waits at a gate."""

    def __init__(self) -> None:
        self.written: set[int] = set()
        self.seen: set[int] = set()
        self.runs = 0
        self.at_once = self.most_at_once = 0
        self.gate = asyncio.Event()
        self.failures: list[BaseException] = []

    async def __call__(self) -> None:
        self.runs += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            found = set(self.written)
            await self.gate.wait()
            if self.failures:
                raise self.failures.pop()
            self.seen |= found
        finally:
            self.at_once -= 1


async def begun() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("most", [1, 4])
async def test_nobody_waits_and_everything_is_seen_by_a_bounded_number_of_runs(most: int) -> None:
    sweeping = Sweeping()
    soon = Soon(sweeping, name="sweeping", most=most)
    for number in range(20):
        sweeping.written.add(number)
        await soon.kick()
        if number % 3:
            await begun()
    assert not sweeping.seen
    sweeping.gate.set()
    await soon.quiet()
    assert sweeping.seen == set(range(20))
    assert sweeping.most_at_once == most
    assert sweeping.runs <= 2 * most


async def test_a_kick_at_the_very_end_of_a_run_is_not_lost() -> None:
    sweeping = Sweeping()
    sweeping.gate.set()
    soon = Soon(sweeping, name="sweeping")
    for number in range(200):
        sweeping.written.add(number)
        await soon.kick()
        for _ in range(number % 7):
            await asyncio.sleep(0)
    await soon.quiet()
    assert sweeping.seen == set(range(200))


async def test_what_fails_is_left_to_the_job_and_the_next_kick() -> None:
    sweeping = Sweeping()
    sweeping.gate.set()
    sweeping.failures = [ValueError("no broom")]
    soon = Soon(sweeping, name="sweeping")
    await soon.kick()
    await soon.quiet()
    sweeping.written.add(1)
    await soon.kick()
    await soon.quiet()
    assert sweeping.seen == {1}


async def test_what_is_closed_breaks_off_and_runs_nothing_any_more() -> None:
    sweeping = Sweeping()
    soon = Soon(sweeping, name="sweeping", most=2)
    await soon.kick()
    await begun()
    await soon.kick()  # this one has not begun
    await soon.close()
    await soon.kick()
    await begun()
    assert (sweeping.runs, sweeping.at_once) == (1, 0)


async def test_what_runs_is_broken_off_in_the_order_in_which_it_began() -> None:
    ended: list[int] = []
    begun_so_far = 0

    async def act() -> None:
        nonlocal begun_so_far
        number = begun_so_far = begun_so_far + 1
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    soon = Soon(act, name="waiting", most=50)
    for _ in range(50):
        await soon.kick()
    await begun()

    await soon.close()

    assert ended == list(range(1, 51))


async def test_who_gives_up_waiting_for_quiet_breaks_nothing_off() -> None:
    sweeping = Sweeping()
    soon = Soon(sweeping, name="sweep")
    sweeping.written.add(1)
    await soon.kick()
    impatient = asyncio.create_task(soon.quiet())
    await asyncio.sleep(0)

    impatient.cancel()
    await asyncio.wait([impatient])
    sweeping.gate.set()
    await soon.quiet()

    assert sweeping.seen == {1}
