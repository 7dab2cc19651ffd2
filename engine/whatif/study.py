"""`what_if`: the journal and the log of a period beside a rerun under other rules, and what differs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

from engine.core import CORE_VERSION, Core
from engine.store import Store
from engine.whatif.rerun import Rerun
from engine.whatif.tally import Life, Tally
from schemas import events as e
from schemas.config import Rules
from schemas.errors import TocsinError
from schemas.ports import Parser
from schemas.records import Received, Record
from schemas.whatif import Fate, Harm, WhatIf

TOLERATED_MS = 60_000
"""A page that comes up to a minute later counts as one in time."""


def latest_ms(store: Store, partition: int = 0) -> int:
    """The time of the latest event of the log, 0 where there is none."""
    latest = store.log(partition=partition, after=store.position(partition).next_seq - 2, limit=1)
    return latest[-1].event.at_ms if latest else 0


class CannotJudge(TocsinError):
    """The core fails on a record under the other rules: they are not to be put in force."""


def what_if(
    store: Store, parsers: Mapping[str, Parser], rules: Rules, *, since_ms: int, until_ms: int, partition: int = 0
) -> WhatIf:
    """What `rules` would have made of the records from `since_ms` to `until_ms` (UTC milliseconds).

    Reads the journal, the archive included, and the log; writes nothing. Costs one replay of what came before, from a
    snapshot where an old one is there, and two of the period. Raises CommandRejected for rules that cannot be taken,
    CannotJudge where the core fails under them.
    """
    core, journal = _before(store, parsers, since_ms, partition)
    first = next(journal, None)
    begin = first[0] if first else store.position(partition).next_offset
    actual, tally = Tally(since_ms), Tally(since_ms)
    for event in _logged_before(store, partition, begin):
        actual.follow((event,))
        tally.follow((event,))
    study = Comparison(core, parsers, rules, actual, tally, since_ms)
    for offset, record in _again(first, journal):
        if record.at_ms > until_ms:
            break
        study.take(offset, record)
    return study.report(until_ms)


class Comparison:
    """Two cores over the same records: one under the rules of the time, one under others."""

    def __init__(
        self, core: Core, parsers: Mapping[str, Parser], rules: Rules, actual: Tally, tally: Tally, since_ms: int
    ) -> None:
        """`core` stands where the comparison begins; the tallies have seen what came before. Raises CommandRejected."""
        self._core, self._actual, self._since_ms = core, actual, since_ms
        other = Core.from_snapshot(core.snapshot(), parsers)
        self._rerun = Rerun(other, rules, tally, actual=actual, at_ms=since_ms)
        self._records = 0

    def take(self, offset: int, record: Record) -> None:
        """The next record. Raises CannotJudge."""
        decided = self._core.handle(record)
        self._actual.follow(decided.events)
        if isinstance(record, Received):
            self._actual.received(decided.dispositions)
        try:
            self._rerun.take(record, decided.events)
        except Exception as bug:  # as the judge does: it is named, and nothing is said about the rest
            raise CannotJudge(f"record {offset} cannot be judged under these rules: {bug!r}") from bug
        self._records += 1

    def report(self, until_ms: int) -> WhatIf:
        """What both came to by then."""
        self._rerun.advance(until_ms)
        return _report(self._actual, self._rerun, self._since_ms, until_ms, self._records)


def _again(first: tuple[int, Record] | None, rest: Iterator[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
    if first is not None:
        yield first
        yield from rest


def _logged_before(store: Store, partition: int, offset: int) -> Iterator[e.Event]:
    """What was decided about the records before `offset`."""
    after = -1
    while events := store.log(partition=partition, after=after, limit=2000):
        for logged in events:
            if logged.offset >= offset:
                return
            yield logged.event
        after = events[-1].seq


def _before(
    store: Store, parsers: Mapping[str, Parser], since_ms: int, partition: int
) -> tuple[Core, Iterator[tuple[int, Record]]]:
    """The core as it stood when the period began, and the journal from there without what the core failed on."""
    core, start = Core(parsers), 0
    snapshot = store.snapshot(partition=partition, core_version=CORE_VERSION)
    if snapshot is not None:
        then = Core.from_snapshot(snapshot.state, parsers)
        if then.now_ms < since_ms:
            core, start = then, snapshot.position.next_offset
    stop = store.position(partition).next_offset
    poisoned = {event.offset: event.event.data for event in store.log_of("poison", limit=100_000)}
    for offset, record in store.journal(partition=partition, start=start, stop=stop):
        if record.at_ms >= since_ms:
            rest = store.journal(partition=partition, start=offset, stop=stop)
            return core, ((at, one) for at, one in rest if at not in poisoned)
        failed = poisoned.get(offset)
        if isinstance(failed, e.RecordPoisoned):
            core.poison(record, failed.error)
        else:
            core.handle(record)
    return core, iter(())


def _report(actual: Tally, rerun: Rerun, since_ms: int, until_ms: int, records: int) -> WhatIf:
    confirmed = [life for life in actual.lives.values() if _is_confirmed(life, since_ms)]
    harmed = [harm for life in confirmed if (harm := _harm(life, rerun)) is not None]
    return WhatIf(
        since_ms=since_ms,
        until_ms=until_ms,
        records=records,
        actual=copy.deepcopy(actual.counted),
        candidate=copy.deepcopy(rerun.tally.counted),
        confirmed=len(confirmed),
        harmed=harmed,
        commands=rerun.commands,
        commands_left_out=rerun.left_out,
        safe=not any(harm.fate in ("lost", "silent") for harm in harmed),
    )


def _is_confirmed(life: Life, since_ms: int) -> bool:
    return life.opened_ms >= since_ms and life.confirmed and not life.false_alarm and bool(life.alerts)


def _harm(life: Life, rerun: Rerun) -> Harm | None:
    """What becomes of a confirmed incident, where that is worse than it was."""
    told_ms = life.opened_ms if life.paged_ms is None else life.paged_ms
    found = sorted(_told(life, rerun), key=lambda one: (one[0] is None, one[0] or 0, one[1].id))
    if not found:
        return _worse(life, "lost", told_ms)
    would_ms, other = found[0]
    if would_ms is None:
        return _worse(life, "silent", told_ms, becomes=other.id)
    if would_ms <= told_ms + TOLERATED_MS:
        return None
    return _worse(life, "delayed", told_ms, would_ms, other.id)


def _worse(life: Life, fate: Fate, told_ms: int, would_ms: int | None = None, becomes: str = "") -> Harm:
    return Harm(life.id, life.title, life.service, life.priority, fate, told_ms, would_ms, becomes)


def _told(life: Life, rerun: Rerun) -> Iterator[tuple[int | None, Life]]:
    """The incidents that hold an alert of `life` while it lasts, each with when somebody is told of it (None: never).

    An incident that somebody was paged of before the alert joined it tells of the alert when it joins.
    """
    for alert in life.alerts:
        for stay in rerun.tally.stays.get(alert, ()):
            over = stay.until_ms is not None and stay.until_ms < life.opened_ms
            late = life.ended_ms is not None and stay.from_ms > life.ended_ms
            other = rerun.tally.life(stay.incident)
            if over or late or other is None:
                continue
            if life.paged_ms is None:
                yield stay.from_ms, other
            elif other.paged_ms is None or (life.ended_ms is not None and other.paged_ms > life.ended_ms):
                yield None, other
            else:
                yield max(stay.from_ms, other.paged_ms), other
