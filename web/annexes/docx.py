"""Annexes as a document for word processors: a page each."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from docx import Document
from docx.enum.text import WD_BREAK
from docx.oxml.ns import qn
from docx.shared import Pt

from web.annexes.grid import placed
from web.annexes.sheets import Sheet

_NOT_PRINTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def document(sheets: Sequence[Sheet]) -> bytes:
    """The file, in SimSun (宋体) as offices print it."""
    paper = Document()
    style = paper.styles["Normal"]
    style.font.name, style.font.size = "SimSun", Pt(10)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), "宋体")
    for number, sheet in enumerate(sheets):
        if number:
            paper.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
        for text in (sheet.title, *sheet.above):
            paper.add_paragraph(_NOT_PRINTED.sub("", text))
        cells = list(placed(sheet.rows))
        table = paper.add_table(rows=len(sheet.rows), cols=len(sheet.widths), style="Table Grid")
        for row, column, cell in cells:
            box = table.cell(row, column)
            if cell.across > 1 or cell.down > 1:
                box = box.merge(table.cell(row + cell.down - 1, column + cell.across - 1))
            box.text = _NOT_PRINTED.sub("", cell.text)
        for text in sheet.below:
            paper.add_paragraph(_NOT_PRINTED.sub("", text))
    content = io.BytesIO()
    paper.save(content)
    return content.getvalue()
