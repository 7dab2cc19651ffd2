"""Local accounts: who may come in, and as what (R13). Everything that changes here leaves a row in the audit.

Secrets are stored as digests only: passwords as argon2id, session and API tokens as SHA-256. The one exception is the
secret of an authenticator app: see `web.second_factor`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, delete, false, func, insert, or_, select, update
from sqlalchemy.schema import CreateIndex, CreateTable

from web.account_tables import api_tokens, audit, metadata, sessions, setup_tokens, sign_in_failures, users
from web.belongings import Belongings
from web.people import ROLES as ROLES
from web.people import AccountRefused as AccountRefused
from web.people import Role as Role
from web.people import Session as Session
from web.people import User as User
from web.people import digest_of as digest_of
from web.second_factor import Lock, SecondFactor, enrolled

FAILURES_ALLOWED = 5
"""Wrong passwords for one name within `FAILURE_WINDOW_MS` (GB/T 22239-2019, 8.1.4.1 b)."""
FAILURES_ALLOWED_PER_IP = 30
"""The same for one address, which may be a whole office behind one gateway."""
FAILURE_WINDOW_MS = 15 * 60_000
LOCK_MS = 30 * 60_000
IDLE_MS = 30 * 60_000
SETUP_TOKEN_MS = 24 * 3_600_000
SEEN_EVERY_MS = 30_000
"""A session's last use is written at most so often, so that reading a page seldom writes."""
PASSWORD_MIN, PASSWORD_LONG, PASSWORD_MAX = 10, 16, 256
"""Ten characters of three kinds, or sixteen of any."""

Writing = Callable[[], AbstractContextManager[Connection]]
"""Opens a write transaction that commits at the end of its block."""

_hasher = PasswordHasher()


@cache
def _nobody() -> str:
    """What is compared with where there is no such user, so that it takes as long."""
    return _hasher.hash("nobody has this password")


def check_password_rules(name: str, password: str) -> None:
    """Raises AccountRefused("weak_password") for a short, plain or name-bearing password (8.1.4.1 a)."""
    kinds = sum(
        any(test(char) for char in password)
        for test in (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum())
    )
    strong = len(password) >= PASSWORD_LONG or (len(password) >= PASSWORD_MIN and kinds >= 3)
    if not strong or len(password) > PASSWORD_MAX or name.lower() in password.lower() or len(set(password)) < 5:
        raise AccountRefused("weak_password")


