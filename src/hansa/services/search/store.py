"""Every statement on the tables of search; they take sets, in the order of their keys."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

import msgspec
from sqlalchemy import bindparam, cast, func, select, tuple_, update

from hansa.kernel.clock import from_micros, to_micros
from hansa.kernel.ids import slot_of
from hansa.platform.database.port import Database, Reader, Row, Transaction
from hansa.platform.database.rows import insert_rows, row_of
from hansa.platform.database.statement import Statement, rows_parameter
from hansa.platform.database.tables import COUNT, ID, MOMENT, SLOT
from hansa.services.search.tables import AVAILABILITIES, DOCUMENTS


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it is kept: `record` is its draft in JSON."""

    product_id: str
    version: int
    is_active: bool
    record: str
    changed_at: datetime
    due_at: datetime | None = None


class Available(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of a variant."""

    product_id: str
    sku: str
    version: int
    is_available: bool


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A product and which of its skus can be had. `heard` are the versions of what was said of its skus, summed up."""

    document: Document
    available: frozenset[str]
    heard: int

    @property
    def stamp(self) -> int:
        """See `stamp_of`."""
        document = self.document
        return stamp_of(version=document.version, changed_at=to_micros(document.changed_at), heard=self.heard)


_insert = insert_rows(DOCUMENTS)
_NEW = {name: _insert.excluded[name] for name in ("version", "is_active", "record", "changed_at", "due_at")}
_KEY = [DOCUMENTS.c.slot, DOCUMENTS.c.product_id]
PUT_NEWER = Statement(
    _insert.on_conflict_do_update(index_elements=_KEY, set_=_NEW, where=DOCUMENTS.c.version < _insert.excluded.version)
)
PUT_TRUE = Statement(
    _insert.on_conflict_do_update(index_elements=_KEY, set_=_NEW, where=DOCUMENTS.c.version <= _insert.excluded.version)
)
_said = insert_rows(AVAILABILITIES)
PUT_AVAILABILITIES = Statement(
    _said.on_conflict_do_update(
        index_elements=[AVAILABILITIES.c.slot, AVAILABILITIES.c.product_id, AVAILABILITIES.c.sku],
        set_={name: _said.excluded[name] for name in ("version", "is_available", "changed_at")},
        where=AVAILABILITIES.c.version < _said.excluded.version,
    )
)
_IDS = rows_parameter("ids", slot=SLOT, product_id=ID)
_of_ids = (DOCUMENTS.c.slot == _IDS.c.slot, DOCUMENTS.c.product_id == _IDS.c.product_id)
OF_IDS = Statement(select(DOCUMENTS).where(*_of_ids))
_said_of_ids = (AVAILABILITIES.c.slot == _IDS.c.slot, AVAILABILITIES.c.product_id == _IDS.c.product_id)
SAID_OF_IDS = Statement(
    select(
        AVAILABILITIES.c.product_id, AVAILABILITIES.c.sku, AVAILABILITIES.c.version, AVAILABILITIES.c.is_available
    ).where(*_said_of_ids)
)
HEARD_OF_IDS = Statement(
    select(AVAILABILITIES.c.product_id, cast(func.sum(AVAILABILITIES.c.version), COUNT).label("heard"))
    .where(*_said_of_ids)
    .group_by(AVAILABILITIES.c.product_id)
)
_SINCE = tuple_(bindparam("since", type_=MOMENT), bindparam("after", type_=ID))
CHANGED = {
    table.name: Statement(
        select(table.c.product_id, table.c.changed_at)
        .where(tuple_(table.c.changed_at, table.c.product_id) > _SINCE)
        .order_by(table.c.changed_at, table.c.product_id)
        .limit(bindparam("limit", type_=COUNT))
    )
    for table in (DOCUMENTS, AVAILABILITIES)
}
SOURCES = tuple(CHANGED)
"""The tables by whose changes an index catches up."""
PAGE = Statement(
    select(
        DOCUMENTS.c.slot,
        DOCUMENTS.c.product_id,
        DOCUMENTS.c.version,
        DOCUMENTS.c.is_active,
        DOCUMENTS.c.changed_at,
    )
    .where(
        tuple_(DOCUMENTS.c.slot, DOCUMENTS.c.product_id)
        > tuple_(bindparam("slot", type_=SLOT), bindparam("product_id", type_=ID))
    )
    .order_by(DOCUMENTS.c.slot, DOCUMENTS.c.product_id)
    .limit(bindparam("limit", type_=COUNT))
)
TOTAL = Statement(select(func.count().label("total")).select_from(DOCUMENTS))
DUE = Statement(
    select(DOCUMENTS)
    .where(DOCUMENTS.c.due_at <= bindparam("now", type_=MOMENT))
    .order_by(DOCUMENTS.c.due_at)
    .limit(bindparam("limit", type_=COUNT))
)
_SET_DUE = rows_parameter("rows", slot=SLOT, product_id=ID, seen_at=MOMENT, due_at=MOMENT)
SET_DUE = Statement(
    update(DOCUMENTS)
    .where(
        DOCUMENTS.c.slot == _SET_DUE.c.slot,
        DOCUMENTS.c.product_id == _SET_DUE.c.product_id,
        DOCUMENTS.c.due_at == _SET_DUE.c.seen_at,
    )
    .values(due_at=_SET_DUE.c.due_at, changed_at=bindparam("now", type_=MOMENT))
)


async def put(tx: Transaction, documents: Sequence[Document], *, is_truth: bool = False) -> None:
    """Keep what is newer than what is kept; of the truth, what is not older."""
    newest = {document.product_id: document for document in sorted(documents, key=lambda document: document.version)}
    rows = [
        row_of(
            DOCUMENTS,
            slot=slot_of(document.product_id),
            product_id=int(document.product_id),
            version=document.version,
            is_active=document.is_active,
            record=document.record,
            changed_at=to_micros(document.changed_at),
            due_at=None if document.due_at is None else to_micros(document.due_at),
        )
        for document in newest.values()
    ]
    await tx.run(PUT_TRUE if is_truth else PUT_NEWER, rows=sorted(rows, key=lambda row: row[:2]))


async def put_available(tx: Transaction, said: Sequence[Available], *, at: datetime) -> None:
    """Keep the newest word on each variant."""
    newest = {(word.product_id, word.sku): word for word in sorted(said, key=lambda word: word.version)}
    rows = [
        row_of(
            AVAILABILITIES,
            slot=slot_of(word.product_id),
            product_id=int(word.product_id),
            sku=word.sku,
            version=word.version,
            is_available=word.is_available,
            changed_at=to_micros(at),
        )
        for word in newest.values()
    ]
    await tx.run(PUT_AVAILABILITIES, rows=sorted(rows, key=lambda row: row[:3]))


async def of_ids(reader: Reader, *, product_ids: Sequence[str]) -> dict[str, Kept]:
    """Products as they are kept, by id; unknown ones are left out."""
    ids = [(slot_of(product_id), int(product_id)) for product_id in product_ids]
    rows = await reader.all(OF_IDS, ids=ids)
    available: defaultdict[int, set[str]] = defaultdict(set)
    heard: defaultdict[int, int] = defaultdict(int)
    for row in await reader.all(SAID_OF_IDS, ids=ids):
        heard[row["product_id"]] += row["version"]
        if row["is_available"]:
            available[row["product_id"]].add(row["sku"])
    return {
        str(row["product_id"]): Kept(
            document=Document(
                product_id=str(row["product_id"]),
                version=row["version"],
                is_active=bool(row["is_active"]),
                record=row["record"],
                changed_at=from_micros(row["changed_at"]),
                due_at=None if row["due_at"] is None else from_micros(row["due_at"]),
            ),
            available=frozenset(available[row["product_id"]]),
            heard=heard[row["product_id"]],
        )
        for row in rows
    }


async def changed(database: Database, *, source: str, since: int, after: int, limit: int) -> list[tuple[int, int]]:
    """Ids by when one of the SOURCES changed (in microseconds), later than a moment, or then and with a higher id."""
    rows = await database.all(CHANGED[source], since=since, after=after, limit=limit)
    return [(row["product_id"], row["changed_at"]) for row in rows]


async def page(database: Database, *, after: str | None, limit: int) -> list[str]:
    """The ids of the next products after one, in the order of slot and id."""
    async with database.read() as reader:
        return [str(row["product_id"]) for row in await _page(reader, after=after, limit=limit)]


async def stamps(database: Database, *, after: str | None, limit: int) -> dict[str, int | None]:
    """The stamps of the next products after one, in the order of slot and id; None of those that are not sold."""
    async with database.read() as reader:
        rows = await _page(reader, after=after, limit=limit)
        said = await reader.all(HEARD_OF_IDS, ids=[(row["slot"], row["product_id"]) for row in rows])
    heard = {row["product_id"]: row["heard"] for row in said}
    return {
        str(row["product_id"]): stamp_of(
            version=row["version"], changed_at=row["changed_at"], heard=heard.get(row["product_id"], 0)
        )
        if row["is_active"]
        else None
        for row in rows
    }


def stamp_of(*, version: int, changed_at: int, heard: int) -> int:
    """64 bits that are others after every change of a product's rows. What was said of a sku is never taken away, and
    its version only grows, so that the sum of versions tells every change of those."""
    facts = f"{version} {changed_at} {heard}".encode()
    return int.from_bytes(blake2b(facts, digest_size=8).digest(), "big")


async def total(database: Database) -> int:
    row = await database.one(TOTAL)
    return int(row["total"]) if row else 0


async def due(database: Database, *, at: datetime, limit: int) -> list[Document]:
    """Products of which a price has begun or ended."""
    return [
        Document(
            product_id=str(row["product_id"]),
            version=row["version"],
            is_active=bool(row["is_active"]),
            record=row["record"],
            changed_at=from_micros(row["changed_at"]),
            due_at=from_micros(row["due_at"]),
        )
        for row in await database.all(DUE, now=to_micros(at), limit=limit)
    ]


async def set_due(tx: Transaction, changes: Sequence[tuple[Document, datetime | None]], *, at: datetime) -> None:
    """Note when prices change next, of products that nobody has changed meanwhile, and that they have changed now."""
    rows = [
        (
            slot_of(document.product_id),
            int(document.product_id),
            to_micros(document.due_at or at),
            None if next_at is None else to_micros(next_at),
        )
        for document, next_at in changes
    ]
    await tx.run(SET_DUE, rows=sorted(rows, key=lambda row: row[:2]), now=to_micros(at))


async def _page(reader: Reader, *, after: str | None, limit: int) -> Sequence[Row]:
    slot, product_id = (-1, 0) if after is None else (slot_of(after), int(after))
    return await reader.all(PAGE, slot=slot, product_id=product_id, limit=limit)
