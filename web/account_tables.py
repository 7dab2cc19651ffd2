"""Where local accounts are kept: users, sessions, API tokens, preferences, second
factors, sign-in failures and the audit of these."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("password_ms", BigInteger, nullable=False),
    Column("last_sign_in_ms", BigInteger, nullable=False, default=0),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user", String(64), ForeignKey("users.name"), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("ip", String(64), nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user", String(64), ForeignKey("users.name"), nullable=False, index=True),
    Column("label", String(100), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

preferences = Table(
    "preferences",
    metadata,
    Column("user", String(64), ForeignKey("users.name"), primary_key=True),
    Column("language", String(8), nullable=False),
)

setup_tokens = Table(
    "setup_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("user", String(64), ForeignKey("users.name"), primary_key=True),
    Column("secret", String(64), nullable=False),
    Column("confirmed_ms", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user", String(64), ForeignKey("users.name"), primary_key=True),
    Column("digest", String(64), primary_key=True),
)

pending_sign_ins = Table(
    "pending_sign_ins",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user", String(64), ForeignKey("users.name"), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("ip", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("sign_in_failures_by_name", "name", "at_ms"),
    Index("sign_in_failures_by_ip", "ip", "at_ms"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("actor", String(80), nullable=False),
    Column("action", String(40), nullable=False),
    Column("object", String(200), nullable=False),
    Column("result", String(40), nullable=False),
    Column("ip", String(64), nullable=False),
)
