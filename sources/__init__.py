"""How alerts get in: receivers (push) and pollers (pull).

`PARSERS` reads the bodies that receivers are sent, by the name of their format. Every parser is pure, keeps the order,
and answers for each item: with its alert, or with a Rejected that names the place and what was expected there.
"""

from __future__ import annotations

from schemas.ports import Parser
from sources import (
    alertmanager_v2,
    alertmanager_webhook,
    cloudevents,
    generic_json,
    grafana,
    nightingale,
    otlp_logs,
    pagerduty,
    zabbix,
)

PARSERS: dict[str, Parser] = {
    "alertmanager_webhook": alertmanager_webhook.parse,
    "alertmanager_v2": alertmanager_v2.parse,
    "generic_json": generic_json.parse,
    "grafana": grafana.parse,
    "zabbix": zabbix.parse,
    "nightingale": nightingale.parse,
    "pagerduty": pagerduty.parse,
    "cloudevents": cloudevents.parse,
    "otlp_logs": otlp_logs.parse,
}
"""`PARSERS[format](body, at_ms)`; raises InvalidPayload when the body as a whole cannot be read."""

__all__ = ["PARSERS"]