class Accounts:
    """Users, their sessions and API tokens in one database. `now_ms` is the clock; methods block (disk, argon2)."""

    def __init__(
        self,
        engine: Engine,
        *,
        now_ms: Callable[[], int],
        session_hours: int = 12,
        idle_ms: int = IDLE_MS,
        writing: Writing | None = None,
    ) -> None:
        """`writing` opens write transactions where others write to the same database (`Store.writing`)."""
        self._engine, self._now_ms = engine, now_ms
        self._session_ms, self._idle_ms = session_hours * 3_600_000, idle_ms
        self._writing: Writing = writing or partial(_write_lock_first, engine)
        self.belongings = Belongings(engine, self._writing, self._audit)
        lock = Lock(self._locked, self._refuse, self._open)
        self.second_factor = SecondFactor(engine, self._writing, self._audit, now_ms, lock)
        with writing() if writing else engine.begin() as tx:
            for table in metadata.sorted_tables:  # without looking first: see _write_lock_first
                tx.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    tx.execute(CreateIndex(index, if_not_exists=True))

    # --- first run ----------------------------------------------------------------------------------------------

    def first_run_token(self) -> str | None:
        """A fresh one-time token for `/setup`, valid for a day, or None when there are users. Voids earlier ones."""
        token = secrets.token_urlsafe(24)
        with self._writing() as tx:
            if _any_user(tx):
                return None
            tx.execute(delete(setup_tokens))
            tx.execute(insert(setup_tokens).values(digest=digest_of(token), created_ms=self._now_ms()))
        return token

    def awaits_set_up(self, token: str) -> bool:
        """Whether `token` may create the first administrator."""
        with self._engine.connect() as tx:
            return self._setup_token_holds(tx, token)

    def set_up(self, token: str, name: str, password: str, *, ip: str = "") -> User:
        """Create the first administrator, once. Raises AccountRefused (setup_over, weak_password, bad_name)."""
        if not self.awaits_set_up(token):
            raise AccountRefused("setup_over")
        password_hash = _hash_of_new(name, password)
        with self._writing() as tx:
            # Spending the token first also takes the write lock: two who come at once cannot both get through.
            if not self._spend_setup_token(tx, token):
                raise AccountRefused("setup_over")
            self._insert_user(tx, name, password_hash, "admin")
            self._audit(tx, f"user:{name}", "set_up", f"user/{name}", ip=ip)
        return User(name, "admin")

    def _setup_token_holds(self, tx: Connection, token: str) -> bool:
        oldest = self._now_ms() - SETUP_TOKEN_MS
        known = tx.scalar(
            select(func.count()).where(setup_tokens.c.digest == digest_of(token), setup_tokens.c.created_ms > oldest)
        )
        return bool(known) and not _any_user(tx)

    def _spend_setup_token(self, tx: Connection, token: str) -> bool:
        spent = tx.execute(delete(setup_tokens).where(setup_tokens.c.digest == digest_of(token)))
        return spent.rowcount == 1 and not _any_user(tx)

    # --- coming and going ---------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, *, ip: str = "") -> Session:
        """Open a session. Raises AccountRefused: ``locked`` after too many failures, else ``wrong_password``; or
        SecondFactorAsked, to be answered with `second_factor.answer`."""
        name = name.strip()[:64]
        with self._writing() as tx:
            row = tx.execute(select(users).where(users.c.name == name)).mappings().one_or_none()
            locked = self._locked(tx, name, ip)
        right = _password_right(row["password"] if row else _nobody(), password) and row is not None and row["enabled"]
        if locked or not right:
            self._refuse(name, ip, locked)
        with self._writing() as tx:
            asked = self.second_factor.ask(tx, name)
        if asked:
            raise asked
        return self._open(name, ip)

    def _open(self, name: str, ip: str) -> Session:
        now, token = self._now_ms(), secrets.token_urlsafe(32)
        with self._writing() as tx:
            row = tx.execute(select(*_PERSON).where(users.c.name == name)).mappings().one()
            tx.execute(delete(sign_in_failures).where(sign_in_failures.c.name == name))
            tx.execute(delete(sessions).where(self._outlived()))
            tx.execute(update(users).where(users.c.name == name).values(last_sign_in_ms=now))
            tx.execute(insert(sessions).values(digest=digest_of(token), user=name, created_ms=now, seen_ms=now, ip=ip))
            self._audit(tx, f"user:{name}", "sign_in", f"user/{name}", ip=ip)
        return Session(_user(row), token)

    def session(self, token: str, *, touch: bool = True) -> Session | None:
        """The live session behind a cookie, or None. `touch` counts this as use; live updates of a page do not."""
        now = self._now_ms()
        query = (
            select(*_PERSON, sessions.c.seen_ms)
            .join(sessions, sessions.c.user == users.c.name)
            .where(sessions.c.digest == digest_of(token), users.c.enabled, ~self._outlived())
        )
        with self._engine.connect() as tx:
            row = tx.execute(query).mappings().one_or_none()
        if row is None:
            return None
        if touch and now - row["seen_ms"] >= SEEN_EVERY_MS:
            with self._writing() as tx:
                tx.execute(update(sessions).where(sessions.c.digest == digest_of(token)).values(seen_ms=now))
        return Session(_user(row), token)

    def sign_out(self, session: Session, *, ip: str = "") -> None:
        """End one session."""
        with self._writing() as tx:
            tx.execute(delete(sessions).where(sessions.c.digest == digest_of(session.token)))
            self._audit(tx, f"user:{session.user.name}", "sign_out", f"user/{session.user.name}", ip=ip)

    def change_password(self, session: Session, old: str, new: str, *, ip: str = "") -> None:
        """Set a new password and end the user's other sessions. Raises AccountRefused."""
        name = session.user.name
        with self._engine.connect() as tx:
            stored = tx.scalar(select(users.c.password).where(users.c.name == name))
            locked = self._locked(tx, name, ip)
        if locked or not _password_right(stored or _nobody(), old):
            self._refuse(name, ip, locked)
        values = {"password": _hash_of_new(name, new), "password_ms": self._now_ms()}
        with self._writing() as tx:
            tx.execute(update(users).where(users.c.name == name).values(**values))
            keep = sessions.c.digest != digest_of(session.token)
            tx.execute(delete(sessions).where(sessions.c.user == name, keep))
            self._audit(tx, f"user:{name}", "change_password", f"user/{name}", ip=ip)

    # --- users and tokens, for administrators -------------------------------------------------------------------

    def users(self) -> list[User]:
        """Everybody with an account, by name."""
        with self._engine.connect() as tx:
            return [_user(row) for row in tx.execute(select(*_PERSON).order_by(users.c.name)).mappings()]

    def add_user(self, name: str, password: str, role: Role, *, by: User, ip: str = "") -> User:
        """Create an account. Raises AccountRefused (weak_password, bad_name, name_taken, not_allowed)."""
        _only_admin(by)
        password_hash = _hash_of_new(name, password)
        with self._writing() as tx:
            self._insert_user(tx, name, password_hash, role)
            self._audit(tx, f"user:{by.name}", "add_user", f"user/{name}", ip=ip, result=f"ok: {role}")
        return User(name, role)

    def change_user(self, name: str, *, role: Role, enabled: bool, by: User, ip: str = "") -> None:
        """Set role and access; a disabled user's sessions and tokens end. Raises AccountRefused (not_allowed)."""
        _only_admin(by)
        if by.name == name:  # so that there is always an administrator left
            raise AccountRefused("not_yourself")
        with self._writing() as tx:
            tx.execute(update(users).where(users.c.name == name).values(role=role, enabled=enabled))
            if not enabled:
                tx.execute(delete(sessions).where(sessions.c.user == name))
                tx.execute(delete(api_tokens).where(api_tokens.c.user == name))
            result = f"ok: {role}" if enabled else "ok: disabled"
            self._audit(tx, f"user:{by.name}", "change_user", f"user/{name}", ip=ip, result=result)

    def issue_api_token(self, user: User, label: str, *, ip: str = "") -> str:
        """A new API token that acts as `user`; shown once, kept as a digest."""
        token = "tocsin_" + secrets.token_urlsafe(32)
        row = {"digest": digest_of(token), "user": user.name, "label": label[:100], "created_ms": self._now_ms()}
        with self._writing() as tx:
            tx.execute(insert(api_tokens).values(**row))
            self._audit(tx, f"user:{user.name}", "issue_api_token", f"token/{label[:100]}", ip=ip)
        return token

    def user_of_api_token(self, token: str) -> User | None:
        """Whom a Bearer token of the API speaks for, or None."""
        query = (
            select(*_PERSON)
            .join(api_tokens, api_tokens.c.user == users.c.name)
            .where(api_tokens.c.digest == digest_of(token), users.c.enabled)
        )
        with self._engine.connect() as tx:
            row = tx.execute(query).mappings().one_or_none()
        return _user(row) if row else None

    # --- within -------------------------------------------------------------------------------------------------

    def _outlived(self) -> Any:
        now = self._now_ms()
        return or_(sessions.c.created_ms <= now - self._session_ms, sessions.c.seen_ms <= now - self._idle_ms)

    def _locked(self, tx: Connection, name: str, ip: str) -> bool:
        """Too many failures in any 15 minutes of the last 30, counted from the newest failure that counts."""
        failures = sign_in_failures.c
        for column, value, allowed in (
            (failures.name, name, FAILURES_ALLOWED),
            (failures.ip, ip, FAILURES_ALLOWED_PER_IP),
        ):
            since = self._now_ms() - LOCK_MS - FAILURE_WINDOW_MS
            query = select(failures.at_ms).where(column == value, failures.at_ms > since).order_by(failures.at_ms)
            times: Sequence[int] = tx.scalars(query).all() if value else []
            for first, last in zip(times, times[allowed - 1 :], strict=False):
                if last - first <= FAILURE_WINDOW_MS and last > self._now_ms() - LOCK_MS:
                    return True
        return False

    def _refuse(self, name: str, ip: str, locked: bool, code: str = "wrong_password") -> None:
        """Record a refused password or code and raise. While locked nothing is counted, so the lock ends by itself."""
        code = "locked" if locked else code
        with self._writing() as tx:
            if not locked:
                tx.execute(insert(sign_in_failures).values(name=name, ip=ip, at_ms=self._now_ms()))
            self._audit(tx, f"user:{name}", "sign_in", f"user/{name}", ip=ip, result=code)
        raise AccountRefused(code)

    def _insert_user(self, tx: Connection, name: str, password_hash: str, role: Role) -> None:
        if tx.scalar(select(func.count()).where(users.c.name == name)):
            raise AccountRefused("name_taken")
        now = self._now_ms()
        row = {"name": name, "password": password_hash, "role": role, "created_ms": now, "password_ms": now}
        tx.execute(insert(users).values(**row, enabled=True, last_sign_in_ms=0))

    def _audit(self, tx: Connection, actor: str, action: str, target: str, *, ip: str, result: str = "ok") -> None:
        row = {"at_ms": self._now_ms(), "actor": actor, "action": action, "object": target, "result": result}
        tx.execute(insert(audit).values(**row, ip=ip))


