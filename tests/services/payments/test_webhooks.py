"""Hearing providers: only what they signed, each word once, in whatever order."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from hansa.kernel.channel import Channel
from hansa.platform.http.route import Access, Call
from hansa.platform.providers.payments import Answer
from hansa.platform.providers.sandbox_words import Message
from hansa.platform.security.webhooks import sign_webhook
from hansa.services.payments.api import routes
from hansa.services.payments.contract import NoSuchPayment, NoSuchProvider, PaymentConflict, WebhookRefused
from hansa.services.payments.events import PaymentCaptured, PaymentFailed
from hansa.services.payments.service import PaymentsService
from tests.services.payments.till import PRICE, SECRET, Till


async def hear(
    till: Till, order_id: str, state: str, *, message_id: str = "m1", secret: bytes = SECRET, age_s: float = 0
) -> None:
    answer = msgspec.convert({"state": state, "reference": "charge-1", "reason": "said so"}, Answer)
    body = msgspec.json.encode(Message(type=f"payment.{state}", key=order_id, answer=answer))
    at = till.clock.now() - timedelta(seconds=age_s)
    headers = sign_webhook(secrets=[secret], message_id=message_id, at=at, body=body)
    await till.payments.hear(key=f"hear-{message_id}", provider="sandbox", headers=headers, body=body)


async def test_a_webhook_that_comes_twice_counts_once(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    for _ in range(2):
        await hear(till, order_id, "captured")
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"
    assert len(await till.events(PaymentCaptured, order_id)) == 1


async def test_a_webhook_that_comes_to_many_at_once_counts_once(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    await asyncio.gather(*(hear(till, order_id, "captured", message_id=f"m{number % 3}") for number in range(9)))
    assert len(await till.events(PaymentCaptured, order_id)) == 1


async def test_a_webhook_may_be_faster_than_the_answer(till: Till) -> None:
    order_id = till.order()
    charge = till.sandbox.charge

    async def overtaken(**arguments: object) -> Answer:
        answer = await charge(**arguments)  # type: ignore[arg-type]
        till.clock.advance(3)
        await till.sandbox.deliver()
        return answer

    till.sandbox.charge = overtaken  # type: ignore[method-assign]
    assert (await till.charge(order_id, "tok_late")).state == "captured"
    assert len(await till.events(PaymentCaptured, order_id)) == 1


@pytest.mark.parametrize("forgery", [{"secret": b"another secret, as long as this"}, {"age_s": 400}, {"age_s": -400}])
async def test_what_the_provider_did_not_sign_just_now_is_refused(till: Till, forgery: dict[str, object]) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    with pytest.raises(WebhookRefused):
        await hear(till, order_id, "captured", **forgery)  # type: ignore[arg-type]
    with pytest.raises(WebhookRefused):
        await till.payments.hear(key="k", provider="sandbox", headers={}, body=b"{}")
    assert (await till.payments.of_order(order_id=order_id)).state == "pending"


async def test_a_changed_body_is_refused(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    till.is_deaf = True
    await till.pass_time(5)
    [headers, body] = till.posted[0]
    with pytest.raises(WebhookRefused):
        await till.payments.hear(key="k", provider="sandbox", headers=headers, body=body.replace(b"1", b"2"))


async def test_an_unknown_provider_is_named(till: Till) -> None:
    with pytest.raises(NoSuchProvider):
        await till.payments.hear(key="k", provider="piggy_bank", headers={}, body=b"")


async def test_a_provider_has_no_say_about_the_payments_of_another(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    rival = PaymentsService(
        database=till.database,
        providers={"rival": till.provider},
        keyring=till.keyring,
        clock=till.clock,
        ids=till.ids,
    )
    till.is_deaf = True
    till.clock.advance(3)
    await till.sandbox.deliver()
    [headers, body] = till.posted[0]
    await rival.hear(key="k", provider="rival", headers=headers, body=body)
    assert (await till.payments.of_order(order_id=order_id)).state == "pending"


async def test_a_word_about_an_order_nobody_knows_is_acknowledged_and_ignored(till: Till) -> None:
    order_id = till.order()
    await hear(till, order_id, "captured")
    await hear(till, "not-an-order", "captured", message_id="m2")
    with pytest.raises(NoSuchPayment):
        await till.payments.of_order(order_id=order_id)
    # and it does not count as heard
    await till.charge(order_id, "tok_late")
    await hear(till, order_id, "captured")
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"


@pytest.mark.parametrize("words", [("captured", "pending"), ("captured", "declined"), ("declined", "captured")])
async def test_money_that_was_taken_wins_whatever_comes_before_or_after(till: Till, words: tuple[str, ...]) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    for number, word in enumerate(words):
        await hear(till, order_id, word, message_id=f"m{number}")
    assert (await till.payments.of_order(order_id=order_id)).captured == PRICE.amount
    assert len(await till.events(PaymentCaptured, order_id)) == 1
    assert len(await till.events(PaymentFailed, order_id)) == (words[0] == "declined")


async def test_a_capture_heard_of_after_the_order_failed_and_was_closed_is_given_back(till: Till) -> None:
    order_id = till.order()
    till.is_deaf = True
    await till.charge(order_id, "tok_late")
    await hear(till, order_id, "declined")
    await till.close(order_id, is_rejection=True)
    await till.pass_time(10)
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.state, payment.captured, payment.refunded) == ("failed", 0, 0)
    await hear(till, order_id, "captured", message_id="m2")
    await till.pass_time(10)
    payment = await till.payments.of_order(order_id=order_id)
    assert (payment.state, payment.captured, payment.refunded) == ("captured", PRICE.amount, PRICE.amount)
    with pytest.raises(PaymentConflict):
        await till.charge(order_id, "tok_late", amount=PRICE)
    assert await till.books(order_id) == {"captured": PRICE.amount, "refunded": PRICE.amount}


async def test_old_webhooks_are_forgotten_after_a_month_and_do_no_harm_then(till: Till) -> None:
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    await hear(till, order_id, "captured")
    till.clock.advance(31 * 24 * 3600)
    await till.service.forget_notices()
    await hear(till, order_id, "captured")
    assert len(await till.events(PaymentCaptured, order_id)) == 1


async def test_the_public_route_hands_on_headers_and_body(till: Till) -> None:
    [route] = routes(till.payments)
    assert (route.verb, route.path) == ("POST", "/api/v1/webhooks/payments/{provider}")
    assert (route.access, route.is_raw, route.status) == (Access.ANYONE, True, 204)
    order_id = till.order()
    await till.charge(order_id, "tok_late")
    till.is_deaf = True
    till.clock.advance(3)
    await till.sandbox.deliver()
    headers, body = till.posted[0]
    call = Call(
        principal=None,
        channel=Channel(),
        locale="en",
        currency="EUR",
        key="k",
        version=None,
        remote="",
        token="",
        headers=headers,
        correlation="",
    )
    assert await route.handler(call, provider="sandbox", body=body) is None
    assert (await till.payments.of_order(order_id=order_id)).state == "captured"
