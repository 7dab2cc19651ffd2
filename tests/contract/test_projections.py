"""What every projection must do, on every database, whatever it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Engine, Integer, Table, select
from sqlalchemy.exc import OperationalError

from projections import ALL, Projection, Projector, create_tables
from projections.projection import ProjectionStatus
from projections.pruning import prune
from projections.tickets import get_ticket
from schemas import events as e
from schemas.errors import CommandRejected, StoreUnavailable
from schemas.oncall_changes import EscalationEnded, EscalationStarted, EscalationStep
from tests.assessments import assessed_period
from tests.events import T0, EventLog, alert, opened, requested, rolled_up, whole_life

NAMES = [projection.name for projection in ALL()]
DETAILS = ("ticket_alerts", "timeline", "timeline_deliveries", "deliveries", "sla_clocks")


ESCALATED = (
    EscalationStarted("INC-2", "a\0b", "opened"),
    EscalationStep("INC-2", "a\0b", 1, 1, T0 + 300_000, ["li"], ["ops"], {"li": "a\0b"}, {"wang": "asleep"}),
    EscalationEnded("INC-2", "a\0b", "acknowledged", ["li"]),
)


def busy_log() -> EventLog:
    """A log in which every type of event that any projection handles occurs."""
    log = EventLog(e.Configured(1, "d"), *whole_life("INC-1"), *whole_life("INC-2"))
    again = alert(incident="INC-2")
    more: list[e.EventData] = [
        e.IncidentReopened("INC-2", "it fired again", [again]),
        e.SlaClockStarted("INC-2", "response", 600, T0 + 900_000),
        e.SlaClockStarted("INC-2", "resolution", 7200, T0 + 9_000_000),
        e.SlaClockBreached("INC-2", "response", 600, T0 + 900_000),
        e.IncidentRaised("INC-2", "critical", 1, 1, "P1", "20 alerts"),
        requested("INC-2.2", "INC-2", channels=["mail", "ding"], kind="breached"),
        e.DeliveryDue("INC-2.2", "mail", 1),
        e.DeliveryRetryScheduled("INC-2.2", "mail", 1, T0, "greylisted", "451", "ding"),
        e.DeliveryDue("INC-2.2", "ding", 2),
        e.DeliveryFailed("INC-2.2", 2, "no such robot", "300001"),
        e.ChannelFailing("ding", 3, 3, 3, "no such robot"),
        e.ChannelRecovered("ding", T0),
        requested("INC-2.3", "INC-2"),
        e.DeliveryUnconfirmed("INC-2.3", "mail", 1, "timed out after sending"),
        requested("INC-2.4", "INC-2"),
        e.DeliveryCancelled("INC-2.4", "acknowledged"),
        e.IncidentMitigated("INC-2"),
        e.ClassificationSuggested("INC-2", module="pay\0", why={"module": "rule"}),
        e.IncidentClassified("INC-2", "payments", "bank", "disk\0"),
        e.IncidentHandedOver("INC-2", "wu", "li", "night\0"),
        e.IncidentVerified("INC-1", "user:wu", "fine"),
        e.IncidentSplit("INC-2", "INC-5", [again.fingerprint], "another\0"),
        opened("INC-5", again),
        e.IncidentLinked("INC-5", "INC-2", "related", "a\0b"),
        e.IncidentLinked("INC-5", "INC-1", "caused_by"),
        e.IncidentUnlinked("INC-5", "INC-1"),
        opened("INC-3", alert(incident="INC-3"), outage="business"),
        e.AccidentProposed("INC-3", "ordinary", "一般.1", 15, "business", 8, T0),
        e.AccidentProposed("INC-3", "major", "重大.1", 30, "business", 24, T0),
        *assessed_period(),
        e.IncidentMerged("INC-3", "INC-2"),
        opened("INC-4", title="a NUL \0 in a title", service="a\0b"),
        e.IncidentMarkedFalseAlarm("INC-4", "a drill"),
        e.PayloadRejected("a\0b", "$[0].labels", "expected \0 an object"),
        e.RulesHit(T0, {"rule/a\0b": 2, "inhibit/1": 1}),
        e.AlertsHeld("silenced", ["a\0b"], [alert(incident="held"), again]),
        e.AlertsReleased("silenced", ["a\0b"], [again.fingerprint], "ended"),
        e.PageWithheld("INC-2", "breached", "silenced", ["a\0b"]),
        *ESCALATED,
        e.StormStarted("INC-2", 3000, 12.5, 60),
        e.StormEnded("INC-2", 2500, 600_000),
        rolled_up({"a\0b": {"opened": 2, "invalid": 1}, "alertmanager": {"repeated": 3}}),
    ]
    for data in more:
        log.add(data)
    return log


def rows_of(projection: Projection, conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Everything the projection has written, in a fixed order."""
    return {
        table.name: sorted((tuple(row) for row in conn.execute(select(table))), key=repr)
        for table in tables(projection)
    }


