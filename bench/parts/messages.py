"""Messages: events a second, CPU and time from commit to effect, through each broker, beside its bare client.

One process commits and publishes, another one hears and commits the effect, each on its own database; the broker is the
third. The bare client does both ends in one process and writes nothing down.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.figures import percentile
from bench.machine import usage
from bench.messages.process import Measured, Task
from bench.stage import LoadFailed, Stage
from tests.chaos.messages.brokers import BROKERS, Broker
from tests.servers import ServerMissing

QUIET = 200
"""Events of which each comes alone, for the time that it takes."""
QUIET_PAUSE_S = 0.02
START_S = 60.0


async def run(stage: Stage) -> None:
    for name, kind in BROKERS.items():
        try:
            broker = kind()
        except ServerMissing as missing:
            stage.results.notes.append(f"messages through {name} were left out: {missing}")
            continue
        try:
            broker.server.start()
            for number in range(stage.size.rounds):
                await _flood(stage, name, broker, number)
            await _quiet(stage, name, broker)
        finally:
            broker.server.stop()


async def _flood(stage: Stage, name: str, broker: Broker, number: int) -> None:
    """As many as possible; then the same with the bare client."""
    count = stage.size.events
    before = sum(usage(each).cpu_s for each in broker.server.process_ids)
    told, heard = await _through(stage, name, broker, label=f"flood{number}", count=count)
    broker_cpu = sum(usage(each).cpu_s for each in broker.server.process_ids) - before
    rate = count / (heard.ended_s - told.began_s)
    (bare,) = await _run([_task("bare", name, broker, stage.folder, count=count, label=f"bare{number}")])
    shop_us, bare_us = (1e6 * cpu / count for cpu in (told.cpu_s + heard.cpu_s, bare.cpu_s))
    stage.results.add(f"messages.{name}.rate", rate)
    stage.results.add(f"messages.{name}.cpu_us", shop_us)
    stage.results.add(f"messages.{name}.broker_cpu_us", 1e6 * broker_cpu / count)
    stage.results.add(f"messages.{name}.bare_rate", count / (bare.ended_s - bare.began_s))
    stage.results.add(f"messages.{name}.bare_cpu_us", bare_us)
    stage.results.add(f"messages.{name}.ratio", shop_us / bare_us)
    stage.say(
        f"messages, {name}: {rate:.0f} events/s from commit to effect at {shop_us:.0f} us; bare client "
        f"{count / (bare.ended_s - bare.began_s):.0f}/s at {bare_us:.0f} us"
    )


async def _quiet(stage: Stage, name: str, broker: Broker) -> None:
    _, heard = await _through(stage, name, broker, label="quiet", count=QUIET, batch=1, pause_s=QUIET_PAUSE_S)
    for share, series in ((0.5, "p50_ms"), (0.99, "p99_ms")):
        stage.results.add(f"messages.{name}.{series}", percentile(heard.took_ms, share))
    stage.say(f"messages, {name}: p50 {percentile(heard.took_ms, 0.5):.1f} ms from commit to effect at low load")


async def _through(
    stage: Stage, name: str, broker: Broker, *, label: str, count: int, batch: int = 256, pause_s: float = 0.0
) -> tuple[Measured, Measured]:
    """What the teller and the hearer have measured."""
    folder = Path(tempfile.mkdtemp(prefix=f"messages-{name}-", dir=stage.folder))
    task = _task("hear", name, broker, folder, count=count, label=label, batch=batch, pause_s=pause_s)
    heard, told = await _run([task, msgspec.structs.replace(task, role="tell")])
    return told, heard


def _task(
    role: str, name: str, broker: Broker, folder: Path, *, count: int, label: str, batch: int = 256, pause_s: float = 0
) -> Task:
    address = f"{broker.address(broker.server.port)}?namespace={label}"
    return Task(role=role, broker=name, bus=address, folder=str(folder), count=count, batch=batch, pause_s=pause_s)


async def _run(tasks: Sequence[Task]) -> list[Measured]:
    """One process each; one that says `ready` is waited for before the next is started. Raises LoadFailed."""
    processes = []
    for task in tasks:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.messages.process", msgspec.json.encode(task).decode()),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
        )
        processes.append(process)
        if task.role == "hear":
            assert process.stdout is not None
            async with asyncio.timeout(START_S):
                await process.stdout.readline()
    found = []
    try:
        for task, process in zip(tasks, processes, strict=True):
            said, _ = await asyncio.wait_for(process.communicate(), timeout=4 * START_S)
            if process.returncode:
                raise LoadFailed(f"messages through {task.broker}: the process that should {task.role} failed")
            found.append(msgspec.json.decode(said, type=Measured))
    except TimeoutError:
        raise LoadFailed(f"messages through {tasks[0].broker} did not all arrive") from None
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
    return found
