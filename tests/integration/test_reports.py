"""Reports of a period (R1.6, R1.7, R1.9): page, downloads, API and command say what the log says."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pypdfium2
import pytest
import pytest_asyncio
from openpyxl import load_workbook
from openpyxl.workbook import Workbook
from sqlalchemy import text as sql
from typer.testing import CliRunner

from engine.cli import app
from notifiers.email.notifier import EmailNotifier
from projections.reporting import incident_lines, period_named, report_on
from schemas.config import EmailChannel, Settings
from schemas.errors import DeliveryError
from schemas.report_mailing import ReportMailing
from tests.integration.web_site import CONFIG, Installation, running
from tests.peers.smtp import SmtpPeer
from web.reporting import document
from web.reporting.mailing import Mailing, due

MONTH = "2026-01"
"""The month in which the clock of the site stands."""


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin with three incidents, the service of one of which looks like a formula."""
    async with running(tmp_path) as site:
        for service in ("pay", "orders", '=HYPERLINK("http://evil.example")'):
            await site.fire({"alertname": "DiskFull", "service": service, "severity": "critical"})
        yield site


@pytest.fixture
def logged(site: Installation) -> Iterator[int]:
    """How many incidents the log itself says were opened."""
    with site.store.engine.connect() as conn:
        yield int(conn.scalar(sql("SELECT count(*) FROM events WHERE type = 'incident_opened'")) or 0)


def read(body: bytes) -> Workbook:
    return load_workbook(io.BytesIO(body))


async def test_every_form_has_the_totals_of_the_log(site: Installation, logged: int) -> None:
    """Page, API and all three downloads count the incidents that the log counts, and name its position."""
    browser = await site.browser("viewer", "en")
    page = await browser.get(f"/reports?period={MONTH}&rows=service&columns=hour")
    assert page.status_code == 200
    assert "Monthly report 2026-01" in page.text
    asked = f"/reports/download?period={MONTH}&rows=service&columns=hour&format="
    book = read((await browser.get(asked + "xlsx")).content)
    cover = {row[0].value: row[1].value for row in book.worksheets[0].iter_rows(min_row=3, max_col=2)}
    assert cover["Log position (partition:seq)"].startswith("0:")
    figures = {row[0].value: row[1].value for row in book["Key figures"].iter_rows(min_row=2)}
    assert figures["New incidents"] == logged == 3
    by_service = list(book["By service"].iter_rows(min_row=2, values_only=True))
    assert by_service[-1][1] == sum(row[1] for row in by_service[:-1]) == logged
    assert len(list(book["Incidents"].iter_rows(min_row=2))) == logged
    pdf = pypdfium2.PdfDocument((await browser.get(asked + "pdf")).content)
    words = "\n".join(leaf.get_textpage().get_text_range() for leaf in pdf)
    pdf.close()
    assert "Monthly report 2026-01" in words
    assert "New incidents 3" in words.replace("\r\n", " ").replace("  ", " ")
    html = await browser.get(asked + "html")
    assert "attachment" in html.headers["content-disposition"]
    assert "<script" not in html.text
    told = (await browser.get(f"/api/v1/reports/{MONTH}")).json()
    assert told["total"]["opened"] == logged
    assert told["measures"]["closure_rate"] == 0
    assert (await browser.get("/api/v1/reports/soon")).status_code == 404


async def test_workbooks_have_native_tables_charts_and_no_formula(site: Installation, logged: int) -> None:
    """Tables have names, charts are Excel's own, and a service named like a formula stays a text."""
    browser = await site.browser("viewer", "zh")
    answer = await browser.get(f"/reports/download?period={MONTH}&format=xlsx")
    book = read(answer.content)
    assert {"tocsin_service", "tocsin_incidents"} <= {name for sheet in book for name in sheet.tables}
    assert book["趋势"]._charts
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert any(cell.value == '=HYPERLINK("http://evil.example")' for cell in cells)
    assert "f" not in {cell.data_type for cell in cells}


async def test_pdf_speaks_chinese(site: Installation) -> None:
    """The characters are in the PDF as text, not as boxes."""
    browser = await site.browser("viewer", "zh")
    body = (await browser.get(f"/reports/download?period={MONTH}&format=pdf")).content
    pdf = pypdfium2.PdfDocument(body)
    words = pdf[0].get_textpage().get_text_range()
    pdf.close()
    assert "运维月报 2026-01" in words
    assert "平均响应时长" in words


async def test_a_wrong_period_is_said(site: Installation) -> None:
    """The page says which forms there are and shows last month; a period that is not over says so."""
    browser = await site.browser("viewer", "en")
    wrong = await browser.get("/reports?period=2026-13")
    assert wrong.status_code == 200
    assert "That is no period" in wrong.text
    assert "Monthly report 2025-12" in wrong.text
    assert "This period is not over" in (await browser.get(f"/reports?period={MONTH}")).text


