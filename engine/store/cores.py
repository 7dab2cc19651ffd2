"""Which core has decided in a database: an older one must not go on where a newer one has been."""

from __future__ import annotations

from sqlalchemy import func, select

from engine.store.database import outages_named
from engine.store.store import Store
from engine.store.tables import SNAPSHOTS
from schemas.errors import ConfigError


def refuse_older_core(store: Store, core_version: int) -> None:
    """Raises ConfigError where a newer core than `core_version` has left a snapshot of its state.

    The older one would decide what came since by another meaning than the log has. A newer core leaves its first
    snapshot at an orderly end, or after `store.snapshot_every` records; before that nothing tells it from an older one.
    """
    with outages_named("read the versions of snapshots"), store.engine.connect() as connection:
        newest = connection.execute(select(func.max(SNAPSHOTS.c.core_version))).scalar_one() or 0
    if newest > core_version:
        raise ConfigError(
            f"core {newest} of a newer Tocsin has decided here, this program has core {core_version}: update this one,"
            " or restore the backup that was taken before the update",
            key="store.url",
        )
