"""What time it is for a product: never before its last change, whatever the clock of this process says."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, case

from hansa.platform.database.tables import MOMENT
from hansa.services.products.tables import PRODUCTS

_NOW = bindparam("now", type_=MOMENT)
PRESENT: ColumnElement[Any] = case((PRODUCTS.c.updated_at > _NOW, PRODUCTS.c.updated_at), else_=_NOW)
"""`present` of the products of a statement, with the parameter `now`."""


def present(*, now: int, updated_at: int) -> int:
    """In microseconds. The process that changed it last may have had a clock that is ahead of this one's."""
    return max(now, updated_at)
