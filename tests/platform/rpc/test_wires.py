"""All wires obey the same rules: deadlines, declared errors, no call within a transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import aiohttp
import msgspec
import pytest

from hansa.kernel.contract import Key, command, query
from hansa.kernel.errors import BusinessError, DeadlineExceeded, Fault, Kind
from hansa.platform.database.port import RemoteCallInTransaction, marked_open
from hansa.platform.http.serve import HttpServer
from hansa.platform.rpc.local import UndeclaredError, local, twice
from hansa.platform.rpc.remote import remote
from hansa.platform.rpc.served import create_rpc_app
from tests.ports import free_port


class Empty(BusinessError, code="till.empty", kind=Kind.CONFLICT):
    """There is nothing in the till."""

    wanted: int


class Unheard(BusinessError, code="till.unheard", kind=Kind.CONFLICT):
    """Nobody declared this."""


class Slip(msgspec.Struct, frozen=True):
    amount: int
    notes: tuple[str, ...] = ()


class Till(Protocol):
    @query(errors=(Empty,), timeout_ms=500)
    async def look(self, *, amount: int) -> Slip: ...

    @command(errors=(Empty,))
    async def put(self, *, key: Key, amount: int) -> Slip: ...

    @command()
    async def count(self, *, key: Key) -> int: ...


class TillService:
    def __init__(self) -> None:
        self.calls = 0
        self.kept: dict[str, int] = {}

    async def look(self, *, amount: int) -> Slip:
        self.calls += 1
        if amount == 1:
            raise Empty(wanted=1)
        if amount == 2:
            raise Unheard()
        if amount == 3:
            await asyncio.sleep(5)
        return Slip(amount, ("a", "b"))

    async def put(self, *, key: str, amount: int) -> Slip:
        return Slip(self.kept.setdefault(key, amount))

    async def count(self, *, key: str) -> int:
        self.calls += 1
        return self.calls


Connect = Callable[[TillService], Any]


@pytest.fixture(params=["local", "twice", "remote"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    if request.param != "remote":
        wire = {"local": local, "twice": twice}[request.param]
        yield lambda service: wire(Till, service)
        return
    port = free_port()
    servers: list[HttpServer] = []
    async with aiohttp.ClientSession() as session:

        async def started(service: TillService) -> Till:
            servers.append(HttpServer(create_rpc_app({Till: service}, token="t"), host="127.0.0.1", port=port))
            await servers[0].start()
            return remote(Till, session=session, address=f"http://127.0.0.1:{port}", token="t")

        yield started
    for server in servers:
        await server.close()


async def connected(connect: Connect, service: TillService) -> Till:
    till = connect(service)
    return await till if asyncio.iscoroutine(till) else till  # type: ignore[no-any-return]


async def test_an_answer_and_a_declared_error_arrive(connect: Connect) -> None:
    till = await connected(connect, TillService())
    assert await till.look(amount=9) == Slip(9, ("a", "b"))
    assert await till.put(key="k", amount=4) == Slip(4)
    with pytest.raises(Empty) as error:
        await till.look(amount=1)
    assert error.value.wanted == 1


async def test_an_undeclared_error_is_not_passed_off_as_an_answer(connect: Connect) -> None:
    till = await connected(connect, TillService())
    with pytest.raises((UndeclaredError, Fault)):
        await till.look(amount=2)


async def test_a_deadline_ends_a_slow_call(connect: Connect) -> None:
    till = await connected(connect, TillService())
    with pytest.raises(DeadlineExceeded):
        await till.look(amount=3)


async def test_whoever_is_cancelled_is_not_told_of_a_deadline() -> None:
    till = local(Till, TillService())
    asking = asyncio.create_task(till.look(amount=3))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_deadline_within_a_longer_one_ends_only_its_own_call() -> None:
    till = local(Till, TillService())
    async with asyncio.timeout(5):
        with pytest.raises(DeadlineExceeded):
            await till.look(amount=3)
        await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancelled_call_may_still_answer() -> None:
    class Stubborn(TillService):
        async def look(self, *, amount: int) -> Slip:
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
            return Slip(amount)

    asking = asyncio.create_task(local(Till, Stubborn()).look(amount=4))
    await asyncio.sleep(0.01)
    asking.cancel()
    assert await asking == Slip(4)


async def test_no_call_is_made_while_a_transaction_is_open(connect: Connect) -> None:
    service = TillService()
    till = await connected(connect, service)
    with marked_open("somewhere"), pytest.raises(RemoteCallInTransaction):
        await till.look(amount=9)
    assert service.calls == 0


async def test_twice_delivers_twice_and_finds_what_is_not_idempotent() -> None:
    service = TillService()
    till = twice(Till, service)
    await till.look(amount=9)
    assert service.calls == 2
    with pytest.raises(UndeclaredError):
        await till.count(key="k")


async def test_a_stranger_cannot_call(connect: Connect) -> None:
    port = free_port()
    server = HttpServer(create_rpc_app({Till: TillService()}, token="right"), host="127.0.0.1", port=port)
    await server.start()
    async with aiohttp.ClientSession() as session:
        till = remote(Till, session=session, address=f"http://127.0.0.1:{port}", token="wrong")
        with pytest.raises(Fault):
            await till.look(amount=9)
    await server.close()