def tables(projection: Projection) -> Sequence[Table]:
    """The projection's tables."""
    return projection.tables


def of_name(name: str) -> Projection:
    """The registered projection of that name."""
    return next(projection for projection in ALL() if projection.name == name)


class Failing(Projection):
    """A real projection that cannot apply the event at one position."""

    def __init__(self, real: Projection, at: int) -> None:
        self._real, self._at = real, at
        self.name, self.version, self.handles, self.tables = real.name, real.version, real.handles, real.tables

    def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
        """Apply, rows and all, and only then fail: what was written must not stay."""
        self._real.apply_all(events, tx)
        if any(event.seq == self._at for event in events):
            raise ValueError("cannot read this")


def test_the_busy_log_shows_each_projection_every_type_that_it_handles() -> None:
    """The log that these tests run on leaves out no type of event that any projection handles."""
    seen = {type(logged.event.data) for logged in busy_log().events}
    assert all(projection.handles <= seen for projection in ALL())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_event_twice_leaves_the_same_rows(name: str, database_engine: Engine) -> None:
    """Each event applied twice in a row, by the projection alone, gives the rows of each applied once."""
    projection, log = of_name(name), busy_log()
    wanted = [logged for logged in log.events if type(logged.event.data) in projection.handles]
    create_tables(database_engine, [projection])
    with database_engine.begin() as tx:
        for logged in wanted:
            projection.apply(logged, tx)
        once = rows_of(projection, tx)
        projection.truncate(tx)
        assert not any(rows_of(projection, tx).values())
        for logged in wanted:
            projection.apply(logged, tx)
            projection.apply(logged, tx)
        twice = rows_of(projection, tx)
    assert any(once.values())
    assert twice == once


@pytest.mark.parametrize("name", NAMES)
def test_a_rebuild_gives_the_rows_that_came_event_by_event(name: str, database_engine: Engine) -> None:
    """Truncate and replay leaves what following the log one event at a time had left."""
    projection, whole, log = of_name(name), busy_log(), EventLog()
    create_tables(database_engine, [projection])
    projector = Projector(database_engine.begin, log.read, [projection])
    for logged in whole.events:
        log.events.append(logged)
        assert projector.catch_up() == 1
    with database_engine.begin() as tx:
        incremental = rows_of(projection, tx)
    assert projector.rebuild(name) == len(whole.events)
    with database_engine.begin() as tx:
        assert rows_of(projection, tx) == incremental
    assert projector.status() == [ProjectionStatus(name, projection.version, len(whole.events) - 1, "")]
    assert projector.catch_up() == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_event_halts_one_projection_and_no_other(name: str, database_engine: Engine) -> None:
    """The one that fails stops before the bad event with the rows up to there; a rebuild of a mended one goes on."""
    log, healthy = busy_log(), ALL()
    bad = [logged.seq for logged in log.events if type(logged.event.data) in of_name(name).handles][-1]
    head = len(log.events) - 1
    mixed = [Failing(projection, bad) if projection.name == name else projection for projection in healthy]
    create_tables(database_engine, healthy)
    Projector(database_engine.begin, log.read, mixed).catch_up()
    projector = Projector(database_engine.begin, log.read, healthy)

    standing = {status.name: status for status in projector.status()}
    assert {other: standing[other].position for other in NAMES if other != name} == {
        other: head for other in NAMES if other != name
    }
    assert not any(standing[other].halted for other in NAMES if other != name)
    assert standing[name].position == bad - 1
    assert standing[name].halted == f"projection {name} halted at position {bad}: ValueError: cannot read this"

    assert projector.catch_up() == 0  # it stays halted until somebody rebuilds it
    with database_engine.begin() as tx:
        kept = rows_of(of_name(name), tx)
    until = EventLog()
    until.events = log.events[:bad]
    projector_until = Projector(database_engine.begin, until.read, healthy)
    projector_until.rebuild(name)
    with database_engine.begin() as tx:
        assert rows_of(of_name(name), tx) == kept
    projector.catch_up()
    assert {(status.position, status.halted) for status in projector.status()} == {(head, "")}


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_make_no_sense_halt_the_projection(name: str, database_engine: Engine) -> None:
    """An event without any value is refused, by the projection's code or by the database, and not half applied."""
    projection = of_name(name)
    for kind in sorted(projection.handles, key=lambda each: each.__name__):
        hollow = kind(**dict.fromkeys(kind.__struct_fields__))  # type: ignore[attr-defined]
        log = EventLog(hollow)
        create_tables(database_engine, [projection])
        projector = Projector(database_engine.begin, log.read, [projection])
        projector.catch_up()
        (status,) = projector.status()
        assert status.position == -1, kind
        assert status.halted.startswith(f"projection {name} halted at position 0"), kind
        with database_engine.begin() as tx:
            assert not any(rows_of(projection, tx).values())
        projector.rebuild(name)


