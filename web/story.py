"""One line of a timeline for people: what an event says beyond its type."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from projections.timeline import TimelineEntry

Word = Callable[[str, str], str]
"""`tell(kind, code)`: the word for a code in the reader's language."""

_BAD = {"sla_clock_breached", "delivery_failed", "delivery_unconfirmed", "accident_proposed", "incident_reopened"}
_GOOD = {"incident_resolved", "incident_closed", "alerts_resolved", "delivery_succeeded"}
_QUIET = {"delivery_requested", "delivery_due", "delivery_started", "sla_clock_started", "delivery_cancelled"}
ALERTS_NAMED = 5


@dataclass(frozen=True)
class Told:
    """An event as the page shows it: `line` is short, `said` are a person's own words."""

    line: str
    said: str
    tone: str
    quiet: bool


def told(entry: TimelineEntry, tell: Word, span: Callable[[int], str]) -> Told:
    """The words for one entry; an event type of a later version shows its type and nothing more."""
    facts: dict[str, Any] = json.loads(entry.data)
    kind = entry.type
    tone = "bad" if kind in _BAD else "good" if kind in _GOOD else ""
    said = str(next((facts[name] for name in ("text", "solution", "note", "description") if facts.get(name)), ""))
    if kind.startswith("sla_clock"):
        line = _clock(kind, facts, tell, span)
    elif kind.startswith("delivery"):
        line = _delivery(facts, tell)
    else:
        line = _incident(kind, facts, tell)
    return Told(line, said, tone, kind in _QUIET)


def _clock(kind: str, facts: dict[str, Any], tell: Word, span: Callable[[int], str]) -> str:
    length = facts["elapsed_ms"] if kind == "sla_clock_stopped" else facts["target_s"] * 1000
    late = tell("trends", "breached") if facts.get("breached") else ""
    return _joined(tell("clock", facts["clock"]), span(length), late)


def _delivery(facts: dict[str, Any], tell: Word) -> str:
    notice = facts.get("notice") or {}
    kind = tell("notice", notice["kind"]) if "kind" in notice else ""
    reason = facts.get("reason", "")
    if facts.get("type") == "delivery_cancelled":  # its reason is what the incident had become
        reason = tell("state", reason)
    answer = _joined(facts.get("vendor_code", ""), reason)
    return _joined(kind, facts.get("receiver", ""), facts.get("channel", ""), answer)


def _incident(kind: str, facts: dict[str, Any], tell: Word) -> str:
    alerts = facts.get("alerts") or []
    if kind == "incident_opened":
        return _joined(facts["priority"], tell("origin", facts["origin"]), _names(alerts))
    if kind == "incident_raised":
        return _joined(facts["priority"], tell("severity", facts["severity"]), facts.get("reason", ""))
    if kind == "alerts_resolved":
        return str(len(facts["fingerprints"]))
    if kind == "accident_proposed":
        return _joined(tell("level", facts["level"]), facts["criterion"], f"−{facts['points']}")
    cause = tell("cause", facts["cause_code"]) if facts.get("cause_code") else ""
    names = (facts.get("assignee", ""), facts.get("into", ""), facts.get("reason", ""))
    return _joined(*names, cause, _names(alerts))


def _names(alerts: list[dict[str, Any]]) -> str:
    named = [str(alert["labels"].get("alertname", alert["fingerprint"])) for alert in alerts[:ALERTS_NAMED]]
    return ", ".join(named) + (f" … {len(alerts)}" if len(alerts) > ALERTS_NAMED else "")


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