async def test_the_command_writes_each_form(site: Installation, tmp_path: Path, logged: int) -> None:
    """`tocsin report` writes what the console offers, beside a running server; wrong options are refused."""
    config = tmp_path / "tocsin.yaml"
    config.write_text(f"store: {{url: 'sqlite:///{tmp_path}/tocsin.db'}}\n")
    for form, begins in (("html", b"<!doctype"), ("xlsx", b"PK"), ("pdf", b"%PDF")):
        out = tmp_path / f"report.{form}"
        words = ["report", "--period", MONTH, "--format", form, "--out", str(out), "-c", str(config)]
        ran = CliRunner().invoke(app, words)
        assert ran.exit_code == 0, ran.output
        assert f"{logged} incidents" in ran.stdout
        assert out.read_bytes().startswith(begins)
    for wrong in (
        ["--period", "soon"],
        ["--period", MONTH, "--format", "doc"],
        ["--period", MONTH, "--pivot", "module,mood"],
    ):
        refused = CliRunner().invoke(app, ["report", *wrong, "--out", str(tmp_path / "x"), "-c", str(config)])
        assert refused.exit_code == 2


def shanghai(text: str) -> int:
    """A local time as UTC milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()) * 1000


@pytest.mark.parametrize(
    ("now", "periods"),
    [
        ("2026-06-04T07:59", ["2026-05-31", "2026-W22", "2026-05", "2026-06-01", "2026-06-02"]),
        ("2026-06-05T08:00", ["2026-06-01", "2026-06-02", "2026-06-03", "2026-06-04"]),
        ("2026-03-01T08:00", ["2026-02-25", "2026-02-26", "2026-02-27", "2026-02-28", "2026-02"]),
    ],
)
def test_reports_are_due_when_their_period_is_over(now: str, periods: list[str]) -> None:
    """Days, weeks on Mondays and months on the first, from their time of day on, and for three days."""
    rules = ReportMailing(email="mail", every=("daily", "weekly", "monthly"))
    assert [period.name for period in due(rules, "Asia/Shanghai", shanghai(now))] == periods


async def test_a_month_is_mailed_once_with_its_attachments(site: Installation, logged: int) -> None:
    """Refused first, it is mailed at the next look, once, with the page, a workbook and a PDF."""
    async with SmtpPeer("451") as peer:
        mail = {"type": "email", "host": "127.0.0.1", "port": peer.port, "sender": "t@example.com", "to": ["b@c.de"]}
        channels = {"channels": {"mail": mail}, "reports": {"email": "mail", "every": ["monthly"]}}
        settings = Settings.model_validate(CONFIG | channels)
        channel = settings.channels["mail"]
        assert isinstance(channel, EmailChannel)
        mailing = Mailing(site.store.engine, site.store.writing, settings, EmailNotifier("mail", channel).send_page)
        first = shanghai("2026-02-01T08:00")
        with pytest.raises(DeliveryError):
            await mailing.mail_due(first)
        peer.mode = "accept"
        assert await mailing.mail_due(first + 60_000) == [MONTH]
        assert await mailing.mail_due(first + 120_000) == []
        (letter,) = peer.messages[-1:]
    assert "2026-01" in str(letter["Subject"])
    assert {part.get_filename() for part in letter.iter_attachments()} == {"tocsin-2026-01.xlsx", "tocsin-2026-01.pdf"}
    body = letter.get_body(("plain",))
    assert body is not None
    assert str(logged) in body.get_content()
    assert letter["Message-ID"] == "<tocsin.report.2026-01@example.com>"


def test_reports_need_a_channel_of_email() -> None:
    """A channel that is not there, or is no e-mail, is refused with the key."""
    for name, channels in (("nobody", {}), ("hook", {"hook": {"type": "webhook", "url": "http://127.0.0.1:9/"}})):
        with pytest.raises(ValueError, match=r"reports\.email"):
            Settings.model_validate({"channels": channels, "reports": {"email": name}})


async def test_a_workbook_that_lists_fewer_incidents_says_so(site: Installation, logged: int) -> None:
    """The sheet of incidents may be cut; the cover then tells how many there are, and the totals stay whole."""
    period = period_named(MONTH)
    with site.store.engine.connect() as conn:
        report = report_on(conn, period, made_ms=shanghai("2026-02-01T08:00"), timezone="Asia/Shanghai")
        book = read(document(report, incident_lines(conn, period, limit=1), "xlsx", "en"))
    cover = "\n".join(str(row[1].value) for row in book.worksheets[0].iter_rows(min_row=3, max_col=2))
    assert f"the first 1 of {logged}" in cover
    assert book["Key figures"]["B2"].value == logged
