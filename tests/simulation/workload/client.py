"""One actor's way with the shop: every command has a key, and what is uncertain is repeated with it."""

from collections.abc import Awaitable
from random import Random
from typing import Any

from tests.simulation.workload.answers import (
    code_of,
    essence,
    is_certain,
    is_kept,
    route_of,
    thing_of,
    wrong_with,
    wrong_with_change,
)
from tests.simulation.workload.door import Door, NoReply, Pause, Reply
from tests.simulation.workload.journal import Account, Journal, Kept, KnownCart, KnownOrder, Request

ATTEMPTS = 6
PATIENT_ATTEMPTS = 40
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 3.0
IMPATIENCE_S = 0.05
"""How soon a double click comes."""


class Client:
    """What an actor needs; `chance_for` gives a stream of its own to each thing that it does."""

    def __init__(self, *, actor: str, door: Door, pause: Pause, journal: Journal, seed: int) -> None:
        self.actor = actor
        self.door = door
        self.pause = pause
        self.journal = journal
        self.token = ""
        self.doubts = 0
        """How often the shop has not given its word: such a request may still be under way."""
        self._seed = seed
        self._step = ""
        self._keys = 0

    def chance_for(self, step: str) -> Random:
        """Randomness for one step; its keys, too, are its own, so that earlier steps do not change them."""
        self._step, self._keys = step, 0
        return Random(f"{self._seed} {self.actor} {step}")

    def key(self) -> str:
        self._keys += 1
        return f"{self._seed}-{self.actor}-{self._step}-{self._keys}"

    async def get(self, path: str, *, expects: tuple[str, ...] = ()) -> Any:
        """The body of what is there; None if it cannot be had."""
        reply = await self.insist(self.request("GET", path, expects=expects))
        return reply.body if reply is not None and reply.status == 200 else None

    def request(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        version: int | None = None,
        expects: tuple[str, ...] = (),
    ) -> Request:
        return Request(
            actor=self.actor,
            verb=verb,
            path=path,
            body=body,
            token=self.token,
            key="" if verb == "GET" else key or self.key(),
            version=version,
            expects=expects,
        )

    def command(
        self, verb: str, path: str, body: Any = None, *, version: int | None = None, expects: tuple[str, ...] = ()
    ) -> Awaitable[Reply | None]:
        """Send, and repeat until the end is certain. The key is drawn now, not when the first step is made."""
        return self.insist(self.request(verb, path, body, version=version, expects=expects))

    async def insist(self, request: Request, *, attempts: int = ATTEMPTS) -> Reply | None:
        """The certain end of a request; None after too many attempts, and then a command is noted as open."""
        wait_s = FIRST_PAUSE_S
        for attempt in range(attempts):
            if attempt:
                await self.pause(wait_s)
                wait_s = min(wait_s * 2, LONGEST_PAUSE_S)
            reply = await self.once(request)
            if reply is not None and is_certain(reply):
                return reply
        if request.verb != "GET":
            self.journal.open.append(request)
        return None

    async def once(self, request: Request) -> Reply | None:
        """Send it once. None: no reply."""
        known = dict(self.journal.versions) if request.verb == "GET" else {}
        try:
            reply = await self.door.request(
                request.verb,
                request.path,
                request.body,
                token=request.token,
                key=request.key,
                version=request.version,
            )
        except NoReply:
            self._met(request, "silence")
            self.doubts += 1
            return None
        self._met(request, _end_of(reply))
        said = wrong_with(request.verb, request.path, request.body, reply, expects=request.expects)
        if said is not None:
            self.complain("answers", subject=request.path, text=f"{request.verb}: {said}")
        elif is_certain(reply):
            self._learn(request, reply)
            self._compare(request, reply, known)
        else:
            self.doubts += 1
        return reply

    def complain(self, check: str, *, subject: str, text: str) -> None:
        self.journal.complain(check, actor=self.actor, subject=subject, text=text)

    def count(self, what: str) -> None:
        """Something rare has come about."""
        self.journal.met[what] += 1

    def _met(self, request: Request, end: str) -> None:
        self.journal.met[f"{route_of(request.verb, request.path)} {end}"] += 1

    def _compare(self, request: Request, reply: Reply, known: dict[str, int]) -> None:
        """What is read is at least as new as what anybody was told before it was asked for."""
        if reply.status >= 300 or not (thing := thing_of(request.verb, request.path, reply.body)):
            return
        version: int = reply.body["version"]
        if version < known.get(thing, 0):
            self.complain("durable", subject=thing, text=f"version {known[thing]} was there, {version} is read later")
        if thing.startswith("orders/"):
            state = (version, reply.body["status"])
            told = self.journal.states.setdefault(thing, state)
            if (said := wrong_with_change(told, state)) is not None:
                self.complain("states", subject=thing.partition("/")[2], text=said)
            self.journal.states[thing] = max(told, state)
        self.journal.versions[thing] = max(version, self.journal.versions.get(thing, 0))

    def _learn(self, request: Request, reply: Reply) -> None:
        if request.key and is_kept(request.verb, request.path, reply):
            self.journal.kept.append(Kept(request=request, essence=essence(reply)))
        if reply.status >= 300:
            return
        route = route_of(request.verb, request.path)
        if route in ("POST /orders", "POST /flash-sales/*/orders"):
            name = reply.body["id"]
            self.journal.orders.setdefault(name, KnownOrder(name=name, actor=self.actor, token=request.token))
        elif route == "POST /orders/*/cancel":
            known = self.journal.orders.get(request.path.split("/")[2])
            if known is not None:
                known.is_cancelled = True
        elif route == "POST /carts":
            name = reply.body["id"]
            self.journal.carts.setdefault(name, KnownCart(name=name, actor=self.actor, token=request.token))
        elif route == "POST /users":
            account = Account(actor=self.actor, email=request.body["email"], password=request.body["password"])
            self.journal.accounts.append(account)


def _end_of(reply: Reply) -> str:
    if reply.status >= 400:
        return f"{reply.status} {code_of(reply.body)}"
    status = reply.body.get("status", "") if isinstance(reply.body, dict) else ""
    return f"{reply.status} {status}".strip()
