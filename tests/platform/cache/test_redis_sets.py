"""What Redis does with several servers: Sentinels that name another master, and a Cluster that changes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from hansa.platform.cache.port import CacheTrouble
from tests.platform.cache.parts import KEY, NOW, Hearing, entry, keep, lent, until, until_it_works
from tests.platform.cache.redis_part import RedisPart
from tests.ports import HOST
from tests.redis_server import redis_server as running
from tests.redis_sets import MASTER, RedisCluster, RedisSentinels, SentinelProcess


@pytest.fixture
async def sentinels(redis_sentinels: RedisSentinels) -> AsyncIterator[RedisPart]:
    redis_sentinels.start()
    async for part in _part(redis_sentinels):
        yield part


@pytest.fixture
async def cluster(redis_cluster: RedisCluster) -> AsyncIterator[RedisPart]:
    redis_cluster.start()
    async for part in _part(redis_cluster):
        yield part


async def _part(server: Any) -> AsyncIterator[RedisPart]:
    part = RedisPart(server.url)
    yield part
    await part.close()


async def test_a_replica_is_read_from_but_takes_nothing(sentinels: RedisPart, redis_sentinels: RedisSentinels) -> None:
    part = RedisPart(redis_sentinels.replica.url)
    store = await part.store()
    try:
        assert await store.read([KEY]) == [None]
        with pytest.raises(CacheTrouble):
            await store.lend(KEY, now=NOW, for_s=1.0)
        with pytest.raises(CacheTrouble):
            await store.drop([KEY])
    finally:
        await part.close()


async def test_after_a_failover_it_goes_on_with_the_new_master(
    sentinels: RedisPart, redis_sentinels: RedisSentinels
) -> None:
    hearing = Hearing()
    store = await sentinels.store(listener=hearing)
    await keep(store, entry())
    old = redis_sentinels.master

    old.kill()
    await until(lambda: hearing.is_deaf)
    await until_it_works(lambda: store.drop([KEY]))
    await until(lambda: not hearing.is_deaf)
    hearing.keys.clear()

    assert redis_sentinels.master is not old
    assert hearing.missed_times == 2
    await until_it_works(lambda: keep(store, entry()))
    other = await sentinels.store()
    await other.drop([KEY])
    await until(lambda: hearing.keys == [KEY])


async def test_a_master_that_was_replaced_while_it_stood_still_is_left(
    sentinels: RedisPart, redis_sentinels: RedisSentinels
) -> None:
    hearing = Hearing()
    store = await sentinels.store(listener=hearing, within_s=1.0)
    old = redis_sentinels.master

    with old.frozen():
        await until(lambda: hearing.is_deaf)
        await until(lambda: not hearing.is_deaf)
        assert redis_sentinels.master is not old

    other = await sentinels.store()
    await until_it_works(lambda: other.drop([KEY]))
    await until(lambda: hearing.keys == [KEY])
    await until_it_works(lambda: store.drop([KEY]))


async def test_an_orderly_change_of_masters_is_noticed_though_the_old_one_lives(
    sentinels: RedisPart, redis_sentinels: RedisSentinels
) -> None:
    hearing = Hearing()
    store = await sentinels.store(listener=hearing)
    await keep(store, entry())
    old = redis_sentinels.master
    sentinel = Redis(host=HOST, port=redis_sentinels.sentinels[0].port)

    await sentinel.execute_command("SENTINEL", "FAILOVER", MASTER)
    await until(lambda: hearing.missed_times == 2)
    await sentinel.aclose()

    assert redis_sentinels.master is not old
    await until_it_works(lambda: store.drop([KEY]))
    await until(lambda: KEY in hearing.keys)


async def test_a_master_that_was_replaced_and_not_told_so_is_left() -> None:
    with running() as old, running() as new:
        sentinel = SentinelProcess(master_port=old.port, quorum=1)
        sentinel.start()
        part = RedisPart(f"redis+sentinel://{HOST}:{sentinel.port}/{MASTER}/0")
        hearing = Hearing()
        store = await part.store(listener=hearing)
        await keep(store, entry())

        sentinel.rename(master_port=new.port)
        await until(lambda: hearing.missed_times == 2)

        assert await store.read([KEY]) == [None]
        other = await part.store()
        await other.drop([KEY])
        await until(lambda: hearing.keys == [KEY])
        await part.close()
        sentinel.stop()


async def test_a_server_that_is_no_master_is_not_taken_for_one_whoever_says_so() -> None:
    with running() as master, running("--replicaof", HOST, str(master.port)) as replica:
        sentinel = SentinelProcess(master_port=replica.port, quorum=1)
        sentinel.start()
        part = RedisPart(f"redis+sentinel://{HOST}:{sentinel.port}/{MASTER}/0")
        store = await part.store()

        with pytest.raises(CacheTrouble):
            await store.read([KEY])

        await part.close()
        sentinel.stop()


async def test_without_sentinels_nothing_is_certain_though_the_master_is_there(
    sentinels: RedisPart, redis_sentinels: RedisSentinels
) -> None:
    hearing = Hearing()
    store = await sentinels.store(listener=hearing)
    await keep(store, entry())

    for sentinel in redis_sentinels.sentinels:
        sentinel.kill()
    await until(lambda: hearing.is_deaf)
    redis_sentinels.start()

    await until(lambda: not hearing.is_deaf)
    assert await until_it_works(lambda: store.read([KEY])) == [entry()]


async def test_in_a_cluster_keys_of_all_servers_are_asked_for_and_dropped_together(cluster: RedisPart) -> None:
    hearing = Hearing()
    listening, store = await cluster.store(listener=hearing), await cluster.store()
    keys = [f"products.get:{{{number}}}:en" for number in range(60)]
    for number, key in enumerate(keys):
        await keep(store, entry(b"%d" % number), key)

    assert await listening.read(keys) == [entry(b"%d" % number) for number in range(60)]
    await store.drop(keys)

    assert await listening.read(keys) == [None] * 60
    await until(lambda: set(hearing.keys) == set(keys))


@pytest.mark.parametrize("is_heard_there", [True, False], ids=["the one it listens to", "another one"])
async def test_a_node_of_a_cluster_that_stands_still_makes_deaf(
    cluster: RedisPart, redis_cluster: RedisCluster, is_heard_there: bool
) -> None:
    hearing = Hearing()
    store = await cluster.store(listener=hearing, within_s=1.0)
    keys = [f"products.get:{{{number}}}:en" for number in range(60)]
    channel = cluster.name("dropped")
    still = next(
        server
        for server in redis_cluster.servers
        if bool(server.ask(lambda client: client.pubsub_numsub(channel))[0][1]) == is_heard_there
    )

    with still.frozen():
        await until(lambda: hearing.is_deaf)
        with pytest.raises(CacheTrouble):
            await store.drop(keys)
    await until(lambda: hearing.missed_times > 1)

    await until_it_works(lambda: store.drop(keys))
    await until(lambda: set(keys) <= set(hearing.keys))


async def test_a_slot_that_moves_is_followed(cluster: RedisPart, redis_cluster: RedisCluster) -> None:
    store = await cluster.store()
    await keep(store, entry())
    slot = redis_cluster.slot_of(cluster.name(KEY))

    redis_cluster.begin_moving(slot)
    assert await store.read([KEY]) == [entry()]
    token = await lent(store, "home.{123}")  # what is not there is the other one's
    with pytest.raises(CacheTrouble):  # and of two keys one may be there, and one here
        await store.put("home.{123}", entry(), token=token)
    redis_cluster.end_moving(slot)

    assert await store.read([KEY]) == [entry()]
    await keep(store, entry(version=2))
    await store.drop([KEY])
    assert await store.read([KEY]) == [None]
