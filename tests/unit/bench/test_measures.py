"""What the benchmarks build and count before any figure is taken: pasts, loads, loops, and who cannot be measured."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench import alerta
from bench.client import Connection, Job, _send
from bench.journals import Past, empty_store, project, received
from bench.measures import cold, durable, growth
from bench.meters import cpu_s, tree_cpu_s
from bench.peers import Missing, interpreter
from bench.report import Sample, verdicts
from bench.workload import Fleet
from engine.runtime.judge import replay
from projections.tickets import count_tickets
from sources import PARSERS
from web.incidents import OPEN

FLEET = Fleet(seed=7, base_s=1_790_000_000)


class _Answering(Connection):
    """A connection whose server answers at once."""

    async def ask(self, request: bytes) -> bytes:
        """200, whatever is asked."""
        return b"200"


async def test_a_request_that_waited_for_others_is_counted_from_when_it_was_due() -> None:
    """A thousand requests due at once on one connection: each latency holds all those ahead of it."""
    job = Job(port=0, pid=0, fleet=FLEET, first=0, alerts=0, per_body=1, connections=1, at_most_s=60, rate=1e12)
    queue: Iterator[tuple[int, bytes]] = enumerate([b"ask"] * 1000)
    latencies: list[float] = []
    refused = await _send(_Answering(), queue, job, time.perf_counter() + 60, latencies)
    assert refused == 0
    assert len(latencies) == 1000
    assert latencies == sorted(latencies)


def test_a_past_delivers_its_pages_and_can_be_decided_again() -> None:
    """After 4 alerts of 4 services every page was answered, 4 incidents are open, and the replay gives the same log."""
    fleet = replace(FLEET, per_service=1)
    with empty_store() as (store, _):
        past = Past(store, 1000 * fleet.base_s)
        past.take(received(fleet.body(0, 4), 1000 * fleet.base_s))
        judge = past.commit()
        project(store)
        assert judge.core.pending_deliveries() == []
        with store.engine.connect() as connection:
            assert count_tickets(connection, states=OPEN) == 4
        assert replay(store, PARSERS).books() == judge.core.books()


def test_the_past_of_a_cold_start_ends_with_open_incidents_and_resolved_ones_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So many events as were asked for; every incident but about the last of them is over; nothing is in the future."""
    monkeypatch.setattr(cold, "OPEN", 10)
    monkeypatch.setattr(cold, "RESOLVE_AFTER", 3)
    with empty_store() as (store, _):
        past, incidents = cold._make(store, FLEET, 700)
        judge = past.commit()
        project(store)
        with store.engine.connect() as connection:
            still_open = count_tickets(connection, states=OPEN)
        assert 700 <= judge.position.next_seq < 700 + cold.EVENTS_OF_A_LIFE
        assert 10 <= still_open <= 16
        assert incidents > 2 * still_open
        assert judge.core.now_ms <= time.time() * 1000


def test_growth_costs_something_in_both_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One alert an incident and many an incident both give CPU time for each alert, and what the process holds."""
    monkeypatch.setattr(growth, "SENT", 1280)
    for per_service in growth.SHAPES_OF.values():
        taken = growth.cost(replace(FLEET, services=128), 128, per_service)
        assert min(taken.resent_us, taken.new_us, taken.rss_mb) > 0


def test_new_alerts_of_the_growth_measure_belong_to_no_service_that_fires() -> None:
    """The number behind all active alerts begins a body and a service."""
    for active, per_service in ((1000, 50), (64, 1), (6400, 50)):
        first = growth._unused(active, per_service)
        assert first > active
        assert first % per_service == first % 64 == 0


def test_the_bare_loop_writes_as_often_as_it_was_told(tmp_path: Path) -> None:
    """Twenty writes for twenty milliseconds at a thousand a second, and no file is left."""
    taken = durable.bare_loop(tmp_path, 1000, 4096, 0.02)
    assert len(taken) == 20
    assert min(taken) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_ratio_counts_only_the_peers_it_is_meant_for() -> None:
    """Thrice Alertmanager's rate is said of Alertmanager, and not of Alerta, whose bound is another."""
    case = "re-sent, 64 a request, 4 connections"
    rates = {"tocsin": 9000.0, "alertmanager 1": 3000.0, "alerta 2": 10.0}
    samples = [Sample("ingest", case, name, {"alerts_per_s": rate}) for name, rate in rates.items()]
    found = [(each.peer, each.target.bound, each.met) for each in verdicts(samples)]
    assert found == [("alertmanager 1", 3, True), ("alerta 2", 300, True)]


def test_alerta_gets_the_same_alerts_in_another_envelope() -> None:
    """Every alert of the bodies is there, with a severity that Alerta has."""
    (body,) = alerta.bodies(FLEET, 0, 12, 64)
    found = json.loads(body)["alerts"]
    assert [each["labels"]["pod"] for each in found] == [
        each["labels"]["pod"] for each in json.loads(FLEET.body(0, 12))
    ]
    assert "informational" in {each["labels"]["severity"] for each in found}
    assert "info" not in {each["labels"]["severity"] for each in found}


def test_a_process_and_its_children_are_counted_together() -> None:
    """The CPU of this process and all below it is at least its own."""
    own = cpu_s(os.getpid())
    assert tree_cpu_s(os.getpid()) >= own > 0


def test_a_peer_that_nobody_asked_for_is_missing_with_its_reason() -> None:
    """Without a folder nothing is installed."""
    with pytest.raises(Missing, match="--with-peers"):
        interpreter(None, "eventsourcing")
