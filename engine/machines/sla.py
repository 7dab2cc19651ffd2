"""The SLA machine: two promises run for each incident, response and resolution (R11).

Response ends when a person takes notice, resolution when the trouble is over. A reopened incident starts both anew.
"""

from __future__ import annotations

import msgspec

from schemas import events as e
from schemas.config import SlaTarget


class RunningClock(msgspec.Struct, frozen=True):
    """One promise that is not kept yet. Times are UTC milliseconds."""

    clock: e.Clock
    target_s: int
    started_ms: int
    due_ms: int
    breached: bool = False


Clocks = dict[e.Clock, RunningClock]
"""The promises that run for one incident."""

SlaEvent = e.SlaClockStarted | e.SlaClockStopped | e.SlaClockBreached


def react(clocks: Clocks, event: e.EventData, target: SlaTarget, at_ms: int) -> tuple[SlaEvent, ...]:
    """What an incident's event means for its clocks."""
    match event:
        case e.IncidentOpened() | e.IncidentReopened():
            targets: tuple[tuple[e.Clock, int], ...] = (
                ("response", target.response_s),
                ("resolution", target.resolution_s),
            )
            return tuple(
                e.SlaClockStarted(event.incident, clock, target_s, at_ms + 1000 * target_s)
                for clock, target_s in targets
                if clock not in clocks
            )
        case e.IncidentAcknowledged():
            return _stop(event.incident, clocks, ("response",), at_ms)
        case e.IncidentResolved() | e.IncidentMerged() | e.IncidentMarkedFalseAlarm():
            return _stop(event.incident, clocks, ("response", "resolution"), at_ms)
        case _:
            return ()


def _stop(incident: str, clocks: Clocks, which: tuple[e.Clock, ...], at_ms: int) -> tuple[SlaEvent, ...]:
    return tuple(
        # A breach that was noted in the very millisecond of the due time stays one.
        e.SlaClockStopped(
            incident, name, at_ms - clocks[name].started_ms, clocks[name].breached or at_ms > clocks[name].due_ms
        )
        for name in which
        if name in clocks
    )


def due(incident: str, clocks: Clocks, name: e.Clock, at_ms: int) -> tuple[SlaEvent, ...]:
    """The due time of a clock may have come: a breach, or nothing if it was stopped or breached already."""
    clock = clocks.get(name)
    if clock is None or clock.breached or clock.due_ms > at_ms:
        return ()
    return (e.SlaClockBreached(incident, name, clock.target_s, clock.due_ms),)


def evolve(clocks: Clocks, event: SlaEvent, at_ms: int) -> Clocks:
    """The running clocks after `event`."""
    match event:
        case e.SlaClockStarted():
            return {**clocks, event.clock: RunningClock(event.clock, event.target_s, at_ms, event.due_ms)}
        case e.SlaClockStopped():
            return {name: clock for name, clock in clocks.items() if name != event.clock}
        case e.SlaClockBreached():
            return {**clocks, event.clock: msgspec.structs.replace(clocks[event.clock], breached=True)}
