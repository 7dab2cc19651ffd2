"""What an HTTP status that is no success means for a delivery; the same for every channel that speaks HTTP."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from schemas.errors import DeliveryError

RETRY_AFTER_MAX_S = 3600


def refused(status: int, retry_after: str, now_s: float) -> DeliveryError:
    """The error for `status`: 408, 425, 429 and 5xx may pass, others not; a redirect is never followed.

    `retry_after` is the header, in seconds or as a date, which is read against `now_s` (Unix seconds).
    """
    may_pass = status in (408, 425, 429) or status >= 500
    return DeliveryError(
        f"HTTP {status}" if status >= 400 else f"HTTP {status}: a redirect is not followed",
        permanent=not may_pass,
        vendor_code=f"HTTP {status}",
        retry_after_s=_wait_s(retry_after, now_s) if may_pass else None,
    )


def _wait_s(header: str, now_s: float) -> int | None:
    """`Retry-After` (RFC 9110, 10.2.3) as seconds, at most an hour; None where it says nothing usable."""
    try:
        wait = float(header) if header.strip().isdigit() else parsedate_to_datetime(header).timestamp() - now_s
    except (TypeError, ValueError):
        return None
    return int(min(max(wait, 0), RETRY_AFTER_MAX_S))
