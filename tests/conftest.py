"""Fixtures that every test may ask for; each is made in `tests/servers`."""

from tests.servers.postgres import postgres

__all__ = ["postgres"]
