"""An alert as events remember it."""

from __future__ import annotations

import msgspec

from schemas.vocabulary import Severity


class AlertRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert as an incident remembers it; `labels` and `annotations` are JSON objects, as they arrived."""

    fingerprint: str
    severity: Severity
    starts_ms: int
    labels: msgspec.Raw
    annotations: msgspec.Raw = msgspec.Raw(b"{}")
    source: str = ""
    generator_url: str = ""
