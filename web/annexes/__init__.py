"""The annexes of a service assessment as documents: xlsx and docx."""

from __future__ import annotations

from pathlib import Path

from schemas.assessment import Period
from web.annexes.docx import document
from web.annexes.sheets import sheets
from web.annexes.xlsx import workbook

__all__ = ["FORMATS", "annexes", "write_annexes"]

FORMATS = {"xlsx": workbook, "docx": document}


def annexes(period: Period, kind: str) -> bytes:
    """All annexes of a period as one file. Raises KeyError for a format that there is not."""
    return FORMATS[kind](sheets(period))


def write_annexes(period: Period, folder: Path) -> list[Path]:
    """Write each format into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in FORMATS:
        path = folder / f"{period.contract}-{period.name}.{kind}"
        path.write_bytes(annexes(period, kind))
        written.append(path)
    return written