@contextmanager
def _write_lock_first(engine: Engine) -> Iterator[Connection]:
    """A transaction that begins with a write: one that reads first and then writes, SQLite refuses when another
    connection wrote in between, without waiting (SQLITE_BUSY_SNAPSHOT)."""
    with engine.begin() as tx:
        tx.execute(delete(setup_tokens).where(false()))
        yield tx


def _any_user(tx: Connection) -> bool:
    return bool(tx.scalar(select(func.count()).select_from(users)))


def _only_admin(by: User) -> None:
    if not by.may("admin"):
        raise AccountRefused("not_allowed")


def _hash_of_new(name: str, password: str) -> str:
    """The argon2id hash of an acceptable password for an acceptable name; slow, so never inside a transaction."""
    if not (0 < len(name) <= 64 and name == name.strip() and name.isprintable() and not set(name) & set("/:\"'<>")):
        raise AccountRefused("bad_name")
    check_password_rules(name, password)
    return _hasher.hash(password)


def _password_right(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password[: PASSWORD_MAX + 1])
    except (VerificationError, InvalidHashError):
        return False


def _user(row: Any) -> User:
    return User(row["name"], row["role"], row["enabled"], row["last_sign_in_ms"], row["second_factor"])


_PERSON = (*users.c, enrolled(users.c.name).label("second_factor"))
"""What `_user` is made from."""
