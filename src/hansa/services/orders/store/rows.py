"""Statements that take whole rows of a table as one set."""

from typing import Any

from sqlalchemy import Table, select, true
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql.selectable import TableValuedAlias

from hansa.platform.database.statement import Statement, rows_parameter


def set_of(table: Table) -> TableValuedAlias:
    """A set parameter named `rows` with the columns of a table, in their order."""
    return rows_parameter("rows", **{column.name: column.type for column in table.columns})


def insert_set(table: Table) -> Insert:
    """Insert the set parameter `rows` into a table."""
    rows = set_of(table)
    return insert(table).from_select(list(table.c.keys()), select(*rows.c).where(true()))


def adding(table: Table) -> Statement:
    return Statement(insert_set(table))


def row_of(table: Table, /, **values: Any) -> tuple[Any, ...]:
    """A row for `rows`, from values by name. Raises KeyError if one is missing."""
    return tuple(values[name] for name in table.c.keys())
