"""Silences and rules that hold alerts, as people might set them; and a model of who is held, from the log alone."""

from __future__ import annotations

import datetime
from typing import Any

from engine.core.state import State
from schemas import events as e
from schemas.alert_rules import AlertRule, Then
from schemas.commands import Command
from schemas.denoise import Flapping, HoldBack, InhibitRule, Maintenance, Noise, Storm
from schemas.silences import ExpireSilence, SetSilence, Silence, SilenceMatcher
from tests.simulation.world import World

MATCHERS = ("service=shop", "service=db", "alertname=~DiskFull|Down", "severity=info", 'severity!="critical"')


def some_denoise(world: World) -> dict[str, Any]:
    """Rules that hold alerts; in a third of all versions none."""
    dice = world.dice
    if world.chance(0.33):
        return {}
    begins = datetime.datetime.fromtimestamp(world.true_ms() / 1000 + world.about(3600), datetime.UTC)
    every: dict[str, Any] = {
        "inhibit": (
            InhibitRule(
                name="down",
                source_matchers=("alertname=Down",),
                target_matchers=(
                    dice.choice(('alertname!="Down"', "severity=~warning|info,alertname=~Disk.*|High.*")),
                ),
                equal=dice.choice(((), ("service",), ("instance",))),
            ),
        ),
        "maintenance": (
            Maintenance(
                name=dice.choice(("deploy", "backup")),
                matchers=(dice.choice(MATCHERS),),
                starts=begins.replace(microsecond=0),
                duration_s=dice.choice((120, 3600, 30_000)),
                rrule=dice.choice(("", "FREQ=DAILY", "FREQ=DAILY;BYHOUR=3,15")),
                days=dice.choice(("all", "all", "rest")),
            ),
        ),
        "noise": (Noise(name="known", matchers=(dice.choice(MATCHERS),)),),
        "hold_back": (HoldBack(name="short", matchers=(dice.choice(MATCHERS),), for_s=dice.choice((5, 120, 900))),),
        "flapping": Flapping(window_s=dice.choice((120, 7200)), start_ratio=0.1, stop_ratio=0.05),
        "storm": Storm(alerts=dice.choice((4, 10)), factor=2, window_s=dice.choice((30, 600)), calm_windows=1),
        "alert_rules": (AlertRule(name="gone", match=dice.choice(MATCHERS), then=Then(drop=True)),),
        "silence_notice_s": dice.choice((0, 60, 900)),
    }
    often = ("storm", "flapping")
    return {name: rules for name, rules in every.items() if world.chance(0.7 if name in often else 0.3)}


def some_silence(world: World, holding: Holding) -> Command:
    """Make a silence, change one or end one."""
    dice, known = world.dice, list(holding.silences)
    if known and world.chance(0.3):
        return ExpireSilence(id=dice.choice([*known[-4:], "nobody"]))
    if known and world.chance(0.3):
        found = holding.made[dice.choice(known[-3:])]
        matchers = tuple(SilenceMatcher(name=one.name, op=one.op, value=one.value) for one in found.matchers)
        return SetSilence(
            id=found.id,
            matchers=matchers,
            starts_ms=found.starts_ms,
            ends_ms=max(found.ends_ms, world.true_ms()) + round(1000 * world.about(600)) + 1,
            comment="longer",
        )
    starts_ms = world.true_ms() + round(1000 * dice.choice((0, 0, world.about(600))))
    name, _, value = dice.choice(("service=shop", "alertname=Down", "severity=warning", "instance=h1")).partition("=")
    return SetSilence(
        id=dice.choice(known[-4:]) if known and world.chance(0.3) else "",
        matchers=(SilenceMatcher(name=name, op=dice.choice(("=", "=", "=~")), value=value),),
        starts_ms=starts_ms,
        ends_ms=starts_ms + round(1000 * (60 + world.about(dice.choice((300, 20_000))))),
        comment="simulated",
    )


