"""What people and programs are told of a notification group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from detectors.grouping import first_present
from engine.core import triage
from engine.core.state import AlertState, State
from engine.machines.dispatch import Group, Told
from schemas import events as e
from schemas.alerts import labels_of
from schemas.config import Rules
from schemas.groups import GroupAlert, GroupNotice, NotifyReason
from schemas.label_order import alert_order

MAX_LISTED = 10
"""How many alerts a message to people names."""


def notice_of(group: Group, told: Told, reason: NotifyReason, alerts: Sequence[AlertState], rules: Rules) -> e.Notice:
    """The notice of a group, without its alerts: those are filled in by `filled_in` when it is handed over.

    `alerts` are those of `told` that the core still knows.
    """
    worst = min((alert.severity for alert in alerts), key=triage.urgency_of, default=rules.triage.default_severity)
    urgency = triage.urgency_of(worst)
    impact = triage.impact_of({}, len(told.firing), rules.triage)
    named = " ".join(group.labels.values()) or group.receiver
    return e.Notice(
        kind="group",
        incident=group.id,
        title=f"[FIRING:{len(told.firing)}] {named}" if told.firing else f"[RESOLVED] {named}",
        priority=triage.priority_of(urgency, impact, rules.triage),
        severity=worst,
        state="triggered" if told.firing else "resolved",
        service=first_present(group.labels, rules.grouping.service),
        opened_ms=min((alert.starts_ms for alert in alerts), default=told.at_ms),
        at_ms=told.at_ms,
        alert_count=len(told.firing) + len(told.resolved),
        url=f"{rules.external_url.rstrip('/')}/",
        language=rules.language,
        timezone=rules.timezone,
        group=GroupNotice(
            key=group.key,
            receiver=group.receiver,
            reason=reason,
            labels=group.labels,
            firing=len(told.firing),
            resolved=len(told.resolved),
            external_url=rules.external_url.rstrip("/"),
        ),
    )


def filled_in(notice: e.Notice, told: Told, state: State) -> e.Notice:
    """The notice with its alerts as the core knows them now, in Alertmanager's order.

    A resolved alert that was forgotten meanwhile, an hour later by default, is left out.
    """
    assert notice.group is not None
    resolved = told.resolved if notice.group.resolved else []
    alerts = [*_of(told.firing, "firing", told, state), *_of(resolved, "resolved", told, state)]
    alerts.sort(key=lambda alert: alert_order(labels_of(bytes(alert.labels))))
    group = msgspec.structs.replace(notice.group, alerts=alerts)
    return msgspec.structs.replace(notice, group=group, alerts=[_line(alert) for alert in alerts[:MAX_LISTED]])


def _of(
    fingerprints: Sequence[str], status: Literal["firing", "resolved"], told: Told, state: State
) -> list[GroupAlert]:
    found = (state.alerts.get(fingerprint) for fingerprint in fingerprints)
    return [_alert(alert, status, told) for alert in found if alert is not None]


def _alert(alert: AlertState, status: Literal["firing", "resolved"], told: Told) -> GroupAlert:
    return GroupAlert(
        fingerprint=alert.fingerprint,
        status=status,
        starts_ms=alert.starts_ms,
        labels=msgspec.Raw(alert.judged_raw or alert.labels_raw),
        annotations=msgspec.Raw(alert.annotations_raw),
        ends_ms=0 if status == "firing" else min(alert.ends_ms or alert.resolved_ms or told.at_ms, told.at_ms),
        generator_url=alert.generator_url,
    )


def _line(alert: GroupAlert) -> str:
    labels = labels_of(bytes(alert.labels))
    where = labels.get("instance") or labels.get("pod") or labels.get("host")
    title = triage.title_of(labels, labels_of(bytes(alert.annotations)))
    over = "" if alert.status == "firing" else " ✓"
    return f"{title} @ {where}{over}" if where else f"{title}{over}"
