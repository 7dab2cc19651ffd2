"""The checks of `tocsin doctor` that are about a cluster: topic, processes, versions, clocks, partitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.cli.cluster_side import cluster_admin
from engine.cli.findings import Finding
from schemas.clusters import Cluster
from schemas.config import Settings
from schemas.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from engine.cluster_admin import ClusterState

SKEW_WARN_MS, SKEW_FAIL_MS = 500, 5_000
"""Of clocks against the database's. Records carry their process's clock, and a partition's time never goes back."""
ENVELOPE_BYTES = 65_536
"""What a record has beside its body, at most."""
LAG_WARN = 1_000


def examine_cluster(settings: Settings) -> Iterator[Finding]:
    """Every check that a cluster adds."""
    cluster = settings.cluster
    assert cluster is not None
    yield _sizes(settings, cluster)
    try:
        faults = cluster_admin.topic_faults(settings)
    except (ConfigError, StoreUnavailable) as unreachable:
        yield Finding("topic", "fail", str(unreachable), "check cluster.bootstrap_servers; `tocsin cluster init`")
        return
    for fault in faults:
        remedy = "`tocsin cluster init --correct`; the number of partitions: docs/cluster.md"
        yield Finding("topic", "fail", fault, remedy)
    if not faults:
        yield Finding("topic", "ok", f"{cluster.topic}: {cluster.partitions} partitions, every setting as needed")
    try:
        state = cluster_admin.state_of(settings)
    except (ConfigError, StoreUnavailable) as unreadable:
        yield Finding("cluster", "fail", str(unreadable), "`tocsin cluster init` makes the tables")
        return
    yield from _members(state)
    yield from _skews(state, settings)
    yield _partitions(state)


def _sizes(settings: Settings, cluster: Cluster) -> Finding:
    needed = settings.server.max_body_bytes + ENVELOPE_BYTES
    if cluster.max_record_bytes < needed:
        what = (
            f"cluster.max_record_bytes ({cluster.max_record_bytes}) is less than a body may have ({needed} with rest)"
        )
        return Finding("topic", "fail", what, "raise it, then `tocsin cluster init --correct`")
    return Finding("topic", "ok", f"records up to {cluster.max_record_bytes} bytes: every body fits")


def _members(state: ClusterState) -> Iterator[Finding]:
    alive = [one for one in state.members if not one.gone]
    for kind, remedy in (("worker", "start `tocsin worker`"), ("web", "start `tocsin serve`")):
        count = sum(one.kind == kind for one in alive)
        if count == 0:
            yield Finding("cluster", "fail", f"no {kind} process is alive", remedy)
        elif count == 1:
            yield Finding("cluster", "warn", f"one {kind} process only: if it ends, nobody takes over", remedy)
        else:
            yield Finding("cluster", "ok", f"{count} {kind} processes")
    gone = [one.name for one in state.members if one.gone]
    if gone:
        yield Finding("cluster", "warn", f"not seen for a while: {', '.join(gone)}", "look at their logs")


def _skews(state: ClusterState, settings: Settings) -> Iterator[Finding]:
    alive = [one for one in state.members if not one.gone]
    versions = {(one.version, one.core_version) for one in alive}
    if len(versions) > 1:
        told = "; ".join(f"{one.name} {one.version} (core {one.core_version})" for one in alive)
        yield Finding("versions", "warn", f"several at once: {told}", "finish the upgrade: docs/cluster.md")
    elif alive:
        yield Finding("versions", "ok", f"all {alive[0].version}, core {alive[0].core_version}")
    others = [one.name for one in alive if one.rules_digest != settings.rules.digest]
    if others:
        what = f"other rules than this file's: {', '.join(others)}"
        yield Finding("rules", "warn", what, "give all the same file; `tocsin cluster configure` puts it in force")
    for one in alive:
        skew = abs(one.clock_ahead_ms)
        if skew > SKEW_WARN_MS:
            what = f"{one.name} is {one.clock_ahead_ms:+} ms off the database's clock"
            yield Finding(
                "clocks", "fail" if skew > SKEW_FAIL_MS else "warn", what, "set it (chrony or systemd-timesyncd)"
            )
    if alive and all(abs(one.clock_ahead_ms) <= SKEW_WARN_MS for one in alive):
        yield Finding("clocks", "ok", f"within {max(abs(one.clock_ahead_ms) for one in alive)} ms of the database's")


def _partitions(state: ClusterState) -> Finding:
    lost = [one.partition for one in state.partitions if one.first > one.next_topic_offset]
    if lost:
        what = f"partitions {lost}: the topic no longer has records that were not decided"
        return Finding("partitions", "fail", what, "raise cluster.retention_h, and see why the workers were behind")
    ahead = [one.partition for one in state.partitions if one.next_topic_offset > one.end]
    if ahead:
        what = f"partitions {ahead}: the database is ahead of the topic, which was made anew or has lost records"
        return Finding("partitions", "fail", what, "restore the topic; else `tocsin cluster init --adopt`")
    idle = [one.partition for one in state.partitions if one.worker == "nobody"]
    if idle:
        return Finding("partitions", "fail", f"nobody has ever held partitions {idle}", "start `tocsin worker`")
    if state.lag > LAG_WARN:
        return Finding("partitions", "warn", f"{state.lag} records wait", "add workers: `tocsin cluster status`")
    return Finding("partitions", "ok", f"{len(state.partitions)} held, {state.lag} records wait")
