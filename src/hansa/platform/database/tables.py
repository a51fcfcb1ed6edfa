"""The column types that tables are declared with, and the rules every sharded table keeps."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, PrimaryKeyConstraint, Text

SLOT = Integer()
"""0-4095; a part of every primary, unique and foreign key."""
ID = BigInteger()
TEXT = Text()
COUNT = BigInteger()
"""Pieces, grams, versions, and money in minor units."""
FLAG = Boolean()
MOMENT = BigInteger()
"""A moment in microseconds since 1970, UTC (see kernel.clock)."""
DOCUMENT = Text()
"""JSON that is only ever read whole."""

NAMES = {
    "pk": "%(table_name)s_pk",
    "uq": "%(table_name)s_%(column_0_N_name)s_unique",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "ix": "%(table_name)s_%(column_0_N_name)s_index",
}


def slot() -> Column[int]:
    """The shard key, first column and first part of the primary key of every sharded table."""
    return Column("slot", SLOT, primary_key=True, autoincrement=False)


def key(name: str, type_: Any = ID) -> Column[Any]:
    """A further part of the primary key."""
    return Column(name, type_, primary_key=True, autoincrement=False)


def key_by(*names: str) -> PrimaryKeyConstraint:
    """The primary key in this order of its columns, where it is not the order in which they are declared.

    Ids begin with their moment. A key that begins with an id keeps what is new together, on a few pages; one that
    begins with the slot has 4096 places where rows are added, and each row of a batch writes a page of its own.
    """
    return PrimaryKeyConstraint(*names)


def field(name: str, type_: Any, **options: Any) -> Column[Any]:
    """A column that must be filled."""
    return Column(name, type_, nullable=False, **options)


def optional(name: str, type_: Any) -> Column[Any]:
    return Column(name, type_, nullable=True)


def personal(name: str, *, purpose: str, retention: str) -> Column[Any]:
    """A column of personal data, sealed under the person's key (security.sealing): why it is kept, and for how long."""
    return Column(name, Text(), nullable=False, info={"purpose": purpose, "retention": retention})
