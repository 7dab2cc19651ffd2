"""Enrichment tables: their rows are read from CSV or YAML once, when the rules are, and travel inside the rules."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from engine.located_yaml import read
from engine.plain_words import text_of
from schemas.alert_rules import MOST_ROWS, Row, Table
from schemas.config import Rules
from schemas.errors import ConfigError

Cell = tuple[str, int, int]
"""A text, its line and its column, both from 1."""


def with_rows(rules: Rules, folder: Path) -> Rules:
    """The rules with the rows of each table that names a file and has none yet; files are relative to `folder`.

    Raises ConfigError with file, line and column of the first thing that is wrong.
    """
    if not any(table.file and not table.rows for table in rules.enrichment):
        return rules
    tables = tuple(_filled(table, folder) if table.file and not table.rows else table for table in rules.enrichment)
    return rules.model_copy(update={"enrichment": tables})


def _filled(table: Table, folder: Path) -> Table:
    path = folder / table.file
    text = text_of(path)
    lines = _csv_rows if path.suffix.lower() in (".csv", ".tsv") else _yaml_rows
    rows: list[Row] = []
    known: dict[tuple[str, ...], int] = {}
    for cells in lines(text, str(path), table):
        line = next((at for _, at, _ in cells.values()), 1)
        rows.append({name: value for name, (value, _, _) in cells.items() if value})
        _check(cells, table, str(path), line)
        key = tuple(cells[name][0] for name in table.by)
        if key in known:
            _, line, column = cells[table.by[0]]
            raise _wrong(f"{', '.join(key)} stands on line {known[key]} already", str(path), line, column)
        known[key] = line
        if len(rows) > MOST_ROWS:
            raise ConfigError(f"more than {MOST_ROWS} rows", file=str(path))
    return table.model_copy(update={"rows": tuple(rows)})


def _check(cells: dict[str, Cell], table: Table, file: str, line: int) -> None:
    for name in table.by:
        if not cells.get(name, ("", 0, 0))[0]:
            _, line, column = cells.get(name, ("", line, 1))
            raise _wrong(f"has no {name}", file, line, column)
    for name, (value, line, column) in cells.items():
        if table.adds and name not in table.by and name not in table.adds:
            known = ", ".join(table.by + table.adds)
            raise _wrong(f"unknown column {name!r}; known: {known}", file, line, column)
        if len(value) > 2_000:
            raise _wrong(f"{len(value)} characters are too many, 2000 at most", file, line, column)


def _csv_rows(text: str, file: str, table: Table) -> Iterator[dict[str, Cell]]:
    """One dictionary a line; the first line names the columns. The column of a cell is its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if file.lower().endswith(".tsv") else ",")
    heads: list[str] = []
    at = 1
    try:
        for cells in reader:
            if not heads:
                heads = _heads(cells, file, table)
            elif any(cell.strip() for cell in cells):
                if len(cells) != len(heads):
                    raise _wrong(f"{len(cells)} columns, expected {len(heads)}", file, at, min(len(cells), len(heads)))
                yield {
                    head: (cell.strip(), at, number)
                    for number, (head, cell) in enumerate(zip(heads, cells, strict=True), 1)
                }
            at = reader.line_num + 1
    except csv.Error as broken:
        raise ConfigError(f"not CSV: {broken}", file=file, line=reader.line_num) from None


def _heads(cells: list[str], file: str, table: Table) -> list[str]:
    heads = [cell.strip() for cell in cells]
    for number, head in enumerate(heads, 1):
        if not head:
            raise _wrong("a column has no name", file, 1, number)
        if head in heads[: number - 1]:
            raise _wrong(f"column {head!r} is there twice", file, 1, number)
        if table.adds and head not in table.by + table.adds:
            raise _wrong(f"unknown column {head!r}; known: {', '.join(table.by + table.adds)}", file, 1, number)
    if missing := [name for name in (*table.by, *table.adds) if name not in heads]:
        raise ConfigError(f"has no column {missing[0]!r}", file=file, line=1)
    return heads


def _yaml_rows(text: str, file: str, table: Table) -> Iterator[dict[str, Cell]]:
    """The list under ``rows``: a mapping of column to text each. The column of a cell is where its line says."""
    located = read(text, file)
    rows = located.values.get("rows")
    if not isinstance(rows, list) or len(located.values) != 1:
        raise ConfigError("expected `rows:` and a list below it", file=file, line=1)
    for index, row in enumerate(rows):
        line = located.line(("rows", index)) or 1
        if not isinstance(row, dict):
            raise ConfigError("expected lines of `column: text`", file=file, line=line)
        for name, value in row.items():
            if not isinstance(value, str | int):
                raise ConfigError("expected a text", file=file, line=located.line(("rows", index, name)), key=name)
        yield {name: (str(value), located.line(("rows", index, name)) or line, 1) for name, value in row.items()}


def _wrong(problem: str, file: str, line: int, column: int) -> ConfigError:
    return ConfigError(problem, file=file, line=line, key=f"column {column}")
