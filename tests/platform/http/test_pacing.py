"""In one turn of the loop only so many requests of a route begin; the others follow in the order of arrival."""

import asyncio

from hansa.platform.http.pacing import Pacing

MOST = 4


async def begin(pacing: Pacing, begun: list[int], number: int, lane: str = "sale") -> None:
    if not pacing.may_begin(lane):
        await pacing.turn(lane)
    begun.append(number)


async def test_a_few_begin_at_once():
    pacing, begun = Pacing(most=MOST), list[int]()

    tasks = [asyncio.create_task(begin(pacing, begun, number)) for number in range(MOST)]
    await asyncio.sleep(0)

    assert begun == list(range(MOST))
    await asyncio.gather(*tasks)


async def test_a_crowd_begins_a_few_at_a_time_and_in_its_order():
    pacing, begun = Pacing(most=MOST), list[int]()

    tasks = [asyncio.create_task(begin(pacing, begun, number)) for number in range(10 * MOST)]
    counts = []
    while len(begun) < 10 * MOST:
        before = len(begun)
        await asyncio.sleep(0)
        counts.append(len(begun) - before)

    assert begun == list(range(10 * MOST))
    assert max(counts) <= MOST
    await asyncio.gather(*tasks)


async def test_who_comes_later_does_not_overtake_those_who_wait():
    pacing, begun = Pacing(most=1), list[int]()

    tasks = [asyncio.create_task(begin(pacing, begun, number)) for number in range(3)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(begin(pacing, begun, 3)))
    await asyncio.gather(*tasks)

    assert begun == [0, 1, 2, 3]


async def test_who_has_gone_away_holds_nobody_up():
    pacing, begun = Pacing(most=1), list[int]()

    tasks = [asyncio.create_task(begin(pacing, begun, number)) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait([*tasks])

    assert begun == [0, 2]


async def test_after_a_crowd_there_is_no_waiting():
    pacing, begun = Pacing(most=1), list[int]()
    await asyncio.gather(*(begin(pacing, begun, number) for number in range(3)))

    await asyncio.sleep(0)

    assert pacing.may_begin("sale")


async def test_a_crowd_at_one_route_holds_up_nobody_at_another():
    pacing, begun = Pacing(most=1), list[int]()

    tasks = [asyncio.create_task(begin(pacing, begun, number)) for number in range(50)]
    tasks.append(asyncio.create_task(begin(pacing, begun, 50, lane="orders")))
    await asyncio.sleep(0)

    assert begun == [0, 50]
    await asyncio.gather(*tasks)
    assert begun == [0, 50, *range(1, 50)]