class Holding:
    """Who is held, and what silences there are, as the log tells it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.held: dict[str, str] = {}
        self.inside: set[str] = set()
        """Who fires in some incident."""
        self.silences: dict[str, str] = {}
        """Silence → pending, active or expired."""
        self.made: dict[str, Silence] = {}

    def tell(self, data: Any) -> None:
        """One more event."""
        match data:
            case e.AlertsHeld():
                self._hold(data)
            case e.AlertsReleased():
                for one in data.fingerprints:
                    was = self.held.pop(one, "nothing")
                    self._demand(was == data.disposition, f"{one} is released from {data.disposition}, held by {was}")
                self._world.saw(f"released: {data.why}")
            case e.IncidentOpened() | e.AlertsAttached() | e.IncidentReopened():
                joined = {ref.fingerprint for ref in data.alerts}
                self._demand(not joined & self.held.keys(), f"{joined & self.held.keys()} are held and in an incident")
                self._demand(not joined & self.inside, f"{joined & self.inside} are in two incidents")
                self.inside |= joined
            case e.IncidentSplit():
                self._demand(set(data.fingerprints) <= self.inside, "somebody is split off who is in no incident")
                self.inside -= set(data.fingerprints)
            case e.AlertsResolved():
                self._demand(set(data.fingerprints) <= self.inside, "somebody leaves an incident who is in none")
                self.inside -= set(data.fingerprints)
            case e.StormStarted() | e.StormEnded():
                self._world.saw("storm began" if isinstance(data, e.StormStarted) else "storm ended")
            case e.FlappingEnded() | e.PageWithheld() | e.SilenceExpiring() | e.WindowClosed() | e.RulesHit():
                self._world.saw(type(data).__name__)
            case _ if isinstance(data, e.SilenceEvent):
                self._silence(data)
            case _:
                pass

    def _hold(self, data: e.AlertsHeld) -> None:
        for ref in data.alerts:
            self._demand(ref.fingerprint not in self.inside, f"{ref.fingerprint} is held and in an incident")
            self._demand(data.again or ref.fingerprint not in self.held, f"{ref.fingerprint} is held twice")
            self.held[ref.fingerprint] = data.disposition
        if data.disposition == "silenced":
            active = all(self.silences.get(name) == "active" for name in data.by)
            self._demand(active, f"held by silences that are not active: {data.by}")
        self._world.saw("held again by something else") if data.again else None

    def _silence(self, data: Any) -> None:
        match data:
            case e.SilenceCreated():
                self._demand(data.silence.id not in self.silences, f"silence {data.silence.id} is made twice")
                self.silences[data.silence.id] = "pending"
                self.made[data.silence.id] = data.silence
                self._world.saw("silence made in place of another") if data.replaces else None
            case e.SilenceStarted():
                self._demand(self.silences[data.silence] == "pending", f"silence {data.silence} starts twice")
                self.silences[data.silence] = "active"
            case e.SilenceExpired():
                self._demand(self.silences[data.silence] != "expired", f"silence {data.silence} ends twice")
                self.silences[data.silence] = "expired"
                self._world.saw("silence ended by hand" if data.by_hand else "silence ran out")
            case e.SilenceUpdated():
                self.made[data.silence.id] = data.silence
                self._world.saw("silence changed")

    def agrees(self, state: State) -> None:
        """The core says the same, and whatever holds an alert holds it still."""
        held = {one.fingerprint: one.held for one in state.alerts.values() if one.held not in ("", "storm")}
        self._demand(held == self.held, f"held are {held}, by the log {self.held}")
        firing = {one.fingerprint for one in state.alerts.values() if one.firing}
        self._demand(firing == self.held.keys() | self.inside, "somebody fires who is neither held nor in an incident")
        stands = {name: "expired" if one.expired else "active" if one.started else "pending"
                  for name, one in state.silences.items()}  # fmt: skip
        known = {name: where for name, where in self.silences.items() if name in stands}
        self._demand(stands == known, f"silences are {stands}, by the log {known}")
        for one in state.alerts.values():
            holds = {
                "silenced": lambda one=one: all(stands.get(name) == "active" for name in one.held_by),
                "in_maintenance": lambda one=one: all(name[12:] in state.windows for name in one.held_by),
                "inhibited": lambda one=one: all(by.fingerprint in firing for by in one.inhibited_by or (one,)),
                "flapping": lambda one=one: one.flapping,
                "storm": lambda one=one: bool(state.storms[one.scope].since_ms),
            }.get(one.held, lambda: True)
            self._demand(holds(), f"{one.fingerprint} is held by {one.held_by}, which is over")

    def _demand(self, holds: bool, invariant: str) -> None:
        self._world.demand(holds, invariant)
