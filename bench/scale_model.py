"""What a cluster needs for so many alerts a second: costs measured here, and a simulation of the load on partitions.

    python -m bench.scale_model            print both
    python -m bench.scale_model --write    write both into docs/scale.md

Measured: the pieces that Tocsin's own processes spend time in, on one core each, in this process (the database is a
PostgreSQL of its own). Simulated: services whose alerts follow Zipf's law, hashed to partitions as the cluster does it.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import zstandard

from bench.workload import ALERTS_OF_A_SERVICE, Fleet
from engine.chain import Chain, Position
from engine.core import Core
from engine.runtime.cluster.routing import Cutter, partition_of
from engine.store import Entry, Keyring, Store
from schemas.config import Rules
from schemas.events import Event, NoteAdded
from schemas.records import Configured, Received
from sources import PARSERS
from tests.servers.postgres import Postgres

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
MARK = "<!-- {name}: written by python -m bench.scale_model --write -->"
BODY, ALERTS, ACTIVE, RUNS = 64, 12_800, 102_400, 3
EVENTS_AT_ONCE, COMMITS = 1_000, 10
BASE_S = 1_772_352_000
WANTED = 1_000_000
"""Alerts a second."""
SERVICES = 10_000
PARTITIONS = (12, 48, 96, 192)
EXPONENTS = (0.6, 1.0)
"""Of Zipf's law: alerts of the service of rank r are as r to the power of minus this; 1 is a bad day."""
KEYS = {"cluster": 200, "namespace": 20, "service": 1}
"""Services that have one value of the label in common."""
PIECE = {"cluster": BODY, "namespace": BODY, "service": ALERTS_OF_A_SERVICE}
"""Alerts of one body that go into one record: rule groups belong to a namespace, 16 neighbours to a service."""
RECORD_US = {"plain": 6.0, "Faust": 250.0}
"""CPU for taking one record from Kafka, measured with clients alone: aiokafka 138,000 to 217,000 records/s, Faust 2,600
to 5,600. What they cost inside a worker is for the cluster's own bench to say."""
HTTP_US = 8.28 - 4.88
"""An alert's share of a request of 64: docs/performance.md, ingest re-sent without what its replay costs."""
EVENTS_OF_AN_INCIDENT = 1_000_003 / 67_249
"""From opened to resolved, messages and clocks included: docs/performance.md, cold."""
READ_MODELS_PER_S = 12_646
"""Events that one projector takes into the read models: docs/performance.md, replay."""
FULL = 0.6
"""How much of a core the hottest partition may take, so that a worker that takes over another's has room."""
SEEDS = 20


class Costs(msgspec.Struct, frozen=True):
    """CPU time in µs on one core, medians of RUNS; `events_per_s` into PostgreSQL, `journal_bytes` an alert."""

    resent_us: float
    new_us: float
    cut_one_us: float
    cut_many_us: float
    pack_us: float
    events_per_s: float
    event_us: float
    journal_bytes: float


# --- measured -----------------------------------------------------------------------------------------------------


def measure() -> Costs:
    """The costs on this machine, now."""
    runs = [(*_core(), _cut("cluster"), _cut("service"), *_pack()) for _ in range(RUNS)]
    resent, new, one, many, pack, packed = (statistics.median(column) for column in zip(*runs, strict=True))
    events_per_s, event_us = _append()
    return Costs(resent, new, one, many, pack, events_per_s, event_us, packed)


