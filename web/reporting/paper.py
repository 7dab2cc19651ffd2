"""A report as a PDF, with a font that has Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.fonts import FontFace

from schemas.config import Language
from schemas.errors import ConfigError
from web.reporting.content import Content, Sheet, Value, shown

FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
)
"""Where Debian, Red Hat, Arch and Fedora keep it."""
SIMPLIFIED = 2
"""Place of the simplified Chinese face in the collection."""
COLUMNS, ROWS = 10, 60
"""Columns in one table on a page, and rows before a table refers to the workbook."""
MARGIN = 12
WHITE = (255, 255, 255)
BLUE, PALE, LINES = (31, 78, 121), (221, 235, 247), (190, 200, 210)


def cjk_font() -> Path:
    """The font. Raises ConfigError where it is not installed."""
    for place in FONTS:
        if Path(place).is_file():
            return Path(place)
    raise ConfigError("a PDF needs the font Noto Sans CJK: install the package fonts-noto-cjk")


def paper(content: Content, language: Language, more: str) -> bytes:
    """The bytes of the PDF; `more` stands below a table that was cut. Raises ConfigError without a font."""
    pdf = FPDF(orientation="landscape", format="A4")
    pdf.add_font("cjk", fname=cjk_font(), collection_font_number=SIMPLIFIED)
    pdf.set_title(content.title)
    pdf.set_draw_color(*LINES)
    pdf.set_auto_page_break(True, margin=MARGIN)
    pdf.add_page()
    pdf.set_font("cjk", size=18)
    pdf.multi_cell(0, 10, content.title, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("cjk", size=9)
    for name, said in content.facts:
        pdf.multi_cell(0, 5, f"{name}: {said}", new_x="LMARGIN", new_y="NEXT")
    for warning in content.warnings:
        pdf.multi_cell(0, 5, f"! {warning}", new_x="LMARGIN", new_y="NEXT")
    for sheet in content.sheets:
        _sheet(pdf, sheet, language, more)
    return bytes(pdf.output())


def _sheet(pdf: Any, sheet: Sheet, language: Language, more: str) -> None:
    pdf.ln(4)
    if pdf.get_y() + (60 if sheet.chart else 30) > pdf.h - MARGIN:  # no heading stands alone at the foot of a page
        pdf.add_page()
    pdf.set_font("cjk", size=12)
    pdf.multi_cell(0, 8, sheet.title, new_x="LMARGIN", new_y="NEXT")
    if sheet.chart:
        _bars(pdf, sheet)
    pdf.set_font("cjk", size=8)
    rows = sheet.rows if len(sheet.rows) <= ROWS else [*sheet.rows[: ROWS - sheet.total], *sheet.rows[-1:]]
    for first in range(1, len(sheet.columns), COLUMNS - 1):
        part = [0, *range(first, min(first + COLUMNS - 1, len(sheet.columns)))]
        with pdf.table(
            headings_style=FontFace(color=WHITE, fill_color=BLUE), cell_fill_color=PALE,
            cell_fill_mode="ROWS", text_align=("LEFT", *("RIGHT",) * (len(part) - 1)), line_height=5,
        ) as table:  # fmt: skip
            _row(table, [sheet.columns[place] for place in part])
            for row in rows:
                _row(table, [_text(row[place], language, sheet, place) for place in part])
        pdf.ln(2)
    if len(rows) < len(sheet.rows):
        pdf.multi_cell(0, 5, more, new_x="LMARGIN", new_y="NEXT")


def _text(value: Value, language: Language, sheet: Sheet, place: int) -> str:
    return shown(value, language, signed=sheet.key == "summary" and place == len(sheet.columns) - 1)


def _row(table: Any, texts: Sequence[str]) -> None:
    row = table.row()
    for one in texts:
        row.cell(one[:200])


def _bars(pdf: Any, sheet: Sheet) -> None:
    """The first charted column, as a row of bars."""
    body = sheet.rows[: len(sheet.rows) - sheet.total][:ROWS]
    sizes = [0.0 if isinstance(row[sheet.chart[0]], str) else float(row[sheet.chart[0]].value or 0) for row in body]  # type: ignore[union-attr]
    highest = max(sizes, default=0)
    if not highest:
        return
    foot, wide = pdf.get_y() + 28, min(14.0, pdf.epw / len(body))
    pdf.set_fill_color(*BLUE)
    pdf.set_font("cjk", size=6)
    for place, size in enumerate(sizes):
        tall, left = 22 * size / highest, pdf.l_margin + place * wide
        pdf.rect(left + wide * 0.1, foot - tall, wide * 0.8, tall, style="F")
        pdf.text(left + wide * 0.1, foot - tall - 1, f"{size:.0f}")
        pdf.text(left + wide * 0.1, foot + 3, str(body[place][0])[-max(3, int(wide)) :])
    pdf.set_fill_color(*WHITE)  # else every second row of the next table would be filled with it
    pdf.set_y(foot + 6)