def test_a_database_that_is_away_halts_nothing(database_engine: Engine) -> None:
    """An operational error is the caller's to retry: nothing is applied, nothing is halted, the next call goes on."""
    log, projections = busy_log(), ALL()
    create_tables(database_engine, projections)

    class Away(Failing):
        """Loses the database while it applies."""

        def apply_all(self, events: Sequence[e.LoggedEvent], tx: Connection) -> None:
            """Write, then lose the connection."""
            self._real.apply_all(events, tx)
            raise OperationalError("INSERT", {}, Exception("server closed the connection"))

    with pytest.raises(StoreUnavailable):
        Projector(database_engine.begin, log.read, [*projections[:-1], Away(projections[-1], 0)]).catch_up()
    projector = Projector(database_engine.begin, log.read, projections)
    assert {(status.position, status.halted) for status in projector.status()} == {(-1, "")}
    assert projector.catch_up() == len(log.events)


@pytest.mark.parametrize("name", NAMES)
def test_another_version_is_built_anew(name: str, database_engine: Engine) -> None:
    """When the code has another version than the rows, tables with their old columns go and the log is read again."""
    log, projection = busy_log(), of_name(name)
    create_tables(database_engine, [projection])
    Projector(database_engine.begin, log.read, [projection]).catch_up()
    with database_engine.begin() as tx:
        before = rows_of(projection, tx)
        tx.exec_driver_sql(f"ALTER TABLE {projection.tables[0].name} ADD COLUMN outdated {Integer()}")
        projection.version += 1
    assert Projector(database_engine.begin, log.read, [projection]).catch_up() == len(log.events)
    with database_engine.begin() as tx:
        assert rows_of(projection, tx) == before
        columns = set(tx.exec_driver_sql(f"SELECT * FROM {projection.tables[0].name}").keys())
    assert columns == set(projection.tables[0].columns.keys())


def test_each_partition_has_its_own_position(database_engine: Engine) -> None:
    """Events of two partitions with the same numbers are all applied, once."""
    logs = {0: EventLog(*whole_life("INC-1")), 3: EventLog(*whole_life("INC-3-1"), partition=3)}
    projections = ALL()
    create_tables(database_engine, projections)

    def read(partition: int, after_seq: int, limit: int) -> list[e.LoggedEvent]:
        return logs[partition].read(partition, after_seq, limit)

    projector = Projector(database_engine.begin, read, projections, partitions=(0, 3))
    assert projector.catch_up() == sum(len(log.events) for log in logs.values())
    assert projector.rebuild("tickets") == sum(len(log.events) for log in logs.values())
    with database_engine.begin() as tx:
        first, second = get_ticket(tx, "INC-1"), get_ticket(tx, "INC-3-1")
    assert first is not None
    assert second is not None
    assert msgspec.structs.replace(second, incident="INC-1", partition=0) == first


