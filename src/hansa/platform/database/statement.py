"""Statements, declared once with SQLAlchemy Core and compiled once for each engine; a set is one parameter.

A set parameter stands in a statement as a table::

    LINES = rows_parameter("lines", slot=SLOT, sku=TEXT, quantity=COUNT)
    TAKE = Statement(update(stock).where(stock.c.slot == LINES.c.slot, stock.c.sku == LINES.c.sku)
                     .values(reserved=stock.c.reserved + LINES.c.quantity).returning(stock.c.sku))
    await tx.all(TAKE, lines=[(7, "HAT-M", 1), (9, "SHOE-42", 2)])

On PostgreSQL it becomes `unnest`, one array per column. On SQLite it becomes `VALUES` of the next power of two of
rows, of which LIMIT takes those that there are: few texts, which stay prepared, at a third of what `json_each` costs.
Large sets are `json_each` all the same, since a prepared statement grows with the values that it names.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
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

MOST_VALUES = 2048
"""Values of one set that a text for SQLite names one by one; each is about 100 bytes of a prepared statement."""

_DIALECTS: dict[str, Any] = {
    SQLITE: sqlite.dialect(paramstyle="qmark"),
    POSTGRESQL: postgresql.asyncpg.dialect(),  # type: ignore[no-untyped-call]
}
_SEPARATOR = "__"
_MARK = "\x1f"
_MARKED = re.compile(f"{_MARK}([^{_MARK}]*){_MARK}([^{_MARK}]*){_MARK}[^{_MARK}]*{_MARK}")
_AS_JSON = -1
"""In place of a number of rows: too many to be named one by one."""

Bound = tuple[str, Sequence[Any]]
"""A text, and its values in order."""


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
    """A mark, which `_SqlitePlan` replaces once it knows how many rows there are."""
    place = compiler.process(bindparam(element.parameter, type_=Text()))
    names = ",".join(compiler.preparer.quote(name) for name in element.columns_by_name)
    return f"{_MARK}{element.parameter}{_MARK}{names}{_MARK}{place}{_MARK}"


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
        self._plans: dict[str, _PostgresPlan | _SqlitePlan] = {}

    def bind(self, engine: str, parameters: Mapping[str, Any]) -> Bound:
        """The text and the values in its order. Raises KeyError for a parameter that was not given, and ValueError for
        rows that do not have as many values as the set has columns."""
        plan = self._plans.get(engine)
        return (plan or self._plan(engine)).bind(parameters)

    def text(self, engine: str) -> str:
        """How it reads with empty sets, for histories and for looking at plans."""
        return self._plan(engine).text

    def _plan(self, engine: str) -> "_PostgresPlan | _SqlitePlan":
        if engine not in self._plans:
            compiled: Any = self._clause.compile(dialect=_DIALECTS[engine], compile_kwargs={"render_postcompile": True})
            asked = {name for name, parameter in compiled.binds.items() if parameter.required}
            literals = {name: value for name, value in compiled.params.items() if name not in asked}
            plan = _SqlitePlan if engine == SQLITE else _PostgresPlan
            self._plans[engine] = plan(str(compiled), tuple(compiled.positiontup or ()), literals)
        return self._plans[engine]


class _PostgresPlan:
    """One text, whatever the number of rows; these are turned into columns."""

    def __init__(self, text: str, names: Sequence[str], literals: Mapping[str, Any]) -> None:
        self.text = text
        self._names = names
        self._literals = literals
        self._columns: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            if name not in literals and _SEPARATOR in name:
                self._columns.setdefault(name.partition(_SEPARATOR)[0], []).append(name)

    def bind(self, parameters: Mapping[str, Any]) -> Bound:
        given = {**self._literals, **parameters} if self._literals else dict(parameters)
        for parameter, columns in self._columns.items():
            rows = given[parameter]
            if not rows:
                turned: Sequence[Any] = [()] * len(columns)
            elif isinstance(rows[0], (list, tuple)):
                turned = list(zip(*rows, strict=True))
            else:
                turned = [rows]
            given.update(zip(columns, turned, strict=True))
        return self.text, [given[name] for name in self._names]


class _SqlitePlan:
    """A text for each power of two of rows, made when there are first so many."""

    def __init__(self, text: str, names: Sequence[str], literals: Mapping[str, Any]) -> None:
        self._pieces = _MARKED.split(text)
        self._names = names
        self._literals = literals
        self._sets = {
            parameter: columns.split(",")
            for parameter, columns in zip(self._pieces[1::3], self._pieces[2::3], strict=True)
        }
        self._texts: dict[tuple[int, ...], str] = {}

    def bind(self, parameters: Mapping[str, Any]) -> Bound:
        given = {**self._literals, **parameters} if self._literals else parameters
        if not self._sets:
            return self._pieces[0], [given[name] for name in self._names]
        sizes: list[int] = []
        flat: dict[str, list[Any]] = {}
        for parameter, columns in self._sets.items():
            size, flat[parameter] = _flattened(given[parameter], width=len(columns))
            sizes.append(size)
        values: list[Any] = []
        for name in self._names:
            if name in flat:
                values += flat[name]
            else:
                values.append(given[name])
        shape = tuple(sizes)
        text = self._texts.get(shape)
        if text is None:
            text = self._texts[shape] = self._written(dict(zip(self._sets, sizes, strict=True)))
        return text, values

    @property
    def text(self) -> str:
        return self._written(dict.fromkeys(self._sets, 0))

    def _written(self, sizes: Mapping[str, int]) -> str:
        parts = [self._pieces[0]]
        for parameter, after in zip(self._pieces[1::3], self._pieces[3::3], strict=True):
            parts += [_table(self._sets[parameter], size=sizes[parameter]), after]
        return "".join(parts)


def _flattened(rows: Sequence[Any], *, width: int) -> tuple[int, list[Any]]:
    """How many rows the text must have room for, and what is bound there: all values, and the number of rows."""
    number = len(rows)
    size = 1 << (number - 1).bit_length() if number else 0
    if size * width > MOST_VALUES:
        tuples = rows if isinstance(rows[0], (list, tuple)) else [(row,) for row in rows]
        return _AS_JSON, [msgspec.json.encode(tuples).decode()]
    values = list(chain.from_iterable(rows)) if rows and isinstance(rows[0], (list, tuple)) else list(rows)
    if len(values) != number * width:
        raise ValueError(f"rows of {width} values were expected")
    if size > 1:
        values += [None] * ((size - number) * width)
        values.append(number)
    return size, values


def _table(columns: Sequence[str], *, size: int) -> str:
    if size == _AS_JSON:
        extracted = ", ".join(f"json_extract(value, '$[{index}]') AS {name}" for index, name in enumerate(columns))
        return f"(SELECT {extracted} FROM json_each(?))"
    if size == 0:
        return f"(SELECT {', '.join(f'NULL AS {name}' for name in columns)} LIMIT 0)"
    if size == 1:
        return f"(SELECT {', '.join(f'? AS {name}' for name in columns)})"
    named = ", ".join(f"column{number} AS {name}" for number, name in enumerate(columns, start=1))
    row = f"({','.join('?' * len(columns))})"
    return f"(SELECT {named} FROM (VALUES {','.join([row] * size)}) LIMIT ?)"
