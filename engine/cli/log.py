"""`tocsin log`: read, prove and export the log."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
import typer

from engine import bootstrap
from engine.cli.options import ConfigOption, JsonOption, clock, reading, settings_of
from engine.store import Store, partitions
from engine.store.anchors import contradiction, line_of, place_anchor, read_anchors
from engine.store.verify import verify_log
from schemas.config import Settings
from schemas.deliveries import Receipt
from schemas.errors import ConfigError
from schemas.events import LoggedEvent, encode_data

app = typer.Typer(no_args_is_help=True, help="Read, prove and export the log. 日志：查看、校验、导出。")

FOLLOW_S = 0.5
CHUNK = 1000


@app.command()
def tail(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="how many events back")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on as events come")] = False,
    subject: Annotated[str | None, typer.Option(help="only about this, incident/INC-7 for example")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The newest events, oldest first; as JSON, one event a line. 最近的事件。"""
    settings = settings_of(config)
    store = reading(settings)
    try:
        seen = store.position().next_seq - 1
        first = (
            store.log_of(subject, limit=1_000_000)[-lines:] if subject else store.log(after=seen - lines, limit=lines)
        )
        for event in first if lines else ():
            _show(event, settings, as_json=as_json)
        while follow:
            time.sleep(FOLLOW_S)
            for event in events_after(store, seen):
                seen = event.seq
                if subject in (None, event.event.subject):
                    _show(event, settings, as_json=as_json)
    except KeyboardInterrupt:
        pass
    finally:
        store.close()


@app.command()
def verify(
    decide_again: Annotated[
        bool, typer.Option("--decide-again", help="also decide the whole journal anew, and compare event by event")
    ] = False,
    anchors: Annotated[
        Path | None, typer.Option(help="also compare with the anchors of this file (default: anchors.file)")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Recompute the hash chain from the first event to the last: exit code 1 if the past was altered. 校验哈希链。"""
    settings = settings_of(config)
    file = anchors or settings.anchors.file
    store = reading(settings)
    try:
        faulty = [number for number in partitions(store) or [0] if not _holds(store, number)]
        contradicted = _compare(store, file) if anchors or (file and file.exists()) else None
        if faulty or contradicted:
            raise typer.Exit(1)
        if decide_again:
            books = bootstrap.decide_again(store)
            received = sum(count for counts in books.values() for count in counts.values())
            typer.echo(f"decided again: the same events; {received} alerts received, each with one disposition")
    finally:
        store.close()


def _holds(store: Store, partition: int) -> bool:
    """Whether the chain of a partition holds; says so."""
    report = verify_log(store, partition)
    where = f"partition {partition}: " if partition else ""
    if report.fault:
        problem = f"{where}the log does not hold: {report.fault} ({report.events} events before it hold)"
        typer.echo(f"tocsin: {problem}", err=True)
        return False
    typer.echo(f"{where}{report.events} events hold; head {report.head}{_algorithms(store, partition)}")
    return True


def _algorithms(store: Store, partition: int) -> str:
    """Which links were made with what, where that is not SHA-256 all through."""
    spans = store.chains(partition).spans
    if len(spans) == 1:
        return ""
    return "".join(f"; {chain.algorithm} {chain.key_id}".rstrip() + f" from event {start}" for start, chain in spans)


def _compare(store: Store, file: Path | None) -> str | None:
    """What the anchors of the file say against the log; says so."""
    assert file is not None
    kept = read_anchors(file)
    contradicted = contradiction(store, kept)
    if contradicted:
        typer.echo(f"tocsin: the log is not the one that was anchored: {contradicted}", err=True)
    else:
        typer.echo(f"{len(kept)} anchors in {file} agree")
    return contradicted


@app.command()
def anchor(
    to: Annotated[Path | None, typer.Option(help="the file to add a line to (default: anchors.file)")] = None,
    mail: Annotated[bool, typer.Option("--mail", help="also mail it, by the channel anchors.email")] = False,
    config: ConfigOption = None,
) -> None:
    """Write the head of the log down outside of the database: to a file, to syslog if set so, and by mail. 锚定。"""
    settings = settings_of(config)
    file = to or settings.anchors.file
    send = bootstrap.anchor_mail(settings) if mail else None
    if mail and send is None:
        raise ConfigError("by which channel? set this to the name of one of type email", key="anchors.email")
    if file is None and not settings.anchors.syslog and send is None:
        raise ConfigError("where to? give --to FILE, or set this", key="anchors.file")
    store = reading(settings)
    try:
        placed = place_anchor(store, time.time_ns() // 1_000_000, file=file, syslog=settings.anchors.syslog)
    finally:
        store.close()
    typer.echo("the log is empty: nothing to anchor" if placed is None else line_of(placed))
    if placed is not None and send is not None:
        typer.echo(f"mailed: {asyncio.run(_answer(send(line_of(placed))))}", err=True)


async def _answer(sending: Awaitable[Receipt]) -> str:
    """What the mail server says to it. Raises DeliveryError."""
    receipt = await sending
    return f"{receipt.vendor_code} {receipt.vendor_message_id}"


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="where to (default: standard output)")] = None,
    after: Annotated[int, typer.Option(help="only events behind this sequence number")] = -1,
    config: ConfigOption = None,
) -> None:
    """Every event as one JSON object a line, with its hash, for other tools and for archives. 导出。"""
    store = reading(settings_of(config))
    try:
        if file is None:
            _export(store, after, sys.stdout.buffer)
        else:
            with file.open("wb") as out:
                typer.echo(f"{_export(store, after, out)} events written to {file}", err=True)
    finally:
        store.close()


def events_after(store: Store, after: int, partition: int = 0) -> Iterator[LoggedEvent]:
    """All events of a partition behind seq `after`, read in chunks, up to the present head."""
    while chunk := store.log(partition=partition, after=after, limit=CHUNK):
        yield from chunk
        after = chunk[-1].seq


def plain(event: LoggedEvent) -> dict[str, Any]:
    """An event as JSON shows it: its identity, who, when, what about, its data, and its hash in hex."""
    return {
        "seq": event.seq,
        "id": event.id,
        "at_ms": event.event.at_ms,
        "actor": event.event.actor,
        "scope": event.event.scope,
        "subject": event.event.subject,
        "version": event.version,
        "data": msgspec.Raw(encode_data(event.event.data)),
        "hash": event.hash.hex(),
    }


def _export(store: Store, after: int, out: BinaryIO) -> int:
    count = 0
    for event in events_after(store, after):
        out.write(msgspec.json.encode(plain(event)) + b"\n")
        count += 1
    return count


def _show(event: LoggedEvent, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(plain(event)).decode())
        return
    at = clock(event.event.at_ms, settings)
    typer.echo(f"{event.seq:>6}  {at}  {event.type:<24} {event.event.subject:<18} {event.event.actor}")
