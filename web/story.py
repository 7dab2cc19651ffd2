"""The timeline for people: what each event says beyond its type, and which of them stand in a fold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from projections.timeline import TimelineEntry
from schemas.vocabulary import DISPOSITIONS

Word = Callable[[str, str], str]
"""`tell(kind, code)`: the word for a code in the reader's language."""

_BAD = {"sla_clock_breached", "delivery_failed", "delivery_unconfirmed", "accident_proposed", "incident_reopened"}
_GOOD = {"incident_resolved", "incident_closed", "alerts_resolved"}
_QUIET = {"delivery_requested", "delivery_due", "delivery_started", "sla_clock_started", "delivery_cancelled"}
_CALM = {"delivery_succeeded"}
ALERTS_NAMED = 5
_NAMES = ("assignee", "into", "other", "module", "organisation", "problem_type", "reason")


@dataclass(frozen=True)
class Told:
    """An event as the page shows it: `line` is short, `said` are a person's own words, `calm` fits on one line."""

    entry: TimelineEntry
    line: str
    said: str
    tone: str
    quiet: bool
    calm: bool


@dataclass(frozen=True)
class Passage:
    """Neighbours on the timeline that are shown alike: one by one, or `quiet` and folded into one line."""

    quiet: bool
    lines: tuple[Told, ...]

    @property
    def id(self) -> str:
        """Stays the same while newer events join the passage at its top."""
        return f"more-{self.lines[-1].entry.event_id}"


@dataclass(frozen=True)
class Teller:
    """Tells timelines in one language. `channel_types` has the type of each configured channel."""

    tell: Word
    span: Callable[[int], str]
    channel_types: Mapping[str, str]

    def story(self, entries: Sequence[TimelineEntry]) -> list[Passage]:
        """The passages of one incident's timeline, in the order of `entries`."""
        facts = [json.loads(entry.data) for entry in entries]
        wanted = {one["delivery"]: one for one in facts if one.get("type") == "delivery_requested"}
        told = [self._told(entry, own, wanted) for entry, own in zip(entries, facts, strict=True)]
        return [Passage(quiet, tuple(lines)) for quiet, lines in groupby(told, lambda one: one.quiet)]

    def _told(self, entry: TimelineEntry, facts: dict[str, Any], wanted: Mapping[str, dict[str, Any]]) -> Told:
        """The words for one entry; an event type of a later version shows its type and nothing more."""
        kind = entry.type
        tone = "bad" if kind in _BAD else "good" if kind in _GOOD else ""
        said = str(next((facts[name] for name in ("text", "solution", "note", "description") if facts.get(name)), ""))
        in_time = kind == "sla_clock_stopped" and not facts.get("breached")
        if kind.startswith("sla_clock"):
            line = self._clock(kind, facts)
        elif kind.startswith("escalation"):
            line = self._escalation(kind, facts)
        elif kind.startswith("delivery"):
            line = self._delivery(facts, wanted.get(facts.get("delivery", ""), {}))
        else:
            line = self._incident(kind, facts)
        return Told(entry, line, said, tone, kind in _QUIET or in_time, kind in _CALM)

    def _clock(self, kind: str, facts: dict[str, Any]) -> str:
        length = facts["elapsed_ms"] if kind == "sla_clock_stopped" else facts["target_s"] * 1000
        late = self.tell("trends", "breached") if facts.get("breached") else ""
        return _joined(self.tell("clock", facts["clock"]), self.span(length), late)

    def _escalation(self, kind: str, facts: dict[str, Any]) -> str:
        if kind == "escalation_ended":
            return _joined(facts["policy"], self.tell("escalation_end", facts["reason"]))
        told = ", ".join([*facts.get("people", ()), *facts.get("receivers", ())])
        skipped = [f"{who}: {self.tell('skipped', why)}" for who, why in facts.get("skipped", {}).items()]
        return _joined(facts["policy"], str(facts.get("step", "")), told, ", ".join(skipped))

    def _delivery(self, facts: dict[str, Any], wanted: dict[str, Any]) -> str:
        told = (wanted.get("notice") or {}).get("kind", "")
        kind = "" if told in ("", "opened") else self.tell("notice", told)
        reason = facts.get("reason", "")
        if facts.get("type") == "delivery_cancelled":  # its reason is what the incident had become
            kind_of = "disposition" if reason in DISPOSITIONS and reason != "resolved" else "state"
            reason = self.tell(kind_of, reason)
        answer = _joined(facts.get("vendor_code", ""), reason) if facts.get("type") != "delivery_succeeded" else ""
        return _joined(wanted.get("receiver", ""), self._channel(facts.get("channel", "")), kind, answer)

    def _channel(self, name: str) -> str:
        """``钉钉``, or ``钉钉 (night-shift)`` where several channels are of that type."""
        kind = self.channel_types.get(name, "")
        if not kind:
            return name
        alone = list(self.channel_types.values()).count(kind) == 1
        return self.tell("channel", kind) + ("" if alone else f" ({name})")

    def _incident(self, kind: str, facts: dict[str, Any]) -> str:
        tell, alerts = self.tell, facts.get("alerts") or []
        if kind == "incident_opened":
            return _joined(facts["priority"], tell("origin", facts["origin"]), _names(alerts))
        if kind == "incident_raised":
            return _joined(facts["priority"], tell("severity", facts["severity"]), facts.get("reason", ""))
        if kind == "alerts_resolved":
            return str(len(facts["fingerprints"]))
        if kind == "page_withheld":
            return _joined(tell("disposition", facts["reason"]), ", ".join(facts["by"]))
        if kind in ("storm_started", "storm_ended"):
            return str(facts.get("arrived") or facts["absorbed"])
        if kind == "accident_proposed":
            return _joined(tell("level", facts["level"]), tell("criterion", facts["criterion"]), f"−{facts['points']}")
        if kind == "incident_linked":
            return _joined(tell("relation", facts["relation"]), facts["other"])
        cause = tell("cause", facts["cause_code"]) if facts.get("cause_code") else ""
        names = [facts.get(name, "") for name in _NAMES]
        return _joined(*names, cause, _names(alerts))


def _names(alerts: list[dict[str, Any]]) -> str:
    named = [str(alert["labels"].get("alertname", alert["fingerprint"])) for alert in alerts[:ALERTS_NAMED]]
    return ", ".join(named) + (f" … {len(alerts)}" if len(alerts) > ALERTS_NAMED else "")


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
