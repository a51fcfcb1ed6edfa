"""A worker does one piece after the other outside the loop, finishes what its caller left, and then closes."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hansa.platform.jobs.worker import Worker


async def test_what_is_done_is_answered_and_what_fails_is_raised() -> None:
    worker = Worker(name="test")

    assert await worker.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await worker.run(divmod, 7, 0)

    worker.close()


async def test_all_is_done_in_one_thread_that_bears_the_name() -> None:
    worker = Worker(name="test")

    threads = await asyncio.gather(*(worker.run(threading.current_thread) for _ in range(10)))

    assert len(set(threads)) == 1
    assert threads[0].name.startswith("test")
    worker.close()


async def test_what_its_caller_has_left_is_finished_before_anything_else_begins() -> None:
    worker = Worker(name="test")
    gate, has_begun, done = threading.Event(), asyncio.Event(), list[str]()
    loop = asyncio.get_running_loop()

    def first() -> None:
        loop.call_soon_threadsafe(has_begun.set)
        assert gate.wait(10)
        done.append("first")

    left = asyncio.create_task(worker.run(first))
    await has_begun.wait()
    left.cancel()
    second = asyncio.create_task(worker.run(done.append, "second"))
    with pytest.raises(asyncio.CancelledError):
        await left
    gate.set()
    await second

    assert done == ["first", "second"]
    worker.close()


async def test_closed_it_takes_nothing_more_but_does_what_was_asked() -> None:
    worker = Worker(name="test")
    gate = threading.Event()
    begun, waiting = asyncio.create_task(worker.run(gate.wait, 10)), asyncio.create_task(worker.run(str, 7))
    await asyncio.sleep(0)

    worker.close()
    with pytest.raises(RuntimeError):
        await worker.run(str, 8)
    gate.set()

    assert (await begun, await waiting) == (True, "7")


async def test_a_loop_without_threads_is_asked_for_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(name="test")
    loop = asyncio.get_running_loop()

    def at_once(executor: Any, act: Callable[[], Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = loop.create_future()
        future.set_result(act())
        return future

    monkeypatch.setattr(loop, "run_in_executor", at_once)

    assert await worker.run(threading.current_thread) is threading.current_thread()
    worker.close()
