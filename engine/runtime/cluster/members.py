"""What the processes of a cluster know of each other: who is there, and which rules are in force."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Engine, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from engine.core import CORE_VERSION
from engine.runtime.cluster.tables import MEMBERS, REFUSED, RULES
from engine.store.database import outages_named
from schemas.config import Rules
from schemas.errors import ConfigError

BEAT_S = 3.0
GONE_MS = 15_000
"""A member that was not seen for so long is gone."""
FORGOTTEN_MS = 24 * 3_600_000
REFUSALS_KEPT_MS = 3_600_000
_NOW_MS = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")


class Member(msgspec.Struct, frozen=True):
    """One process of the cluster, as it was last seen."""

    name: str
    kind: str
    version: str
    core_version: int
    rules_digest: str
    clock_ahead_ms: int
    since_ms: int
    seen_ms: int


class RuleSet(msgspec.Struct, frozen=True):
    """The rules that the cluster decides by."""

    number: int
    digest: str
    scope: str
    body: bytes


def beat(engine: Engine, name: str, kind: str, version: str, rules_digest: str) -> None:
    """Say that we are there."""
    with outages_named("say that we are there"), engine.connect() as connection, connection.begin():
        before_ms = time.time_ns() // 1_000_000
        now_ms = connection.execute(_NOW_MS).scalar_one()
        after_ms = time.time_ns() // 1_000_000
        row = {
            "name": name, "kind": kind, "version": version, "core_version": CORE_VERSION, "rules_digest": rules_digest,
            "clock_ahead_ms": (before_ms + after_ms) // 2 - now_ms, "since_ms": now_ms, "seen_ms": now_ms,
        }  # fmt: skip
        changing = {key: value for key, value in row.items() if key not in ("name", "since_ms")}
        connection.execute(insert(MEMBERS).values(row).on_conflict_do_update(index_elements=["name"], set_=changing))
        connection.execute(delete(MEMBERS).where(MEMBERS.c.seen_ms < now_ms - FORGOTTEN_MS))
        connection.execute(delete(REFUSED).where(REFUSED.c.at_ms < now_ms - REFUSALS_KEPT_MS))


def leave(engine: Engine, name: str) -> None:
    """Say goodbye."""
    with outages_named("say goodbye"), engine.connect() as connection, connection.begin():
        connection.execute(delete(MEMBERS).where(MEMBERS.c.name == name))


def members(engine: Engine) -> tuple[Sequence[Member], int]:
    """The members by name, and the database's time."""
    with outages_named("read the members"), engine.connect() as connection:
        rows = connection.execute(select(MEMBERS).order_by(MEMBERS.c.kind, MEMBERS.c.name)).all()
        return [Member(*row) for row in rows], int(connection.execute(_NOW_MS).scalar_one())


def newest_rules(engine: Engine) -> RuleSet | None:
    """The rules in force, None before any were registered."""
    with outages_named("read the rules"), engine.connect() as connection:
        return _newest(connection)


def register_rules(engine: Engine, rules: Rules, *, insist: bool = False) -> RuleSet:
    """The rules that the cluster is to decide by: these, where the cluster has never seen them, else its newest.

    A process that was started again with an older file must not undo what a newer one brought; `insist` puts old rules
    in force again. Raises ConfigError where the labels of the scope differ: that moves scopes between partitions.
    """
    scope = ",".join(rules.grouping.scope)
    with outages_named("register the rules"), engine.connect() as connection, connection.begin():
        connection.execute(text("LOCK TABLE cluster_rules IN SHARE ROW EXCLUSIVE MODE"))
        newest = _newest(connection)
        if newest is not None and newest.scope != scope:
            raise ConfigError(
                f"the cluster's scopes are made of {newest.scope}, not of {scope}: see docs/cluster.md",
                key="rules.grouping.scope",
            )
        known = connection.execute(select(RULES.c.number).where(RULES.c.digest == rules.digest).limit(1)).scalar()
        if newest is not None and (newest.digest == rules.digest or (known is not None and not insist)):
            return newest
        number = newest.number + 1 if newest else 1
        body = rules.canonical()
        row = {"number": number, "digest": rules.digest, "scope": scope, "body": body}
        connection.execute(insert(RULES).values(row | {"at_ms": connection.execute(_NOW_MS).scalar_one()}))
        return RuleSet(number, rules.digest, scope, body)


def _newest(connection: Connection) -> RuleSet | None:
    columns = (RULES.c.number, RULES.c.digest, RULES.c.scope, RULES.c.body)
    row = connection.execute(select(*columns).order_by(RULES.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else RuleSet(row.number, row.digest, row.scope, bytes(row.body))
