"""Links by which a paged person acknowledges without signing in: signed, for one page, and for a limited time.

The key stands in the settings and never in the journal: whoever reads the log cannot make a link.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import Field, SecretStr, model_validator

from schemas.events import Notice
from schemas.sections import WithSecrets

PATH = "/a/"
ASKS = frozenset({"opened", "raised", "reopened", "breached"})
"""Kinds of notices that ask somebody to act."""
SHORTEST_KEY = 16
_TAG_BYTES = 16


class Links(WithSecrets):
    """Links that acknowledge. Without a key there are none: messages then lead to the page for those who sign in."""

    key: SecretStr | None = None
    """16 characters at least; another key makes all links void."""
    key_file: Path | None = None
    valid_h: Annotated[int, Field(ge=1, le=168)] = 24
    """Hours for which a link is good, from the page that carries it."""

    @model_validator(mode="after")
    def _key_is_one(self) -> Links:
        if self.key is not None and len(self.key.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"key: {SHORTEST_KEY} characters at least")
        return self


class Permit(msgspec.Struct, frozen=True, array_like=True):
    """What a link allows: this person may acknowledge this incident, once for each delivery, until then."""

    incident: str
    person: str
    delivery: str
    until_ms: int


class Signer:
    """Makes links and reads them."""

    def __init__(self, links: Links, external_url: str) -> None:
        self._key = links.key.get_secret_value().encode() if links.key else b""
        self._valid_ms = links.valid_h * 3_600_000
        self._base = external_url.rstrip("/")

    def signed(self, notice: Notice, delivery: str) -> Notice:
        """A page for a person with a link that acknowledges instead of the ticket's address; others as they are."""
        if not self._key or not notice.person or notice.kind not in ASKS:
            return notice
        permit = Permit(notice.incident, notice.person, delivery, notice.at_ms + self._valid_ms)
        return msgspec.structs.replace(notice, url=f"{self._base}{PATH}{self.token(permit)}")

    def token(self, permit: Permit) -> str:
        """The end of a link: what it allows, and the proof that we said so."""
        body = msgspec.json.encode(permit)
        return base64.urlsafe_b64encode(self._tag(body) + body).decode().rstrip("=")

    def permit(self, token: str, at_ms: int) -> Permit | None:
        """What a link allows at a moment; None where it is forged, damaged or too old."""
        try:
            whole = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            tag, body = whole[:_TAG_BYTES], whole[_TAG_BYTES:]
            if not self._key or not hmac.compare_digest(tag, self._tag(body)):
                return None
            found = msgspec.json.decode(body, type=Permit)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            return None
        return found if at_ms < found.until_ms else None

    def _tag(self, body: bytes) -> bytes:
        return hmac.new(self._key, b"tocsin acknowledge\0" + body, hashlib.sha256).digest()[:_TAG_BYTES]
