"""Every statement on carts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import and_, bindparam, delete, false, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, MOMENT, SLOT, TEXT
from hansa.services.carts.contract import MOST_LINES, CartLine
from hansa.services.carts.tables import CART_LINES, CARTS, MEMBER_CARTS

_WITH_LINES = (
    select(CARTS, CART_LINES.c.sku, CART_LINES.c.quantity)
    .select_from(
        CARTS.outerjoin(CART_LINES, and_(CART_LINES.c.slot == CARTS.c.slot, CART_LINES.c.cart_id == CARTS.c.cart_id))
    )
    .order_by(CART_LINES.c.added_at, CART_LINES.c.sku)
    .limit(MOST_LINES)
)
FIND_CART = Statement(_WITH_LINES.where(CARTS.c.slot == bindparam("of_slot"), CARTS.c.cart_id == bindparam("of_cart")))
FIND_CART_OF_MEMBER = Statement(
    _WITH_LINES.join(
        MEMBER_CARTS, and_(MEMBER_CARTS.c.slot == CARTS.c.slot, MEMBER_CARTS.c.cart_id == CARTS.c.cart_id)
    ).where(MEMBER_CARTS.c.slot == bindparam("of_slot"), MEMBER_CARTS.c.member == bindparam("of_member"))
)
_LATER = ("merged_into", "continued_in")
ADD_CART = Statement(insert(CARTS).values({name: bindparam(name) for name in CARTS.c.keys() if name not in _LATER}))
_claimed = insert(MEMBER_CARTS).values({name: bindparam(name) for name in MEMBER_CARTS.c.keys()})
HOLD_MEMBER_CART = Statement(
    _claimed.on_conflict_do_update(
        index_elements=["slot", "member"], set_={"cart_id": MEMBER_CARTS.c.cart_id}
    ).returning(MEMBER_CARTS.c.cart_id)
)

_WANTED = rows_parameter("rows", slot=SLOT, cart_id=ID)
LOCK_CARTS = Statement(
    select(CARTS)
    .join(_WANTED, and_(CARTS.c.slot == _WANTED.c.slot, CARTS.c.cart_id == _WANTED.c.cart_id))
    .order_by(CARTS.c.slot, CARTS.c.cart_id)
    .with_for_update(of=CARTS)
)
LOCK_MEMBER_CARTS = Statement(
    select(MEMBER_CARTS.c.slot, MEMBER_CARTS.c.member)
    .join(_WANTED, and_(MEMBER_CARTS.c.slot == _WANTED.c.slot, MEMBER_CARTS.c.cart_id == _WANTED.c.cart_id))
    .order_by(MEMBER_CARTS.c.slot, MEMBER_CARTS.c.member)
    .with_for_update(of=MEMBER_CARTS)
)
LINES_OF = Statement(
    select(CART_LINES.c.cart_id, CART_LINES.c.sku, CART_LINES.c.quantity)
    .join(_WANTED, and_(CART_LINES.c.slot == _WANTED.c.slot, CART_LINES.c.cart_id == _WANTED.c.cart_id))
    .order_by(CART_LINES.c.added_at, CART_LINES.c.sku)
)

_PUT = rows_parameter("rows", slot=SLOT, cart_id=ID, sku=TEXT, quantity=COUNT, added_at=MOMENT)
_put = insert(CART_LINES).from_select(
    ["slot", "cart_id", "sku", "quantity", "added_at"],
    select(_PUT.c.slot, _PUT.c.cart_id, _PUT.c.sku, _PUT.c.quantity, _PUT.c.added_at).where(true()),
)
PUT_LINES = Statement(
    _put.on_conflict_do_update(index_elements=["slot", "cart_id", "sku"], set_={"quantity": _put.excluded.quantity})
)
REMOVE_LINE = Statement(
    delete(CART_LINES).where(
        CART_LINES.c.slot == bindparam("of_slot"),
        CART_LINES.c.cart_id == bindparam("of_cart"),
        CART_LINES.c.sku == bindparam("of_sku"),
    )
)
TOUCH_CART = Statement(
    update(CARTS)
    .where(CARTS.c.slot == bindparam("of_slot"), CARTS.c.cart_id == bindparam("of_cart"))
    .values(version=CARTS.c.version + 1, updated_at=bindparam("now"), currency=bindparam("new_currency"))
)
MERGE_CART = Statement(
    update(CARTS)
    .where(CARTS.c.slot == bindparam("of_slot"), CARTS.c.cart_id == bindparam("of_cart"), CARTS.c.is_open.is_(True))
    .values(is_open=false(), version=CARTS.c.version + 1, updated_at=bindparam("now"), merged_into=bindparam("target"))
)
_CLOSING = rows_parameter("rows", slot=SLOT, cart_id=ID, successor=ID)
CLOSE_CARTS = Statement(
    update(CARTS)
    .where(CARTS.c.slot == _CLOSING.c.slot, CARTS.c.cart_id == _CLOSING.c.cart_id, CARTS.c.is_open.is_(True))
    .values(
        is_open=false(),
        version=CARTS.c.version + 1,
        updated_at=bindparam("now"),
        continued_in=_CLOSING.c.successor,
    )
)
PASS_ON = Statement(
    update(MEMBER_CARTS)
    .where(MEMBER_CARTS.c.slot == bindparam("of_slot"), MEMBER_CARTS.c.cart_id == bindparam("of_cart"))
    .values(cart_id=bindparam("target"))
)
FREE_MEMBERS = Statement(
    delete(MEMBER_CARTS).where(
        tuple_(MEMBER_CARTS.c.slot, MEMBER_CARTS.c.cart_id).in_(select(_WANTED.c.slot, _WANTED.c.cart_id))
    )
)


class KeptCart(msgspec.Struct, frozen=True, kw_only=True):
    """A cart as kept, with its lines in the order in which they came."""

    cart_id: str
    member: str | None
    secret: str
    currency: str
    is_open: bool
    version: int
    updated_at: datetime
    merged_into: str | None = None
    continued_in: str | None = None
    lines: tuple[CartLine, ...] = ()


async def find(reader: Database | Reader, *, cart_id: str) -> KeptCart | None:
    return _whole(await reader.all(FIND_CART, of_slot=slot_of(cart_id), of_cart=int(cart_id)))


async def find_of_member(reader: Database | Reader, *, member: str) -> KeptCart | None:
    """The member's open cart."""
    return _whole(await reader.all(FIND_CART_OF_MEMBER, of_slot=slot_of(member), of_member=int(member)))


