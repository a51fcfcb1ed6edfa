"""What only Redis does: servers that die, stand still, are full, or change their roles; and addresses."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hansa.kernel.clock import SystemClock
from hansa.platform.cache.port import CacheTrouble
from hansa.platform.cache.redis_store.store import RedisStore
from tests.platform.cache.parts import KEY, NOW, PATIENCE_S, Hearing, entry, keep, until, until_it_works
from tests.platform.cache.redis_part import RedisPart
from tests.ports import HOST
from tests.redis_server import RedisServer
from tests.redis_server import redis_server as running

WITHIN_S = 0.1


@pytest.fixture
async def part(redis_server: RedisServer) -> AsyncIterator[RedisPart]:
    redis_server.start()
    async for part in _part(redis_server):
        yield part
    redis_server.start()


async def _part(server: Any) -> AsyncIterator[RedisPart]:
    part = RedisPart(server.url)
    yield part
    await part.close()


def every_operation(store: RedisStore) -> list[Callable[[], Awaitable[Any]]]:
    return [
        lambda: store.read([KEY]),
        lambda: store.lend(KEY, now=NOW, for_s=1.0),
        lambda: store.put(KEY, entry(), token=1),
        lambda: store.give_back(KEY, token=1),
        lambda: store.drop([KEY]),
        lambda: store.names("", limit=1),
        lambda: store.figures(),
    ]


async def test_another_program_reads_a_value_as_plain_json(part: RedisPart) -> None:
    store = await part.store()

    await keep(store, entry(b'{"name":"Chair","price":1999}'))

    value = await part.client.get(part.name(KEY))
    assert json.loads(value) == {"name": "Chair", "price": 1999}
    fields = (await part.client.get(f"{part.name(KEY)}:about")).split()
    assert [int(field) for field in fields[:3]] == [1, 1, 1_700_000_000_000_000]


async def test_nothing_stays_in_redis_for_ever(part: RedisPart) -> None:
    store = await part.store()
    await keep(store, entry(good_for_s=300.0))
    await store.lend("home.front", now=NOW, for_s=30.0)
    await store.drop(["home.other"], cause="event-1")

    names = [name async for name in part.client.scan_iter(f"*{part.name('')}*")]
    kept_for_s = {name: await part.client.ttl(name) for name in names}

    assert len(names) == 4
    assert all(0 < seconds <= 300 for seconds in kept_for_s.values())


async def test_a_loan_for_longer_than_the_entry_is_good_keeps_its_token(part: RedisPart) -> None:
    store = await part.store()
    await keep(store, entry(good_for_s=0.05))
    loan = await store.lend(KEY, now=NOW, for_s=60.0)
    assert loan.token is not None

    async with asyncio.timeout(PATIENCE_S):
        while await part.client.exists(part.name(KEY)):
            await asyncio.sleep(0.01)

    assert await store.put(KEY, entry(), token=loan.token)


async def test_what_is_good_no_longer_than_its_loading_took_is_not_kept(part: RedisPart) -> None:
    store = await part.store()
    loan = await store.lend(KEY, now=NOW, for_s=60.0)
    assert loan.token is not None

    assert not await store.put(KEY, entry(good_for_s=0.0), token=loan.token)

    assert (await store.lend(KEY, now=NOW, for_s=60.0)).token is not None


async def test_a_repetition_for_the_same_cause_drops_nothing(part: RedisPart) -> None:
    store = await part.store()
    await store.drop([KEY], cause="event-1")
    await keep(store, entry())

    await store.drop([KEY], cause="event-1")

    assert await store.read([KEY]) == [entry()]


async def test_where_scripts_are_not_known_any_more_they_are_sent(part: RedisPart) -> None:
    store = await part.store()
    await keep(store, entry())

    await part.client.script_flush()

    await store.drop([KEY])
    await keep(store, entry())


async def test_kill_nine_is_trouble_until_it_is_back(part: RedisPart, redis_server: RedisServer) -> None:
    hearing = Hearing()
    store = await part.store(listener=hearing, within_s=10 * PATIENCE_S)
    await keep(store, entry())

    redis_server.kill()
    for act in every_operation(store):
        async with asyncio.timeout(PATIENCE_S):  # nobody waits for a server that is known to be gone
            with pytest.raises(CacheTrouble):
                await act()
    await until(lambda: hearing.is_deaf)
    redis_server.start()

    await until_it_works(lambda: store.read([KEY]))
    await until(lambda: hearing.missed_times == 2 and not hearing.is_deaf)
    await until_it_works(lambda: store.drop([KEY]))
    await until(lambda: hearing.keys == [KEY])


async def test_it_starts_before_its_server_does(part: RedisPart, redis_server: RedisServer) -> None:
    redis_server.kill()
    hearing = Hearing()
    store = await part.store(listener=hearing)
    assert hearing.is_deaf
    with pytest.raises(CacheTrouble):
        await store.read([KEY])

    redis_server.start()

    await until_it_works(lambda: store.read([KEY]))
    await until(lambda: hearing.missed_times == 1)
    await keep(store, entry())


async def test_a_server_that_stands_still_costs_a_short_time_and_is_noticed(
    part: RedisPart, redis_server: RedisServer
) -> None:
    hearing = Hearing()
    store = await part.store(listener=hearing, within_s=WITHIN_S)
    await until_it_works(lambda: store.drop([KEY]))
    await until_it_works(lambda: keep(store, entry()))

    with redis_server.frozen():
        for act in every_operation(store)[:5]:
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(CacheTrouble):
                    await act()
        await until(lambda: hearing.is_deaf)

    assert await until_it_works(lambda: store.read([KEY])) is not None
    await until(lambda: not hearing.is_deaf)
    assert hearing.missed_times == 2


async def test_who_waits_for_a_connection_does_not_wait_longer(part: RedisPart, redis_server: RedisServer) -> None:
    store = await part.store(within_s=WITHIN_S)
    await until_it_works(lambda: store.read([KEY]))

    with redis_server.frozen():
        outcomes = await asyncio.gather(*(store.read([KEY]) for _ in range(500)), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {CacheTrouble}
    assert await until_it_works(lambda: store.read([KEY])) == [None]


async def test_however_many_ask_at_once_the_connections_are_bounded(part: RedisPart, redis_server: RedisServer) -> None:
    store = RedisStore(
        address=part.address,
        clock=SystemClock(),
        chance=random.Random(1),
        read_within_s=PATIENCE_S,
        most_connections=3,
    )
    before = await part.client.info("clients")

    await asyncio.gather(*(store.read([KEY]) for _ in range(1_000)))

    after = await part.client.info("clients")
    assert after["connected_clients"] - before["connected_clients"] <= 3
    await store.close()


async def test_who_gave_up_waiting_for_a_connection_leaves_it_to_the_others(part: RedisPart) -> None:
    chance = random.Random(4)
    store = RedisStore(
        address=part.address,
        clock=SystemClock(),
        chance=random.Random(2),
        read_within_s=PATIENCE_S,
        most_connections=2,
    )
    for _ in range(200):
        tasks = [asyncio.create_task(store.read([KEY])) for _ in range(8)]
        for task in tasks:
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            if chance.random() < 0.6:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert await asyncio.gather(*(store.read([KEY]) for _ in range(8))) == [[None]] * 8
    await store.close()


async def test_of_many_connections_that_were_lost_one_question_learns(part: RedisPart) -> None:
    store = await part.store()
    await asyncio.gather(*(store.read([KEY]) for _ in range(5)))
    await part.client.client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(CacheTrouble):
        await store.read([KEY])

    assert await asyncio.gather(*(store.read([KEY]) for _ in range(5))) == [[None]] * 5


@pytest.mark.parametrize(
    "speech", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$many\r\n", b"*2\r\n:x\r\n", b"+" + b"x" * 200_000]
)
async def test_a_server_that_speaks_something_else_is_trouble(speech: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(speech)
        await writer.drain()

    server = await asyncio.start_server(answer, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    part = RedisPart(f"redis://{HOST}:{port}/0")
    hearing = Hearing()
    store = await part.store(listener=hearing)

    for act in every_operation(store):
        with pytest.raises(CacheTrouble):
            await act()

    assert hearing.is_deaf
    await part.close()
    server.close()


async def test_answers_that_come_too_late_are_nobody_s(part: RedisPart, redis_server: RedisServer) -> None:
    keys = [f"products.get:{{{number}}}:en" for number in range(20)]
    patient, store = await part.store(), await part.store(within_s=WITHIN_S)
    for number, key in enumerate(keys):
        await keep(patient, entry(b"%d" % number), key)
    await until_it_works(lambda: store.read([KEY]))

    with redis_server.frozen():
        await asyncio.gather(*(store.read([key]) for key in keys), return_exceptions=True)

    await until_it_works(lambda: store.read([KEY]))
    for number, key in enumerate(keys):
        assert await patient.read([key]) == [entry(b"%d" % number)]
        assert await store.read([key]) == [entry(b"%d" % number)]


async def test_flushall_is_a_cache_that_is_empty(part: RedisPart) -> None:
    store = await part.store()
    await keep(store, entry())
    loan = await store.lend(KEY, now=NOW, for_s=60.0)
    assert loan.token is not None

    await part.client.flushall()

    assert await store.read([KEY]) == [None]
    assert not await store.put(KEY, entry(), token=loan.token)
    await keep(store, entry())


async def test_a_full_server_still_answers_and_drops() -> None:
    with running("--maxmemory-policy", "noeviction") as server:
        part = RedisPart(server.url)
        hearing = Hearing()
        store = await part.store(listener=hearing)
        await keep(store, entry())
        loan = await store.lend("home.front", now=NOW, for_s=60.0)
        assert loan.token is not None
        await part.client.config_set("maxmemory", "1mb")

        with pytest.raises(CacheTrouble):
            await store.lend("home.other", now=NOW, for_s=60.0)
        with pytest.raises(CacheTrouble):
            await store.put("home.front", entry(), token=loan.token)
        assert await store.read([KEY]) == [entry()]
        await store.drop([KEY], cause="event-1")
        assert await store.read([KEY]) == [None]
        await until(lambda: hearing.keys == [KEY])

        await part.client.config_set("maxmemory", "0")
        await keep(store, entry())
        await part.close()


async def test_a_wrong_password_is_trouble_that_does_not_name_it() -> None:
    with running() as server:
        server.ask(lambda client: client.config_set("requirepass", "right"))
        part = RedisPart(server.url.replace("redis://", "redis://:wrong-secret@"))
        store = await part.store()
        with pytest.raises(CacheTrouble) as caught:
            await store.read([KEY])
        assert "secret" not in repr(caught.value)
        await part.close()
