"""One report, in the form that was asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Literal, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from projections.reporting import IncidentLine, Report
from schemas.config import Language
from web.charts import DESK, Series, stacked_columns
from web.reporting.content import Content, Figure, Sheet, content_of, lines_of, shown
from web.reporting.paper import paper
from web.reporting.workbook import workbook
from web.texts import text

Format = Literal["html", "xlsx", "pdf"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
MEDIA_TYPES: Final[dict[Format, str]] = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


def document(report: Report, lines: list[IncidentLine], form: Format, language: Language) -> bytes:
    """The bytes of the report; `lines` are the incidents of its period. Raises ConfigError for a PDF without a font."""
    content = content_of(report, language)
    if form == "xlsx":
        if len(lines) < report.total.opened:
            cut = text(language, "summary.lines_cut", count=len(lines), of=report.total.opened)
            content = replace(content, warnings=[*content.warnings, cut])
        return workbook(content, lines_of(lines, language))
    if form == "pdf":
        return paper(content, language, text(language, "summary.more"))
    return page(content, language).encode()


def page(content: Content, language: Language) -> str:
    """The report as a page that stands alone: no script, nothing to load, its charts within."""
    template = _pages.get_template("summary_document.html")
    show = partial(_shown, language)
    return template.render(content=content, language=language, shown=show, chart=_chart)


def _shown(language: Language, value: str | Figure, signed: bool) -> str:
    return shown(value, language, signed=signed)


def _chart(sheet: Sheet) -> str:
    body = sheet.rows[: len(sheet.rows) - sheet.total]
    numbers = [[row[place] for row in body] for place in sheet.chart[:1]]
    series = [
        Series(sheet.columns[place], f"c{rank}", [int(one.value or 0) for one in column if isinstance(one, Figure)])
        for rank, (place, column) in enumerate(zip(sheet.chart, numbers, strict=False), 1)
    ]
    return stacked_columns(sheet.title, [str(row[0]) for row in body], series, DESK) if body else ""
