"""Label sets and annotations as raw JSON: each distinct one is understood once, then recognised by its bytes.

What comes out is canonical JSON (sorted names, no white space, no empty labels, no NUL), so that equal label sets
have equal bytes, whoever sent them and in whatever order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from schemas.errors import InvalidPayload

_strings = msgspec.json.Decoder(dict[str, str]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode

_GENERATION_BYTES: Final = 32 * 1024 * 1024
"""Bytes per generation, about 60,000 sets of 300 bytes; two generations and two caches: at most 128 MiB in all."""
_LARGEST_KEPT: Final = 64 * 1024
"""Larger sets are understood anew each time, so that a few of them cannot push out everything else."""
_OVERHEAD: Final = 200
"""Bytes that one entry costs beside its contents, as measured with `sys.getsizeof` and rounded up."""


class Remembered(dict[bytes, bytes]):
    """Answers of a pure function by its argument, bounded in bytes: ``remembered[raw]``.

    A hit costs one dictionary look-up. When a generation is full, it becomes the old one and the older is forgotten.
    """

    def __init__(self, read: Callable[[bytes], bytes], generation_bytes: int = _GENERATION_BYTES) -> None:
        super().__init__()
        self._read, self._limit = read, generation_bytes
        self._bytes = 0
        self._old: dict[bytes, bytes] = {}

    def __missing__(self, raw: bytes) -> bytes:
        answer = self._old.get(raw)
        if answer is None:
            answer = self._read(raw)
        if len(raw) <= _LARGEST_KEPT:
            if self._bytes >= self._limit:
                self._old = dict(self)
                self.clear()
                self._bytes = 0
            self[raw] = answer
            self._bytes += len(raw) + _OVERHEAD + (0 if answer is raw else len(answer))
        return answer


def strings_of(raw: bytes, field: str) -> dict[str, str]:
    """The object of strings behind `raw`; raises InvalidPayload at `field`."""
    try:
        found = _strings(raw)
    except UnicodeDecodeError:
        raise InvalidPayload("expected valid UTF-8", place=field) from None
    except ValueError as unreadable:
        raise InvalidPayload(f"expected an object of strings: {unreadable}", place=field) from None
    if b"\\u0000" in raw:
        # No label of a living system holds a NUL, and PostgreSQL stores none: the alert counts, the NUL does not.
        return {without_nul(name): without_nul(value) for name, value in found.items()}
    return found


def without_nul(text: str) -> str:
    """The text with each NUL replaced by the replacement character."""
    return text.replace("\0", "\ufffd")


def label_bytes(labels: dict[str, str]) -> bytes:
    """Canonical bytes of a label set; raises InvalidPayload at ``labels`` when it identifies nothing."""
    present = {name: value for name, value in labels.items() if value}
    if not present:
        raise InvalidPayload("expected at least one label with a value", place="labels")
    if "" in present:
        raise InvalidPayload("expected label names of at least one character", place="labels")
    return _encode(present)


def annotation_bytes(annotations: dict[str, str]) -> bytes:
    """Canonical bytes of annotations."""
    return _encode(annotations)


def _read_labels(raw: bytes) -> bytes:
    if not raw:
        raise InvalidPayload("labels are required", place="labels")
    return _same(raw, label_bytes(strings_of(raw, "labels")))


def _read_annotations(raw: bytes) -> bytes:
    if raw in (b"", b"null"):
        return b"{}"
    return _same(raw, annotation_bytes(strings_of(raw, "annotations")))


def _same(raw: bytes, canonical: bytes) -> bytes:
    """One object for both where they are equal: it halves what is remembered."""
    return raw if raw == canonical else canonical


canonical_labels = Remembered(_read_labels)
"""Raw labels as they came → canonical bytes; raises InvalidPayload at ``labels``."""
canonical_annotations = Remembered(_read_annotations)
"""Raw annotations → canonical bytes, ``{}`` when absent or null; raises InvalidPayload at ``annotations``."""
