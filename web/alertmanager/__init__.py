"""Alertmanager's API v2 for the clients that there are: amtool, karma, Grafana, Prometheus.

Answers have the shapes of Alertmanager's `api/v2/openapi.yaml`. Alerts come in through `web.ingest`, for that is the
hot path. What is asked is answered from the live state, so that a silence counts in the very next answer.
"""

from __future__ import annotations

from web.alertmanager.access import may_send
from web.alertmanager.routes import alertmanager_routes

__all__ = ["alertmanager_routes", "may_send"]
