"""Pages about incidents whose alerts are all quiet: not sent while they are, and sent when that has ended."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.joining import ref_of
from engine.core.notices import MAX_LISTED
from engine.core.step import Step


def review(incidents: Iterable[str], step: Step) -> None:
    """Something has changed for these incidents: withhold what waits to be sent, or send what was withheld."""
    for incident_id in dict.fromkeys(incidents):
        found = step.root(incident_id)
        if found is None:
            continue
        why = step.registry.members.why_quiet(found.id)
        if why is not None:
            kinds = step.cancel(found, why[0])
            if kinds and found.is_open:
                step.state.withheld.setdefault(found.id, kinds[0])
        elif found.id in step.state.withheld and any(step.registry.members.of(found.id)):
            kind = step.state.withheld.pop(found.id)
            if found.is_open and found.state == "triggered":
                members = sorted(step.registry.members.of(found.id), key=lambda alert: alert.fingerprint)
                refs = [ref_of(alert) for alert in members[:MAX_LISTED]]
                step.page(kind, found, refs=refs, reason="its alerts are no longer quiet")
