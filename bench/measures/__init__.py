"""What is measured: each module has `run(session)`, and is named as its figures are."""

from __future__ import annotations

from collections.abc import Callable

from bench.measures import disk, growth, ingest, memory, paging, replay
from bench.session import Session

MEASURES: dict[str, Callable[[Session], None]] = {
    "ingest": ingest.run,
    "paging": paging.run,
    "memory": memory.run,
    "replay": replay.run,
    "disk": disk.run,
    "growth": growth.run,
}
