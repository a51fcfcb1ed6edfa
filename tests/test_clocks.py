"""The clock that tests move by hand."""

import asyncio

from tests.clocks import START, ManualClock


async def test_sleepers_wake_in_the_order_of_their_times():
    clock, woken = ManualClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (3, 1, 2)]
    await clock.pass_time(2.5)
    assert woken == [1, 2]
    clock.advance(1)
    await asyncio.gather(*tasks)
    assert woken == [1, 2, 3]


async def test_who_sleeps_again_wakes_at_every_moment_in_between():
    clock, moments = ManualClock(), []

    async def ticker() -> None:
        while True:
            await clock.sleep(1)
            moments.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.pass_time(5)
    task.cancel()
    assert moments == [1, 2, 3, 4, 5]
    assert (clock.now() - START).total_seconds() == 5


async def test_a_cancelled_sleeper_is_no_hindrance():
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await clock.pass_time(2)
    assert clock.sleeping == 0


def test_the_wall_clock_may_step_back_and_the_other_one_does_not():
    clock = ManualClock()
    clock.advance(10)
    clock.set_back(60)
    assert clock.now() < START
    assert clock.monotonic() == 10
