"""What happened to an order, in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from hansa.kernel.ids import is_id
from hansa.kernel.money import Money
from hansa.services.orders.contract import Entry, Order
from hansa.web.visit import Visit


@dataclass(frozen=True, kw_only=True)
class Told:
    """One thing that happened; `person` is the account of who did it, if it has one."""

    at: datetime
    kind: str
    title: str
    details: tuple[str, ...]
    actor: str
    person: str


def told(visit: Visit, order: Order, entry: Entry) -> Told:
    actor, person = _who(visit, entry.actor)
    return Told(
        at=entry.at,
        kind=entry.kind,
        title=visit.say(f"staff_order.history_{entry.kind}"),
        details=tuple(_details(visit, order, entry)),
        actor=actor,
        person=person,
    )


def _who(visit: Visit, actor: str) -> tuple[str, str]:
    kind, _, person = actor.partition(":")
    if kind == "user" and is_id(person):
        return visit.say("staff_order.actor_you" if actor == visit.who.actor else "staff_order.actor_user"), person
    return visit.say_or(f"staff_order.actor_{kind}", actor), ""


def _details(visit: Visit, order: Order, entry: Entry) -> Iterable[str]:
    """What is known of the entry beside its kind: as the contract of orders describes it."""
    detail = entry.detail
    if "state" in detail:
        yield visit.say_or(f"staff_order.payment_{detail['state']}", str(detail["state"]))
    for name in ("amount", "captured"):
        if isinstance(amount := detail.get(name), int) and amount:
            yield visit.money(Money(amount, order.currency))
    if entry.kind == "refund_asked" and detail.get("amount") is None:
        yield visit.say("staff_order.all_that_is_left")
    if isinstance(lines := detail.get("lines"), dict) and lines:
        yield ", ".join(f"{quantity} × {sku}" for sku, quantity in lines.items())
    for parcel in detail.get("parcels") or ():
        known = parcel if isinstance(parcel, dict) else {"carrier": parcel.carrier, "number": parcel.tracking_number}
        yield " ".join(str(value) for value in known.values() if value)
    if by := detail.get("by"):
        yield visit.say_or(f"staff_order.by_{by}", str(by))
    if reason := detail.get("reason"):
        yield _in_words(visit, str(reason))
    if code := detail.get("code"):
        yield _in_words(visit, str(code))


def _in_words(visit: Visit, said: str) -> str:
    """What an error means, where it is one; else what a person wrote."""
    return visit.say_or(f"staff_errors.{said}", "") or visit.say_or(f"errors.{said}", said)
