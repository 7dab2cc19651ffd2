"""The desk of the rules: versions from the log, what a change would do, and putting it in force without a restart."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache

import msgspec
from pydantic import ValidationError

from detectors.rule_checks import problems, unknown_labels
from engine.config import dump_rules, read_rules
from engine.explaining import AROUND_MS, explain
from engine.located_yaml import dotted
from engine.store import Store
from engine.whatif import what_if
from schemas import events as e
from schemas.alerts import labels_of
from schemas.config import Rules, Settings
from schemas.desk import RulesCheck, RulesVersion
from schemas.errors import CommandRejected, ConfigError
from schemas.explained import Explanation
from schemas.ports import Outcome, Parser
from schemas.records import Configured
from schemas.whatif import WhatIf

SYSTEM = "system"
"""Who puts the rules of the file in force at the start."""
LOOKED_AT = 2_000
"""Events that are looked at for the labels that alerts have of late."""
DIFF_LINES = 2_000
VERSIONS_READ = 100_000

Configure = Callable[[bytes, str], Awaitable[Outcome]]
"""Puts rules (canonical JSON) in force for an actor; raises CommandRejected."""


class Desk:
    """`schemas.desk.RulesDesk` on a store. It reads no files: tables come with their rows."""

    def __init__(
        self, store: Store, settings: Settings, parsers: Mapping[str, Parser], configure: Configure | None = None
    ) -> None:
        self._store, self._settings, self._parsers, self._configure = store, settings, parsers, configure
        self.shadow: Callable[[], WhatIf | None] = lambda: None
        """What the shadow rules would have made of what came since they began; None where there are none."""

    # --- versions -------------------------------------------------------------------------------------------------

    def current(self) -> RulesVersion:
        """The rules in force; version 0 before any were put."""
        logged = self._logged()
        return self._shown(logged[-1]) if logged else RulesVersion(0, "", "", 0, -1, dump_rules(Rules()))

    def version(self, number: int) -> RulesVersion:
        """One version. Raises CommandRejected (``not_found``)."""
        logged = self._logged()
        for before, one in zip([None, *logged], logged, strict=False):
            if isinstance(one.event.data, e.Configured) and one.event.data.version == number:
                return self._shown(one, before)
        raise CommandRejected("not_found", f"there is no version {number} of the rules")

    def history(self, limit: int = 50) -> list[RulesVersion]:
        """The latest versions, the newest first, each with its diff and without its text."""
        logged = self._logged()
        pairs = list(zip([None, *logged], logged, strict=False))[-limit:]
        return [msgspec.structs.replace(self._shown(one, before), yaml="") for before, one in reversed(pairs)]

    def file_has_changed(self) -> bool:
        """Whether the rules of the settings are others than the file had when it was put in force the last time.

        What was put in force by hand since then stays, until the file is edited.
        """
        from_file = [one for one in self._logged() if one.event.actor == SYSTEM]
        return not from_file or self._rules(from_file[-1].offset) != self._settings.rules

    def _logged(self) -> list[e.LoggedEvent]:
        events = self._store.log_of("rules", limit=VERSIONS_READ)
        return [one for one in events if isinstance(one.event.data, e.Configured)]

    def _shown(self, one: e.LoggedEvent, before: e.LoggedEvent | None = None) -> RulesVersion:
        data = one.event.data
        assert isinstance(data, e.Configured)
        text = dump_rules(self._rules(one.offset))
        earlier = dump_rules(self._rules(before.offset)) if before else ""
        diff = _diff(earlier, text, f"version {data.version - 1}", f"version {data.version}")
        return RulesVersion(data.version, data.digest, one.event.actor, one.event.at_ms, one.offset, text, diff)

    def _rules(self, offset: int) -> Rules:
        _, record = next(self._store.journal(start=offset, stop=offset + 1))
        assert isinstance(record, Configured)
        return Rules.model_validate_json(record.body)

    # --- changes --------------------------------------------------------------------------------------------------

    def read(self, text: str, *, as_json: bool = False) -> Rules:
        """Rules from YAML, or from JSON. Raises ConfigError with line and key of what is wrong."""
        if not as_json:
            return read_rules(text, "", None)
        try:
            rules = Rules.model_validate_json(text)
        except ValidationError as invalid:
            first = invalid.errors(include_url=False)[0]
            raise ConfigError(first["msg"], key=dotted(("rules", *first["loc"]))) from None
        for place, problem in problems(rules):
            raise ConfigError(problem, key=dotted(("rules", *place)))
        return rules

    def check(self, rules: Rules) -> RulesCheck:
        """What they would change. Raises ConfigError where they name channels that are not there."""
        for place, channel in rules.channels():
            if channel not in self._settings.channels:
                raise ConfigError(f"no channel named {channel!r}", key=f"rules.{place}")
        current = self.current()
        diff = _diff(current.yaml, dump_rules(rules), f"version {current.version}", "new")
        seen = self._labels_of_late()
        odd = unknown_labels(rules, seen) if seen else []
        warnings = [f"{dotted(('rules', *place))}: {text}" for place, text in odd]
        return RulesCheck(rules.digest, diff, warnings)

    async def apply(self, rules: Rules, *, actor: str) -> RulesCheck:
        """Put them in force. Raises ConfigError and CommandRejected; the old ones then stay in force."""
        if self._configure is None:
            raise CommandRejected("read_only", "rules are put in force by the running server")
        checked = await asyncio.to_thread(self.check, rules)
        outcome = await self._configure(rules.canonical(), actor)
        made = [one.event.data.version for one in outcome.events if isinstance(one.event.data, e.Configured)]
        return msgspec.structs.replace(
            checked, version=made[0] if made else (await asyncio.to_thread(self.current)).version
        )

    def explain(self, subject: str, *, at_ms: int | None = None, around_ms: int = AROUND_MS) -> Explanation:
        """Why things are so about an alert, an incident or a receiver. Raises CommandRejected (``not_found``)."""
        versions = {
            one.event.data.version: one.offset for one in self._logged() if isinstance(one.event.data, e.Configured)
        }

        @cache
        def rules_of(version: int) -> Rules:
            return self._rules(versions[version]) if version in versions else Rules()

        return explain(self._store, subject, at_ms=at_ms, around_ms=around_ms, rules_of=rules_of)

    def what_if(self, rules: Rules, *, since_ms: int, until_ms: int) -> WhatIf:
        """What they would have made of the past. Raises CommandRejected."""
        return what_if(self._store, self._parsers, rules, since_ms=since_ms, until_ms=until_ms)

    def _labels_of_late(self) -> set[str]:
        latest = self._store.position().next_seq
        return {name for ref in _refs(self._store.log(after=max(-1, latest - LOOKED_AT), limit=LOOKED_AT)) for name in
                labels_of(bytes(ref.labels))}  # fmt: skip


def _refs(events: list[e.LoggedEvent]) -> Iterator[e.AlertRef]:
    for one in events:
        alerts = getattr(one.event.data, "alerts", None)
        for ref in alerts if isinstance(alerts, list) else ():
            if isinstance(ref, e.AlertRef):
                yield ref


def _diff(before: str, after: str, old: str, new: str) -> str:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), old, new, lineterm=""))
    more = [f"… {len(lines) - DIFF_LINES} more lines"] if len(lines) > DIFF_LINES else []
    return "\n".join([*lines[:DIFF_LINES], *more])
