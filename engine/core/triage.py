"""From labels to meaning: title, severity, urgency, impact, priority. Pure functions of the rules."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from schemas.config import Triage
from schemas.events import Priority, Severity

_PLAIN_SCOPE = re.compile(r"[a-z0-9][a-z0-9.-]*\Z")
_URGENCY: dict[Severity, int] = {"critical": 1, "major": 2, "warning": 3, "info": 4}


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
