"""Where the cells of a table stand, once those that span rows and columns are counted."""

from __future__ import annotations

from collections.abc import Iterator

from web.annexes.sheets import Cell


def placed(rows: tuple[tuple[Cell, ...], ...]) -> Iterator[tuple[int, int, Cell]]:
    """Each cell with its row and column, from 0."""
    taken: set[tuple[int, int]] = set()
    for row, cells in enumerate(rows):
        column = 0
        for cell in cells:
            while (row, column) in taken:
                column += 1
            yield row, column, cell
            taken |= {(row + down, column + across) for down in range(cell.down) for across in range(cell.across)}
            column += cell.across
