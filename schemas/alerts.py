"""The alert: one label set that is firing or resolved, however it arrived.

Labels and annotations are carried as the raw JSON bytes that arrived. A re-sent alert is then recognised by one
dictionary look-up of those bytes, and labels are decoded once per distinct set.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

import msgspec

FNV_OFFSET = 0xCBF29CE484222325
"""FNV-1a 64-bit offset basis (draft-eastlake-fnv, section 5)."""
FNV_PRIME = 0x100000001B3
"""FNV 64-bit prime, the same source."""
_MASK = 0xFFFFFFFFFFFFFFFF

AlertStatus = Literal["firing", "resolved"]

_decode_labels = msgspec.json.Decoder(dict[str, str]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


def fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's identity of a label set: FNV-1a-64 over the sorted names and values, 16 hex digits.

    Every name and value is followed by the byte 0xFF. Source: Prometheus `common/model`, `LabelSet.Fingerprint`.

    >>> fingerprint({})
    'cbf29ce484222325'
    >>> fingerprint({"b": "2", "a": "1"}) == fingerprint({"a": "1", "b": "2"})
    True
    """
    digest = FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            digest = ((digest ^ byte) * FNV_PRIME) & _MASK
    return f"{digest:016x}"


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


_remembered_labels = functools.lru_cache(maxsize=65_536)(_read_labels)


class Alert(msgspec.Struct, frozen=True, gc=False):
    """One alert as a source reported it.

    `labels_raw` and `annotations_raw` are JSON objects of strings, as bytes. Times are UTC milliseconds since the
    epoch. `ends_ms` is None where the sender states no end; for a firing alert it is when the sender's silence means
    "resolved" (Prometheus: four resend delays ahead). `generator_url` leads back to the rule at the sender.
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
        return cls(_encode(dict(labels)), status, starts_ms, ends_ms, _encode(dict(annotations or {})), generator_url)

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
