"""The flash sale: more shoppers than pieces, and an order elsewhere; again, with the shop killed in the middle."""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bench import catalogue
from bench.books import BUSY_S
from bench.load import Outcome
from bench.requests import BUYER, CARD, Listed, request
from bench.servers import STAFF_EMAIL, Shop
from bench.stage import LoadFailed, Stage, finished
from hansa.kernel.ids import guest_name, slot_of
from hansa.services.users.rules import token_hash

ENGINE = "sqlite"
LIMIT_PER_BUYER = 1
PRICE = 900
BEGINS_IN_S = 3.0
SLOT_BITS_BELOW = 10
"""Of an id: what counts within a millisecond; the slot is above."""
PASSWORD = "a long enough password"
ELSEWHERE_RATE = 20
ELSEWHERE_CONNECTIONS = 64
"""Enough that none of them waits for another one's answer."""
ELSEWHERE_BEFORE_S = 0.3
MOST_ELSEWHERE = 20_000
KILLED_AT = 30
"""The shop is killed when so many of the pieces are sold."""
KILL_LOOK_S = 0.003
KILL_LATEST_S = 10.0
WAIT_IN_LINE = "429"
TURNED_AWAY = ("409", "403")
"""Sold out, or more than one's share."""
ROUNDS = 2


class _Member(msgspec.Struct, frozen=True, kw_only=True):
    token: str
    email: str


async def run(stage: Stage) -> None:
    shop = stage.shop(ENGINE)
    status, _ = (await stage.ask(ENGINE, [_get(shop, "/api/v1/flash-sales")]))[0]
    if status == 404:
        stage.results.notes.append("the flash sale: this shop has none")
        return
    stage.say(f"{stage.size.members} members come in")
    members = await _members(stage, shop)
    *quiet, killed = catalogue.FLASH_SKUS[: min(ROUNDS, stage.size.rounds) + 1]
    for sku in quiet:
        await _sale(stage, shop, members, sku=sku, name="flash")
    await _sale(stage, shop, members, sku=killed, name="flash_killed", is_killed=True)
    await stage.rest(ENGINE)
    await stage.check(ENGINE, part="the flash sale")


async def _sale(
    stage: Stage, shop: Shop, members: Sequence[_Member], *, sku: str, name: str, is_killed: bool = False
) -> None:
    """One sale from its announcement to the last answer."""
    sale = await _announce(stage, shop, sku)
    tickets = await _tickets(stage, shop, sale, members)
    file, told = stage.folder / f"attempts-{sku}", stage.folder / f"told-{sku}"
    file.write_bytes(b"\n".join(msgspec.json.encode(each) for each in _attempts(stage, sale, members, tickets)))
    await stage.rest(ENGINE)

    elsewhere_told = stage.folder / f"told-elsewhere-{sku}"
    elsewhere = None if is_killed else await _begin_elsewhere(stage, shop, elsewhere_told)
    options = ("--requests", str(file), "--acknowledged", str(told), "--repeated", WAIT_IN_LINE)
    attempts = await stage.start_load(
        "listed", shop, *options, "--connections", str(stage.size.members), *(["--repeat-lost"] if is_killed else [])
    )
    if is_killed:
        await _kill(stage, shop, sku)
    outcome = await finished(attempts)
    if elsewhere is not None:
        elsewhere.terminate()  # it stops asking, and says what it has seen
        meanwhile = await finished(elsewhere)
        stage.note_told(ENGINE, elsewhere_told)
        stage.results.add(f"{name}.elsewhere_p95_ms", meanwhile.p95_ms)
    stage.note_told(ENGINE, told)
    await stage.rest(ENGINE)
    sold = await _judge(stage, sku, name)
    _note(stage, outcome, sold=sold, name=name)


