"""The sandbox provider, seen from the shop's side and from an auditor's."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from hansa.kernel.errors import Fault
from hansa.kernel.money import Money
from hansa.platform.providers.payments import Answer, ProviderKeyConflict, ProviderSilent
from hansa.platform.providers.sandbox import SandboxProvider
from hansa.platform.security.webhooks import SignatureInvalid, sign_webhook
from tests.clocks import ManualClock

SECRET = b"a secret of some thirty-two bytes"
PRICE = Money(1999, "EUR")


@dataclass
class Shop:
    """What receives the webhooks."""

    statuses: list[int] = field(default_factory=list)
    """What to answer next; 204 when empty, and nobody there at 0."""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, *, url: str, headers: Mapping[str, str], body: bytes) -> int:
        status = self.statuses.pop(0) if self.statuses else 204
        if status == 0:
            raise ConnectionRefusedError
        self.heard.append((dict(headers), body))
        return status


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def shop() -> Shop:
    return Shop()


def provider(folder: Path, clock: ManualClock, shop: Shop) -> SandboxProvider:
    return SandboxProvider(
        folder=folder, webhook_url="http://127.0.0.1/", secret=SECRET, clock=clock, transport=shop, silence_s=0
    )


@pytest.fixture
async def sandbox(tmp_path: Path, clock: ManualClock, shop: Shop) -> AsyncIterator[SandboxProvider]:
    sandbox = provider(tmp_path, clock, shop)
    yield sandbox
    await sandbox.close()


async def charge(sandbox: SandboxProvider, key: str, token: str = "tok_success", *, capture: bool = True) -> Answer:
    return await sandbox.charge(key=key, token=token, amount=PRICE, capture=capture)


async def kinds(sandbox: SandboxProvider) -> list[str]:
    return [entry.kind for entry in await sandbox.entries()]


async def test_the_same_key_is_charged_once(sandbox: SandboxProvider) -> None:
    answers = await asyncio.gather(*(charge(sandbox, "1") for _ in range(50)))
    assert {answer.state for answer in answers} == {"captured"}
    assert len({answer.reference for answer in answers}) == 1
    assert [(entry.key, entry.kind, entry.amount) for entry in await sandbox.entries()] == [("1", "captured", PRICE)]


async def test_the_same_key_for_another_charge_is_an_error(sandbox: SandboxProvider) -> None:
    await charge(sandbox, "1")
    with pytest.raises(ProviderKeyConflict):
        await sandbox.charge(key="1", token="tok_success", amount=Money(2000, "EUR"), capture=True)
    with pytest.raises(ProviderKeyConflict):
        await charge(sandbox, "1", "tok_late")
    assert await kinds(sandbox) == ["captured"]


@pytest.mark.parametrize("token", ["tok_declined", "tok_of_nobody"])
async def test_a_bad_token_is_declined(sandbox: SandboxProvider, token: str) -> None:
    answer = await charge(sandbox, "1", token)
    assert (answer.state, answer.reason != "") == ("declined", True)
    assert await charge(sandbox, "1", token) == answer == await sandbox.find(key="1")
    assert await kinds(sandbox) == []


async def test_a_silent_charge_takes_the_money_and_only_find_tells(
    sandbox: SandboxProvider, clock: ManualClock, shop: Shop
) -> None:
    for _ in range(2):
        with pytest.raises(ProviderSilent):
            await charge(sandbox, "1", "tok_timeout")
    clock.advance(60)
    await sandbox.deliver()
    assert shop.heard == []
    found = await sandbox.find(key="1")
    assert found is not None
    assert found.state == "captured"
    assert await kinds(sandbox) == ["captured"]


@pytest.mark.parametrize(("token", "after_s", "copies"), [("tok_late", 2, 1), ("tok_twice", 1, 2)])
async def test_a_slow_charge_is_captured_later_and_told_by_webhooks(
    sandbox: SandboxProvider, clock: ManualClock, shop: Shop, token: str, after_s: int, copies: int
) -> None:
    assert (await charge(sandbox, "1", token)).state == "pending"
    clock.advance(after_s - 0.1)
    await sandbox.deliver()
    assert (await kinds(sandbox), shop.heard) == ([], [])
    clock.advance(0.1)
    await sandbox.deliver()
    assert await kinds(sandbox) == ["captured"]
    notices = [sandbox.read_webhook(headers=headers, body=body, now=clock.now()) for headers, body in shop.heard]
    assert len(notices) == copies
    assert all(notice is not None and notice.key == "1" and notice.answer.state == "captured" for notice in notices)
    assert len({notice.id for notice in notices if notice is not None}) == 1
    clock.advance(60)
    await sandbox.deliver()
    assert len(shop.heard) == copies


@pytest.mark.parametrize("failure", [0, 401, 500, 302])
async def test_a_webhook_is_repeated_until_it_is_acknowledged(
    sandbox: SandboxProvider, clock: ManualClock, shop: Shop, failure: int
) -> None:
    await charge(sandbox, "1", "tok_late")
    shop.statuses = [failure] * 3
    for _ in range(20):
        clock.advance(0.5)
        await sandbox.deliver()
    assert shop.statuses == []
    assert len(shop.heard) == (1 if failure == 0 else 4)


async def test_a_webhook_is_given_up_in_the_end(sandbox: SandboxProvider, clock: ManualClock, shop: Shop) -> None:
    await charge(sandbox, "1", "tok_late")
    shop.statuses = [500] * 100
    for _ in range(100):
        clock.advance(5)
        await sandbox.deliver()
    assert len(shop.heard) == 7


async def test_everything_survives_a_restart_webhooks_too(tmp_path: Path, clock: ManualClock, shop: Shop) -> None:
    sandbox = provider(tmp_path, clock, shop)
    await charge(sandbox, "1")
    await charge(sandbox, "2", "tok_late")
    await sandbox.close()
    clock.advance(3600)
    sandbox = provider(tmp_path, clock, shop)
    await sandbox.deliver()
    assert len(shop.heard) == 1
    assert [entry.key for entry in await sandbox.entries()] == ["1", "2"]
    assert (await charge(sandbox, "1")).reference == "charge-1"
    await sandbox.close()


async def test_two_processes_share_the_books_and_send_a_webhook_once(
    tmp_path: Path, clock: ManualClock, shop: Shop
) -> None:
    pair = [provider(tmp_path, clock, shop) for _ in range(2)]
    await asyncio.gather(*(charge(sandbox, str(key % 3), "tok_late") for key in range(12) for sandbox in pair))
    clock.advance(2)
    await asyncio.gather(*(sandbox.deliver() for sandbox in pair))
    assert len(shop.heard) == 3
    assert await kinds(pair[0]) == ["captured"] * 3
    for sandbox in pair:
        await sandbox.close()


async def test_held_money_is_taken_or_let_go_but_not_both(sandbox: SandboxProvider) -> None:
    for key in ("1", "2"):
        assert (await charge(sandbox, key, capture=False)).state == "authorized"
    for _ in range(2):
        assert (await sandbox.capture(key="1", reference="charge-1")).state == "captured"
        assert (await sandbox.void(key="1", reference="charge-1")).state == "captured"
        assert (await sandbox.void(key="2", reference="charge-2")).state == "voided"
        assert (await sandbox.capture(key="2", reference="charge-2")).state == "voided"
    assert await kinds(sandbox) == ["authorized", "authorized", "captured", "voided"]
    with pytest.raises(Fault):
        await sandbox.capture(key="3", reference="")


async def test_a_charge_that_was_let_go_before_it_arrived_is_refused(sandbox: SandboxProvider) -> None:
    assert await sandbox.find(key="1") is None
    assert (await sandbox.void(key="1", reference="")).state == "voided"
    for token in ("tok_success", "tok_timeout", "tok_late"):
        assert (await charge(sandbox, "1", token)).state == "voided"
    assert await kinds(sandbox) == []


async def test_what_is_being_processed_cannot_be_stopped(sandbox: SandboxProvider, clock: ManualClock) -> None:
    await charge(sandbox, "1", "tok_late")
    assert (await sandbox.void(key="1", reference="charge-1")).state == "pending"
    clock.advance(2)
    assert (await sandbox.void(key="1", reference="charge-1")).state == "captured"


async def test_refunds_go_back_once_by_key_and_never_exceed_the_charge(sandbox: SandboxProvider) -> None:
    reference = (await charge(sandbox, "1")).reference
    refunds = await asyncio.gather(
        *(sandbox.refund(key=f"r{number % 10}", reference=reference, amount=Money(300, "EUR")) for number in range(30))
    )
    assert [refund.state for refund in refunds].count("refunded") == 18
    books = await sandbox.entries()
    assert sum(entry.amount.amount for entry in books if entry.kind == "refunded") == 1800
    with pytest.raises(ProviderKeyConflict):
        await sandbox.refund(key="r0", reference=reference, amount=Money(299, "EUR"))
    other = await sandbox.refund(key="r11", reference=reference, amount=Money(100, "USD"))
    assert other.state == "declined"
    with pytest.raises(Fault):
        await sandbox.refund(key="r12", reference="charge-99", amount=Money(100, "EUR"))


async def test_only_its_own_webhooks_are_read(sandbox: SandboxProvider, clock: ManualClock) -> None:
    good = sign_webhook(secrets=[SECRET], message_id="m1", at=clock.now(), body=b"{}")
    forged = sign_webhook(secrets=[b"x" * 32], message_id="m1", at=clock.now(), body=b"{}")
    with pytest.raises(SignatureInvalid):
        sandbox.read_webhook(headers=forged, body=b"{}", now=clock.now())
    with pytest.raises(Fault):  # signed, but not understood: to be sent again
        sandbox.read_webhook(headers=good, body=b"{}", now=clock.now())


async def test_webhooks_are_posted_by_http(tmp_path: Path, clock: ManualClock) -> None:
    heard: list[tuple[dict[str, str], bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/api/v1/webhooks/payments/sandbox", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"{runner.addresses[0][0]}:{runner.addresses[0][1]}"
    sandbox = SandboxProvider(
        folder=tmp_path,
        webhook_url=f"http://{address}/api/v1/webhooks/payments/sandbox",
        secret=SECRET,
        clock=clock,
    )
    await charge(sandbox, "1", "tok_late")
    clock.advance(2)
    [job] = sandbox.jobs()
    await job.run()
    [(headers, body)] = heard
    notice = sandbox.read_webhook(headers=headers, body=body, now=clock.now())
    assert notice is not None
    assert (notice.key, headers["content-type"]) == ("1", "application/json")
    await sandbox.close()
    await runner.cleanup()


async def test_charges_that_come_together_are_each_answered_for_themselves(
    sandbox: SandboxProvider, clock: ManualClock
) -> None:
    await charge(sandbox, "old")
    await sandbox.void(key="gone", reference="")
    plan = [("1", "tok_success"), ("2", "tok_declined"), ("3", "tok_late"), ("old", "tok_success"), ("4", "nonsense")]
    plan += [("gone", "tok_success"), ("5", "tok_success"), ("1", "tok_success"), ("5", "tok_declined")]

    answers = await asyncio.gather(*(charge(sandbox, key, token) for key, token in plan), return_exceptions=True)

    assert [answer.state for answer in answers[:-1] if isinstance(answer, Answer)] == [
        *("captured", "declined", "pending", "captured", "declined", "voided", "captured", "captured")
    ]
    assert isinstance(answers[-1], ProviderKeyConflict), "the first to come names the charge"
    assert answers[0] == answers[7]
    assert [(entry.key, entry.kind) for entry in await sandbox.entries()] == [
        (key, "captured") for key in ("old", "1", "5")
    ]
    for answer, (key, _) in zip(answers[:-1], plan, strict=False):
        assert await sandbox.find(key=key) == answer


async def test_who_comes_first_names_a_charge_also_when_it_is_slow(sandbox: SandboxProvider) -> None:
    late, soon = await asyncio.gather(charge(sandbox, "1", "tok_late"), charge(sandbox, "1"), return_exceptions=True)

    assert isinstance(late, Answer)
    assert late.state == "pending"
    assert isinstance(soon, ProviderKeyConflict)


async def test_money_held_together_is_noted_for_each(sandbox: SandboxProvider) -> None:
    await asyncio.gather(*(charge(sandbox, str(number), capture=False) for number in range(3)))

    await asyncio.gather(*(sandbox.capture(key=str(number), reference="") for number in range(2)))

    assert await kinds(sandbox) == ["authorized"] * 3 + ["captured"] * 2
