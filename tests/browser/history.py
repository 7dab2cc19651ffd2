"""What the pages have to show: thirteen days as they would have come, and alerts that mean harm."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.commands import Acknowledge, Command, Resolve
from schemas.events import IncidentOpened
from schemas.ports import Outcome
from tests.integration.web_site import Installation, add_account, running
from tests.servers.process import eventually
from tests.servers.tocsin import SOURCES, Tocsin

DAYS = 13
OPERATOR, LONG_NAME = "li.wei", "W" * 64
DAILY = (("critical", "info"), ("warning",), ("major", "warning", "info"), ("critical", "major", "warning", "warning"))
"""Severities of a day's incidents, in turns."""
OUTAGE = {"alertname": "ShopUnreachable", "service": "shop", "severity": "critical", "outage": "business"}

WORD = "W" * 2000
HOSTILE_LABELS = {
    "alertname": "<script>document.title='owned'</script>" + WORD,
    "service": "عطل في خادم الطلبات 🚨🔥👩‍💻",
    "namespace": "\u202eright-to-left override",
    "severity": "critical",
    "l" * 300: WORD,
}
HOSTILE_TEXT = f"<img src=x onerror=\"document.title='owned'\"> عطل 🚨 {WORD}"


def sections(smtp_port: int) -> dict[str, Any]:
    """The sections of `tocsin.yaml` that these tests set: e-mail to the peer on `smtp_port`, texts in Chinese."""
    mail = {"type": "email", "host": "127.0.0.1", "port": smtp_port, "sender": "t@example.com", "to": ["a@example.com"]}
    receivers = {"oncall": {"channels": ["mail", "spare"]}}
    rules = {"receivers": receivers, "routes": [{"receiver": "oncall"}], "language": "zh"}
    return {"channels": {"mail": mail, "spare": mail}, "rules": rules}


async def fire(tocsin: Tocsin, labels: dict[str, str], summary: str) -> None:
    """Let a Prometheus post one firing alert, and wait until pages show it."""
    body = json.dumps([{"labels": labels, "annotations": {"summary": summary}}])
    answer = await tocsin.send("prometheus", body.encode())
    assert answer.status_code == 200, answer.text
    await tocsin.caught_up()


async def do_harm(tocsin: Tocsin) -> None:
    """One incident of hostile texts, and a body that cannot be understood."""
    await fire(tocsin, HOSTILE_LABELS, HOSTILE_TEXT)
    bad = json.dumps([{"labels": {"alertname": 5}}, {"labels": {"a": "b"}, "startsAt": HOSTILE_TEXT}])
    answer = await tocsin.send("prometheus", bad.encode())
    assert answer.status_code == 400, answer.text

    async def mailed() -> bool:
        deliveries = (await tocsin.api("/deliveries?limit=200"))["deliveries"]
        return any((one["channel"], one["state"]) == ("mail", "succeeded") for one in deliveries)

    await tocsin.caught_up()
    await eventually(mailed, "a message to arrive, so that a channel is known to be well")


def set_up_link(tocsin: Tocsin) -> str:
    """The one-time link that a server without users has printed."""
    found = re.search(r"^First run: .* (http://\S+)$", tocsin.process.log.read_text(), re.MULTILINE)
    assert found, tocsin.process.tail()
    return found.group(1)


async def write_history(folder: Path, configured: dict[str, Any]) -> None:
    """Accounts, incidents with met and missed targets, and one outage that lasted nine hours, in SQLite in `folder`."""
    began_ms = time.time() * 1000 - DAYS * 86_400_000
    async with running(folder, sources=SOURCES, **configured) as site:
        add_account(site, OPERATOR, "operator")
        add_account(site, LONG_NAME, "viewer")
        for day in range(DAYS):
            site.clock.move(hours=(began_ms - site.clock.now_ms()) / 3_600_000 + day * 24)
            for place, severity in enumerate(DAILY[day % len(DAILY)]):
                await _one_incident(site, f"order-service-{place}", severity, late=(day + place) % 4 == 0)
            if day == 4:
                await _fire(site, OUTAGE)
                site.clock.move(hours=9)
                await _receive(site, OUTAGE, ends_ms=site.clock.now_ms())
        await site.runtime.caught_up()


async def _one_incident(site: Installation, service: str, severity: str, *, late: bool) -> None:
    labels = {"alertname": "HighLatency", "service": service, "severity": severity}
    incident = await _fire(site, labels)
    answered = 15 if late else 4
    site.clock.move(minutes=answered)
    await _do(site, Acknowledge(incident=incident))
    site.clock.move(minutes=50 - answered)
    await _do(site, Resolve(incident=incident, solution="扩容后恢复", cause_code="capacity"))
    await _receive(site, labels, ends_ms=site.clock.now_ms())
    site.clock.move(minutes=30)


async def _fire(site: Installation, labels: dict[str, str]) -> str:
    outcome = await _receive(site, labels, ends_ms=site.clock.now_ms() + 12 * 3_600_000)
    return next(one.event.data.incident for one in outcome.events if isinstance(one.event.data, IncidentOpened))


async def _receive(site: Installation, labels: dict[str, str], ends_ms: int) -> Outcome:
    ends = datetime.fromtimestamp(ends_ms / 1000, UTC).isoformat()
    body = json.dumps([{"labels": labels, "annotations": {"summary": "响应时间过长"}, "endsAt": ends}])
    return await site.runtime.receive("prometheus", "alertmanager_v2", body.encode())


async def _do(site: Installation, command: Command) -> None:
    at = site.clock.now_ms()
    await site.runtime.command(command, actor=f"user:{OPERATOR}", command_id=f"{command.type}-{at}")
