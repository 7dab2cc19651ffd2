"""Reports by e-mail at their times: each day's, week's and month's, once it is over (R1.9).

What was mailed is written down beside the log. A report whose mailing broke off is mailed again under the same
Message-ID, so that mailboxes can drop the second copy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import BigInteger, Column, Connection, Engine, MetaData, String, Table, insert, select
from sqlalchemy.exc import SQLAlchemyError

from projections.reporting import Period, incident_lines, period_of, report_on
from schemas.config import Settings
from schemas.errors import ConfigError, DeliveryError, StoreUnavailable
from schemas.report_mailing import ReportMailing
from web.reporting.content import content_of
from web.reporting.documents import FORMATS, MEDIA_TYPES, document, page
from web.texts import text

LOOK_EVERY_S: Final = 60.0
LATE_DAYS: Final = 3
"""A report that could not be mailed for so long, because nothing ran, is not mailed any more."""

Attachment = tuple[str, str, bytes]
"""File name, media type, content."""
Send = Callable[[str, tuple[str, str], list[Attachment], str, int], Awaitable[object]]
"""`send(subject, (text, html), attachments, message_id, at_ms)`; raises DeliveryError."""
Writing = Callable[[], AbstractContextManager[Connection]]

mailed_table = Table(
    "report_mailings",
    MetaData(),
    Column("period", String(10), primary_key=True),
    Column("mailed_ms", BigInteger, nullable=False),
)

log = structlog.get_logger(__name__)


class Mailing:
    """Mails the reports that are due. One process does it: the one that writes the log."""

    def __init__(self, engine: Engine, writing: Writing, settings: Settings, send: Send) -> None:
        """Makes the table of what was mailed, if it is not there."""
        mailed_table.create(engine, checkfirst=True)
        self._engine, self._writing, self._rules, self._send = engine, writing, settings.reports, send
        self._timezone, self._language = settings.rules.timezone, settings.rules.language

    async def run(self, now_ms: Callable[[], int]) -> None:
        """Look every minute what is due. Runs until it is cancelled."""
        while True:
            try:
                await self.mail_due(now_ms())
            except (DeliveryError, ConfigError, StoreUnavailable, SQLAlchemyError) as trouble:
                log.error("report_not_mailed", problem=str(trouble))
            await asyncio.sleep(LOOK_EVERY_S)

    async def mail_due(self, now_ms: int) -> list[str]:
        """Mail what is due at `now_ms` and was not mailed yet; the names of the periods.

        Raises DeliveryError, and ConfigError for a PDF without a font: it is tried again at the next look.
        """
        mailed = []
        for period in self._due(now_ms):
            subject, bodies, attachments = await asyncio.to_thread(self._letter, period, now_ms)
            await self._send(subject, bodies, attachments, f"report.{period.name}", now_ms)
            await asyncio.to_thread(self._remember, period, now_ms)
            log.info("report_mailed", period=period.name)
            mailed.append(period.name)
        return mailed

    def _due(self, now_ms: int) -> list[Period]:
        wanted = list(due(self._rules, self._timezone, now_ms))
        with self._engine.connect() as conn:
            named = [period.name for period in wanted]
            done = set(conn.scalars(select(mailed_table.c.period).where(mailed_table.c.period.in_(named))))
        return [period for period in wanted if period.name not in done]

    def _letter(self, period: Period, now_ms: int) -> tuple[str, tuple[str, str], list[Attachment]]:
        with self._engine.connect() as conn:
            report = report_on(conn, period, made_ms=now_ms, timezone=self._timezone)
            lines = incident_lines(conn, period) if "xlsx" in self._rules.formats else []
        content = content_of(report, self._language)
        facts = [*(f"{name}: {said}" for name, said in content.facts), *content.warnings]
        plain = "\n".join([*facts, "", text(self._language, "summary.mail_total", count=report.total.opened)])
        attachments = [
            (f"tocsin-{period.name}.{form}", MEDIA_TYPES[form], document(report, lines, form, self._language))
            for form in FORMATS
            if form in self._rules.formats
        ]
        return content.title, (plain, page(content, self._language)), attachments

    def _remember(self, period: Period, now_ms: int) -> None:
        with self._writing() as tx:
            tx.execute(insert(mailed_table).values(period=period.name, mailed_ms=now_ms))


def due(rules: ReportMailing, timezone: str, now_ms: int) -> Iterator[Period]:
    """The periods that were over in the last days and whose time of day for mailing has come, oldest first."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(timezone))
    hour, minute = (int(part) for part in rules.at.split(":"))
    for back in range(LATE_DAYS, -1, -1):
        day = now.date() - timedelta(days=back)
        if now < datetime(day.year, day.month, day.day, hour, minute, tzinfo=now.tzinfo):
            continue
        ended = partial(period_of, day=day - timedelta(days=1))
        if "daily" in rules.every:
            yield ended("day")
        if "weekly" in rules.every and day.isoweekday() == 1:
            yield ended("week")
        if "monthly" in rules.every and day.day == 1:
            yield ended("month")
