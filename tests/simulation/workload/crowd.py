"""Everybody at once: shoppers, staff and imports of a run, and how they come back when all is quiet."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

from tests.simulation.workload import imports, staff
from tests.simulation.workload.answers import is_certain
from tests.simulation.workload.client import PATIENT_ATTEMPTS, Client
from tests.simulation.workload.door import Door, Pause
from tests.simulation.workload.journal import Account, Kept, KnownCart, Request
from tests.simulation.workload.journal import Journal as Journal
from tests.simulation.workload.scene import STAFF_LOGIN
from tests.simulation.workload.shoppers import Shopper
from tests.simulation.workload.size import Size
from tests.simulation.workload.visits import VISITS, look_for_it

SHARE_IN_THE_RUSH = 0.5
"""How many shoppers arrive at one moment."""
LONGEST_VISIT_PAUSE_S = 3.0
MOST_AT_ONCE = 8
"""How many requests are repeated at once when all is quiet."""

DoorOf = Callable[[str], Door]


async def run(
    door_of: DoorOf,
    *,
    seed: int,
    size: Size,
    pause: Pause,
    staff_login: tuple[str, str] = STAFF_LOGIN,
    has_search: bool = False,
    journal: Journal | None = None,
) -> Journal:
    """Let everybody in and wait until the last has left; `door_of` gives each actor its door by the actor's name.

    No actor raises whatever the shop says: what no shop may say is in the journal's `complaints`. Hand in a journal to
    look at it while the run goes on.
    """
    journal = Journal() if journal is None else journal
    rush_s = Random(f"{seed} rush").uniform(0, size.over_s)
    actors: dict[str, Callable[[Client], Awaitable[None]]] = {}
    for number in range(size.shoppers):
        actors[f"shopper-{number}"] = partial(_shop, steps=size.steps, has_search=has_search)
    for number in range(size.staff):
        actors[f"staff-{number}"] = partial(_work, steps=size.staff_steps, login=staff_login)
    for number in range(size.imports):
        actors[f"import-{number}"] = partial(_import, login=staff_login, file=f"{seed}-file")
    lives = []
    for name, life in actors.items():
        if name in size.without:
            continue
        client = Client(actor=name, door=door_of(name), pause=pause, journal=journal, seed=seed)
        chance = client.chance_for("arrival")
        alone_s = chance.uniform(0, size.over_s)
        arrives_s = rush_s if name.startswith("shopper") and chance.random() < SHARE_IN_THE_RUSH else alone_s
        lives.append(_live(client, arrives_s, life))
    await asyncio.gather(*lives)
    return journal


async def come_back(
    door_of: DoorOf, *, journal: Journal, pause: Pause, most: int = 1_000, attempts: int = PATIENT_ATTEMPTS
) -> None:
    """When faults are over: repeat what is uncertain with its key until it is certain, ask again for answers once
    given, and read every order that a buyer was told of. `most` bounds how many given answers are asked for again.

    The journal's `open` then holds what is uncertain even now, each a complaint.
    """
    clients: dict[str, Client] = {}

    def client_of(actor: str) -> Client:
        if actor not in clients:
            clients[actor] = Client(actor=actor, door=door_of(actor), pause=pause, journal=journal, seed=0)
        return clients[actor]

    async def settle(request: Request) -> None:
        client = client_of(request.actor)
        if await client.insist(request, attempts=attempts) is None:
            client.complain("certain", subject=request.key, text=f"{request.verb} {request.path} never came to an end")

    async def repeat(kept: Kept) -> None:
        client = client_of(kept.request.actor)
        reply = await client.insist(kept.request, attempts=attempts)
        if reply is None or not is_certain(reply):
            client.complain("certain", subject=kept.request.key, text=f"{kept.request.path} has no answer any more")

    async def read(name: str) -> None:
        known = journal.orders[name]
        client = client_of(known.actor)
        request = Request(actor=known.actor, verb="GET", path=f"/orders/{name}", body=None, token=known.token, key="")
        reply = await client.insist(request, attempts=attempts)
        if reply is None or reply.status != 200:
            client.complain("durable", subject=name, text=f"an acknowledged order cannot be read: {reply!r}")
        elif known.is_cancelled and reply.body["status"] != "cancelled":
            client.complain("durable", subject=name, text=f"cancelled for certain, now {reply.body['status']}")

    async def look_into(cart: KnownCart) -> None:
        client = client_of(cart.actor)
        request = Request(actor=cart.actor, verb="GET", path=f"/carts/{cart.name}", body=None, token=cart.token, key="")
        reply = await client.insist(request, attempts=attempts)
        if reply is None or reply.status != 200:
            client.complain("durable", subject=cart.name, text=f"an acknowledged cart cannot be read: {reply!r}")
            return
        held = {line["sku"]: line["quantity"] for line in reply.body["lines"]}
        for sku, quantities in cart.lines.items():
            if held.get(sku, 0) not in quantities:
                client.complain("durable", subject=cart.name, text=f"{sku} stood at {quantities}, now at {held}")

    async def sign_in(account: Account) -> None:
        client = client_of(account.actor)
        credentials = {"email": account.email, "password": account.password}
        reply = await client.insist(client.request("POST", "/sessions", credentials), attempts=attempts)
        if reply is None or reply.status != 201:
            client.complain("durable", subject=account.actor, text=f"an account does not let its owner in: {reply!r}")

    uncertain, journal.open = journal.open, []
    await _several(settle, uncertain)
    first: dict[tuple[str, str], Kept] = {}
    for kept in journal.kept:
        first.setdefault((kept.request.key, _body_of(kept.request)), kept)
    await _several(repeat, list(first.values())[:most])
    await _several(read, list(journal.orders))
    await _several(look_into, list(journal.carts.values()))
    await _several(sign_in, list(journal.accounts))
    compare_answers(journal)


def compare_answers(journal: Journal) -> None:
    """The same request with the same key was always given the same answer."""
    first: dict[tuple[str, str], Kept] = {}
    told: set[str] = set()
    for kept in journal.kept:
        earlier = first.setdefault((kept.request.key, _body_of(kept.request)), kept)
        if earlier.essence != kept.essence and kept.request.key not in told:
            told.add(kept.request.key)
            journal.complain(
                "key",
                actor=kept.request.actor,
                subject=kept.request.key,
                text=f"{kept.request.path} was first answered {earlier.essence}, later {kept.essence}",
            )


async def _live(client: Client, arrives_s: float, life: Callable[[Client], Awaitable[None]]) -> None:
    """An actor that stumbles over an answer is a complaint, and nobody else stumbles with it."""
    await client.pause(arrives_s)
    try:
        await life(client)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        client.complain("answers", subject=client.actor, text=f"{error!r} in {where.name}, line {where.lineno}")


async def _shop(client: Client, *, steps: int, has_search: bool) -> None:
    visits: dict[Any, int] = VISITS | ({look_for_it: 1} if has_search else {})
    shopper = Shopper(client)
    await shopper.enter()
    for step in range(steps):
        chance = client.chance_for(str(step))
        (visit,) = chance.choices(list(visits), weights=list(visits.values()))
        seconds = chance.uniform(0, LONGEST_VISIT_PAUSE_S)
        client.count(f"visit {visit.__name__}")
        await visit(shopper, chance)
        await client.pause(seconds)


async def _work(client: Client, *, steps: int, login: tuple[str, str]) -> None:
    if not await staff.sign_in(client, login):
        return
    for step in range(steps):
        chance = client.chance_for(str(step))
        (duty,) = chance.choices(list(staff.DUTIES), weights=list(staff.DUTIES.values()))
        seconds = chance.uniform(0, LONGEST_VISIT_PAUSE_S)
        client.count(f"duty {duty.__name__}")
        await duty(client, chance)
        await client.pause(seconds)


async def _import(client: Client, *, login: tuple[str, str], file: str) -> None:
    if await staff.sign_in(client, login):
        await imports.bring_in(client, file)


async def _several(act: Callable[[Any], Awaitable[None]], items: list[Any]) -> None:
    """A bounded number at once, in order."""
    for start in range(0, len(items), MOST_AT_ONCE):
        await asyncio.gather(*(act(item) for item in items[start : start + MOST_AT_ONCE]))


def _body_of(request: Request) -> str:
    """What is the same request of the same person; the staff share one account."""
    who = request.token if request.actor.startswith("shopper") else "staff"
    return repr((request.verb, request.path, request.body, who))
