"""`tocsin doctor`: is this installation in order, and if not, what to do."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx2
import typer
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from engine import bootstrap
from engine.cli.doctor_cluster import examine_cluster
from engine.cli.findings import Finding
from engine.cli.options import ConfigOption, JsonOption, print_json, reading, settings_of
from engine.store import Store, partitions, verify_log
from engine.store.migrations import schema_version
from schemas.config import Settings
from schemas.errors import ConfigError, StoreUnavailable

DISK_LOW_BYTES, DISK_FULL_BYTES = 5 * 2**30, 512 * 2**20
CLOCK_BACK_MS = 60_000
"""The clock may be this far behind the newest event before it counts as wrong."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check settings, database, log, read models, disk, clock, channels, tokens, port. 自检。Exit code 1 on a FAIL."""
    findings = list(examine(config))
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{_MARKS[finding.level]}  {finding.check:<12} {finding.what}")
            if finding.remedy:
                typer.echo(f"{'':18}-> {finding.remedy}")
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


def examine(config: Path | None) -> Iterator[Finding]:
    """Every check in turn; without readable settings there is only the first."""
    try:
        settings = settings_of(config)
    except ConfigError as wrong:
        yield Finding("settings", "fail", str(wrong), "correct it, then `tocsin config check`")
        return
    yield Finding("settings", "ok", f"read; rules {settings.rules.digest[:12]}")
    yield from _database(settings)
    if settings.cluster is not None:
        yield from examine_cluster(settings)
    yield _disk(settings)
    yield from _notifications(settings)
    yield from _sources(settings)
    yield _port(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    """The database and what is in it."""
    url = make_url(settings.store.url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        yield Finding("database", "warn", f"{url.database} does not exist yet", "`tocsin serve` makes it")
        return
    try:
        store = reading(settings)
    except (StoreUnavailable, ConfigError) as error:
        remedy = "check store.url, the server and its password; `tocsin serve` makes the tables"
        yield Finding("database", "fail", str(error), remedy)
        return
    try:
        yield _writable(settings)
        for check in (_log, _clock):
            yield check(store)
    except StoreUnavailable as error:
        yield Finding("database", "fail", str(error), "check the disk and the server's own log")
    finally:
        store.close()
    yield from _read_models(settings)


def _writable(settings: Settings) -> Finding:
    try:
        store = bootstrap.open_store(settings)
        try:
            with store.writing() as tx:
                tx.execute(text("SELECT 1"))
            version = schema_version(store.engine)
        finally:
            store.close()
    except (StoreUnavailable, ConfigError, SQLAlchemyError) as error:
        return Finding("database", "fail", f"not writable: {error}", "check owner, mode and free space of its folder")
    return Finding(
        "database", "ok", f"{make_url(settings.store.url)!r} reachable and writable, schema version {version}"
    )


def _log(store: Store) -> Finding:
    events = 0
    for partition in partitions(store) or [0]:
        report = verify_log(store, partition)
        if report.fault:
            remedy = "stop writing, keep a copy of the database as evidence, restore from a backup"
            return Finding("log", "fail", f"{report.fault} ({report.events} events before it hold)", remedy)
        events += report.events
    return Finding("log", "ok", f"{events} events hold, head {report.head[:16]}")


def _clock(store: Store) -> Finding:
    ends = [(number, store.position(number).next_seq - 2) for number in partitions(store)]
    newest = [one for number, seq in ends for one in store.log(partition=number, after=seq, limit=1)]
    now_ms = time.time_ns() // 1_000_000
    behind_ms = max((one.event.at_ms - now_ms for one in newest), default=0)
    if behind_ms > CLOCK_BACK_MS:
        remedy = "set the clock (chrony or systemd-timesyncd); until then new events carry the newest event's time"
        return Finding("clock", "fail", f"{behind_ms // 1000} s behind the newest event", remedy)
    return Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now_ms / 1000)))


def _read_models(settings: Settings) -> Iterator[Finding]:
    try:
        store = bootstrap.open_store(settings)
    except (StoreUnavailable, ConfigError):
        return  # the database's own finding says so already
    try:
        heads = {number: store.position(number).next_seq - 1 for number in partitions(store)}
        found = bootstrap.projector(settings, store).status()
    except StoreUnavailable as error:
        yield Finding("read models", "fail", str(error), "check the database")
        return
    finally:
        store.close()
    halted = [one for one in found if one.halted]
    for one in halted:
        what = f"{one.name} halted at event {one.position}: {one.halted}"
        yield Finding("read models", "fail", what, f"after an update: `tocsin projections rebuild {one.name}`")
    if not halted:
        behind = max((heads.get(one.partition, -1) - one.position for one in found), default=0)
        yield Finding("read models", "ok", f"{len(found)} in order, the slowest {behind} events behind")


def _disk(settings: Settings) -> Finding:
    url = make_url(settings.store.url)
    folder = Path(url.database or ".").absolute().parent if url.get_backend_name() == "sqlite" else Path.cwd()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    level: Literal["ok", "warn", "fail"] = (
        "fail" if free < DISK_FULL_BYTES else "warn" if free < DISK_LOW_BYTES else "ok"
    )
    remedy = "" if level == "ok" else "make room: when the disk is full, nothing more is accepted"
    return Finding("disk", level, f"{free / 2**30:.1f} GiB free at {folder}", remedy)


def _notifications(settings: Settings) -> Iterator[Finding]:
    rules = settings.rules
    if not settings.channels or not (rules.routes or rules.dispatch.route):
        what = "no channel is configured" if not settings.channels else "no route leads to a receiver"
        yield Finding(
            "channels", "warn", f"{what}: nobody will be told", "add channels, rules.receivers and rules.routes"
        )
        return
    used = {channel for _, channel in rules.channels()}
    idle = sorted(set(settings.channels) - used)
    if idle:
        yield Finding("channels", "warn", f"no receiver uses {', '.join(idle)}", "name them in rules.receivers")
    else:
        yield Finding("channels", "ok", f"{len(settings.channels)} channels, {len(rules.routes)} routes")


def _sources(settings: Settings) -> Iterator[Finding]:
    if not settings.sources:
        yield Finding("sources", "warn", "no source is configured: no alert can come in", "add one under sources")
        return
    open_to_all = sorted(name for name, source in settings.sources.items() if source.token is None)
    if open_to_all:
        outside = settings.server.host not in LOOPBACK or settings.server.behind_tls_proxy
        what = f"without a token, so that anybody may send: {', '.join(open_to_all)}"
        yield Finding("sources", "fail" if outside else "warn", what, "give each a token or token_file")
    else:
        yield Finding("sources", "ok", f"{len(settings.sources)}, each with a token")


def _port(settings: Settings) -> Finding:
    server = settings.server
    place = f"{server.host}:{server.port}"
    with socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((server.host, server.port))
        except OSError as taken:
            if _is_tocsin(f"http://{place}/metrics"):
                return Finding("port", "ok", f"Tocsin is running on {place}")
            return Finding("port", "fail", f"{place}: {taken.strerror}", "end what uses it, or set server.port")
    return Finding("port", "ok", f"{place} is free")


def _is_tocsin(url: str) -> bool:
    try:
        answer = httpx2.get(url, timeout=2.0, trust_env=False)
    except httpx2.HTTPError:
        return False
    return answer.is_success and b"tocsin_" in answer.content
