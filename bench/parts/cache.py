"""The cache: CPU of a read from each tier and of a miss, beside the bare library or client of the same server."""

import asyncio
import sys
from pathlib import Path

import msgspec

from bench.caching.process import Measured, Task
from bench.figures import percentile
from bench.stage import LoadFailed, Stage
from tests.memcached_server import MemcachedServer
from tests.redis_server import RedisServer
from tests.servers import ServerMissing

PATIENCE_S = 180.0


async def run(stage: Stage) -> None:
    await _measure(stage, "memory", "memory:")
    for name, kind in (("redis", RedisServer), ("memcached", MemcachedServer)):
        try:
            server = kind()
            server.start()
        except ServerMissing as missing:
            stage.results.notes.append(f"the cache in {name} was left out: {missing}")
            continue
        try:
            place = server.url if isinstance(server, RedisServer) else f"memcached://{server.place}/"
            await _measure(stage, name, f"{place}?namespace=bench")
        finally:
            server.stop()


async def _measure(stage: Stage, name: str, store: str) -> None:
    count = stage.size.cached_reads * (10 if name == "memory" else 1)
    found = await _asked(Task(store=store, count=count, turns=stage.size.rounds))
    for act in ("hit", "miss"):
        for us, bare_us in zip(found.us.get(act, ()), found.us.get(f"bare_{act}", ()), strict=True):
            stage.results.add(f"cache.{name}.{act}_us", us)
            stage.results.add(f"cache.{name}.bare_{act}_us", bare_us)
            stage.results.add(f"cache.{name}.{act}_ratio", us / bare_us)
    if found.told_ms:
        stage.results.add(f"cache.{name}.told_p50_ms", percentile(found.told_ms, 0.5))
        stage.results.add(f"cache.{name}.told_p99_ms", percentile(found.told_ms, 0.99))
    stage.say(f"cache, {name}: " + ", ".join(f"{act} {min(us):.2f} us" for act, us in found.us.items()))


async def _asked(task: Task) -> Measured:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.caching.process", msgspec.json.encode(task).decode()),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), timeout=PATIENCE_S)
    except TimeoutError:
        process.kill()
        raise LoadFailed(f"the cache {task.store} was not measured in time") from None
    if process.returncode:
        raise LoadFailed(f"the process that measures the cache {task.store} failed")
    return msgspec.json.decode(said, type=Measured)
