"""A report as a workbook: native tables and charts.

The library cannot write a pivot table of Excel's own. The cross table is therefore one of figures, and the sheet of
incidents is a table with a name, from which Insert › PivotTable makes one.
"""

from __future__ import annotations

import io
import re

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.table import Table, TableStyleInfo
from openpyxl.worksheet.worksheet import Worksheet

from web.reporting.content import Content, Sheet, Value

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NO_TITLE = re.compile(r"[\[\]:*?/\\]")
LONGEST_TEXT = 32_767
"""Characters in one cell of Excel."""
MINUTE_MS = 60_000
FORMATS = {"count": "#,##0", "ms": '#,##0.0" min"', "share": "0.0%"}
LINES_IN_A_CHART = 40


def workbook(content: Content, incidents: Sheet) -> bytes:
    """The bytes of the .xlsx file."""
    book = Workbook()
    first = book.active
    assert isinstance(first, Worksheet)
    _cover(first, content)
    for sheet in (*content.sheets, incidents):
        page = book.create_sheet(_NO_TITLE.sub(" ", sheet.title)[:31])
        _fill(page, sheet)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cover(page: Worksheet, content: Content) -> None:
    page.title = _NO_TITLE.sub(" ", content.title)[:31]
    _put(page.cell(1, 1), content.title)
    page.cell(1, 1).font = Font(bold=True, size=16)
    lines = [*content.facts, *(("!", warning) for warning in content.warnings)]
    for row, (name, said) in enumerate(lines, 3):
        _put(page.cell(row, 1), name)
        _put(page.cell(row, 2), said)
    page.column_dimensions["A"].width, page.column_dimensions["B"].width = 18, 100


def _fill(page: Worksheet, sheet: Sheet) -> None:
    for place, name in enumerate(_unique(sheet.columns), 1):
        _put(page.cell(1, place), name)
        page.column_dimensions[get_column_letter(place)].width = 24 if place == 1 else 14
    for row, values in enumerate(sheet.rows, 2):
        for place, value in enumerate(values, 1):
            _put(page.cell(row, place), value)
    body = len(sheet.rows) - sheet.total
    if body > 0:
        corner = f"{get_column_letter(len(sheet.columns))}{body + 1}"
        table = Table(displayName=f"tocsin_{sheet.key}", ref=f"A1:{corner}")
        table.tableStyleInfo = TableStyleInfo(name="TableStyleMedium2", showRowStripes=True)
        page.add_table(table)
    if sheet.total:
        for place in range(1, len(sheet.columns) + 1):
            page.cell(len(sheet.rows) + 1, place).font = Font(bold=True)
    page.freeze_panes = "B2"
    if sheet.chart and body > 0:
        _draw(page, sheet, min(body, LINES_IN_A_CHART))


def _draw(page: Worksheet, sheet: Sheet, body: int) -> None:
    chart = BarChart()
    chart.title, chart.height, chart.width = sheet.title, 9, 22
    for place in sheet.chart:
        chart.add_data(Reference(page, min_col=place + 1, min_row=1, max_row=body + 1), titles_from_data=True)
    chart.set_categories(Reference(page, min_col=1, min_row=2, max_row=body + 1))
    chart.x_axis.delete = chart.y_axis.delete = False
    page.add_chart(chart, f"B{len(sheet.rows) + 4}")


def _unique(names: tuple[str, ...]) -> list[str]:
    """Names of columns: a native table takes none twice."""
    seen: list[str] = []
    for name in names:
        seen.append(name if name not in seen else f"{name} ({len(seen) + 1})")
    return seen


def _put(cell: Cell | object, value: Value) -> None:
    """Text is never a formula, whatever it begins with."""
    assert isinstance(cell, Cell)
    if isinstance(value, str):
        cell.value = _UNPRINTABLE.sub("\ufffd", value)[:LONGEST_TEXT]
        cell.data_type = "s"
        return
    if value.value is None:
        return
    cell.value = value.value / MINUTE_MS if value.unit == "ms" else value.value
    cell.number_format = FORMATS[value.unit]
