"""That whoever gives up a question to a store does nobody else any harm."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from tests.platform.cache.parts import Part, entry, keep, lent, one
from tests.platform.cache.stores import OPENED


@pytest.fixture(params=sorted(OPENED))
async def part(request: pytest.FixtureRequest) -> AsyncIterator[Part]:
    async with OPENED[request.param](request) as part:
        yield part


async def test_questions_that_are_cancelled_at_any_moment_do_not_mix_up_the_answers_of_others(part: Part) -> None:
    chance = random.Random(11)
    store = await part.store()
    keys = [f"products.get:{{{number}}}:en" for number in range(30)]
    values = [b'"%d%b"' % (number, b"x" * chance.choice([0, 100, 100_000])) for number in range(30)]
    for key, value in zip(keys, values, strict=True):
        await keep(store, entry(value), key)

    async def read(number: int) -> None:
        found = await one(store, keys[number])
        assert found is not None
        assert found.value == values[number]

    for _ in range(30):
        tasks = [asyncio.create_task(read(chance.randrange(30))) for _ in range(40)]
        for task in tasks:
            if chance.random() < 0.5:
                for _ in range(chance.randrange(8)):
                    await asyncio.sleep(0)
                task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}

    await asyncio.gather(*(read(number) for number in range(30)))


async def test_a_cancelled_filling_leaves_all_or_nothing(part: Part) -> None:
    chance = random.Random(12)
    store = await part.store()
    for number in range(60):
        key = f"products.get:{{{number}}}:en"
        filling = asyncio.create_task(store.put(key, entry(b'"%d"' % number), token=await lent(store, key)))
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)

        found = await one(store, key)
        assert found is None or found.value == b'"%d"' % number
