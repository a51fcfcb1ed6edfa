"""The load, in a process of its own: `python -m bench.load orders --url http://… --connections 256 --orders 20000`."""

import argparse
import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop

from bench import requests
from bench.client import Answers, Load, drive
from bench.figures import percentile

MOST_READY = 50_000
"""So many requests are made before the clock runs; of more, each when it is sent, so that memory is bounded."""
PAGE = 100
STAFF_CONNECTIONS = 16


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a load has shown; times of answers in milliseconds. Moments are by the machine's monotonic clock."""

    statuses: dict[str, int]
    answers: int
    elapsed_s: float
    throughput: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float
    cpu_s: float
    began_at: float
    ended_at: float
    windows: dict[str, tuple[float, float]]
    """When the first and the last answer of each status came."""


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit must find again: an order that was acknowledged."""

    id: str
    status: str


class Stoppable:
    """Requests until there are no more, or until told to stop: what was sent is still awaited."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_stopped:
            raise StopIteration
        return next(self._requests)


class _NotSetUp(Exception):
    """The shop cannot be loaded as it is."""


def outcome(answers: Answers, *, cpu_s: float) -> Outcome:
    """Sum up what came back."""
    latencies = answers.latencies_s
    known = bool(len(latencies))
    return Outcome(
        statuses={str(status): count for status, count in sorted(answers.statuses.items())},
        answers=len(latencies),
        elapsed_s=answers.elapsed_s,
        throughput=len(latencies) / answers.elapsed_s if answers.elapsed_s else 0.0,
        p50_ms=percentile(latencies, 0.50) * 1000 if known else 0.0,
        p95_ms=percentile(latencies, 0.95) * 1000 if known else 0.0,
        p99_ms=percentile(latencies, 0.99) * 1000 if known else 0.0,
        mean_ms=sum(latencies) / len(latencies) * 1000 if known else 0.0,
        cpu_s=cpu_s,
        began_at=answers.began_at,
        ended_at=answers.ended_at,
        windows={str(status): window for status, window in sorted(answers.windows.items())},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            print(msgspec.json.format(msgspec.json.encode(runner.run(_run(options)))).decode())
        except (_NotSetUp, OSError) as error:
            print(f"bench.load: {error}", file=sys.stderr)
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="Loads a shop; prints JSON.")
    kinds = parser.add_subparsers(required=True, metavar="KIND", dest="kind")
    orders = kinds.add_parser("orders", help="guests order one piece each")
    orders.add_argument("--orders", type=int, default=20_000, dest="count")
    orders.add_argument("--spread", type=int, default=1_000, help="over so many variants; 1 is a hot one")
    orders.add_argument("--skus", type=Path, help="a file of skus, one a line; else from GET /api/v1/products")
    orders.add_argument("--stock", type=int, default=0, help="pieces to put there before, as the staff of --staff")
    orders.add_argument("--staff", default=os.environ.get("HANSA_STAFF_EMAIL", "staff@example.com"))
    orders.add_argument("--acknowledged", type=Path, help="where the ids of all acknowledged orders are written")
    gets = kinds.add_parser("gets", help="reads of paths")
    gets.add_argument("--paths", type=Path, required=True, help="a file of paths, one a line")
    gets.add_argument("--count", type=int, required=True)
    listed = kinds.add_parser("listed", help="requests of a file, in their order")
    listed.add_argument("--requests", type=Path, required=True, help="a JSON object a line: verb, path, headers, body")
    listed.add_argument("--acknowledged", type=Path, help="where the ids of all acknowledged orders are written")
    listed.add_argument("--repeated", type=int, nargs="*", default=[], help="statuses after which it is sent again")
    for kind in (orders, gets, listed):
        kind.add_argument("--url", required=True)
        kind.add_argument("--connections", type=int, default=128)
        kind.add_argument("--rate", type=float, help="requests a second over all connections; else as fast as it goes")
        kind.add_argument("--run", default="", help="what keys begin with; else random")
        kind.add_argument("--repeat-lost", action="store_true", help="send anew what a lost connection left unanswered")
    return parser


