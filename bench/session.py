"""One invocation of the benchmarks: its options, the peers in it, and where its samples go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.report import Absent, Sample, line
from bench.servers import Server
from bench.workload import Fleet


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for. Sizes are numbers of alerts unless they say otherwise."""

    runs: int = 3
    seed: int = 7
    services: int = 200
    seconds: float = 2.0
    """How long a re-sending client sends."""
    new_alerts: int = 16_000
    resent_alerts: int = 6_400
    single_alerts: int = 1_000
    pages: int = 100
    paging_rate: float = 10_000.0
    """Alerts a second behind the pages."""
    memory_alerts: tuple[int, ...] = (10_000, 100_000)
    replay_alerts: int = 200_000
    incidents: int = 5_000
    active: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    growth_runs: int = 2
    """Of the sizes of `active` below half a million; the others are built once."""
    console_alerts: int = 100_000
    alerts_per_incident: int = 10
    """In the console's database; each of its incidents is open."""
    reads: int = 100
    """Requests for each page of the console, in each run."""
    cold_events: int = 1_000_000
    """In the log of a cold start."""
    alerta_alerts: int = 1_280
    with_peers: Path | None = None
    """Where Python packages that are peers are installed, each in an environment of its own."""
    profile: Path | None = None


QUICK = Options(
    runs=3, services=40, seconds=0.4, new_alerts=1_600, resent_alerts=1_600, single_alerts=100, pages=12,
    memory_alerts=(10_000,), replay_alerts=10_000, incidents=200, active=(1_000, 10_000), console_alerts=5_000,
    reads=20, cold_events=20_000, growth_runs=1, alerta_alerts=256,
)  # fmt: skip


class Session:
    """Hands the options to the measures and takes their samples, each printed as it comes."""

    def __init__(
        self, options: Options, servers: Sequence[type[Server]], show: Callable[[str], object] = print
    ) -> None:
        self.options, self.servers, self._show = options, servers, show
        self.samples: list[Sample] = []
        self.absent: list[Absent] = []
        self._base_s = int(time.time())

    def fleet(self, salt: int = 0, services: int | None = None) -> Fleet:
        """The watched systems; another `salt` gives other alerts. What fires began at the start of this invocation."""
        return Fleet(self.options.seed + 1000 * salt, self._base_s, services or self.options.services)

    def sample(self, measure: str, case: str, subject: str, **figures: float) -> None:
        """One run of one case."""
        taken = Sample(measure, case, subject, {name: round(value, 6) for name, value in figures.items()})
        self.samples.append(taken)
        self._show(line(taken))

    def lacks(self, measure: str, subject: str, reason: str) -> None:
        """Something cannot be measured here."""
        missing = Absent(measure, subject, reason)
        self.absent.append(missing)
        self._show(line(missing))
