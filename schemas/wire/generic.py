"""Our own small format for scripts and tools that speak no other (documented in `sources.generic_json`)."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from schemas.wire.alertmanager import ABSENT


class GenericAlert(msgspec.Struct):
    """One alert as a script reports it; `labels` and the scalars among them are read apart, to name their places."""

    title: str | None = None
    alertname: str | None = None
    status: str | None = None
    severity: Raw = ABSENT
    service: Raw = ABSENT
    labels: Raw = ABSENT
    annotations: Raw = ABSENT
    description: str | None = None
    startsAt: str | None = None
    endsAt: str | None = None
    url: str | None = None
