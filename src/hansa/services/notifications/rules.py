"""What mails say, in which language, and how patiently they are sent."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from hansa.kernel.money import Money, to_text
from hansa.services.orders.contract import Contact

ORDER_PLACED = "order-placed"
MOST_ATTEMPTS = 12
"""With the delays below these are about six hours; then the mail is given up."""
FIRST_DELAY_S = 5
LONGEST_DELAY_S = 3600


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order, as a mail tells of it."""

    name: str
    quantity: int
    total: Money


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What comes on top of the lines, or is included in them, under one name."""

    name: str
    amount: Money
    included: bool


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of an order; nothing personal."""

    number: str
    items: tuple[Item, ...]
    subtotal: Money
    steps: tuple[Step, ...] = ()
    total: Money


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail in words."""

    subject: str
    text: str


def letter(*, facts: Facts, contact: Contact, locale: str) -> Letter:
    """The confirmation of an order in the language of the locale (BCP 47), else in English."""
    language = locale.lower().partition("-")[0]
    return _LANGUAGES.get(language, _english)(facts, contact)


def summed(steps: Sequence[tuple[str, Money, bool]]) -> tuple[Step, ...]:
    """Steps of the same name in one: a mail need not say the tax of each line. What is nothing is left out."""
    sums: dict[tuple[str, str, bool], int] = {}
    for name, amount, included in steps:
        sums[(name, amount.currency, included)] = sums.get((name, amount.currency, included), 0) + amount.amount
    return tuple(
        Step(name=name, amount=Money(amount, currency), included=included)
        for (name, currency, included), amount in sums.items()
        if amount
    )


def message_key(*, kind: str, order_id: str) -> str:
    """The same for every attempt, so that a mail sent twice arrives once."""
    return f"{kind}-{order_id}"


def next_attempt(*, attempts: int, at: datetime) -> datetime:
    """When to try again a mail that was tried so often, this time included."""
    return at + timedelta(seconds=min(FIRST_DELAY_S * 2 ** max(attempts - 1, 0), LONGEST_DELAY_S))


def is_given_up(*, attempts: int) -> bool:
    return attempts >= MOST_ATTEMPTS


def _english(facts: Facts, contact: Contact) -> Letter:
    lines = [
        f"Hello {contact.shipping_address.name},",
        "",
        f"thank you for your order {facts.number}.",
        "",
        *_items(facts),
        "",
        f"Subtotal: {_money(facts.subtotal)}",
        *(f"{step.name}: {_money(step.amount)}" for step in facts.steps if not step.included),
        f"Total: {_money(facts.total)}",
        *(f"  of which {step.name}: {_money(step.amount)}" for step in facts.steps if step.included),
        "",
        f"To look at your order or cancel it, use its name: {contact.order}",
    ]
    return Letter(subject=f"Your order {facts.number}", text="\n".join(lines) + "\n")


def _chinese(facts: Facts, contact: Contact) -> Letter:
    lines = [
        f"{contact.shipping_address.name}，您好：",
        "",
        f"感谢您的订购，订单号为 {facts.number}。",
        "",
        *_items(facts),
        "",
        f"小计：{_money(facts.subtotal)}",
        *(f"{step.name}：{_money(step.amount)}" for step in facts.steps if not step.included),
        f"合计：{_money(facts.total)}",
        *(f"  其中{step.name}：{_money(step.amount)}" for step in facts.steps if step.included),
        "",
        f"查看或取消订单，请使用订单名称：{contact.order}",
    ]
    return Letter(subject=f"您的订单 {facts.number}", text="\n".join(lines) + "\n")


_LANGUAGES: dict[str, Callable[[Facts, Contact], Letter]] = {"en": _english, "zh": _chinese}


def _items(facts: Facts) -> list[str]:
    return [f"  {item.quantity} × {item.name}  {_money(item.total)}" for item in facts.items]


def _money(money: Money) -> str:
    return f"{to_text(money.amount, money.currency)} {money.currency}"
