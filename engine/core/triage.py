"""From labels to meaning: scope, group, title, severity, urgency, impact, priority. Pure functions of the rules."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import get_args

import msgspec

from schemas.config import Grouping, Rules, Triage
from schemas.events import Outage, Priority, Severity

_encode = msgspec.json.Encoder(order="sorted").encode
_PLAIN_SCOPE = re.compile(r"[a-z0-9][a-z0-9.-]*\Z")
_URGENCY: dict[Severity, int] = {"critical": 1, "major": 2, "warning": 3, "info": 4}
_OUTAGES = frozenset(get_args(Outage))


def first_present(labels: Mapping[str, str], names: tuple[str, ...], default: str = "") -> str:
    """The value of the first of `names` that is present."""
    for name in names:
        if value := labels.get(name):
            return value
    return default


def scope_of(labels: Mapping[str, str], grouping: Grouping) -> str:
    """The partition key of an alert."""
    return first_present(labels, grouping.scope, "default")


def group_key_of(labels: Mapping[str, str], rules: Rules) -> str:
    """What alerts of one incident have in common, as ``scope{"label":"value"}``. An outage is a group of its own."""
    grouping = rules.grouping
    chosen = {name: labels[name] for name in grouping.by if name in labels}
    if not chosen:
        chosen = {name: labels[name] for name in grouping.fallback if name in labels}
    if outage := outage_of(labels, rules):
        chosen[rules.outage_label] = outage
    return scope_of(labels, grouping) + _encode(chosen).decode()


def outage_of(labels: Mapping[str, str], rules: Rules) -> Outage | None:
    """Whether the alert says that a whole system is down (annex 3)."""
    value = labels.get(rules.outage_label)
    return value if value in _OUTAGES else None  # type: ignore[return-value]


def severity_of(labels: Mapping[str, str], triage: Triage) -> Severity:
    """The severity by the configured words, whatever their case."""
    word = labels.get(triage.severity_label, "").lower()
    return triage.severities.get(word, triage.default_severity)


def urgency_of(severity: Severity) -> int:
    """1 (highest) to 4, by severity."""
    return _URGENCY[severity]


def impact_of(labels: Mapping[str, str], firing: int, triage: Triage) -> int:
    """1 (widest) to 3: as the label says, else by the number of alerts that fire at once."""
    stated = labels.get(triage.impact_label, "")
    if stated in ("1", "2", "3"):
        return int(stated)
    if firing >= triage.wide_impact_alerts:
        return 1
    return 2 if firing >= triage.wide_impact_alerts / 4 else 3


def priority_of(urgency: int, impact: int, triage: Triage) -> Priority:
    """Priority by the matrix of urgency (1–4) and impact (1–3)."""
    return triage.matrix[urgency - 1][impact - 1]


def title_of(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """One line that says what is wrong: the summary, else the name of the alert."""
    title = annotations.get("summary") or annotations.get("title") or labels.get("alertname") or "alert"
    return " ".join(title.split())[:200]


def incident_id(scope: str, number: int) -> str:
    """``INC-7`` in the default scope, else ``INC-scope-7``; the same for the same scope on every runtime."""
    if scope == "default":
        return f"INC-{number}"
    if _PLAIN_SCOPE.match(scope) and len(scope) <= 60:
        return f"INC-{scope}-{number}"
    slug = re.sub(r"[^a-z0-9.-]+", "-", scope.lower())[:40].strip("-")
    return f"INC-{slug}~{hashlib.sha256(scope.encode()).hexdigest()[:6]}-{number}"