async def add(tx: Transaction, *, cart: KeptCart) -> None:
    """Add an empty cart."""
    await tx.run(
        ADD_CART,
        slot=slot_of(cart.cart_id),
        cart_id=int(cart.cart_id),
        member=None if cart.member is None else int(cart.member),
        secret=cart.secret,
        currency=cart.currency,
        is_open=cart.is_open,
        version=cart.version,
        created_at=to_micros(cart.updated_at),
        updated_at=to_micros(cart.updated_at),
    )


async def hold_member_cart(tx: Transaction, *, member: str, draft: KeptCart) -> str:
    """The id of the member's open cart: the draft, if there was none. Nobody else takes or gives it meanwhile."""
    slot = slot_of(member)
    row = await tx.one(HOLD_MEMBER_CART, slot=slot, member=int(member), cart_id=int(draft.cart_id))
    cart_id = str(row["cart_id"]) if row else draft.cart_id
    if cart_id == draft.cart_id:
        await add(tx, cart=draft)
    return cart_id


async def lock(tx: Transaction, *, cart_ids: Sequence[str]) -> dict[str, KeptCart]:
    """The carts by id with their lines, which stay so until the transaction ends."""
    rows = _places(cart_ids)
    kept = await tx.all(LOCK_CARTS, rows=rows)
    # Read after the locks were had: before, somebody else may still have been at work.
    lines: dict[int, list[CartLine]] = {}
    for row in await tx.all(LINES_OF, rows=rows):
        lines.setdefault(row["cart_id"], []).append(CartLine(sku=row["sku"], quantity=row["quantity"]))
    return {str(row["cart_id"]): _cart(row, tuple(lines.get(row["cart_id"], ()))) for row in kept}


