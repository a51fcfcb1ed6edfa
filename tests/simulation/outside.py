"""Outside parties under the simulator: the payment provider, the mail server, and the front door's HTTP."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from starlette.types import ASGIApp

from hansa.kernel.errors import Fault
from hansa.kernel.money import Money
from hansa.platform.jobs.periodic import Job
from hansa.platform.mail.port import Mail, MailFailed
from hansa.platform.providers.payments import Answer, Notice, RefundAnswer
from hansa.platform.providers.sandbox import SandboxProvider
from hansa.platform.providers.sandbox_schema import SCHEMA
from tests.simulation import states
from tests.simulation.loop import WHOSE
from tests.simulation.workload.door import Reply

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

T = TypeVar("T")
PROVIDER = "provider"
LATE_S = 7.0
"""Later than anybody waits for the provider."""
WEBHOOK_PATIENCE_S = 5.0


def empty_ledger() -> sqlite3.Connection:
    """The provider's books, in memory: it is an outside party that keeps what it has written."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.executescript(SCHEMA)
    return connection


class DistantProvider:
    """The sandbox provider as one process sees it, over a network; the provider itself never dies."""

    def __init__(self, world: "World", process: "Process", provider: SandboxProvider) -> None:
        self._world = world
        self._process = process
        self._provider = provider
        self.name = provider.name

    async def charge(self, *, key: str, token: str, amount: Money, capture: bool) -> Answer:
        return await self._ask(
            "charge", key, lambda: self._provider.charge(key=key, token=token, amount=amount, capture=capture)
        )

    async def capture(self, *, key: str, reference: str) -> Answer:
        return await self._ask("capture", key, lambda: self._provider.capture(key=key, reference=reference))

    async def void(self, *, key: str, reference: str) -> Answer:
        return await self._ask("void", key, lambda: self._provider.void(key=key, reference=reference))

    async def refund(self, *, key: str, reference: str, amount: Money) -> RefundAnswer:
        return await self._ask(
            "refund", key, lambda: self._provider.refund(key=key, reference=reference, amount=amount)
        )

    async def find(self, *, key: str) -> Answer | None:
        return await self._ask("find", key, lambda: self._provider.find(key=key))

    def read_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        return self._provider.read_webhook(headers=headers, body=body, now=now)

    def jobs(self) -> Sequence[Job]:
        """None here: the provider's own machine delivers its webhooks."""
        return ()

    async def close(self) -> None: ...

    async def _ask(self, what: str, key: str, act: Callable[[], Awaitable[T]]) -> T:
        world, faults = self._world, self._world.faults
        world.note(f"provider asked: {what}", self._process.name, key)
        await world.travel()
        answered: asyncio.Future[T] = world.loop.create_future()
        if world.network.is_cut(self._process.machine, PROVIDER) or faults.strikes("charge lost"):
            return await answered  # which never comes: whoever asks has a deadline

        async def serve() -> None:
            await world.travel(is_late=faults.strikes("provider late"), late_s=LATE_S)
            world.states[states.CHARGED_AGAIN] += what == "charge" and self._has_taken(key)
            try:
                answer = await act()
            except Exception as error:
                world.note(f"provider: {what} fails", type(error).__name__, key)
                if not answered.done():
                    answered.set_exception(error)
                    answered.exception()  # seen, should the caller have left
                return
            world.note(f"provider: {what}", answer, key)
            if world.network.is_cut(self._process.machine, PROVIDER) or faults.strikes("charge unanswered"):
                return
            await world.travel()
            if not answered.done():
                answered.set_result(answer)

        self._outside(serve())
        if faults.strikes("charge doubled"):
            self._outside(serve())
        return await answered

    def _has_taken(self, key: str) -> bool:
        ledger = self._provider._ledger._connected()
        return ledger.execute("SELECT 1 FROM charges WHERE key = ? AND captured > 0", (key,)).fetchone() is not None

    def _outside(self, work: Any) -> None:
        context = self._world.context.copy()
        context.run(WHOSE.set, None)
        self._world.loop.create_task(work, context=context)


class Webhooks:
    """How the provider posts its webhooks: lost, late, out of order, twice."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def __call__(self, *, url: str, headers: Mapping[str, str], body: bytes) -> int:
        world, faults = self._world, self._world.faults
        if faults.strikes("webhook lost"):
            raise Fault("lost")
        await world.travel(is_late=faults.strikes("webhook late"), late_s=world.chances["webhooks"].uniform(0.5, 30.0))
        if faults.strikes("webhook doubled"):
            with suppress(Fault):
                await self._post(headers, body)
        return await self._post(headers, body)

    async def _post(self, headers: Mapping[str, str], body: bytes) -> int:
        world = self._world
        processes = [process for process in world.up if not world.network.is_cut(PROVIDER, process.machine)]
        if not processes:
            raise Fault("nobody there")
        target = processes[int(world.chances["routing"].random() * len(processes))]
        waiting: asyncio.Future[Reply] = world.loop.create_future()

        async def serve() -> None:
            path = "/webhooks/payments/sandbox"
            reply = await target.front.call("POST", path, list(headers.items()), body)
            if not waiting.done():
                waiting.set_result(reply)

        world.network.carry_out(target, serve(), waiting)
        try:
            async with asyncio.timeout(WEBHOOK_PATIENCE_S):
                return (await waiting).status
        except TimeoutError as error:
            raise Fault("no answer") from error


class Letterbox:
    """A mail server that all processes hand their mails to. The same key is the same mail."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.mails: dict[str, Mail] = {}

    async def send(self, mail: Mail) -> None:
        await self._world.travel()
        if self._world.faults.strikes("mail refused"):
            raise MailFailed("try again later")
        self._world.states[states.MAILED_TWICE] += mail.message_key in self.mails
        self.mails[mail.message_key] = mail
        if self._world.faults.strikes("mail unanswered"):
            raise MailFailed("no answer")


class Front:
    """A process's HTTP application, called without a socket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def request(self, verb: str, path: str, body: Any, token: str, key: str, version: int | None) -> Reply:
        headers = [("host", "shop.example")]
        if version is not None:
            headers.append(("if-match", f'"{version}"'))
        if token:
            headers.append(("authorization", f"Bearer {token}"))
        if key:
            headers.append(("idempotency-key", key))
        if body is None:
            return await self.call(verb, path, headers, b"")
        return await self.call(verb, path, [*headers, ("content-type", "application/json")], msgspec.json.encode(body))

    async def call(self, verb: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": verb,
            "scheme": "http",
            "path": f"/api/v1{path}",
            "raw_path": f"/api/v1{path}".encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                *((name.lower().encode(), value.encode()) for name, value in headers),
                (b"content-length", str(len(body)).encode()),
            ],
            "client": ("10.0.0.1", 1),
            "server": ("shop.example", 80),
        }
        status, chunks = 0, []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                chunks.append(message.get("body", b""))

        await self._app(scope, receive, send)
        raw = b"".join(chunks)
        return Reply(status, msgspec.json.decode(raw) if raw else None)
