"""PagerDuty's Events API v2: what identifies an event."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def dedup_key(event: Mapping[str, Any]) -> str:
    """The event's own key; for a trigger without one, one made of its source and summary, as long as that is text.

    >>> dedup_key({"dedup_key": "disk/db1"})
    'disk/db1'
    """
    given = event.get("dedup_key")
    if isinstance(given, str) and given:
        return given.replace("\0", "\ufffd")[:255]
    payload = event.get("payload")
    if event.get("event_action") != "trigger" or not isinstance(payload, dict):
        return ""
    said = "\0".join(str(payload.get(field, "")) for field in ("source", "component", "class", "summary"))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]
