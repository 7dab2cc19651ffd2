"""Upcasting: stored events of an older schema version are lifted to the present one when they are read.

What is stored and hashed never changes; only what the reader sees does. An upcaster works on the stored JSON bytes
of one event and knows nothing of any other event.
"""

from __future__ import annotations

from collections.abc import Callable

Upcaster = Callable[[bytes], bytes]
"""From the data bytes of one version to those of the next."""

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""By event type and the version that is read; empty while every event type is at version 1."""


def current_version(type_name: str) -> int:
    """The schema version that new events of this type are written with."""
    version = 1
    while (type_name, version) in UPCASTERS:
        version += 1
    return version


def upcast(type_name: str, version: int, data: bytes) -> tuple[int, bytes]:
    """The present version of stored data and its bytes; the bytes themselves where they are up to date."""
    while (lift := UPCASTERS.get((type_name, version))) is not None:
        version, data = version + 1, lift(data)
    return version, data