def test_two_projectors_on_one_database_apply_each_event_once(database_engine: Engine) -> None:
    """A projector that lags behind, or whose rows another one rebuilds, reads the position and not its memory."""
    log, projections = busy_log(), ALL()
    create_tables(database_engine, projections)
    other = Projector(database_engine.begin, log.read, projections)
    meddled = False

    def read_while_another_works(partition: int, after_seq: int, limit: int) -> list[e.LoggedEvent]:
        nonlocal meddled
        events = log.read(partition, after_seq, 7)
        if not meddled and after_seq > 10:
            meddled = True
            other.rebuild("trends")
            other.catch_up()
        return events

    Projector(database_engine.begin, read_while_another_works, projections).catch_up()
    with database_engine.begin() as tx:
        raced = [rows_of(projection, tx) for projection in projections]
    for name in NAMES:
        other.rebuild(name)
    with database_engine.begin() as tx:
        assert [rows_of(projection, tx) for projection in projections] == raced
    assert meddled


def test_an_unknown_name_is_rejected_with_the_known_ones(database_engine: Engine) -> None:
    """A rebuild of what does not exist says what does."""
    create_tables(database_engine, ALL())
    with pytest.raises(CommandRejected, match=r"no projection ticket; there are tickets, timeline") as rejected:
        Projector(database_engine.begin, EventLog().read, ALL()).rebuild("ticket")
    assert rejected.value.code == "unknown_projection"


# --- retention --------------------------------------------------------------------------------------------------------


def details_of(engine: Engine, incident: str) -> dict[str, int]:
    """How many rows of detail each read model has of an incident."""
    with engine.connect() as conn:
        return {
            table.name: len(conn.execute(select(table).where(table.c.incident == incident)).all())
            for projection in ALL()
            for table in projection.tables
            if "incident" in table.c and table.name in DETAILS
        }


def test_details_of_what_was_over_long_ago_are_pruned(database_engine: Engine) -> None:
    """Alerts, timeline, clocks, deliveries go, the ticket stays; open or younger ones keep all; a rebuild restores."""
    log, projections = busy_log(), ALL()
    create_tables(database_engine, projections)
    projector = Projector(database_engine.begin, log.read, projections)
    projector.catch_up()
    before = {name: details_of(database_engine, name) for name in ("INC-1", "INC-2")}
    assert all(all(rows.values()) for rows in before.values())
    with database_engine.connect() as conn:
        ticket = get_ticket(conn, "INC-1")
    assert ticket is not None
    assert ticket.state == "closed"
    assert prune(database_engine.begin, ticket.updated_ms) == 0
    assert prune(database_engine.begin, ticket.updated_ms + 1) == 1
    assert not any(details_of(database_engine, "INC-1").values())
    assert details_of(database_engine, "INC-2") == before["INC-2"]
    with database_engine.connect() as conn:
        assert get_ticket(conn, "INC-1") == ticket
    assert prune(database_engine.begin, ticket.updated_ms + 1) == 0
    log.add(e.NoteAdded("INC-1", "n9", "seen again"))
    projector.catch_up()
    assert not [status.halted for status in projector.status() if status.halted]
    for projection in projections:
        projector.rebuild(projection.name)
    restored = details_of(database_engine, "INC-1")
    assert restored.pop("timeline") == before["INC-1"].pop("timeline") + 1
    assert restored == before["INC-1"]


def test_nothing_is_pruned_while_a_projection_is_halted(database_engine: Engine) -> None:
    """Whoever stands still could need its rows when it goes on."""
    log, healthy = busy_log(), ALL()
    create_tables(database_engine, healthy)
    mixed = [Failing(projection, 3) if projection.name == "sla" else projection for projection in healthy]
    Projector(database_engine.begin, log.read, mixed).catch_up()
    assert prune(database_engine.begin, T0 + 10**12) == 0
