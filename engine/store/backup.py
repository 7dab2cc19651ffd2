"""Backups of a store that is being written to, each proven before it counts, and their restoring.

SQLite is copied by its online backup (sqlite.org/backup.html), PostgreSQL by `pg_dump`, each as of one moment. A backup
is two files: the copy, and a JSON file of the same name that is written last. The key of the chain is in neither.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from sqlalchemy import URL

from engine.chain import Position
from engine.store.appender import read_position
from engine.store.database import open_engine, outages_named
from engine.store.migrations import CURRENT, schema_version
from engine.store.store import Store
from engine.store.verify import verify_log
from schemas.errors import ConfigError, StoreUnavailable

_SUFFIX = {"sqlite": ".sqlite", "postgresql": ".dump"}
_BLOCK = 1 << 20


class Backup(msgspec.Struct, frozen=True):
    """What a backup holds: of which moment, how many records and events, up to which head; `sha256` is the copy's."""

    file: str
    kind: str
    at_ms: int
    schema: int
    next_offset: int
    next_seq: int
    head: str
    size: int
    sha256: str


def back_up(store: Store, folder: Path, at_ms: int) -> Backup:
    """Copy the database into the folder while others write to it; the copy is proven when this returns.

    SQLite: `PRAGMA integrity_check`, and every link of the copied log. PostgreSQL: the dump is read through to its end;
    its log is proven by `restore`. Raises StoreUnavailable where the copy fails or does not hold.
    """
    kind = store.engine.dialect.name
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    name = f"tocsin-{at:%Y%m%dT%H%M%S}.{at_ms % 1000:03d}Z{_SUFFIX[kind]}"
    with outages_named(f"back up to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{name}.unfinished"
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)  # it holds what the database holds: accounts too
        try:
            end = (_copy_sqlite if kind == "sqlite" else _dump_postgresql)(store, unfinished)
            _sync(unfinished)
            size, digest = unfinished.stat().st_size, _sha256(unfinished)
            backup = Backup(name, kind, at_ms, CURRENT, end.next_offset, end.next_seq, end.head.hex(), size, digest)
            unfinished.rename(folder / name)
        finally:
            unfinished.unlink(missing_ok=True)
        description = (folder / name).with_suffix(".json")
        description.with_suffix(".unfinished").write_bytes(msgspec.json.format(msgspec.json.encode(backup)))
        _sync(description.with_suffix(".unfinished"))
        description.with_suffix(".unfinished").rename(description)
        _sync(folder)
    return backup


def find_backup(place: Path) -> tuple[Path, Backup]:
    """The backup at a path: the file itself, or the newest of a folder. Raises ConfigError where there is none."""
    if not place.is_dir():
        return place, _description(place)
    found = [_description(file) for file in place.glob("tocsin-*.json")]
    if not found:
        raise ConfigError("no backup in this folder", file=str(place))
    newest = max(found, key=lambda backup: backup.at_ms)
    return place / newest.file, newest


def restore(place: Path, store_url: URL) -> Backup:
    """Put a backup (the newest of a folder) where nothing is yet; it is byte for byte what was backed up.

    Raises ConfigError where something is there already or the kinds differ, StoreUnavailable where the backup was
    altered or cannot be restored. `prove` says whether the log in it holds.
    """
    file, backup = find_backup(place)
    if store_url.get_backend_name() != backup.kind:
        raise ConfigError(f"{file} is a backup of {backup.kind}: restore it to {backup.kind}")
    with outages_named(f"restore {file}"):
        if _sha256(file) != backup.sha256:
            raise StoreUnavailable(f"{file} is not the backup that was made: its checksum differs")
        (_place_sqlite if backup.kind == "sqlite" else _load_postgresql)(file, store_url)
    return backup


def prove(store: Store, backup: Backup) -> None:
    """Raises StoreUnavailable where the restored log does not hold, or is not the one that was backed up."""
    report = verify_log(store)
    if report.fault:
        raise StoreUnavailable(f"the restored log does not hold: {report.fault}")
    if (report.events, report.head) != (backup.next_seq, backup.head):
        raise StoreUnavailable(f"{report.events} events were restored, {backup.next_seq} were backed up")


def _description(file: Path) -> Backup:
    try:
        return msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=Backup)
    except OSError as missing:
        raise ConfigError(f"no backup: its .json cannot be read ({missing.strerror})", file=str(file)) from None
    except ValueError as not_one:
        raise ConfigError(f"not the description of a backup: {not_one}", file=str(file)) from None


# --- SQLite -------------------------------------------------------------------------------------------------------


def _copy_sqlite(store: Store, target: Path) -> Position:
    with store.engine.connect() as connection, closing(sqlite3.connect(target)) as copy:
        source = connection.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        source.backup(copy)  # in one go: in WAL mode that hinders no writer
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise StoreUnavailable(f"the copy is damaged, and so perhaps the database: {verdict}")
    copied = Store.open(f"sqlite:///{target}", read_only=True, keys=store.keys)
    try:
        report = verify_log(copied)
        if report.fault:
            raise StoreUnavailable(f"the log does not hold: {report.fault}")
        return copied.position()
    finally:
        copied.close()


def _place_sqlite(file: Path, url: URL) -> None:
    target = Path(url.database or "").absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    if any(target.with_name(target.name + suffix).exists() for suffix in ("", "-wal", "-journal")):
        raise ConfigError(f"{target} is there already: nothing is overwritten", key="--to")
    unfinished = target.with_name(target.name + ".unfinished")
    shutil.copyfile(file, unfinished)
    unfinished.chmod(0o600)
    _sync(unfinished)
    os.link(unfinished, target)  # unlike a rename, it never replaces what somebody has made meanwhile
    unfinished.unlink()
    _sync(target.parent)


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


def _dump_postgresql(store: Store, target: Path) -> Position:
    url = store.engine.url
    with store.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        position = read_position(connection, 0)
        _run("pg_dump", url, "--format=custom", f"--snapshot={snapshot}", f"--file={target}")
    _run("pg_restore", None, "--file=/dev/null", str(target))
    return position


def _load_postgresql(file: Path, url: URL) -> None:
    engine = open_engine(url, read_only=True)
    try:
        if schema_version(engine) is not None:
            raise ConfigError(f"{url!r} has a journal and log already: nothing is overwritten", key="--to")
    finally:
        engine.dispose()
    _run("pg_restore", url, "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(file))


def _run(program: str, url: URL | None, *arguments: str) -> None:
    """Run one of PostgreSQL's own programs, its password in the environment where no other user sees it."""
    found = shutil.which(program)
    if found is None:
        raise StoreUnavailable(f"{program} is not installed here (Debian: postgresql-client)")
    command, environment = [found, *arguments], dict(os.environ)
    if url is not None:
        plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
        command += [f"--dbname={plain.render_as_string()}", "--no-password"]
        environment["PGPASSWORD"] = str(url.password or "")
    ended = subprocess.run(command, env=environment, capture_output=True, check=False)
    if ended.returncode:
        raise StoreUnavailable(f"{program}: {ended.stderr.decode(errors='replace').strip()[-500:]}")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
