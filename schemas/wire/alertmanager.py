"""Alertmanager's two formats: items of ``POST /api/v2/alerts``, and the webhook of version "4".

Sources: Alertmanager `api/v2/openapi.yaml` (postableAlert), `template/template.go` and `notify/webhook/webhook.go`.
Labels and annotations stay raw: who receives them a thousand times looks the bytes up instead of decoding them.
Unknown fields are ignored, and of a field given twice the last counts, as in the sender's own decoder.
Structs without cycles are kept from the cycle collector (`gc=False`): it would visit each alert of each body.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

ABSENT = Raw(b"")
"""Stands for a raw field that was not sent."""


class WireAlert(msgspec.Struct, gc=False):
    """One alert as Prometheus posts it."""

    labels: Raw = ABSENT
    annotations: Raw = ABSENT
    startsAt: str | None = None
    endsAt: str | None = None
    generatorURL: str | None = None


class WebhookAlert(WireAlert, gc=False):
    """One alert of a notification; its own status counts, not that of its group."""

    status: str | None = None


class Webhook(msgspec.Struct):
    """A notification: a snapshot of one group. `truncatedAlerts` counts what `max_alerts` cut at the sender."""

    alerts: list[WebhookAlert]
    truncatedAlerts: Raw = ABSENT


class LooseWebhook(msgspec.Struct):
    """The same with its alerts unread, to keep the good ones when some are bad."""

    alerts: list[Raw]
    truncatedAlerts: Raw = ABSENT
