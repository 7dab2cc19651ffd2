"""The printed annexes, against the tender's own wording line by line (R12)."""

from __future__ import annotations

import io
import re
from pathlib import Path

import openpyxl
import pytest
from docx import Document

from schemas.assessment import AssessmentEvent, Period, after
from schemas.assessment_score import digest, score
from tests.assessments import assessed_period, rated
from web.annexes import FORMATS, annexes, write_annexes
from web.annexes.sheets import sheets

TENDER = (Path(__file__).parents[1] / "payloads/procurement/annexes.txt").read_text("utf-8").splitlines()


def period_of(events: list[AssessmentEvent]) -> Period:
    """The period after these events."""
    found: Period | None = None
    for event in events:
        found = after(found, event)
    assert found is not None
    return found


def words(text: str) -> str:
    """A text without blanks, digits and the raters' names, which forms are filled with, and with empty boxes."""
    return re.sub(r"[\s\d]|(?<=评分人签名：)(li|wang)", "", text).replace("☑", "□")


def text_of(content: bytes, kind: str) -> str:
    """All that is written in a file."""
    if kind == "xlsx":
        book = openpyxl.load_workbook(io.BytesIO(content))
        cells = [cell.value for page in book.worksheets for row in page.iter_rows() for cell in row if cell.value]
        return "\n".join(str(cell) for cell in cells)
    paper = Document(io.BytesIO(content))
    boxes = [cell.text for table in paper.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(one.text for one in paper.paragraphs), *boxes])


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_line_of_the_tender_is_printed(kind: str) -> None:
    """Each line of annexes 1 to 4 stands in the file, word for word; blanks may be filled in."""
    filled = period_of([one for one in assessed_period() if type(one).__name__ != "ServiceItemJudged"])
    printed = words(text_of(annexes(filled, kind), kind))
    missing = [line for line in TENDER if words(line).strip("。：") not in printed]
    assert len(TENDER) == 148
    assert not missing


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_the_numbers_are_filled_in(kind: str) -> None:
    """By hand: raters 91 and 94 mean 92.50; −10 for the item, −15 for the outage: 67.50, 337,500 yuan, 33.75 %."""
    period = period_of(assessed_period())
    found = score(period)
    assert [str(one) for one in (found.quality, found.completion, found.capability)] == ["92.50", "-10", "-15"]
    printed = text_of(annexes(period, kind), kind)
    for number in ("92.50", "67.50", "337500.00", "33.7500%", "INC-7@1 一般.1 -15", digest(period), "负责人：tou"):
        assert number in printed


def test_texts_never_become_formulas(tmp_path: Path) -> None:
    """What a person wrote that begins like a formula stands there as text."""
    events = [*assessed_period()[:1], rated("=1+1", 60)]
    (path, _) = write_annexes(period_of(events), tmp_path)
    book = openpyxl.load_workbook(path)
    kinds = {cell.data_type for page in book.worksheets for row in page.iter_rows() for cell in row if cell.value}
    assert kinds == {"s"}


def test_tables_have_no_holes() -> None:
    """Each cell of each annex's table is covered exactly once."""
    for sheet in sheets(period_of(assessed_period())):
        covered = sum(cell.across * cell.down for row in sheet.rows for cell in row)
        assert covered == len(sheet.rows) * len(sheet.widths), sheet.name
