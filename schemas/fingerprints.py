"""Alertmanager's identity of a label set, fast enough for every new alert.

FNV-1a is `h = (h ^ byte) * prime` for each byte. The exclusive-or touches only the lowest 8 bits of h, so it adds a
number that depends on nothing but those bits. For a fixed run of bytes the whole step is therefore linear:
`h' = h * prime**length + offset[h & 0xFF]` (modulo 2**64), with 256 offsets. Label pairs that are seen again and again
(`cluster="prod"`) get such a table, and cost one multiplication instead of one per byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

FNV_OFFSET: Final = 0xCBF29CE484222325
"""FNV-1a 64-bit offset basis (draft-eastlake-fnv, section 5)."""
FNV_PRIME: Final = 0x100000001B3
"""FNV 64-bit prime, the same source."""
_MASK: Final = 0xFFFFFFFFFFFFFFFF

_WORTH_A_TABLE: Final = 24
"""Sightings after which a pair gets a table: making one (about 60 µs) costs as much as 24 plain walks of 25 bytes."""
_TABLES_KEPT: Final = 4096
"""About 9 KB each; when they are full, all are forgotten and the frequent ones come back soon."""
_PAIRS_COUNTED: Final = 65_536

_Table = tuple[int, list[int]]

_tables: dict[tuple[str, str], _Table] = {}
_seen: dict[tuple[str, str], int] = {}


def fingerprint(labels: Mapping[str, str]) -> str:
    """FNV-1a-64 over the sorted names and values, each followed by the byte 0xFF, as 16 hex digits.

    Source: Prometheus `common/model`, `LabelSet.Fingerprint`. Pure: the tables only remember what is always so.

    >>> fingerprint({})
    'cbf29ce484222325'
    >>> fingerprint({"b": "2", "a": "1"}) == fingerprint({"a": "1", "b": "2"})
    True
    """
    digest = FNV_OFFSET
    for pair in sorted(labels.items()):
        table = _tables.get(pair)
        if table is None:
            digest = _walk(digest, pair)
        else:
            power, offsets = table
            digest = (digest * power + offsets[digest & 0xFF]) & _MASK
    return f"{digest:016x}"


def _walk(digest: int, pair: tuple[str, str]) -> int:
    """One pair, byte by byte; a pair that is often seen gets its table on the way."""
    content = _content(pair)
    seen = _seen.get(pair, 0) + 1
    if seen >= _WORTH_A_TABLE:
        if len(_tables) >= _TABLES_KEPT:
            _tables.clear()
        _tables[pair] = _table(content)
        _seen.pop(pair, None)
    else:
        if len(_seen) >= _PAIRS_COUNTED:
            _seen.clear()
        _seen[pair] = seen
    for byte in content:
        digest = ((digest ^ byte) * FNV_PRIME) & _MASK
    return digest


def _content(pair: tuple[str, str]) -> bytes:
    name, value = pair
    return name.encode() + b"\xff" + value.encode() + b"\xff"


def _table(content: bytes) -> _Table:
    """The multiplier and the 256 offsets of a run of bytes: walked once for all 256 lowest bytes together."""
    lowest = np.arange(256, dtype=np.uint64)
    walked = lowest.copy()
    prime = np.uint64(FNV_PRIME)
    for byte in content:
        walked ^= np.uint64(byte)
        walked *= prime
    power = pow(FNV_PRIME, len(content), 1 << 64)
    return power, (walked - lowest * np.uint64(power)).tolist()
