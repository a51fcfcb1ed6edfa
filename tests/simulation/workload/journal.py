"""What a crowd notes together: what it met with, what it complains of, which orders it knows, what is still open."""

from collections import Counter
from typing import Any

import msgspec


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """Something that no shop may say, whatever breaks; `check` names the promise."""

    check: str
    actor: str
    subject: str
    """The order, cart, sku or path concerned."""
    text: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it was sent, and may be sent again."""

    actor: str
    verb: str
    path: str
    body: Any
    token: str
    key: str
    version: int | None = None
    expects: tuple[str, ...] = ()
    """Codes of refusals that are right here, besides those that always are."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A request and the answer that the shop has bound to its key."""

    request: Request
    essence: Any


class KnownOrder(msgspec.Struct, kw_only=True):
    """An order that its buyer was told of, in an answer that is certain."""

    name: str
    actor: str
    token: str
    is_cancelled: bool = False
    """A cancellation was acknowledged."""


class KnownCart(msgspec.Struct, frozen=True, kw_only=True):
    """A cart that its owner was told of, and what must stay in it: any of these quantities, by sku."""

    name: str
    actor: str
    token: str
    lines: dict[str, tuple[int, ...]] = {}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was made for certain."""

    actor: str
    email: str
    password: str


class Journal:
    """Written by all actors of a run."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        """How often which end came: `POST /orders 201 placed`, `POST /orders 402 payments.declined`, `… silence`."""
        self.complaints: list[Complaint] = []
        self.orders: dict[str, KnownOrder] = {}
        self.carts: dict[str, KnownCart] = {}
        self.accounts: list[Account] = []
        self.versions: dict[str, int] = {}
        """The newest version of each thing (`orders/17`) that anybody was told of."""
        self.states: dict[str, tuple[int, str]] = {}
        """Version and status of each order as they were told last."""
        self.open: list[Request] = []
        """Commands of whose end nobody is certain."""
        self.kept: list[Kept] = []

    def complain(self, check: str, *, actor: str, subject: str, text: str) -> None:
        self.complaints.append(Complaint(check=check, actor=actor, subject=subject, text=text))
