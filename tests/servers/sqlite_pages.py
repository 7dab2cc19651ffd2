"""The pages of an SQLite file, for tests that damage them as a bad disk does (sqlite.org/fileformat2.html)."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_INTERIOR, _LEAF = 0x05, 0x0D
"""First byte of a page of a table: with children, with rows."""


def fold_in(file: Path) -> None:
    """Write what the WAL holds into the file itself, so that its pages are what is read next."""
    with closing(sqlite3.connect(file, timeout=10)) as connection:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0


def page_size(file: Path) -> int:
    """Bytes of a page; the header has 1 where 65,536 is meant, which Tocsin does not use."""
    with file.open("rb") as opened:
        return int.from_bytes(opened.read(18)[16:])


def leaves(file: Path, table: str) -> list[int]:
    """The numbers of the pages that hold a table's rows, in the order of its rows."""
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?"
        (root,) = connection.execute(query, (table,)).fetchone()
    return list(_leaves(file.read_bytes(), page_size(file), root))


def _leaves(content: bytes, size: int, page: int) -> Iterator[int]:
    start = (page - 1) * size
    if content[start] == _LEAF:
        yield page
        return
    assert content[start] == _INTERIOR, f"page {page} is of no table"

    def number(at: int, width: int) -> int:
        return int.from_bytes(content[start + at : start + at + width])

    for cell in range(number(3, 2)):
        yield from _leaves(content, size, number(number(12 + 2 * cell, 2), 4))
    yield from _leaves(content, size, number(8, 4))


def overwrite(file: Path, page: int, *, at: int = 0, length: int | None = None, seed: int = 1) -> None:
    """Put noise over a page, or over `length` bytes of it from `at` on, behind the database's back."""
    size = page_size(file)
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size + at)
        opened.write(random.Random(seed).randbytes(size - at if length is None else length))


def spoil(file: Path, content: bytes, *, seed: int = 1) -> None:
    """Put noise over the only place in the file that holds this content."""
    at = file.read_bytes().index(content)
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(random.Random(seed).randbytes(len(content)))