async def put_lines(tx: Transaction, *, cart_id: str, lines: Sequence[CartLine], now: datetime) -> None:
    """Set quantities; a sku that is there already keeps its place."""
    slot, added_at = slot_of(cart_id), to_micros(now)
    # A microsecond apart, so that lines that come together keep their order.
    rows = [(slot, int(cart_id), line.sku, line.quantity, added_at + number) for number, line in enumerate(lines)]
    if rows:
        await tx.run(PUT_LINES, rows=rows)


async def remove_line(tx: Transaction, *, cart_id: str, sku: str) -> None:
    await tx.run(REMOVE_LINE, of_slot=slot_of(cart_id), of_cart=int(cart_id), of_sku=sku)


async def touch(tx: Transaction, *, cart_id: str, currency: str, now: datetime) -> None:
    """Note that the cart was changed."""
    await tx.run(TOUCH_CART, of_slot=slot_of(cart_id), of_cart=int(cart_id), now=to_micros(now), new_currency=currency)


async def close_merged(tx: Transaction, *, cart_id: str, into: str, now: datetime) -> None:
    await tx.run(MERGE_CART, of_slot=slot_of(cart_id), of_cart=int(cart_id), now=to_micros(now), target=int(into))


async def hold(tx: Transaction, *, cart_ids: Sequence[str]) -> dict[str, KeptCart]:
    """The carts as `lock` gives them, of which nobody takes or gives one as a member's open one meanwhile either."""
    await tx.all(LOCK_MEMBER_CARTS, rows=_places(cart_ids))
    return await lock(tx, cart_ids=cart_ids)


async def pass_on(tx: Transaction, *, cart_id: str, to: str) -> None:
    """Make the next cart the member's open one, if this one is it."""
    await tx.run(PASS_ON, of_slot=slot_of(cart_id), of_cart=int(cart_id), target=int(to))


async def close(tx: Transaction, *, successors: Mapping[str, str | None], now: datetime) -> None:
    """Close carts that are held, each with the cart that it goes on in, and free the members of the others for new
    ones; what is closed already stays as it is."""
    rows = [(slot_of(one), int(one), None if to is None else int(to)) for one, to in successors.items()]
    await tx.run(FREE_MEMBERS, rows=_places(successors))
    await tx.run(CLOSE_CARTS, rows=rows, now=to_micros(now))


def _places(cart_ids: Iterable[str]) -> list[tuple[int, int]]:
    return sorted({(slot_of(cart_id), int(cart_id)) for cart_id in cart_ids})


def _whole(rows: Sequence[Row]) -> KeptCart | None:
    """A cart from its rows, one for each line, or one without a sku."""
    if not rows:
        return None
    lines = [CartLine(sku=row["sku"], quantity=row["quantity"]) for row in rows if row["sku"] is not None]
    return _cart(rows[0], tuple(lines))


def _cart(row: Row, lines: tuple[CartLine, ...]) -> KeptCart:
    return KeptCart(
        cart_id=str(row["cart_id"]),
        member=None if row["member"] is None else str(row["member"]),
        secret=row["secret"],
        currency=row["currency"],
        is_open=bool(row["is_open"]),
        version=row["version"],
        updated_at=from_micros(row["updated_at"]),
        merged_into=None if row["merged_into"] is None else str(row["merged_into"]),
        continued_in=None if row["continued_in"] is None else str(row["continued_in"]),
        lines=lines,
    )
