"""Prometheus, Alertmanager and scripts, as they really behave: re-sends, retries, pairs, skewed clocks, nonsense."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence

import msgspec

from schemas import records as r
from schemas.errors import Overloaded, StoreUnavailable
from schemas.ports import Parser
from sources import PARSERS as REAL
from tests.simulation.process import Lost
from tests.simulation.tocsin import Tocsin
from tests.simulation.world import World

POISON = b'"poison":true'


def _poisoned(parse: Parser) -> Parser:
    def fragile(body: bytes, at_ms: int) -> Sequence[object]:
        if POISON in body:
            raise ZeroDivisionError("a bug in the parser")
        return parse(body, at_ms)

    return fragile  # type: ignore[return-value]


PARSERS: dict[str, Parser] = {name: _poisoned(parse) for name, parse in REAL.items()}
"""The real parsers, with a bug behind a marker."""


class Trouble(msgspec.Struct):
    """Something that is wrong in the watched systems, since when, and till when."""

    labels: dict[str, str]
    starts_ms: int
    ends_ms: int = 0


class Sender:
    """One installation that sends alerts; `twins` of it send the same."""

    def __init__(self, world: World, tocsin: Tocsin, name: str, format_: str) -> None:
        dice = world.dice
        self._world, self._tocsin, self.name, self.format = world, tocsin, name, format_
        self._skew_ms = dice.choice((0, 0, 0, -90_000, 45_000))
        self._twins = dice.choice((1, 1, 2)) if format_ == "alertmanager_v2" else 1
        self._troubles: dict[str, Trouble] = {}
        self._sent: list[bytes] = []
        self.calls: dict[tuple[str, bytes], list[int]] = {}
        """For each body: how often it was answered, and how often it may have been taken without an answer."""

    def _now_ms(self) -> int:
        return self._world.true_ms() + self._skew_ms

    # --- the watched systems ------------------------------------------------------------------------------------

    def break_something(self, number: int = 1) -> None:
        """Trouble begins, or begins again."""
        dice = self._world.dice
        for index in range(number):
            labels = {
                "alertname": dice.choice(("HighErrorRate", "DiskFull", "Down")),
                "service": dice.choice(("shop", "db", "mail")),
                "severity": dice.choice(("critical", "warning", "info")),
                "instance": f"h{index if number > 1 else dice.randrange(3)}",
            }
            if dice.random() < 0.15:
                labels["cluster"] = "east"
            if dice.random() < 0.1:
                labels["outage"] = dice.choice(("business", "database"))
            key = json.dumps(labels, sort_keys=True)
            known = self._troubles.get(key)
            if known is None or known.ends_ms:
                self._troubles[key] = Trouble(labels, self._now_ms())

    def break_everywhere(self) -> None:
        """Many services break at once, and it is told at once."""
        for number in range(self._world.dice.choice((12, 30))):
            labels = {"alertname": "Down", "service": f"svc{number}", "severity": "critical", "instance": f"s{number}"}
            known = self._troubles.get(key := json.dumps(labels, sort_keys=True))
            if known is None or known.ends_ms:
                self._troubles[key] = Trouble(labels, self._now_ms())
        self.post(3600)

    def flap(self) -> None:
        """One trouble comes and goes for a while, and each time is told."""
        self._world.loop.create_task(self._flap())

    async def _flap(self) -> None:
        labels = {"alertname": "Unsteady", "service": "mail", "severity": "warning", "instance": "f"}
        for turn in range(12):
            known = self._troubles.get("flaps")
            if turn % 2 and known is not None:
                known.ends_ms = known.ends_ms or self._now_ms()
            else:
                self._troubles["flaps"] = Trouble(labels, self._now_ms())
            self.post(3600)
            await self._tocsin.wait(5 + self._world.about(5))

    def heal_something(self) -> None:
        """Some trouble is over."""
        firing = [trouble for trouble in self._troubles.values() if not trouble.ends_ms]
        for trouble in firing:
            if self._world.chance(0.5):
                trouble.ends_ms = self._now_ms()

    def heal_everything(self) -> None:
        """All trouble is over."""
        for trouble in self._troubles.values():
            trouble.ends_ms = trouble.ends_ms or self._now_ms()

    def forget_healed(self) -> None:
        """What healed long ago is not sent any more."""
        self._troubles = {key: one for key, one in self._troubles.items() if not one.ends_ms or self._world.chance(0.6)}

    # --- sending ------------------------------------------------------------------------------------------------

    def post(self, resend_s: float) -> None:
        """Send all that is known; each twin in its own time, so that messages overtake each other."""
        if self._troubles:
            body = self._body(resend_s)
            self._sent.append(body)
            for twin in range(self._twins):
                self._world.saw("twin sends the same") if twin else None
                self._send(body, retries=0 if self.format == "alertmanager_v2" else 3)

    def post_old(self) -> None:
        """An old message arrives once more, or very late."""
        if self._sent:
            self._world.saw("duplicated or late message")
            self._send(self._world.dice.choice(self._sent[-5:]), retries=0)

    def post_nonsense(self) -> None:
        """What no parser understands, in whole or in part; or what breaks the parser."""
        good = b'{"labels":{"alertname":"Half","service":"shop"},"status":"firing","startsAt":"2026-01-05T04:00:00Z"}'
        bodies = (b"", b"[", b"\xff\x00", b"[]", b'{"alerts":7}', b'[{"labels":7},' + good + b"]",
                  b'{"alerts":[{},' + good + b"]}", b"[{" + POISON + b"}]", b"{" + POISON + b"}")  # fmt: skip
        body = self._world.dice.choice(bodies)
        self._send(body, retries=self._world.dice.choice((0, 1)))

    def _body(self, resend_s: float) -> bytes:
        if self.format == "alertmanager_v2":
            ends_ms = self._now_ms() + round(4000 * resend_s)
            return json.dumps([self._item(one, one.ends_ms or ends_ms) for one in self._troubles.values()]).encode()
        items = [
            {**self._item(one, one.ends_ms), "status": "resolved" if one.ends_ms else "firing"}
            for one in self._troubles.values()
        ]
        if self.format == "alertmanager_webhook":
            return json.dumps({"version": "4", "status": "firing", "alerts": items}).encode()
        return json.dumps([{"title": one["labels"]["alertname"], **one} for one in items]).encode()  # type: ignore[index]

    def _item(self, trouble: Trouble, ends_ms: int) -> dict[str, object]:
        item: dict[str, object] = {"labels": trouble.labels, "startsAt": _rfc3339(trouble.starts_ms)}
        return item | ({"endsAt": _rfc3339(ends_ms)} if ends_ms else {})

    def _send(self, body: bytes, *, retries: int) -> None:
        self._world.loop.create_task(self._carry(body, retries))

    async def _carry(self, body: bytes, retries: int) -> None:
        for attempt in range(retries + 1):
            await self._tocsin.travel()
            if await self._ask(body):
                return
            self._world.saw("sender tries again") if attempt < retries else None
            await self._tocsin.wait(self._world.about(10 * (attempt + 1)))

    async def _ask(self, body: bytes) -> bool:
        tally = self.calls.setdefault((self.name, body), [0, 0])
        try:
            outcome = await self._tocsin.call(lambda runtime: runtime.receive(self.name, self.format, body))
        except Overloaded:
            self._world.saw("refused: overloaded")
            return False
        except (StoreUnavailable, Lost) as lost:
            tally[1] += 1
            self._world.say(f"{self.name}: {type(lost).__name__}")
            return False
        tally[0] += 1
        self._tocsin.auditor.answered(outcome, r.Received(0, self.name, self.format, body))
        return not self._tocsin.answer_is_lost()


def _rfc3339(at_ms: int) -> str:
    moment = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
