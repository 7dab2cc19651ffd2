"""Fixtures that every test may ask for; each is made in `tests/servers`. And what Hypothesis may not judge."""

from hypothesis import HealthCheck, settings

from tests.servers.kafka import kafka
from tests.servers.postgres import postgres

__all__ = ["kafka", "postgres"]

# How long an example takes says something about the machine and nothing about Tocsin. What Hypothesis sets by itself
# where CI is set stays: there it tries the same examples in each run.
settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("any machine")
