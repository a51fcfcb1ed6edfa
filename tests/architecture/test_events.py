"""Events hold no personal data in the clear, and their names are told apart."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import inspect

from hansa.compose.services import MANIFESTS
from hansa.kernel.address import Address
from hansa.kernel.event import Event
from hansa.kernel.ids import Id
from hansa.kernel.money import Money
from tests.architecture import arrows

SERVICES = Path(__file__).resolve().parents[2] / "src" / "hansa" / "services"
PERSONAL_WORDS = {
    *("email", "mail", "phone", "mobile", "contact", "person", "surname"),
    *("address", "street", "line1", "line2", "district", "postal", "postcode", "zip"),
    *("birth", "birthday", "gender"),
    *("password", "passphrase", "secret", "token", "session"),
    *("account", "card", "iban", "ip", "remote"),
}
"""A field with one of these words in its name holds, or may hold, something about a person."""
PERSONAL_NAMES = {"first_name", "last_name", "full_name", "given_name", "family_name"}
SEALED = "contact"
"""What is sealed under the key of the pseudonym that stands beside it, in the field `person`."""
PSEUDONYM = "person"


def every_event() -> list[type[Event]]:
    """The events of the house; composing it has imported them all."""
    assert MANIFESTS
    return [event for event in _below(Event) if event.__module__.startswith("hansa.")]


def _below(event: type[Event]) -> Iterator[type[Event]]:
    for subclass in event.__subclasses__():
        yield subclass
        yield from _below(subclass)


def in_the_clear(event: type[Event]) -> list[str]:
    """Name every field of an event, however deep, that may show who a person is or let somebody act as them."""
    return [f"{event.__name__}.{path}" for path in _suspects(inspect.type_info(event), (), frozenset())]


def _suspects(shape: inspect.Type, path: tuple[str, ...], inside: frozenset[type]) -> Iterator[str]:
    if isinstance(shape, inspect.AnyType | inspect.RawType):
        yield f"{'.'.join(path)} (may hold anything)"
    elif isinstance(shape, inspect.StructType) and shape.cls not in inside:
        sealed = {SEALED, PSEUDONYM} if _is_sealed(shape) else set[str]()
        for field in shape.fields:
            if field.name in sealed:
                continue
            if _is_personal(field.name):
                yield ".".join((*path, field.name))
            else:
                yield from _suspects(field.type, (*path, field.name), inside | {shape.cls})
    else:
        for part in _parts(shape):
            yield from _suspects(part, path, inside)


def _parts(shape: inspect.Type) -> Sequence[inspect.Type]:
    """What collections and unions consist of."""
    if isinstance(shape, inspect.CollectionType):
        return [shape.item_type]
    if isinstance(shape, inspect.TupleType):
        return shape.item_types
    if isinstance(shape, inspect.DictType):
        return [shape.key_type, shape.value_type]
    if isinstance(shape, inspect.UnionType):
        return shape.types
    return []


def _is_sealed(shape: inspect.StructType) -> bool:
    types = {field.name: field.type for field in shape.fields}
    return all(isinstance(types.get(name), inspect.StrType) for name in (SEALED, PSEUDONYM))


def _is_personal(name: str) -> bool:
    return name in PERSONAL_NAMES or not PERSONAL_WORDS.isdisjoint(name.split("_"))


def ill_named(events: Sequence[type[Event]]) -> list[str]:
    """Name events that are not told apart by their type, or that stand elsewhere than in the events of that service."""
    wrong = []
    for event in events:
        words = "_".join(re.findall("[A-Z][a-z0-9]*", event.__name__)).lower()
        service = event.__module__.removeprefix("hansa.services.").removesuffix(".events")
        if not re.fullmatch(rf"{re.escape(service)}\.{words}\.v[1-9][0-9]*", event.type):
            wrong.append(f"{event.__module__}.{event.__name__}: {event.type!r}")
    types = [event.type for event in events]
    return wrong + sorted({f"{name}: more than one" for name in types if types.count(name) > 1})


def undeclared(events: Sequence[type[Event]], declared: Mapping[str, Sequence[type[Event]]]) -> list[str]:
    """Name every event that its service's manifest does not declare, and every declared one of another service."""
    wrong = [
        f"{event.type} is not declared"
        for event in events
        if event not in declared.get(event.__module__.split(".")[2], ())
    ]
    return wrong + [
        f"{name} declares {event.type}"
        for name, emits in declared.items()
        for event in emits
        if event.__module__ != f"hansa.services.{name}.events"
    ]


