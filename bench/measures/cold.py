"""A cold start: from the exec of `tocsin serve` on a long past to the answer that its first alert is durable.

The past is made in process: incidents of one alert that are opened, paged and resolved, with the last thousand still
open. It ends with a snapshot. The read models are noted as being at the head, and are not filled: a start reads no more
of them than that note. What the files hold is in the machine's cache, as after a restart of the process alone.
"""

from __future__ import annotations

import http.client
import shutil
import signal
import subprocess
import time
from pathlib import Path

import msgspec
from sqlalchemy import insert

from bench.journals import Past, empty_store, received
from bench.servers import ROOT, START_S, free_port, sink
from bench.session import Session
from bench.visits import filled
from bench.workload import Fleet
from engine.store import Store
from projections import ALL, create_tables
from projections.projection import checkpoints

OPEN = 1_000
APART_MS = 60
"""Between one incident and the next: a million events then cover about an hour, and all clocks are stopped in time."""
EVENTS_OF_A_LIFE = 14
"""Of an incident that is opened, paged, resolved, and paged again."""
RESOLVE_AFTER = 100
"""Incidents opened meanwhile: each lasts six seconds."""
RETRY_S = 0.002


def run(session: Session) -> None:
    """One past, started as often as there are runs, each ended by SIGKILL so that it leaves no newer snapshot."""
    options = session.options
    with empty_store() as (store, path), sink() as sink_port:
        began = time.perf_counter()
        past, incidents = _make(store, session.fleet(), options.cold_events)
        judge = past.commit()
        state = judge.snapshot()
        store.save_snapshot(state)
        _read_models_at_head(store, judge.position.next_seq - 1)
        store.close()
        facts = {
            "events": float(judge.position.next_seq), "records": float(judge.position.next_offset),
            "incidents": float(incidents), "state_mb": len(state.state) / 1e6, "file_mb": path.stat().st_size / 1e6,
            "build_s": time.perf_counter() - began,
        }  # fmt: skip
        fleet = msgspec.structs.replace(session.fleet(salt=1), base_s=int(time.time()))
        for number in range(options.runs):
            taken = _start(path, sink_port, fleet.body(number, 1))
            session.sample("cold", "snapshot at the head", "tocsin", first_accepted_s=taken, **facts)


def _make(store: Store, fleet: Fleet, events: int) -> tuple[Past, int]:
    """Incidents until the log has so many events. Both alerts' JSON is made once and told apart by a number."""
    firing, over = _templates(fleet)
    # It ends about now: nothing of it is in the future, and no incident is open for so long that a clock runs out.
    at_ms = int(time.time() * 1000) - (events // EVENTS_OF_A_LIFE + OPEN) * APART_MS
    past, number = Past(store, at_ms, commit=2_000), 0
    while past.judge.position.next_seq < events:
        past.take(received(firing.replace(b"4242424242", b"%010d" % number), at_ms))
        if number >= RESOLVE_AFTER and past.judge.position.next_seq < events - OPEN * EVENTS_OF_A_LIFE // 2:
            past.take(received(over.replace(b"4242424242", b"%010d" % (number - RESOLVE_AFTER)), at_ms))
        number += 1
        at_ms += APART_MS
    return past, number


def _templates(fleet: Fleet) -> tuple[bytes, bytes]:
    """One alert as it fires and as it is over, of service 4242424242."""
    alert = fleet.alert(0)
    labels = alert["labels"]
    assert isinstance(labels, dict)
    # Far ahead and long past: what the sender says of the time must hold for the whole of the past.
    named = {**alert, "labels": {**labels, "service": "4242424242"}, "startsAt": "2020-01-01T00:00:00.000Z"}
    firing, over = ({**named, "endsAt": f"{year}-01-01T00:00:01.000Z"} for year in (2090, 2020))
    return msgspec.json.encode([firing]), msgspec.json.encode([over])


def _read_models_at_head(store: Store, seq: int) -> None:
    models = ALL()
    create_tables(store.engine, models)
    with store.writing() as tx:
        rows = [{"name": one.name, "version": one.version, "partition": 0, "position": seq} for one in models]
        tx.execute(insert(checkpoints), rows)


def _start(database: Path, sink_port: int, body: bytes) -> float:
    """Seconds from the exec to the first 200."""
    port = free_port()
    server = filled(database, port)(sink_port)
    command = server.command()
    with (server.folder / "log").open("w") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
    try:
        while not _accepted(port, body):
            if process.poll() is not None or time.perf_counter() - began > START_S + 30:
                raise RuntimeError(f"tocsin did not start: see {server.folder}/log")
            time.sleep(RETRY_S)
        taken = time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    shutil.rmtree(server.folder)
    return taken


def _accepted(port: int, body: bytes) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