def _records(alerts: int, round_: int) -> list[Received]:
    fleet = Fleet(7, BASE_S, services=alerts // ALERTS_OF_A_SERVICE)
    at_ms = (BASE_S + round_) * 1000
    return [Received(at_ms, "p", "alertmanager_v2", body) for body in fleet.bodies(0, alerts, BODY, round_)]


def _timed(work: Callable[[], object], alerts: int) -> float:
    """CPU µs an alert."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / alerts * 1e6


def _core() -> tuple[float, float]:
    """Parse and judge: re-sent and new alerts, ACTIVE of them."""
    core = Core(PARSERS)
    core.handle(Configured(BASE_S * 1000, "system", Rules().canonical()))

    def judge(records: Sequence[Received]) -> None:
        for record in records:
            core.handle(record)

    first, again = _records(ACTIVE, 0), _records(ACTIVE, 1)
    new = _timed(lambda: judge(first), ACTIVE)
    return _timed(lambda: judge(again), ACTIVE), new


def _cut(label: str) -> float:
    """Cutting bodies by scope, where a body has one scope (`cluster`) or several (`service`)."""
    cutter = Cutter(PARSERS, Rules.model_validate({"grouping": {"scope": [label]}}).grouping)
    records = _records(ALERTS, 1)

    def cut() -> None:
        for record in records:
            cutter.cut(record.format, record.body, record.at_ms)

    cut()  # senders repeat themselves: labels are known
    return _timed(cut, ALERTS)


def _pack() -> tuple[float, float]:
    """Compressing bodies for the journal: CPU µs and bytes an alert."""
    bodies = [record.body for record in _records(ALERTS, 1)]
    packer, packed = zstandard.ZstdCompressor(level=1), [0]

    def pack() -> None:
        packed[0] = sum(len(packer.compress(body)) for body in bodies)

    cost = _timed(pack, ALERTS)
    return cost, packed[0] / ALERTS


def _append() -> tuple[float, float]:
    """Events a second and CPU µs an event into PostgreSQL's log, EVENTS_AT_ONCE in a transaction, fsync on."""
    server = Postgres()
    try:
        server.start()
        store = Store.open(server.new_database(), keys=Keyring())
        try:
            store.lock_writer()
            entries = _entries(store.chain)
            began, cpu = time.perf_counter(), time.process_time()
            for some in entries:
                store.append(some)
            count = sum(len(entry.events) for some in entries for entry in some)
            spent = time.process_time() - cpu
            return count / (time.perf_counter() - began), spent / count * 1e6
        finally:
            store.close()
    finally:
        server.remove()


def _entries(chain: Chain) -> list[list[Entry]]:
    position, found = Position(), []
    event = Event(BASE_S * 1000, "source:p", "default", "incident/INC-1", NoteAdded("INC-1", "1", "n" * 600))
    for number in range(COMMITS):
        logged = chain.extend(position, 0, number, [event] * EVENTS_AT_ONCE)
        found.append([Entry(number, Received(BASE_S * 1000, "p", "generic_json", b"[]"), logged)])
        position = position.after(logged)
    return found


# --- simulated ----------------------------------------------------------------------------------------------------


class Spread(msgspec.Struct, frozen=True):
    """How the load lies on the partitions: shares of the whole, medians over the seeds."""

    key: str
    exponent: float
    partitions: int
    scopes: int
    hottest_scope: float
    hottest_partition: float
    empty: int


def spread(key: str, exponent: float, partitions: int, seeds: int = SEEDS) -> Spread:
    """The load of SERVICES by Zipf's law, their scopes hashed to partitions; which service is loud is the dice's."""
    members = KEYS[key]
    scopes = SERVICES // members
    places = np.array([partition_of(f"{key}-{number:05d}", partitions) for number in range(scopes)])
    weights = np.arange(1, SERVICES + 1, dtype=float) ** -exponent
    weights /= weights.sum()
    hottest, loudest = [], []
    for seed in range(seeds):
        load = np.random.default_rng(seed).permutation(weights).reshape(scopes, members).sum(axis=1)
        by_partition = np.bincount(places, weights=load, minlength=partitions)
        hottest.append(float(by_partition.max()))
        loudest.append(float(load.max()))
    empty = partitions - len(set(places.tolist()))
    return Spread(key, exponent, partitions, scopes, statistics.median(loudest), statistics.median(hottest), empty)


def spreads() -> Iterator[Spread]:
    """Every combination."""
    for key in KEYS:
        for exponent in EXPONENTS:
            for partitions in PARTITIONS:
                yield spread(key, exponent, partitions)


def limit(found: Spread, costs: Costs, source: str) -> float:
    """Re-sent alerts a second at which the hottest partition takes FULL of its core."""
    alert_us = costs.resent_us + RECORD_US[source] / PIECE[found.key]
    return FULL * 1e6 / alert_us / found.hottest_partition


# --- the page -----------------------------------------------------------------------------------------------------

LABELS = {
    "resent_us": "core: parse and judge a re-sent alert (µs)",
    "new_us": "core: parse and judge a new alert (µs)",
    "cut_one_us": "web: cut a body of one scope (µs an alert)",
    "cut_many_us": "web: cut a body of four scopes (µs an alert)",
    "pack_us": "web: compress for the journal (µs an alert)",
    "events_per_s": "PostgreSQL: events appended a second by one connection, 1,000 a transaction",
    "event_us": "worker: CPU for appending an event (µs)",
    "journal_bytes": "bytes of an alert in the journal, 64 in a record",
}


def measured_table(costs: Costs) -> str:
    """The costs, one a line."""
    rows = [f"| {LABELS[name]} | {value:,.2f} |" for name, value in msgspec.structs.asdict(costs).items()]
    return "\n".join(("| on one core | |", "| --- | --- |", *rows))


def read_costs(page: str) -> Costs:
    """The costs as the page says them."""
    found = dict(re.findall(r"^\| (.+?) \| ([\d.,]+) \|$", _part(page, "measured"), re.MULTILINE))
    return Costs(**{name: float(found[label].replace(",", "")) for name, label in LABELS.items()})


def simulated_table(costs: Costs) -> str:
    """The spreads, with what they mean at these costs."""
    rows = [
        f"| {one.key} | {one.exponent:g} | {one.scopes:,} | {one.partitions} | {one.hottest_scope:.2%}"
        f" | {one.hottest_partition:.2%} | {one.hottest_partition * one.partitions:.1f} × | {one.empty}"
        f" | {_judged(limit(one, costs, 'plain'))} | {_judged(limit(one, costs, 'Faust'))} |"
        for one in spreads()
    ]
    head = (
        "| scope | Zipf | scopes | partitions | hottest scope | hottest partition | of the mean | idle partitions"
        " | full at alerts/s, plain consumer | full at alerts/s, Faust |"
    )
    return "\n".join((head, "| --- " * 10 + "|", *rows))


def _judged(rate: float) -> str:
    return f"**{rate:,.0f}**" if rate >= WANTED else f"{rate:,.0f}"


def demand_table(costs: Costs) -> str:
    """What WANTED alerts a second need, with namespaces for scopes, for shares of new alerts."""
    head = (
        "| new alerts | web: cores | workers, plain: cores | workers, Faust: cores | events/s"
        " | of one connection's appends | of one projector | journal MB/s |"
    )
    return "\n".join((head, "| --- " * 8 + "|", *(_demand(share, costs) for share in (0.0, 0.001, 0.01, 0.05))))


def _demand(share: float, costs: Costs) -> str:
    new = WANTED * share
    events = new / ALERTS_OF_A_SERVICE * EVENTS_OF_AN_INCIDENT
    web = WANTED * (HTTP_US + costs.cut_one_us + costs.pack_us) / 1e6
    core = ((WANTED - new) * costs.resent_us + new * costs.new_us + events * costs.event_us) / 1e6
    plain, faust = (core + WANTED / PIECE["namespace"] * each / 1e6 for each in RECORD_US.values())
    journal = WANTED * costs.journal_bytes / 1e6
    return (
        f"| {share:.1%} | {web:.1f} | {plain:.1f} | {faust:.1f} | {events:,.0f} | {events / costs.events_per_s:.0%}"
        f" | {events / READ_MODELS_PER_S:.0%} | {journal:,.0f} |"
    )


def _part(page: str, name: str) -> str:
    return page.split(MARK.format(name=name), 1)[1].split("<!-- end -->", 1)[0]


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with new text between its marks."""
    for name, text in parts.items():
        page = page.replace(f"{MARK.format(name=name)}{_part(page, name)}", f"{MARK.format(name=name)}\n{text}\n")
    return page


def main() -> None:
    """Measure, simulate, print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/scale.md")
    parser.add_argument("--as-measured", action="store_true", help="with the costs that the page has")
    options = parser.parse_args()
    costs = read_costs(PAGE.read_text("utf-8")) if options.as_measured else measure()
    costs = read_costs(f"{MARK.format(name='measured')}\n{measured_table(costs)}\n<!-- end -->")  # as they are printed
    parts = {"measured": measured_table(costs), "simulated": simulated_table(costs), "demand": demand_table(costs)}
    print("\n\n".join(parts.values()))
    if options.write:
        PAGE.write_text(filled(PAGE.read_text("utf-8"), parts), "utf-8")


if __name__ == "__main__":
    main()