def _note(stage: Stage, outcome: Outcome, *, sold: int, name: str) -> None:
    results = stage.results
    results.add(f"{name}.sold", sold)
    results.add(f"{name}.p99_ms", outcome.p99_ms)
    results.add(f"{name}.rate", outcome.throughput)
    if windows := [outcome.windows[status] for status in TURNED_AWAY if status in outcome.windows]:
        lasted_s = max(last for _, last in windows) - min(first for first, _ in windows)
        turned_away = sum(outcome.statuses.get(status, 0) for status in TURNED_AWAY)
        results.add(f"{name}.turned_away", turned_away / max(lasted_s, 1e-3))
    stage.say(
        f"{name}: {sold} sold, {outcome.throughput:.0f} answers/s, p99 {outcome.p99_ms:.0f} ms, {outcome.statuses}"
    )
    if strange := set(outcome.statuses) - {"0", "201", "403", "409", "429"}:
        results.wrong.append(f"{name}: attempts were answered {', '.join(sorted(strange))}: {outcome.statuses}")


async def _judge(stage: Stage, sku: str, name: str) -> int:
    """How many pieces were sold; more or fewer than there were, or more than one to a person, is wrong."""
    books = stage.books(ENGINE)
    try:
        per_member = await books.rows(
            "SELECT o.member, sum(l.quantity) FROM orders.orders o JOIN orders.order_lines l "
            "ON l.slot = o.slot AND l.order_id = o.order_id "
            f"WHERE o.status IN ('placed', 'completed') AND l.sku = '{sku}' GROUP BY o.member"
        )
    finally:
        await books.close()
    sold = sum(int(quantity) for _, quantity in per_member)
    if sold != catalogue.FLASH_PIECES:
        stage.results.wrong.append(f"{name}: {sold} of {catalogue.FLASH_PIECES} pieces were sold")
    greedy = [member for member, quantity in per_member if quantity > LIMIT_PER_BUYER]
    if greedy:
        stage.results.wrong.append(f"{name}: {len(greedy)} members have more than {LIMIT_PER_BUYER}")
    return sold


async def _kill(stage: Stage, shop: Shop, sku: str) -> None:
    """Wait until some pieces are sold, end the shop as a power cut would, and start it again."""
    books = stage.books(ENGINE)
    latest = time.monotonic() + KILL_LATEST_S
    asked = f"SELECT count(*) FROM orders.order_lines WHERE sku = '{sku}'"
    try:
        while time.monotonic() < latest:
            with suppress(OSError):
                if int((await books.rows(asked))[0][0]) >= KILLED_AT:
                    break
            await asyncio.sleep(KILL_LOOK_S)
    finally:
        await books.close()
    shop.kill()
    took = await asyncio.to_thread(shop.start)
    stage.say(f"the shop was killed, and answered again after {took:.1f} s")


async def _begin_elsewhere(stage: Stage, shop: Shop, told: object) -> asyncio.subprocess.Process:
    """Ordinary orders at an even pace, from before the attempts until they are over."""
    process = await stage.start_load(
        "orders",
        shop,
        *("--orders", str(MOST_ELSEWHERE), "--rate", str(ELSEWHERE_RATE), "--connections", str(ELSEWHERE_CONNECTIONS)),
        *("--skus", str(stage.skus_file()), "--acknowledged", str(told)),
    )
    await asyncio.sleep(ELSEWHERE_BEFORE_S)
    return process


async def _announce(stage: Stage, shop: Shop, sku: str) -> str:
    """As staff; the id of the sale."""
    session = await _made(stage, shop, "/api/v1/sessions", {"email": STAFF_EMAIL, "password": shop.password})
    starts_at = datetime.now(UTC) + timedelta(seconds=BEGINS_IN_S)
    draft = {
        "sku": sku,
        "price": {"amount": PRICE, "currency": "USD"},
        "quantity": catalogue.FLASH_PIECES,
        "limit_per_buyer": LIMIT_PER_BUYER,
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=1),
    }
    sale = await _made(stage, shop, "/api/v1/admin/flash-sales", draft, token=str(session["token"]))
    await asyncio.sleep(BEGINS_IN_S + 0.1)
    return str(sale["id"])


