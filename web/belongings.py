"""What belongs to one person with an account: the API tokens that act as them, and the language they read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, Engine, delete, func, insert, select

from web.account_tables import api_tokens, preferences

SHOWN_OF_DIGEST = 16
"""Hex digits that tell the tokens of one person apart: 64 bits."""


class Audit(Protocol):
    """Leaves a row in the audit, inside the transaction that it tells of."""

    def __call__(self, tx: Connection, actor: str, action: str, target: str, *, ip: str, result: str = "ok") -> None:
        """Write the row."""
        ...


@dataclass(frozen=True)
class ApiToken:
    """An API token as its owner sees it again: never the secret. `id` is the beginning of its digest."""

    id: str
    label: str
    created_ms: int


class Belongings:
    """Reads and changes them; methods block (disk)."""

    def __init__(self, engine: Engine, writing: Callable[[], AbstractContextManager[Connection]], audit: Audit) -> None:
        self._engine, self._writing, self._audit = engine, writing, audit

    def api_tokens(self, user: str) -> list[ApiToken]:
        """The tokens that act as this user, the newest first."""
        column = api_tokens.c
        statement = select(column.digest, column.label, column.created_ms).where(column.user == user)
        with self._engine.connect() as tx:
            rows = tx.execute(statement.order_by(column.created_ms.desc(), column.digest)).all()
        return [ApiToken(row.digest[:SHOWN_OF_DIGEST], row.label, row.created_ms) for row in rows]

    def revoke_api_token(self, user: str, token_id: str, *, ip: str = "") -> bool:
        """End one of the user's own tokens, at once; False when there is none of this id (already revoked)."""
        column = api_tokens.c
        mine = (column.user == user, func.substr(column.digest, 1, SHOWN_OF_DIGEST) == token_id)
        with self._writing() as tx:
            label = tx.scalar(select(column.label).where(*mine))
            if label is None:
                return False
            tx.execute(delete(api_tokens).where(*mine))
            self._audit(tx, f"user:{user}", "revoke_api_token", f"token/{label}", ip=ip)
        return True

    def language(self, user: str) -> str:
        """The language this person chose last, on whatever device; empty when they never chose."""
        with self._engine.connect() as tx:
            return str(tx.scalar(select(preferences.c.language).where(preferences.c.user == user)) or "")

    def keep_language(self, user: str, language: str) -> None:
        """Remember the language for the next sign-in, here or elsewhere."""
        with self._writing() as tx:
            tx.execute(delete(preferences).where(preferences.c.user == user))
            tx.execute(insert(preferences).values(user=user, language=language))
