"""`tocsin report`: the report of one period as a page, a workbook or a PDF (R1.7, R1.9)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.exc import OperationalError, ProgrammingError

from engine.cli.options import ConfigOption, reading, settings_of
from projections.measures import DIMENSIONS
from projections.reporting import incident_lines, period_named, report_on
from schemas.config import Language
from schemas.errors import StoreUnavailable
from web.reporting import FORMATS, document


def report(
    period: Annotated[str, typer.Option(help="2026-10-08, 2026-W41, 2026-10, 2026-Q4, 2026-H2 or 2026")],
    out: Annotated[Path, typer.Option(help="the file to write")],
    form: Annotated[str, typer.Option("--format", help=", ".join(FORMATS))] = "html",
    pivot: Annotated[
        str, typer.Option(help=f"rows and columns of the cross table, two of {', '.join(DIMENSIONS)}")
    ] = "module,problem_type",
    language: Annotated[str, typer.Option(help="zh or en; that of the rules if not given")] = "",
    config: ConfigOption = None,
) -> None:
    """Write the report of a period from the read models; it says how far the log was read. 报表。"""
    settings = settings_of(config)
    try:
        wanted = period_named(period)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--period") from wrong
    rows, _, columns = pivot.partition(",")
    down: Any = _one_of(rows, DIMENSIONS, "--pivot")
    across: Any = _one_of(columns, DIMENSIONS, "--pivot")
    kind: Any = _one_of(form, FORMATS, "--format")
    words: Language = _one_of(language or settings.rules.language, ("zh", "en"), "--language")  # type: ignore[assignment]
    store = reading(settings)
    try:
        with store.engine.connect() as conn:
            found = report_on(
                conn,
                wanted,
                made_ms=time.time_ns() // 1_000_000,
                timezone=settings.rules.timezone,
                pivot=(down, across),
            )
            lines = incident_lines(conn, wanted) if kind == "xlsx" else []
    except (OperationalError, ProgrammingError) as missing:
        raise StoreUnavailable(
            "the read models are not there: run tocsin serve once, or projections rebuild"
        ) from missing
    finally:
        store.close()
    out.write_bytes(document(found, lines, kind, words))
    typer.echo(f"{out}: {wanted.first_day} – {wanted.last_day}, {found.total.opened} incidents")


def _one_of(value: str, known: tuple[str, ...], option: str) -> str:
    if value not in known:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(known)}", param_hint=option)
    return value
