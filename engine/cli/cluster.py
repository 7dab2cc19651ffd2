"""`tocsin cluster` and `tocsin worker`: many processes on Kafka and PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine.cli.cluster_side import bootstrap_cluster, cluster_admin
from engine.cli.options import ConfigOption, JsonOption, print_json, print_table, settings_of

if TYPE_CHECKING:
    from engine.cluster_admin import PartitionState

app = typer.Typer(help="Kafka before PostgreSQL: make, look at and change the cluster. 集群。", no_args_is_help=True)


def worker(
    config: ConfigOption = None,
    source: Annotated[
        str, typer.Option("--source", help="faust, or aiokafka alone (to compare)", hidden=True)
    ] = "faust",
) -> None:
    """Run one worker of the cluster until SIGTERM or Ctrl-C. 启动集群工作进程。"""
    chosen: Literal["faust", "aiokafka"] = "aiokafka" if source == "aiokafka" else "faust"
    bootstrap_cluster.run_worker(settings_of(config), source=chosen)


@app.command("init")
def init(
    config: ConfigOption = None,
    correct: Annotated[
        bool, typer.Option("--correct", help="give a topic that is there the settings it needs")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="read on from the beginning of another topic of this name; workers stopped")
    ] = False,
) -> None:
    """Make the topic and the tables, or say what is wrong with them. 建立主题与表。Exit code 1 if something is."""
    made, faults = cluster_admin.initialise(settings_of(config), correct=correct, adopt=adopt)
    typer.echo("the topic is made" if made else "the topic is there")
    for fault in faults:
        typer.echo(f"FAIL  {fault}")
    if faults:
        typer.echo("      -> `tocsin cluster init --correct` sets what can be set; partitions: docs/cluster.md")
        raise typer.Exit(1)


@app.command("configure")
def configure(config: ConfigOption = None) -> None:
    """Put the rules of this file in force in the whole cluster, also where it has had them before. 下发规则。"""
    number, digest = cluster_admin.insist_on_rules(settings_of(config))
    typer.echo(f"rules {digest[:12]} are version {number} of the cluster; its workers send them to every partition")


@app.command("rekey")
def rekey(
    source: Annotated[
        Path, typer.Option("--from", help="tocsin.yaml of the old installation: one process or a cluster")
    ],
    config: ConfigOption = None,
) -> None:
    """Decide the past of another installation again over this cluster's partitions, which must be empty. 重新分区。

    Nothing is sent. Exit code 1 where the events of a scope are not those of before.
    """
    done = cluster_admin.rekey(settings_of(config), settings_of(source))
    typer.echo(f"{done.records} records decided again; {done.events} events in {done.scopes} scopes")
    if done.differing:
        typer.echo(f"tocsin: other events than before in scopes {', '.join(done.differing[:20])}", err=True)
        raise typer.Exit(1)
    typer.echo("the same events in every scope")


@app.command("status")
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The processes, the partitions with their holders and lag, and the scopes that make most work. 集群状态。"""
    found = cluster_admin.state_of(settings_of(config))
    if as_json:
        print_json(found)
        return
    typer.echo(f"topic {found.topic}, {len(found.partitions)} partitions, {found.lag} records to be decided\n")
    print_table(
        ("process", "kind", "version", "core", "rules", "clock", "seen"),
        (
            (one.name, one.kind, one.version, one.core_version, one.rules_digest[:12], f"{one.clock_ahead_ms:+} ms",
             f"{one.seen_ago_ms / 1000:.0f} s ago")
            for one in found.members
        ),
    )  # fmt: skip
    typer.echo("")
    _print_partitions(found.partitions)
    typer.echo("")
    print_table(
        ("scope", "partition", "events in the last hour", "share"),
        ((one.scope, one.partition, one.events, f"{one.share:.0%}") for one in found.hot_scopes),
    )


@app.command("lag")
def lag(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """How many records each partition has that are not decided yet. 各分区积压。"""
    found = cluster_admin.state_of(settings_of(config))
    if as_json:
        print_json({"lag": found.lag, "partitions": found.partitions})
    else:
        _print_partitions(found.partitions)


def _print_partitions(partitions: tuple[PartitionState, ...]) -> None:
    print_table(
        ("partition", "holder", "epoch", "decided", "end of topic", "lag", "read models behind"),
        (
            (one.partition, one.worker, one.epoch, one.next_topic_offset, one.end, one.lag, one.events_not_shown)
            for one in partitions
        ),
    )
