"""Annexes as a workbook: a sheet each."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

from openpyxl import Workbook
from openpyxl.styles import Alignment, Border, Font, Side

from web.annexes.grid import placed
from web.annexes.sheets import Sheet

_LINE = Side(style="thin")
_BORDER = Border(left=_LINE, right=_LINE, top=_LINE, bottom=_LINE)
_WRAP = Alignment(wrap_text=True, vertical="center")
_NOT_PRINTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def workbook(sheets: Iterable[Sheet]) -> bytes:
    """The file. Texts stay texts: what begins like a formula is none."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for sheet in sheets:
        page = book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", _NOT_PRINTED.sub("", sheet.name))[:31])
        columns = len(sheet.widths)
        for column, width in enumerate(sheet.widths, 1):
            page.column_dimensions[chr(64 + column)].width = width
        row = 1
        for text in (sheet.title, *sheet.above):
            _write(page, row, 1, text, (columns, 1))
            row += 1
        page.cell(1, 1).font = Font(bold=True, size=14)
        tall = row
        for down, across, cell in placed(sheet.rows):
            _write(page, row + down, across + 1, cell.text, (cell.across, cell.down), framed=True)
            tall = max(tall, row + down + cell.down)
        for text in sheet.below:
            _write(page, tall, 1, text, (columns, 1))
            tall += 1
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _write(page: object, row: int, column: int, text: str, span: tuple[int, int], *, framed: bool = False) -> None:
    across, down = span
    cell = page.cell(row, column)  # type: ignore[attr-defined]
    cell.value = _NOT_PRINTED.sub("", text)
    cell.data_type = "s"
    cell.alignment = _WRAP
    if framed:
        for right in range(across):
            for below in range(down):
                page.cell(row + below, column + right).border = _BORDER  # type: ignore[attr-defined]
    if across > 1 or down > 1:
        page.merge_cells(  # type: ignore[attr-defined]
            start_row=row, start_column=column, end_row=row + down - 1, end_column=column + across - 1
        )
