"""The tables of the tickets (工单) and of their alerts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table

from projections.projection import PlainText

_metadata = MetaData()

tickets_table = Table(
    "tickets",
    _metadata,
    Column("incident", String(120), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("title", PlainText, nullable=False),
    Column("service", PlainText, nullable=False, comment="the first 200 characters"),
    Column("scope", PlainText, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("urgency", Integer, nullable=False),
    Column("impact", Integer, nullable=False),
    Column("priority", String(2), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("outage", String(16)),
    Column("assignee", PlainText, nullable=False),
    Column("acknowledged_by", PlainText, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("acknowledged_ms", BigInteger),
    Column("assigned_ms", BigInteger),
    Column("mitigated_ms", BigInteger),
    Column("resolved_ms", BigInteger),
    Column("closed_ms", BigInteger),
    Column("updated_ms", BigInteger, nullable=False),
    Column("alert_count", Integer, nullable=False),
    Column("firing_count", Integer, nullable=False),
    Column("description", PlainText, nullable=False),
    Column("solution", PlainText, nullable=False),
    Column("cause_code", PlainText, nullable=False),
    Column("merged_into", PlainText, nullable=False),
    Column("recurrence_of", PlainText, nullable=False),
    Column("reopen_count", Integer, nullable=False),
    Column("group_key", PlainText, nullable=False),
    Column("module", PlainText, nullable=False),
    Column("organisation", PlainText, nullable=False),
    Column("problem_type", PlainText, nullable=False),
    Column("classified_by", PlainText, nullable=False, comment="empty while it is only suggested"),
    Column("verified_by", PlainText, nullable=False),
    Column("verified_ms", BigInteger),
    Column("position", BigInteger, nullable=False, comment="seq of the last event applied to this row"),
    Index("tickets_by_opening", "opened_ms", "incident"),
    Index("tickets_by_state", "state", "opened_ms"),
    Index("tickets_by_service", "service", "opened_ms"),
)

alerts_table = Table(
    "ticket_alerts",
    _metadata,
    Column("incident", String(120), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("starts_ms", BigInteger, nullable=False),
    Column("resolved_ms", BigInteger, comment="null while it is firing"),
    Column("partition", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False, comment="of the event that says what the alert is"),
    sqlite_with_rowid=False,
)
