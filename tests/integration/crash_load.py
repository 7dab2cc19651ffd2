"""Senders that do not give up: numbered alerts, repeats, resolutions and commands, and what each was answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from tests.servers.process import PATIENCE_S, eventually
from tests.servers.tocsin import SOURCES, Tocsin

SENDERS = 6
PAUSE_S = 0.01
"""Longest pause of a sender between two requests; it leaves the machine to Tocsin."""
RETRY_S = 0.05
ENOUGH = 20
"""Answered requests that show that Tocsin is at work."""
STARTS = "2026-01-05T04:00:00Z"
ZERO = "0001-01-01T00:00:00Z"


@dataclass
class Sent:
    """One request with a body of its own. `offset` is where the answer said that it is kept, if it said so."""

    name: str
    source: str
    body: bytes
    alerts: int
    attempts: int = 0
    answered: bool = False
    offset: int | None = None


@dataclass
class Asked:
    """One command under an idempotency key. `events` are those of its answer, None while there is no answer."""

    key: str
    command: Mapping[str, str]
    attempts: int = 0
    status: int = 0
    events: list[dict[str, Any]] | None = None


@dataclass
class Load:
    """A burst against one Tocsin. Three label sets share a service, and thereby an incident; one in ten pages."""

    tocsin: Tocsin
    dice: random.Random
    token: str
    sent: list[Sent] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    _firing: list[dict[str, str]] = field(default_factory=list)
    _reported: list[str] = field(default_factory=list)
    _numbers: int = 0
    _stopping: bool = False
    _senders: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Let the senders begin."""
        self._senders = [asyncio.create_task(self._send_all()) for _ in range(SENDERS)]

    @property
    def answered(self) -> int:
        """Requests that were answered so far."""
        return sum(sent.answered for sent in self.sent)

    async def going(self, before: int | None = None) -> int:
        """Wait until the senders get their answers: ENOUGH of them more than `before`, or than now; how many by then.

        Fails at once when the senders or Tocsin have ended.
        """
        before = self.answered if before is None else before

        def look() -> bool:
            for sender in self._senders:
                if sender.done():
                    sender.result()
            assert self.tocsin.process.exit_code is None, self.tocsin.process.tail()
            return self.answered > before + ENOUGH

        await eventually(look, f"{ENOUGH} requests more than {before} to be answered")
        return self.answered

    async def stop(self) -> None:
        """Begin nothing new, and wait until everything that was begun is answered."""
        self._stopping = True
        await asyncio.wait_for(asyncio.gather(*self._senders), PATIENCE_S)

    async def _send_all(self) -> None:
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
        async with httpx2.AsyncClient(base_url=self.tocsin.url, limits=limits, timeout=15) as client:
            while not self._stopping:
                if self.dice.random() < 0.2:
                    await self._ask(client)
                else:
                    await self._send(client)
                await asyncio.sleep(self.dice.uniform(0, PAUSE_S))

    # --- alerts -----------------------------------------------------------------------------------------------------

    async def _send(self, client: httpx2.AsyncClient) -> None:
        kind = self.dice.random()
        if kind < 0.45 or not self._firing:
            labels, ends = [self._new_labels() for _ in range(self.dice.randint(1, 3))], ZERO
        elif kind < 0.9:
            labels, ends = [self.dice.choice(self._firing)], ZERO
        else:
            labels, ends = [self._firing.pop(self.dice.randrange(len(self._firing)))], "2026-01-05T05:00:00Z"
        sent = self._request(labels, ends)
        await self._until_answered(client, sent)
        if kind < 0.45:
            self._firing.extend(labels)

    def _new_labels(self) -> dict[str, str]:
        number = self._next()
        severity = "critical" if number // 3 % 10 == 0 else "info"
        return {"alertname": f"Fault{number}", "service": f"svc-{number // 3}", "severity": severity}

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _request(self, labels: list[dict[str, str]], ends: str) -> Sent:
        """An annotation makes each body unlike every other, so that the journal shows which requests it holds."""
        name = f"request-{self._next()}"
        marked = {"startsAt": STARTS, "endsAt": ends, "annotations": {"request": name}}
        alerts = [{"labels": one, **marked} for one in labels]
        source = self.dice.choice(["alertmanager", "prometheus"])
        if source == "prometheus":
            sent = Sent(name, source, msgspec.json.encode(alerts), len(alerts))
        else:
            stated = [{**one, "status": "firing" if ends == ZERO else "resolved"} for one in alerts]
            sent = Sent(name, source, msgspec.json.encode({"version": "4", "alerts": stated}), len(alerts))
        self.sent.append(sent)
        return sent

    async def _until_answered(self, client: httpx2.AsyncClient, sent: Sent) -> None:
        path = "/api/v2/alerts" if sent.source == "prometheus" else f"/hooks/{sent.source}"
        headers = {"Authorization": f"Bearer {SOURCES[sent.source]['token']}"}
        while not sent.answered:
            sent.attempts += 1
            answer = await self._attempt(client, path, headers, content=sent.body)
            if answer is not None:
                sent.answered = True
                if answer.status_code != 200:
                    self.surprises.append(f"{sent.name}: {answer.status_code} {answer.text}")
                elif answer.content:
                    sent.offset = answer.json()["offset"]

    # --- commands ---------------------------------------------------------------------------------------------------

    async def _ask(self, client: httpx2.AsyncClient) -> None:
        key = f"command-{self._next()}"
        kind = self.dice.random()
        if kind < 0.2 or not self._reported:
            severity = "critical" if self.dice.random() < 0.3 else "warning"
            command = {"type": "report_incident", "title": key, "severity": severity}
        elif kind < 0.6:
            command = {"type": "acknowledge", "incident": self.dice.choice(self._reported)}
        else:
            command = {"type": "add_note", "incident": self.dice.choice(self._reported), "text": key}
        asked = Asked(key, command)
        self.asked.append(asked)
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        while asked.events is None:
            asked.attempts += 1
            answer = await self._attempt(client, "/api/v1/commands", headers, json=command)
            if answer is not None:
                asked.status = answer.status_code
                asked.events = answer.json()["events"] if asked.status == 200 else []
                if asked.status != 200:
                    self.surprises.append(f"{key}: {asked.status} {answer.text}")
        for event in asked.events:
            if event["type"] == "incident_opened":
                self._reported.append(event["data"]["incident"])

    async def _attempt(
        self, client: httpx2.AsyncClient, path: str, headers: Mapping[str, str], **content: Any
    ) -> httpx2.Response | None:
        """The answer, or None where there was none or it was 503: then nobody knows whether it was taken."""
        try:
            answer = await client.post(path, headers=headers, **content)
        except httpx2.TransportError:
            await asyncio.sleep(RETRY_S)
            return None
        if answer.status_code == 503:
            if "retry-after" not in answer.headers:
                self.surprises.append(f"503 without Retry-After: {answer.text}")
            await asyncio.sleep(RETRY_S)
            return None
        return answer