async def _tickets(stage: Stage, shop: Shop, sale: str, members: Sequence[_Member]) -> list[str]:
    """Each member's ticket, which is handed out from the start on."""
    found: list[str] = []
    for member in members:
        path = f"/api/v1/flash-sales/{sale}/ticket"
        status, body = (await stage.ask(ENGINE, [_get(shop, path, token=member.token)]))[0]
        if status != 200:
            raise LoadFailed(f"a ticket was refused: {status} {body}")
        found.append(body["ticket"])
    return found


def _attempts(stage: Stage, sale: str, members: Sequence[_Member], tickets: Sequence[str]) -> list[Listed]:
    """Everybody tries in turn, again and again, each time with a key of its own."""
    found = []
    for number in range(stage.size.attempts):
        member, ticket = members[number % len(members)], tickets[number % len(members)]
        found.append(
            Listed(
                verb="POST",
                path=f"/api/v1/flash-sales/{sale}/orders",
                headers={"Authorization": f"Bearer {member.token}", "Idempotency-Key": f"{sale}-{number}"},
                body={
                    "ticket": ticket,
                    "quantity": 1,
                    "email": member.email,
                    "shipping_address": BUYER,
                    "payment": CARD,
                },
            )
        )
    return found


async def _members(stage: Stage, shop: Shop) -> list[_Member]:
    """Sessions of so many members. One signs up and in over HTTP; the others are copies of that session's row, under
    ids and tokens of their own, since 2,000 passwords take minutes to hash, on purpose."""
    person = {"email": "member@example.com", "password": PASSWORD}
    await _made(stage, shop, "/api/v1/users", {**person, "name": "Member"})
    await _made(stage, shop, "/api/v1/sessions", person)
    tokens = await asyncio.to_thread(copy_session, shop.folder / "databases" / "users.db", copies=stage.size.members)
    return [_Member(token=token, email=f"member-{number}@example.com") for number, token in enumerate(tokens)]


def copy_session(file: Path, *, copies: int) -> list[str]:
    """Make sessions like the latest one, each of another member in another slot; their tokens."""
    connection = sqlite3.connect(file, timeout=BUSY_S)
    connection.row_factory = sqlite3.Row
    row = dict(connection.execute("SELECT * FROM sessions ORDER BY session_id DESC LIMIT 1").fetchone())
    tokens = []
    for number in range(1, copies + 1):
        session_id, user_id = (row[name] + (number << SLOT_BITS_BELOW) for name in ("session_id", "user_id"))
        token = guest_name(str(session_id), secrets.token_urlsafe(32))
        copied = row | {
            "slot": slot_of(str(session_id)),
            "session_id": session_id,
            "user_id": user_id,
            "token_hash": token_hash(token),
        }
        names = ", ".join(copied)
        connection.execute(
            f"INSERT INTO sessions ({names}) VALUES ({', '.join('?' * len(copied))})", [*copied.values()]
        )
        tokens.append(token)
    connection.commit()
    connection.close()
    return tokens


async def _made(stage: Stage, shop: Shop, path: str, body: object, *, token: str = "") -> dict[str, object]:
    status, answer = (await stage.ask(ENGINE, [_post(shop, path, body, token=token)]))[0]
    if status != 201:
        raise LoadFailed(f"{path} answered {status}: {answer}")
    return answer


def _get(shop: Shop, path: str, *, token: object = "") -> bytes:
    return request(verb="GET", path=path, host=shop.host, headers=_headers(token))


def _post(shop: Shop, path: str, body: object, *, token: object = "") -> bytes:
    key = {"Idempotency-Key": secrets.token_hex(8)}
    return request(verb="POST", path=path, host=shop.host, headers=key | _headers(token), body=body)


def _headers(token: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
