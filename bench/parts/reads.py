"""Reads: the same bytes from nginx and from Hansa, in turn; CPU of the servers' processes per request."""

import asyncio
import time
import urllib.request

from bench.machine import usage
from bench.servers import Nginx, Shop
from bench.stage import Stage
from bench.wrk import run_wrk

PRODUCT = "baker-boy-cap"
PATHS = {
    "detail": (f"/api/v1/products/{PRODUCT}", "detail.json"),
    "list": ("/api/v1/products?limit=20", "list.json"),
    "page": (f"/en/products/{PRODUCT}", "page.html"),
}
"""What is read: its path in Hansa, and the file of the same bytes in nginx."""
WARM_READS = 50
SETTLE_S = 0.2


async def run(stage: Stage) -> None:
    shop, nginx = stage.shop("sqlite"), stage.nginx()
    await stage.calm("sqlite")
    for path, name in PATHS.values():
        nginx.put(name, await asyncio.to_thread(_warm, shop, path))
    for number in range(stage.size.rounds):
        for what, (path, name) in PATHS.items():
            of_nginx = await _measure(stage, what, "nginx", nginx, f"/{name}")
            of_hansa = await _measure(stage, what, "hansa", shop, path)
            stage.results.add(f"reads.{what}.ratio", of_hansa / of_nginx)
            stage.say(
                f"reads {number + 1}/{stage.size.rounds} {what}: "
                f"nginx {of_nginx:.1f} us of CPU, Hansa {of_hansa:.1f} us"
            )


async def _measure(stage: Stage, what: str, server: str, program: Nginx | Shop, path: str) -> float:
    """Microseconds of CPU per request."""
    before = usage(program.process_id)
    reads = await asyncio.to_thread(run_wrk, url=f"{program.address}{path}", seconds=stage.size.read_s)
    spent = usage(program.process_id).since(before)
    cpu_us = spent.cpu_s / reads.requests * 1e6
    stage.results.add(f"reads.{what}.{server}_cpu_us", cpu_us)
    stage.results.add(f"reads.{what}.{server}_rate", reads.rate)
    await asyncio.sleep(SETTLE_S)
    return cpu_us


def _warm(shop: Shop, path: str) -> bytes:
    """What Hansa answers, once it has been asked often enough to have it ready."""
    body = b""
    for _ in range(WARM_READS):
        with urllib.request.urlopen(f"{shop.address}{path}", timeout=10) as answer:
            body = answer.read()
        time.sleep(0)
    return body
