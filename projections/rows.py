"""Rows in bulk: read what a batch of events touches once, change it in memory, write it once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Column, Connection, Select, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from projections.projection import PlainText, Row, plain

Shape = TypeVar("Shape", bound=msgspec.Struct)

CHUNK = 500
"""Keys in one SELECT: far below SQLite's 32,766 variables and PostgreSQL's 65,535 parameters."""

MAX_KEY = 200
"""Characters of a free text that serves as a key: PostgreSQL's index entries end at 2,704 bytes."""


class _Upsert:
    """A compiled upsert of one table for SQLite, run with plain tuples: half the cost of a statement with rows."""

    def __init__(self, table: Table) -> None:
        names = [column.name for column in table.columns]
        self.sql = str(_upsert_statement(table, "sqlite").compile(dialect=sqlite.dialect()))
        self.values = itemgetter(*names)
        self.texts = [place for place, column in enumerate(table.columns) if isinstance(column.type, PlainText)]

    def cells(self, row: Row) -> tuple[Any, ...]:
        """The row in the order of the columns, its texts as `PlainText` would store them."""
        cells: tuple[Any, ...] = self.values(row)
        for place in self.texts:
            if cells[place] and "\0" in cells[place]:
                return tuple(plain(cell) if at in self.texts and cell else cell for at, cell in enumerate(cells))
        return cells


_sqlite_upsert = functools.cache(_Upsert)


@functools.cache
def _upsert_statement(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = list(table.primary_key.columns)
    rest = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    if not rest:
        return statement.on_conflict_do_nothing(index_elements=keys)
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)


def upsert(tx: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert whole rows; one that is there already, by primary key, is overwritten. No key may come twice."""
    if not rows:
        return
    if tx.dialect.name == "sqlite":
        compiled = _sqlite_upsert(table)
        tx.exec_driver_sql(compiled.sql, [compiled.cells(row) for row in rows])
    else:
        tx.execute(_upsert_statement(table, tx.dialect.name), rows)


def upsert_cells(tx: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """The same with rows as tuples in the order of the columns, in which no text may need `PlainText`."""
    if not rows:
        return
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql(_sqlite_upsert(table).sql, list(rows))
    else:
        names = [column.name for column in table.columns]
        upsert(tx, table, [dict(zip(names, row, strict=True)) for row in rows])


def read_keys(
    tx: Connection, columns: Sequence[Column[Any]], keys: Iterable[Any], by: Sequence[Column[Any]]
) -> Iterator[Sequence[Any]]:
    """The `columns` of all rows whose `by` columns are among `keys` (plain values for one column, else tuples).

    Several columns are joined with the list of keys: SQLite answers `(a, b) IN (…)` by reading the whole table.
    """
    wanted = list(dict.fromkeys(keys))
    for start in range(0, len(wanted), CHUNK):
        some = wanted[start : start + CHUNK]
        if len(by) == 1:
            yield from tx.execute(select(*columns).where(by[0].in_(some)))
        else:
            sql = _joined(tx, tuple(columns), tuple(by), len(some))
            yield from tx.exec_driver_sql(sql, tuple(cell for key in some for cell in key))


@functools.lru_cache(maxsize=1024)
def _joined_sql(mark: str, columns: tuple[Column[Any], ...], by: tuple[Column[Any], ...], keys: int) -> str:
    table = columns[0].table.name
    chosen = ", ".join(f'{table}."{column.name}"' for column in columns)
    names = [f"k{place}" for place in range(len(by))]
    row = f"({', '.join([mark] * len(by))})"
    matches = " AND ".join(f'{table}."{column.name}" = w.{name}' for column, name in zip(by, names, strict=True))
    values = ", ".join([row] * keys)
    return f"WITH w({', '.join(names)}) AS (VALUES {values}) SELECT {chosen} FROM w JOIN {table} ON {matches}"


def _joined(tx: Connection, columns: tuple[Column[Any], ...], by: tuple[Column[Any], ...], keys: int) -> str:
    mark = "?" if tx.dialect.paramstyle == "qmark" else "%s"
    return _joined_sql(mark, columns, by, keys)


class Rows:
    """The rows of `table` that one batch touches, by primary key (a tuple when that has several columns)."""

    def __init__(self, tx: Connection, table: Table, keys: Iterable[Any]) -> None:
        """Read the rows with these primary keys, as far as they exist."""
        self._table = table
        self._keys = [column.name for column in table.primary_key.columns]
        columns = list(table.columns)
        names = [column.name for column in columns]
        self._rows: dict[Any, Row] = {}
        self._dirty: dict[Any, Row] = {}
        for found in read_keys(tx, columns, keys, list(table.primary_key.columns)):
            row = dict(zip(names, found, strict=True))
            self._rows[self._key(row)] = row

    def _key(self, row: Row) -> Any:
        key = tuple(row[name] for name in self._keys)
        return key if len(key) > 1 else key[0]

    def get(self, key: Any) -> Row | None:
        """The row as it stands now, or None."""
        return self._rows.get(key)

    def put(self, row: Row) -> Row:
        """Have `row`, new or changed, written by `save`."""
        key = self._key(row)
        self._rows[key] = self._dirty[key] = row
        return row

    def save(self, tx: Connection) -> None:
        """Write what was put."""
        upsert(tx, self._table, list(self._dirty.values()))
        self._dirty = {}


@functools.cache
def _columns(table: Table, shape: type[msgspec.Struct]) -> tuple[Column[Any], ...]:
    return tuple(table.c[name] for name in shape.__struct_fields__)


def select_as(table: Table, shape: type[msgspec.Struct]) -> Select[Any]:
    """A SELECT of the columns that `shape` names, in its order."""
    return select(*_columns(table, shape))


def read_as(conn: Connection, statement: Select[Any], shape: type[Shape]) -> list[Shape]:
    """Each row of a statement made by `select_as`, as a `shape`."""
    return [shape(*row) for row in conn.execute(statement)]
