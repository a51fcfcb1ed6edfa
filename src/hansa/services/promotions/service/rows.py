"""Between what rules speak of and the rows that the store keeps."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.errors import ErrorRecord
from hansa.kernel.ids import slot_of
from hansa.kernel.money import Money
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.rows import row_of
from hansa.services.promotions import store
from hansa.services.promotions.rules import Ask, Claim, Sale
from hansa.services.promotions.store import Order
from hansa.services.promotions.tables import FLASH_CLAIMS, FLASH_SALES


async def add(tx: Transaction, sale: Sale) -> None:
    row = row_of(
        FLASH_SALES,
        slot=slot_of(sale.sale_id),
        sale_id=int(sale.sale_id),
        sku=sale.sku,
        name=sale.name,
        price=sale.price.amount,
        currency=sale.price.currency,
        quantity=sale.quantity,
        limit_per_buyer=sale.limit_per_buyer,
        starts_at=to_micros(sale.starts_at),
        ends_at=to_micros(sale.ends_at),
        claimed=sale.claimed,
        is_cancelled=sale.is_cancelled,
        created_at=to_micros(sale.created_at),
        version=sale.version,
    )
    await store.add(tx, row)


async def end(tx: Transaction, sale: Sale, *, since: Sale) -> None:
    """Cancel a sale that this transaction has locked as `since`."""
    await store.end(tx, sale_id=sale.sale_id, at=to_micros(sale.ends_at), since=since.version, version=sale.version)


async def find(reader: Reader | Database, *, sale_ids: Sequence[str]) -> dict[str, Sale]:
    """Those that exist, by id."""
    return _sales(await store.find(reader, sale_ids=sale_ids))


async def lock(tx: Transaction, *, sale_ids: Sequence[str]) -> dict[str, Sale]:
    """As `find`; kept from others until the commit."""
    return _sales(await store.lock(tx, sale_ids=sale_ids))


async def current(reader: Reader | Database, *, at: datetime, limit: int) -> list[Sale]:
    return list(_sales(await store.current(reader, now=to_micros(at), limit=limit)).values())


async def every(reader: Reader | Database, *, before: int, limit: int) -> list[Sale]:
    return list(_sales(await store.every(reader, before=before, limit=limit)).values())


async def claims(reader: Reader, *, orders: Sequence[Order]) -> dict[str, Claim]:
    """By order."""
    return {
        str(row["order_id"]): Claim(
            member=None if row["member"] is None else str(row["member"]),
            quantity=row["quantity"],
            state=row["state"],
            refusal=msgspec.json.decode(row["refusal"], type=ErrorRecord) if row["refusal"] else None,
        )
        for row in await store.claims(reader, orders=orders)
    }


async def add_claims(tx: Transaction, *, fresh: Mapping[str, tuple[Ask, Claim]], at: datetime) -> None:
    """By order."""
    rows = [
        row_of(
            FLASH_CLAIMS,
            slot=slot_of(ask.sale_id),
            sale_id=int(ask.sale_id),
            order_id=int(order_id),
            member=int(ask.member),
            quantity=claim.quantity,
            state=claim.state,
            refusal=msgspec.json.encode(claim.refusal).decode() if claim.refusal else None,
            claimed_at=to_micros(at),
        )
        for order_id, (ask, claim) in fresh.items()
    ]
    await store.add_claims(tx, rows=rows)


def _sales(rows: Sequence[Row]) -> dict[str, Sale]:
    return {
        str(row["sale_id"]): Sale(
            sale_id=str(row["sale_id"]),
            sku=row["sku"],
            name=row["name"],
            price=Money(row["price"], row["currency"]),
            quantity=row["quantity"],
            limit_per_buyer=row["limit_per_buyer"],
            starts_at=from_micros(row["starts_at"]),
            ends_at=from_micros(row["ends_at"]),
            claimed=row["claimed"],
            is_cancelled=bool(row["is_cancelled"]),
            created_at=from_micros(row["created_at"]),
            version=row["version"],
        )
        for row in rows
    }
