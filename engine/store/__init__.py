"""Where journal and log are kept: one transaction per batch, on SQLite or PostgreSQL."""

from engine.chain import GENESIS, Fault, Position
from engine.store.appender import Entry
from engine.store.chains import Keyring
from engine.store.store import Snapshot, Store, partitions, sibling
from engine.store.verify import VerifyReport, verify_log

__all__ = [
    "GENESIS",
    "Entry",
    "Fault",
    "Keyring",
    "Position",
    "Snapshot",
    "Store",
    "VerifyReport",
    "partitions",
    "sibling",
    "verify_log",
]
