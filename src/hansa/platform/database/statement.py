"""Statements, declared once with SQLAlchemy Core and compiled once for each engine; a set is one parameter.

A set parameter stands in a statement as a table::

    LINES = rows_parameter("lines", slot=SLOT, sku=TEXT, quantity=COUNT)
    TAKE = Statement(update(stock).where(stock.c.slot == LINES.c.slot, stock.c.sku == LINES.c.sku)
                     .values(reserved=stock.c.reserved + LINES.c.quantity).returning(stock.c.sku))
    await tx.all(TAKE, lines=[(7, "HAT-M", 1), (9, "SHOE-42", 2)])

It becomes `json_each` on SQLite and `unnest` on PostgreSQL, so the plan is one whatever the number of rows.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ARRAY, Text, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import TypeEngine

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

_DIALECTS: dict[str, Any] = {
    SQLITE: sqlite.dialect(paramstyle="qmark"),
    POSTGRESQL: postgresql.asyncpg.dialect(),  # type: ignore[no-untyped-call]
}
_SEPARATOR = "__"


class _Rows(FunctionElement[Any]):
    """A set of rows handed over as one parameter."""

    name = "hansa_rows"
    inherit_cache = False

    def __init__(self, parameter: str, columns: dict[str, TypeEngine[Any]]) -> None:
        self.parameter = parameter
        self.columns_by_name = columns
        super().__init__()


@compiles(_Rows, SQLITE)
def _sqlite_rows(element: _Rows, compiler: SQLCompiler, **_: Any) -> str:
    whole = compiler.process(bindparam(element.parameter, type_=Text()))
    columns = ", ".join(
        f"json_extract(value, '$[{index}]') AS {compiler.preparer.quote(name)}"
        for index, name in enumerate(element.columns_by_name)
    )
    return f"(SELECT {columns} FROM json_each({whole}))"


@compiles(_Rows, POSTGRESQL)
def _postgresql_rows(element: _Rows, compiler: SQLCompiler, **_: Any) -> str:
    arrays = ", ".join(
        compiler.process(bindparam(f"{element.parameter}{_SEPARATOR}{name}", type_=ARRAY(type_)))
        for name, type_ in element.columns_by_name.items()
    )
    quote = compiler.preparer.quote
    names = ", ".join(quote(name) for name in element.columns_by_name)
    return f"(SELECT * FROM unnest({arrays}) AS {quote(element.parameter)}({names}))"


def rows_parameter(parameter: str, /, **columns: TypeEngine[Any]) -> TableValuedAlias:
    """A table whose rows are given at execution as a sequence of tuples in the order of the columns."""
    function = _Rows(parameter, columns)
    return function.table_valued(*[column(name, type_) for name, type_ in columns.items()], name=parameter)


class Statement:
    """A statement compiled for each engine when first used there, and kept."""

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._compiled: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {}

    def compiled(self, engine: str) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        """The text for an engine, the names of its parameters in order, and the values that the clause itself holds."""
        try:
            return self._compiled[engine]
        except KeyError:
            compiled: Any = self._clause.compile(dialect=_DIALECTS[engine], compile_kwargs={"render_postcompile": True})
            asked = {name for name, parameter in compiled.binds.items() if parameter.required}
            literals = {name: value for name, value in compiled.params.items() if name not in asked}
            self._compiled[engine] = (str(compiled), tuple(compiled.positiontup or ()), literals)
            return self._compiled[engine]

    def bind(self, engine: str, parameters: dict[str, Any]) -> tuple[str, list[Any]]:
        """The text and the values in its order. Raises KeyError for a parameter that was not given."""
        text, names, literals = self.compiled(engine)
        values = []
        for name in names:
            if name in parameters:
                values.append(_encode_set(parameters[name]) if engine == SQLITE else parameters[name])
            elif name in literals:
                values.append(literals[name])
            else:
                values.append(_column_of(name, parameters, names))
        return text, values


def _encode_set(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return msgspec.json.encode([row if isinstance(row, (list, tuple)) else (row,) for row in value]).decode()
    return value


def _column_of(name: str, parameters: dict[str, Any], names: Sequence[str]) -> list[Any]:
    parameter = name.partition(_SEPARATOR)[0]
    rows = parameters[parameter]
    siblings = [other for other in names if other.startswith(parameter + _SEPARATOR)]
    index = siblings.index(name)
    return [row[index] if isinstance(row, (list, tuple)) else row for row in rows]
