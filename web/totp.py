"""Time-based one-time passwords (RFC 6238) as authenticator apps count them: HMAC-SHA-1, six digits, 30 seconds."""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote, urlencode

STEP_MS = 30_000
DIGITS = 6
DRIFT_STEPS = 1
"""How many steps a phone's clock may be off, either way (RFC 6238, 5.2)."""


def new_secret() -> str:
    """A fresh secret of 160 bits (RFC 4226, 4), base32."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def hotp(key: bytes, counter: int, digits: int = DIGITS) -> str:
    """The code for one counter (RFC 4226, 5.3).

    >>> hotp(b"12345678901234567890", 1)
    '287082'
    """
    mac = hmac.digest(key, counter.to_bytes(8, "big"), "sha1")
    start = mac[-1] & 0x0F
    number = int.from_bytes(mac[start : start + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def code_at(secret: str, at_ms: int) -> str:
    """The code that an app with this secret shows at a time."""
    return hotp(base64.b32decode(secret), at_ms // STEP_MS)


def step_of(secret: str, code: str, at_ms: int) -> int | None:
    """The step that `code` belongs to, among the present one and its neighbours; None when it is wrong."""
    key, present, found = base64.b32decode(secret), at_ms // STEP_MS, None
    for step in range(max(present - DRIFT_STEPS, 0), present + DRIFT_STEPS + 1):
        if hmac.compare_digest(hotp(key, step).encode(), code.encode()):
            found = step
    return found


def provisioning_uri(secret: str, *, issuer: str, name: str) -> str:
    """What the QR code says: an ``otpauth://`` address that authenticator apps take in."""
    label = quote(f"{issuer}:{name}", safe="")
    values = {"secret": secret, "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_MS // 1000}
    return f"otpauth://totp/{label}?{urlencode(values)}"
