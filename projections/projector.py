"""The projector: carries events from the log to the read models, each at its own pace, and none stopping another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import msgspec
import structlog
from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from projections.projection import NOWHERE, Projection, ProjectionStatus, checkpoints
from projections.rows import upsert
from schemas.errors import CommandRejected, ProjectionFailed, StoreUnavailable
from schemas.events import LoggedEvent

BATCH = 500
"""Events in one transaction at most."""

Writing = Callable[[], AbstractContextManager[Connection]]
"""Opens a write transaction that commits on leaving and rolls back on an error, as `Engine.begin` does."""
ReadLog = Callable[[int, int, int], Sequence[LoggedEvent]]
"""`read_log(partition, after_seq, limit)`: the next events of the log, in order; none at its head."""

log = structlog.get_logger(__name__)


class _Checkpoint(msgspec.Struct):
    version: int
    position: int
    halted: str


def create_tables(engine: Engine, projections: Sequence[Projection]) -> None:
    """Make the tables of `projections` and of the projector that are not there yet."""
    with engine.begin() as tx:
        for table in (checkpoints, *(table for projection in projections for table in projection.tables)):
            table.create(tx, checkfirst=True)


class Projector:
    """Applies the log to a set of projections. One thread may use it; several projectors may share one database."""

    def __init__(
        self,
        writing: Writing,
        read_log: ReadLog,
        projections: Sequence[Projection],
        *,
        partitions: Sequence[int] = (0,),
    ) -> None:
        """`read_log` is called outside the write transactions. A rebuild covers all `partitions`, so name them all."""
        self._writing, self._read_log, self._partitions = writing, read_log, tuple(partitions)
        self._projections: Mapping[str, Projection] = {projection.name: projection for projection in projections}

    def catch_up(self) -> int:
        """Apply everything up to the head of the log; the number of log events gone through.

        A projection whose code has another version than its rows starts over. One that fails on an event is halted
        there until it is rebuilt; the others go on. Raises StoreUnavailable when the database does not take it:
        nothing is lost, call again.
        """
        return sum(self._catch_up(partition, self._projections) for partition in self._partitions)

    def rebuild(self, name: str) -> int:
        """Forget the rows of one projection, and its halt, and replay the log; the number of events gone through.

        Raises CommandRejected (``unknown_projection``) and StoreUnavailable. It may have halted again: see `status`.
        """
        projection = self._projections.get(name)
        if projection is None:
            known = ", ".join(self._projections)
            raise CommandRejected("unknown_projection", f"there is no projection {name}; there are {known}")
        with self._transaction() as tx:
            projection.truncate(tx)
            tx.execute(delete(checkpoints).where(checkpoints.c.name == name))
        return sum(self._catch_up(partition, {name: projection}) for partition in self._partitions)

    def status(self) -> list[ProjectionStatus]:
        """How far each projection is, in each partition."""
        with self._transaction() as tx:
            read = {partition: _read_checkpoints(tx, partition) for partition in self._partitions}
        fresh = _Checkpoint(0, NOWHERE, "")
        return [
            ProjectionStatus(name, projection.version, at.position, at.halted, partition)
            for name, projection in self._projections.items()
            for partition in self._partitions
            for at in (read[partition].get(name, fresh),)
        ]

    def _catch_up(self, partition: int, projections: Mapping[str, Projection]) -> int:
        with self._transaction() as tx:
            positions = self._positions(tx, partition, projections)
        gone_through = 0
        while positions:
            with _unavailable_named():
                events = self._read_log(partition, min(positions.values()), BATCH)
            if not events:
                break
            gone_through += len(events)
            positions = self._step(partition, events, {name: projections[name] for name in positions})
        return gone_through

    def _positions(self, tx: Connection, partition: int, projections: Mapping[str, Projection]) -> dict[str, int]:
        """Where each projection that is not halted stands; one of another version is sent back to the beginning."""
        found = _read_checkpoints(tx, partition)
        positions = {}
        for name, projection in projections.items():
            at = found.get(name)
            if at is not None and at.version != projection.version:
                log.info("projection_renewed", projection=name, version=projection.version)
                _renew(tx, projection)
                at = None
            if at is None or not at.halted:
                positions[name] = at.position if at else NOWHERE
        return positions

    def _step(
        self, partition: int, events: Sequence[LoggedEvent], projections: Mapping[str, Projection]
    ) -> dict[str, int]:
        """Apply one batch to all, in one transaction; if one fails, to each alone. The new positions."""
        try:
            with self._transaction() as tx:
                return self._advance(tx, partition, events, projections)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - somebody's bad event; found, recorded and fenced in below
            for name, projection in projections.items():
                self._advance_alone(partition, events, name, projection)
        with self._transaction() as tx:
            return self._positions(tx, partition, projections)

    def _advance(
        self, tx: Connection, partition: int, events: Sequence[LoggedEvent], projections: Mapping[str, Projection]
    ) -> dict[str, int]:
        positions = self._positions(tx, partition, projections)
        for name, position in positions.items():
            # Another projector may have moved it meanwhile: on, then the rest is left to do; back, then not from here.
            if not events[0].seq - 1 <= position < events[-1].seq:
                continue
            projection = projections[name]
            wanted = [
                event for event in events if event.seq > position and type(event.event.data) in projection.handles
            ]
            if wanted:
                projection.apply_all(wanted, tx)
            positions[name] = events[-1].seq
        _write_positions(tx, partition, positions, projections)
        return positions

    def _advance_alone(self, partition: int, events: Sequence[LoggedEvent], name: str, projection: Projection) -> None:
        """Apply a batch to one projection; if that fails, event by event up to the bad one, and halt it there."""
        alone = {name: projection}
        try:
            with self._transaction() as tx:
                self._advance(tx, partition, events, alone)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - look for the bad event below
            for event in events:
                try:
                    with self._transaction() as tx:
                        self._advance(tx, partition, (event,), alone)
                except StoreUnavailable:
                    raise
                except Exception as reason:  # noqa: BLE001 - recorded with its position; this projection stops here
                    failure = ProjectionFailed(name, event.seq, f"{type(reason).__name__}: {reason}")
                    self._halt(partition, projection, failure)
                    return

    def _halt(self, partition: int, projection: Projection, failure: ProjectionFailed) -> None:
        with self._transaction() as tx:
            at = _read_checkpoints(tx, partition).get(projection.name)
            row = _row(partition, projection, at.position if at else NOWHERE)
            upsert(tx, checkpoints, [row | {"halted_reason": str(failure)}])
        log.error("projection_halted", projection=projection.name, position=failure.position, reason=failure.reason)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with _unavailable_named(), self._writing() as tx:
            yield tx


def _read_checkpoints(tx: Connection, partition: int) -> dict[str, _Checkpoint]:
    rows = tx.execute(select(checkpoints).where(checkpoints.c.partition == partition).with_for_update())
    return {row.name: _Checkpoint(row.version, row.position, row.halted_reason or "") for row in rows}


def _row(partition: int, projection: Projection, position: int) -> dict[str, object]:
    version = projection.version
    return {
        "name": projection.name,
        "version": version,
        "partition": partition,
        "position": position,
        "halted_reason": None,
    }


def _write_positions(
    tx: Connection, partition: int, positions: Mapping[str, int], projections: Mapping[str, Projection]
) -> None:
    upsert(tx, checkpoints, [_row(partition, projections[name], position) for name, position in positions.items()])


def _renew(tx: Connection, projection: Projection) -> None:
    """Tables as the present version wants them, empty; the columns may be others than before."""
    for table in projection.tables:
        table.drop(tx, checkfirst=True)
        table.create(tx)
    tx.execute(delete(checkpoints).where(checkpoints.c.name == projection.name))


@contextmanager
def _unavailable_named() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if _is_transient(error):
            raise StoreUnavailable(f"the projections' database did not take it: {error.orig}") from error
        raise


def _is_transient(error: DBAPIError) -> bool:
    """Whether the same may work later. Class 54 of SQLSTATE (too long, too complex) never will, though operational."""
    if str(getattr(error.orig, "sqlstate", None) or "").startswith("54"):
        return False
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
