"""Shadow rules: a candidate is judged beside the rules in force, live, from the journal and behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.core import CORE_VERSION, Core
from engine.store import Store
from engine.whatif.study import Comparison
from engine.whatif.tally import Tally
from schemas import events as e
from schemas.config import Rules
from schemas.ports import Parser
from schemas.whatif import WhatIf

MOST_RECORDS: Final = 2_000
"""Judged in one call of `follow`: what shadow rules may cost is bounded."""
TOO_FAR: Final = 100_000
"""So many records behind, it begins anew at the end of the journal."""


class Shadow:
    """Rules that decide nothing, and what they would have made of it since the shadow began.

    Call `follow` from one thread again and again; `report` is what it came to, for any thread.
    """

    def __init__(self, store: Store, parsers: Mapping[str, Parser], rules: Rules) -> None:
        self._store, self._parsers, self._rules = store, parsers, rules
        self._comparison: Comparison | None = None
        self._next = self.began_at = 0
        self.report: WhatIf | None = None
        self.lag = 0
        """Records that are not judged yet."""
        self.restarts = 0

    def follow(self) -> None:
        """Judge what has come since the last time. Raises StoreUnavailable, CommandRejected and CannotJudge."""
        head = self._store.position().next_offset
        if self._comparison is None or head - self._next > TOO_FAR:
            self._begin(head)
            return
        poisoned = self._poisoned()
        at_ms = 0
        stop = min(head, self._next + MOST_RECORDS)
        for offset, record in self._store.journal(start=self._next, stop=stop):
            if offset not in poisoned:
                self._comparison.take(offset, record)
            at_ms = record.at_ms
        self._next, self.lag = stop, head - stop
        if at_ms:
            self.report = self._comparison.report(at_ms)

    def _begin(self, head: int) -> None:
        """Two cores as the state is now."""
        snapshot = self._store.snapshot(core_version=CORE_VERSION)
        core = Core.from_snapshot(snapshot.state, self._parsers) if snapshot else Core(self._parsers)
        poisoned = self._poisoned()
        for offset, record in self._store.journal(start=snapshot.position.next_offset if snapshot else 0, stop=head):
            error = poisoned.get(offset)
            core.handle(record) if error is None else core.poison(record, error)
        self.restarts += self._comparison is not None
        since_ms = core.now_ms
        self._comparison = Comparison(core, self._parsers, self._rules, Tally(since_ms), Tally(since_ms), since_ms)
        self._next = self.began_at = head
        self.lag = 0
        self.report = self._comparison.report(since_ms)

    def _poisoned(self) -> dict[int, str]:
        marks = self._store.log_of("poison", limit=100_000)
        return {one.offset: one.event.data.error for one in marks if isinstance(one.event.data, e.RecordPoisoned)}
