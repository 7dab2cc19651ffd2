"""An older core does not go on where a newer one has decided."""

from __future__ import annotations

import pytest

from engine.store import Position, Snapshot, Store
from engine.store.cores import refuse_older_core
from schemas.errors import ConfigError


def test_an_older_core_is_refused_by_the_snapshot_of_a_newer_one(url: str) -> None:
    """Its own and older snapshots are no hindrance; a newer one names both versions and what to do."""
    store = Store.open(url)
    refuse_older_core(store, 2)
    for version in (1, 2):
        store.save_snapshot(Snapshot(Position(), version, b"state"))
        refuse_older_core(store, 2)
    store.save_snapshot(Snapshot(Position(), 3, b"state"))
    with pytest.raises(ConfigError, match="core 3 of a newer Tocsin has decided here, this program has core 2"):
        refuse_older_core(store, 2)
    refuse_older_core(store, 3)
    store.close()
