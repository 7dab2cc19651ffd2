"""The peer `eventsourcing`: append to its SQLite recorder. It runs in an environment of its own, with nothing of ours.

python eventsourcing_peer.py FOLDER EVENTS BATCH BYTES      prints one JSON object
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from eventsourcing.persistence import StoredEvent  # type: ignore[import-not-found]
from eventsourcing.sqlite import (  # type: ignore[import-not-found]
    SQLiteApplicationRecorder,
    SQLiteDatastore,
)

EVENTS_PER_ORIGINATOR = 5
"""As many as an incident causes when it opens."""


def main() -> None:
    """Append so many events of so many bytes, `BATCH` in each transaction; the events are made outside the clock."""
    folder = Path(sys.argv[1])
    events, batch, size = map(int, sys.argv[2:5])
    recorder = SQLiteApplicationRecorder(SQLiteDatastore(str(folder / "peer.db")))
    recorder.create_table()
    batches = [
        [
            StoredEvent(
                UUID(int=number // EVENTS_PER_ORIGINATOR + 1), number % EVENTS_PER_ORIGINATOR + 1,
                "peer.domain:Incident.Opened", bytes(size),
            )
            for number in range(start, min(start + batch, events))
        ]
        for start in range(0, events, batch)
    ]  # fmt: skip
    began, cpu = time.perf_counter(), time.process_time()
    for each in batches:
        recorder.insert_events(each)
    elapsed, used = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"version": version("eventsourcing"), "elapsed_s": elapsed, "cpu_s": used}))


if __name__ == "__main__":
    main()
