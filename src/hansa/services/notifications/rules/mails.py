"""What mails say, in which language, and how patiently they are sent."""

import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

from hansa.kernel.money import Money, to_text
from hansa.services.orders.contract import Contact

ORDER_PLACED = "order-placed"
LONGEST_GREETED = 60
NOT_OF_NAMES = frozenset(":/@<>")
MOST_ATTEMPTS = 12
"""With the delays below these are about six hours; then the mail is given up."""
FIRST_DELAY_S = 5
LONGEST_DELAY_S = 3600
ENGLISH = "en"
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the writing round (Unicode's UAX 9): what follows them would read as something else."""


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


def letter(*, facts: Facts, contact: Contact, locale: str, public_url: str, shop_name: str) -> Letter:
    """The confirmation of an order in the language of the locale (BCP 47), else in English. Where it can be looked at
    is told as a link that begins with `public_url`."""
    language = locale.lower().partition("-")[0]
    link = order_link(contact.order, locale=locale, public_url=public_url)
    return _LANGUAGES.get(language, _english)(facts, greeted(contact.shipping_address.name), link, one_line(shop_name))


def order_link(order: str, *, locale: str, public_url: str) -> str:
    """The page on which the owner follows an order, by the name that the owner knows."""
    return f"{public_url}/{quote(locale or ENGLISH, safe='')}/orders/{quote(order, safe='')}"


def greeted(name: str) -> str:
    """How somebody is addressed: by name, unless it looks like a message. Anybody may order in anybody's name, so a
    mail must not carry to a stranger what somebody else wants them to read or to follow."""
    name = one_line(name)
    return name if len(name) <= LONGEST_GREETED and not set(name) & NOT_OF_NAMES else ""


def one_line(text: str) -> str:
    """A text that others chose, as part of a line of ours: without line breaks and other characters that only steer."""
    if text.isprintable():
        return " ".join(text.split())
    kept = (" " if unicodedata.category(each) == "Cc" else each for each in text if each not in TURNING)
    return " ".join("".join(kept).split())  # which parts at every separator of lines and paragraphs, too


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


def _english(facts: Facts, name: str, link: str, shop: str) -> Letter:
    lines = [
        f"Hello {name}," if name else "Hello,",
        "",
        f"Thank you for your order {facts.number}.",
        "",
        *_items(facts),
        "",
        f"Subtotal: {_money(facts.subtotal)}",
        *(f"{one_line(step.name)}: {_money(step.amount)}" for step in facts.steps if not step.included),
        f"Total: {_money(facts.total)}",
        *(f"  of which {one_line(step.name)}: {_money(step.amount)}" for step in facts.steps if step.included),
        "",
        "You can look at your order here, and cancel it:",
        link,
    ]
    return Letter(subject=f"Your {shop} order {facts.number}", text="\n".join(lines) + "\n")


def _chinese(facts: Facts, name: str, link: str, shop: str) -> Letter:
    lines = [
        f"{name}，您好：" if name else "您好：",
        "",
        f"感谢您的购买，订单号为 {facts.number}。",
        "",
        *_items(facts),
        "",
        f"小计：{_money(facts.subtotal)}",
        *(f"{one_line(step.name)}：{_money(step.amount)}" for step in facts.steps if not step.included),
        f"合计：{_money(facts.total)}",
        *(f"  其中{one_line(step.name)}：{_money(step.amount)}" for step in facts.steps if step.included),
        "",
        "您可以在此查看或取消订单：",
        link,
    ]
    return Letter(subject=f"您在 {shop} 的订单 {facts.number}", text="\n".join(lines) + "\n")


_LANGUAGES: dict[str, Callable[[Facts, str, str, str], Letter]] = {"en": _english, "zh": _chinese}


def _items(facts: Facts) -> list[str]:
    return [f"  {item.quantity} × {one_line(item.name)}  {_money(item.total)}" for item in facts.items]


def _money(money: Money) -> str:
    return f"{to_text(money.amount, money.currency)} {money.currency}"
