"""Whole rows of a table as one set parameter, and inserting them."""

from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Table, select, true
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql.selectable import TableValuedAlias

from hansa.platform.database.statement import rows_parameter


def rows_of(table: Table) -> TableValuedAlias:
    """A set parameter named `rows` with the columns of a table, in their order."""
    return rows_parameter("rows", **{column.name: column.type for column in table.columns})


def insert_rows(table: Table) -> Insert:
    """Insert the set parameter `rows` into a table; what becomes of conflicts may be added."""
    rows = rows_of(table)
    return insert(table).from_select(list(table.c.keys()), select(*rows.c).where(true()))


def row_of(table: Table, /, **values: Any) -> tuple[Any, ...]:
    """A row for `rows`, from values by name; those without a column are left out. Raises KeyError if one is missing."""
    return _in_order(table)(values)


@cache
def _in_order(table: Table) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Values by name as a tuple in the order of the columns; rows are made too often to ask for that each time."""
    first, second, *others = table.c.keys()
    return itemgetter(first, second, *others)