def foreign_sayings(*, source: str, module: str) -> list[str]:
    """Name every place of a service that makes an event which is not its own: whoever makes one means to emit it."""
    service = ".".join(module.split(".")[:3])
    foreign = {
        target.rpartition(".")[2]: target
        for _, target in arrows.imports(source=source, module=module)
        if re.fullmatch(r"hansa\.services\.\w+\.events\.\w+", target) and not target.startswith(f"{service}.")
    }
    return [
        f"{module}:{node.lineno} makes {foreign[node.func.id]}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in foreign
    ]


def test_events_hold_no_personal_data_in_the_clear() -> None:
    assert len(every_event()) > 5
    assert [line for event in every_event() for line in in_the_clear(event)] == []


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """A nested shape with somebody in it."""

    id: Id
    email: str


class Wrong(Event, frozen=True, kw_only=True):
    """Everything an event must not hold, beside what it may."""

    type: ClassVar[str] = "test.wrong.v1"

    order_id: Id
    total: Money
    email: str
    phone_number: str | None = None
    shipping_address: str
    payment_token: str
    password_hash: str
    last_name: str
    buyer: Buyer
    companions: dict[str, tuple[Buyer, ...]]
    place: Address | None
    note: Any
    contact: str
    """Sealed or not: without `person` nobody could open it."""


def test_personal_data_in_the_clear_is_reported() -> None:
    assert in_the_clear(Wrong) == [
        "Wrong.email",
        "Wrong.phone_number",
        "Wrong.shipping_address",
        "Wrong.payment_token",
        "Wrong.password_hash",
        "Wrong.last_name",
        "Wrong.buyer.email",
        "Wrong.companions.email",
        "Wrong.place.line1",
        "Wrong.place.line2",
        "Wrong.place.district",
        "Wrong.place.postal_code",
        "Wrong.place.phone",
        "Wrong.note (may hold anything)",
        "Wrong.contact",
    ]


def test_a_sealed_contact_beside_its_person_is_not_reported() -> None:
    class Sealed(Event, frozen=True, kw_only=True):
        person: str
        contact: str

    class Open(Event, frozen=True, kw_only=True):
        person: str
        contact: Buyer

    assert in_the_clear(Sealed) == []
    assert in_the_clear(Open)


def test_every_event_is_named_after_its_service_and_itself() -> None:
    assert ill_named(every_event()) == []


@pytest.mark.parametrize("type_", ["", "orders.order_lost", "order_lost.v1", "carts.order_lost.v1", "orders.lost.v1"])
def test_a_wrong_name_is_reported(type_: str) -> None:
    assert ill_named([_event("OrderLost", type_)])


def test_a_name_that_two_events_have_is_reported() -> None:
    right = _event("OrderLost", "orders.order_lost.v1")

    assert ill_named([right]) == []
    assert ill_named([right, right]) == ["orders.order_lost.v1: more than one"]


def _event(name: str, type_: str) -> Any:
    return type(name, (), {"__module__": "hansa.services.orders.events", "type": type_})


def test_every_event_is_declared_by_the_manifest_of_its_service() -> None:
    assert undeclared(every_event(), {manifest.name: manifest.emits for manifest in MANIFESTS}) == []


def test_an_event_that_is_not_declared_or_by_another_service_is_reported() -> None:
    lost = _event("OrderLost", "orders.order_lost.v1")

    assert undeclared([lost], {"orders": (lost,)}) == []
    assert undeclared([lost], {"orders": ()}) == ["orders.order_lost.v1 is not declared"]
    assert undeclared([], {"carts": (lost,)}) == ["carts declares orders.order_lost.v1"]


def test_a_service_says_its_own_events_alone() -> None:
    """With the test before: whatever is emitted is declared, since an event stands in `events` or is made nowhere."""
    assert [
        line
        for path, module, _ in arrows.service_modules(services=SERVICES)
        for line in foreign_sayings(source=path.read_text(encoding="utf-8"), module=module)
    ] == []


def test_a_service_that_says_anothers_event_is_reported() -> None:
    source = (
        "from hansa.services.orders.events import OrderPlaced\n"
        "from hansa.services.carts.events import CartClosed\n"
        "def heard(tx, batch: list[OrderPlaced]):\n"
        "    tx.emit(CartClosed(cart_id='1'))\n"
        "    tx.emit(OrderPlaced(order_id='1'))\n"
    )

    assert foreign_sayings(source=source, module="hansa.services.carts.consumers") == [
        "hansa.services.carts.consumers:5 makes hansa.services.orders.events.OrderPlaced"
    ]
