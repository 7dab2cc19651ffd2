"""The alert: one label set that is firing or resolved, however it arrived.

Labels and annotations are carried as JSON bytes in canonical form. A re-sent alert is then recognised by one dictionary
look-up of those bytes, and labels are decoded only when something changes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

import msgspec

from schemas.fingerprints import fingerprint

__all__ = ["Alert", "AlertStatus", "Rejected", "fingerprint", "labels_of"]

AlertStatus = Literal["firing", "resolved"]

_decode_labels = msgspec.json.Decoder(dict[str, str]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


_LARGEST_KEPT = 16 * 1024
"""Bytes; larger label sets are decoded anew each time, so that a few of them cannot fill the memory."""


def labels_of(raw: bytes) -> Mapping[str, str]:
    """The labels behind raw JSON bytes, without the empty-valued ones (an empty value is an absent label).

    Raises msgspec.DecodeError when the bytes are not an object of strings. The result is shared: do not change it.
    """
    return _remembered_labels(raw) if len(raw) <= _LARGEST_KEPT else _read_labels(raw)


def _read_labels(raw: bytes) -> Mapping[str, str]:
    try:
        return {name: value for name, value in _decode_labels(raw).items() if value}
    except (UnicodeDecodeError, RecursionError) as unreadable:
        raise msgspec.DecodeError(str(unreadable)) from None


_remembered_labels = functools.lru_cache(maxsize=4096)(_read_labels)


class Alert(msgspec.Struct, frozen=True, gc=False):
    """One alert as a source reported it.

    `labels_raw` and `annotations_raw` are canonical JSON objects of strings: names sorted, no white space, labels
    without empty values. Equal label sets therefore have equal bytes, by which the core knows an alert. Times are UTC
    milliseconds since the epoch. `ends_ms` is None where the sender states no end; for a firing alert it is when the
    sender's silence means "resolved" (Prometheus: four resend delays ahead). `generator_url` leads back to the rule.
    """

    labels_raw: bytes
    status: AlertStatus
    starts_ms: int
    ends_ms: int | None = None
    annotations_raw: bytes = b"{}"
    generator_url: str = ""

    @classmethod
    def of(
        cls,
        labels: Mapping[str, str],
        status: AlertStatus,
        starts_ms: int,
        *,
        ends_ms: int | None = None,
        annotations: Mapping[str, str] | None = None,
        generator_url: str = "",
    ) -> Alert:
        """An alert from plain dictionaries, for sources that are not hot."""
        present = {name: value for name, value in labels.items() if value}
        return cls(_encode(present), status, starts_ms, ends_ms, _encode(dict(annotations or {})), generator_url)

    @property
    def labels(self) -> Mapping[str, str]:
        """The decoded labels (cached per distinct set)."""
        return labels_of(self.labels_raw)

    @property
    def annotations(self) -> dict[str, str]:
        """The decoded annotations."""
        return _decode_labels(self.annotations_raw)


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """One item of a body that cannot be understood: where it stands (``$[3].labels``) and what was expected."""

    place: str
    reason: str