async def _run(options: argparse.Namespace) -> Outcome:
    url = urlsplit(options.url)
    host, port = url.hostname or "127.0.0.1", url.port or 80
    run = options.run or uuid.uuid4().hex[:12]
    acknowledged: list[Acknowledged] = []
    if options.kind == "orders":
        skus = await _skus(options, host=host, port=port)
        source = requests.orders(host=url.netloc, skus=skus, count=options.count, run=run)
    elif options.kind == "gets":
        source = requests.gets(host=url.netloc, paths=_lines(options.paths), count=options.count)
    else:
        lines = options.requests.read_bytes().splitlines()
        source = requests.listed(host=url.netloc, lines=lines)
        options.count = len(lines)
    ready = Stoppable(source if options.count > MOST_READY else iter(list(source)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ready.stop)
    target = getattr(options, "acknowledged", None)
    decoder = msgspec.json.Decoder(Acknowledged)

    def note(status: int, _request: bytes, body: bytes) -> None:
        if status == 201:
            acknowledged.append(decoder.decode(body))

    load = Load(
        host=host,
        port=port,
        connections=options.connections,
        requests=ready,
        rate=options.rate,
        repeats_lost=options.repeat_lost,
        repeated=frozenset(getattr(options, "repeated", ())),
        on_answer=note if target is not None else None,
    )
    cpu_began = time.process_time()
    answers = await drive(load)
    result = outcome(answers, cpu_s=time.process_time() - cpu_began)
    if target is not None:
        target.write_text("".join(f"{order.id} {order.status}\n" for order in acknowledged))
    return result


async def _skus(options: argparse.Namespace, *, host: str, port: int) -> list[str]:
    if options.skus is not None:
        found = _lines(options.skus)
    else:
        found = await _listed_skus(host=host, port=port, at_least=options.spread)
    if len(found) < options.spread:
        print(f"bench.load: only {len(found)} variants, not {options.spread}", file=sys.stderr)
    skus = found[: options.spread]
    if options.stock:
        await _put_stock(skus, options, host=host, port=port)
    return skus


async def _listed_skus(*, host: str, port: int, at_least: int) -> list[str]:
    found: list[str] = []
    path = f"/api/v1/products?limit={PAGE}"
    while True:
        page = await _ask(host, port, verb="GET", path=path)
        found += [variant["sku"] for product in page["items"] for variant in product["variants"] if variant["price"]]
        if page["next_cursor"] is None or len(found) >= at_least:
            return found
        path = f"/api/v1/products?limit={PAGE}&cursor={page['next_cursor']}"


async def _put_stock(skus: Sequence[str], options: argparse.Namespace, *, host: str, port: int) -> None:
    password = os.environ.get("HANSA_STAFF_PASSWORD", "")
    if not password:
        raise _NotSetUp("--stock needs the password of the staff in HANSA_STAFF_PASSWORD")
    session = await _ask(
        host, port, verb="POST", path="/api/v1/sessions", body={"email": options.staff, "password": password}
    )
    headers = {"Authorization": f"Bearer {session['token']}"}
    ready = [
        requests.request(
            verb="PUT",
            path=f"/api/v1/admin/inventory/{sku}",
            host=f"{host}:{port}",
            headers=headers | {"Idempotency-Key": uuid.uuid4().hex},
            body={"on_hand": options.stock},
        )
        for sku in skus
    ]
    answers = await drive(
        Load(host=host, port=port, connections=min(STAFF_CONNECTIONS, len(ready)), requests=iter(ready))
    )
    if set(answers.statuses) != {200}:
        raise _NotSetUp(f"stock could not be put: {dict(answers.statuses)}")


async def _ask(host: str, port: int, *, verb: str, path: str, body: object = None) -> Any:
    """One request, its answer decoded."""
    said: list[tuple[int, bytes]] = []
    ready = requests.request(
        verb=verb, path=path, host=f"{host}:{port}", body=body, headers={"Idempotency-Key": uuid.uuid4().hex}
    )
    await drive(
        Load(
            host=host,
            port=port,
            connections=1,
            requests=iter([ready]),
            on_answer=lambda status, _request, answer: said.append((status, answer)),
        )
    )
    status, answer = said[0]
    if status >= 300:
        raise _NotSetUp(f"{verb} {path} was answered {status}: {answer[:200]!r}")
    return msgspec.json.decode(answer)


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line]


if __name__ == "__main__":
    sys.exit(main())
