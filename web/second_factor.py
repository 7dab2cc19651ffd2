"""The second factor: an authenticator app's code, or a recovery code, asked after the password (GB/T 22239, 8.1.4.1 d).

The app's secret must be kept as it is, because codes are counted from it; recovery codes are kept as digests.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, exists, insert, select, update

from web import totp
from web.account_tables import pending_sign_ins, recovery_codes, second_factors, sessions, users
from web.belongings import Audit
from web.people import AccountRefused, SecondFactorAsked, Session, digest_of

PENDING_MS = 5 * 60_000
"""How long after the password the code may be given."""
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
"""80 random bits each, so that a digest without salt cannot be guessed back."""


@dataclass(frozen=True)
class Lock:
    """The lock of the sign-in, which wrong codes feed as wrong passwords do.

    `locked(tx, name, ip)` says whether it is shut; `refuse(name, ip, locked, code)` records a failure and raises;
    `open(name, ip)` opens a session and forgets the failures.
    """

    locked: Callable[[Connection, str, str], bool]
    refuse: Callable[[str, str, bool, str], None]
    open: Callable[[str, str], Session]


def enrolled(user: Any) -> Any:
    """The SQL condition that the user in this column has a confirmed second factor."""
    return exists().where(second_factors.c.user == user, second_factors.c.confirmed_ms > 0)


class SecondFactor:
    """Enrols, checks and removes second factors; methods block (disk)."""

    def __init__(
        self,
        engine: Engine,
        writing: Callable[[], AbstractContextManager[Connection]],
        audit: Audit,
        now_ms: Callable[[], int],
        lock: Lock,
    ) -> None:
        self._engine, self._writing, self._audit = engine, writing, audit
        self._now_ms, self._lock = now_ms, lock

    # --- enrolling ----------------------------------------------------------------------------------------------

    def begin(self, user: str) -> str:
        """The secret to put into an app: the one that waits for its first code, or a fresh one.

        Raises AccountRefused (second_factor_on).
        """
        secret = totp.new_secret()
        with self._writing() as tx:
            row = self._factor(tx, user)
            if row is not None and row["confirmed_ms"]:
                raise AccountRefused("second_factor_on")
            if row is not None:
                return str(row["secret"])
            tx.execute(insert(second_factors).values(user=user, secret=secret, confirmed_ms=0, last_step=-1))
        return secret

    def confirm(self, user: str, code: str, *, keep: str, ip: str = "") -> list[str]:
        """Put the factor in force by its first code; returns the recovery codes, which are shown only now.

        Other sessions of the user end; `keep` is the digest of the one that stays. Raises AccountRefused.
        """
        with self._engine.connect() as tx:
            row = self._factor(tx, user)
        if row is None or row["confirmed_ms"]:
            raise AccountRefused("second_factor_on" if row else "wrong_code")
        step = totp.step_of(row["secret"], _plain(code), self._now_ms())
        if step is None:
            raise AccountRefused("wrong_code")
        waiting = (second_factors.c.user == user, second_factors.c.secret == row["secret"])
        with self._writing() as tx:
            set_up = update(second_factors).where(*waiting, second_factors.c.confirmed_ms == 0)
            if tx.execute(set_up.values(confirmed_ms=self._now_ms(), last_step=step)).rowcount != 1:
                raise AccountRefused("wrong_code")
            codes = _new_codes(tx, user)
            tx.execute(delete(sessions).where(sessions.c.user == user, sessions.c.digest != keep))
            self._audit(tx, f"user:{user}", "enrol_second_factor", f"user/{user}", ip=ip)
        return codes

    # --- signing in ---------------------------------------------------------------------------------------------

    def ask(self, tx: Connection, user: str) -> SecondFactorAsked | None:
        """After the right password, in its transaction: what to raise where a code is wanted too, else None."""
        if not tx.scalar(select(enrolled(user))):
            return None
        token = secrets.token_urlsafe(32)
        tx.execute(delete(pending_sign_ins).where(pending_sign_ins.c.created_ms <= self._now_ms() - PENDING_MS))
        tx.execute(insert(pending_sign_ins).values(digest=digest_of(token), user=user, created_ms=self._now_ms()))
        return SecondFactorAsked(token)

    def answer(self, pending: str, code: str, *, ip: str = "") -> Session:
        """Open the session of a pending sign-in by a code; neither works again. Raises AccountRefused: ``wrong_code``,
        ``locked``, or ``sign_in_over`` where it must begin with the password again."""
        waiting = pending_sign_ins.c
        query = (
            select(waiting.user)
            .join(users, users.c.name == waiting.user)
            .where(waiting.digest == digest_of(pending), waiting.created_ms > self._now_ms() - PENDING_MS)
            .where(users.c.enabled, users.c.password_ms <= waiting.created_ms)
        )
        with self._engine.connect() as tx:
            user = tx.scalar(query)
        if user is None:
            raise AccountRefused("sign_in_over")
        self.check(user, code, ip=ip)
        with self._writing() as tx:
            if tx.execute(delete(pending_sign_ins).where(waiting.digest == digest_of(pending))).rowcount != 1:
                raise AccountRefused("sign_in_over")
        return self._lock.open(str(user), ip)

    def check(self, user: str, code: str, *, ip: str = "") -> None:
        """Use up a code of the app or a recovery code. Raises AccountRefused (wrong_code, locked); failures count."""
        with self._writing() as tx:
            locked = self._lock.locked(tx, user, ip)
            right = not locked and (self._use_code(tx, user, code) or self._use_recovery(tx, user, code, ip))
        if not right:
            self._lock.refuse(user, ip, locked, "wrong_code")

    def _use_code(self, tx: Connection, user: str, code: str) -> bool:
        """Whether it is a code of the app later than the last one used: none opens twice (RFC 6238, 5.2)."""
        row = self._factor(tx, user)
        step = totp.step_of(row["secret"], _plain(code), self._now_ms()) if row and row["confirmed_ms"] else None
        if step is None:
            return False
        newer = (second_factors.c.user == user, second_factors.c.last_step < step)
        return tx.execute(update(second_factors).where(*newer).values(last_step=step)).rowcount == 1

    def _use_recovery(self, tx: Connection, user: str, code: str, ip: str) -> bool:
        mine = (recovery_codes.c.user == user, recovery_codes.c.digest == digest_of(_plain(code)))
        if tx.execute(delete(recovery_codes).where(*mine)).rowcount != 1:
            return False
        self._audit(tx, f"user:{user}", "use_recovery_code", f"user/{user}", ip=ip)
        return True

    # --- afterwards ---------------------------------------------------------------------------------------------

    def codes_left(self, user: str) -> int:
        """How many recovery codes the user has not used."""
        with self._engine.connect() as tx:
            return len(tx.execute(select(recovery_codes.c.digest).where(recovery_codes.c.user == user)).all())

    def renew_codes(self, user: str, code: str, *, ip: str = "") -> list[str]:
        """New recovery codes in place of the old, for a right code. Raises AccountRefused."""
        self.check(user, code, ip=ip)
        with self._writing() as tx:
            codes = _new_codes(tx, user)
            self._audit(tx, f"user:{user}", "renew_recovery_codes", f"user/{user}", ip=ip)
        return codes

    def remove(self, user: str, code: str, *, ip: str = "") -> None:
        """Take one's own factor away, for a right code. Raises AccountRefused."""
        self.check(user, code, ip=ip)
        with self._writing() as tx:
            _forget(tx, user)
            self._audit(tx, f"user:{user}", "remove_second_factor", f"user/{user}", ip=ip)

    def reset(self, user: str, *, by: str, ip: str = "") -> None:
        """Take the factor of somebody who lost phone and codes, and end their sessions; for administrators only."""
        if user == by:
            raise AccountRefused("not_yourself")
        with self._writing() as tx:
            _forget(tx, user)
            tx.execute(delete(sessions).where(sessions.c.user == user))
            self._audit(tx, f"user:{by}", "reset_second_factor", f"user/{user}"[:200], ip=ip)

    @staticmethod
    def _factor(tx: Connection, user: str) -> Any:
        return tx.execute(select(second_factors).where(second_factors.c.user == user)).mappings().one_or_none()


def _forget(tx: Connection, user: str) -> None:
    for table in (second_factors, recovery_codes, pending_sign_ins):
        tx.execute(delete(table).where(table.c.user == user))


def _new_codes(tx: Connection, user: str) -> list[str]:
    codes = [base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    tx.execute(delete(recovery_codes).where(recovery_codes.c.user == user))
    tx.execute(insert(recovery_codes), [{"user": user, "digest": digest_of(code)} for code in codes])
    return [grouped(code) for code in codes]


def grouped(text: str, size: int = 4, by: str = "-") -> str:
    """A long secret in groups that a person can copy.

    >>> grouped("abcdefgh")
    'abcd-efgh'
    """
    parts: Sequence[str] = [text[at : at + size] for at in range(0, len(text), size)]
    return by.join(parts)


def _plain(code: str) -> str:
    """A typed code without the gaps that people and apps put into it."""
    return "".join(char for char in code if char not in " -\u3000").lower()
