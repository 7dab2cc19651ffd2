"""Alertmanager's webhook, version "4", and what is like it (Grafana's, Mimir's): a snapshot of one group of alerts.

Each alert's own status counts, not the group's. An alert that is missing from a later snapshot is not resolved by
that. What `max_alerts` cut at the sender is answered by one Rejected, so that the gap shows. Unknown and absent fields
are tolerated, and the version is not looked at: senders alike in shape call it "1" or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.alerts import Alert, Rejected
from schemas.errors import InvalidPayload
from schemas.wire.alertmanager import LooseWebhook, Webhook, WebhookAlert
from sources.items import body_of, each, however_deep_the_caller, moment, rejected, stated_span
from sources.label_sets import canonical_annotations, canonical_labels, without_nul

_all = msgspec.json.Decoder(Webhook)
_loose = msgspec.json.Decoder(LooseWebhook)
_one = msgspec.json.Decoder(WebhookAlert)
_count = msgspec.json.Decoder(int | None)


@however_deep_the_caller
def parse(body: bytes, at_ms: int) -> Sequence[Alert | Rejected]:
    """The alerts of one notification, in order, and a Rejected if it was cut; raises InvalidPayload for all else."""
    try:
        whole = _all.decode(body)
    except ValueError:  # somewhere a bad item: find it, and keep the others
        loose = body_of(_loose, body)
        answers = each(loose.alerts, _one, lambda item: _alert(item, at_ms), "$.alerts")
        return answers + _gap(loose.truncatedAlerts)
    answers = []
    for item in whole.alerts:
        try:
            answers.append(_alert(item, at_ms))
        except InvalidPayload as bad:
            answers.append(rejected(f"$.alerts[{len(answers)}]", bad))
    return answers + _gap(whole.truncatedAlerts)


def _alert(item: WebhookAlert, at_ms: int) -> Alert:
    labels = canonical_labels[bytes(item.labels)]
    annotations = canonical_annotations[bytes(item.annotations)]
    starts_ms, ends_ms = moment(item.startsAt, "startsAt"), moment(item.endsAt, "endsAt")
    status, starts_ms, ends_ms = stated_span(item.status, starts_ms, ends_ms, at_ms)
    return Alert(labels, status, starts_ms, ends_ms, annotations, without_nul(item.generatorURL or ""))


def _gap(truncated: msgspec.Raw) -> list[Alert | Rejected]:
    raw = bytes(truncated)
    if raw in (b"", b"0"):
        return []
    try:
        count = _count.decode(raw)
    except ValueError:
        return [Rejected("$.truncatedAlerts", "expected a whole number")]
    if not count or count < 0:
        return []
    return [Rejected("$.truncatedAlerts", f"{count} alerts were cut by max_alerts at the sender")]
