"""Fixtures that every test may ask for; each is made in `tests/servers`."""

from tests.servers.kafka import kafka
from tests.servers.postgres import postgres

__all__ = ["kafka", "postgres"]
