"""Inhibition, maintenance, flapping, hold-back, noise, dropping and storms: what holds alerts, and what frees them."""

from __future__ import annotations

from datetime import date

import pytest

from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.alert_rules import AlertRule, Then
from schemas.alerts import Alert
from schemas.config import Rules
from schemas.denoise import Calendar, Flapping, HoldBack, InhibitRule, Maintenance, Noise, Storm
from tests.scenario import NOON, PAGED, Scenario, alert

INHIBIT = InhibitRule(
    name="down",
    source_matchers=("alertname=NodeDown",),
    target_matchers=("severity=~warning|info",),
    equal=("instance",),
)


def rules(**changes: object) -> Rules:
    """Rules that page somebody, with these besides."""
    return PAGED.model_copy(update=changes)


def down(instance: str = "a", **more: str) -> Alert:
    """The alert that inhibits others."""
    return alert("NodeDown", instance=instance, service="node", **more)


# --- inhibition ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["source first", "target first", "together", "together, target first"])
def test_an_inhibited_alert_opens_nothing(order: str) -> None:
    """R1.2: whichever comes first within a body, the source opens and the target is held, with rule and source."""
    scenario, source, target = (
        Scenario(rules(inhibit=(INHIBIT,))),
        down(),
        alert("Slow", severity="warning", instance="a"),
    )
    if order == "source first":
        scenario.receive(source).receive(target)
    elif order == "target first":
        scenario.receive(target).receive(source)
    else:
        scenario.receive(*((source, target) if order == "together" else (target, source)))
    opened = scenario.of(e.IncidentOpened)
    if order == "target first":
        assert len(opened) == 2
        assert not scenario.of(e.AlertsHeld)
        assert [one.reason for one in scenario.of(e.DeliveryCancelled)] == ["inhibited"]
        return
    held = scenario.one(e.AlertsHeld)
    assert [one.title for one in opened] == ["NodeDown"]
    assert (held.disposition, held.by) == ("inhibited", ["inhibit/down"])
    assert held.sources == [opened[0].alerts[0].fingerprint]
    assert scenario.core.books()["prometheus"] == {"opened": 1, "inhibited": 1}


def test_when_the_source_ends_its_targets_are_judged_again() -> None:
    """What is still broken opens; the other instance was never held."""
    scenario = Scenario(rules(inhibit=(INHIBIT,))).receive(down(), alert("Slow", severity="info", instance="a"))
    scenario.receive(alert("Slow", severity="info", instance="b", service="other"))
    assert scenario.last.dispositions == {"opened": 1}
    scenario.receive(down(status="resolved"))
    assert scenario.one(e.AlertsReleased).by == ["inhibit/down"]
    assert [one.title for one in scenario.of(e.IncidentOpened)] == ["NodeDown", "Slow", "Slow"]


def test_targets_stay_held_while_another_source_fires() -> None:
    """The second source takes over without a word."""
    scenario = Scenario(rules(inhibit=(INHIBIT,))).receive(
        down(), down(job="x"), alert("S", severity="info", instance="a")
    )
    scenario.receive(down(status="resolved"))
    assert not scenario.of(e.AlertsReleased)
    scenario.receive(down(status="resolved", job="x"))
    assert len(scenario.of(e.AlertsReleased)) == 1


def test_an_alert_on_both_sides_is_not_inhibited_by_its_like() -> None:
    """Alertmanager's rule against inhibiting oneself."""
    rule = InhibitRule(source_matchers=("severity=critical",), target_matchers=("service=shop",), equal=("service",))
    scenario = Scenario(rules(inhibit=(rule,))).receive(alert("A"), alert("B"), alert("C", severity="info"))
    assert scenario.core.books()["prometheus"] == {"opened": 1, "attached": 1, "inhibited": 1}
    assert scenario.one(e.AlertsHeld).by == ["inhibit/1"]


def test_labels_absent_on_both_sides_are_equal() -> None:
    """Alertmanager takes an absent label for an empty one."""
    scenario = Scenario(rules(inhibit=(INHIBIT,))).receive(alert("NodeDown"), alert("S", severity="info"))
    assert scenario.core.books()["prometheus"] == {"opened": 1, "inhibited": 1}


# --- maintenance --------------------------------------------------------------------------------------------------


def window(**changes: object) -> Maintenance:
    """Monday noon in China, one hour, every week."""
    given = {
        "name": "deploy", "matchers": ("service=shop",), "starts": "2026-01-05T12:00:00", "duration_s": 3600,
        "rrule": "FREQ=WEEKLY", "timezone": "Asia/Shanghai",
    }  # fmt: skip
    return Maintenance.model_validate({**given, **changes})


def test_a_window_holds_and_at_its_end_all_is_judged_again() -> None:
    """pain point keep#5321; recurring windows of alertmanager#517: the next week it is open again."""
    scenario = Scenario(rules(maintenance=(window(),)))
    assert scenario.one(e.WindowOpened).until_ms == NOON + 3_600_000
    scenario.receive(alert("A"), alert("B"), alert("C", service="db"))
    assert scenario.last.dispositions == {"in_maintenance": 2, "opened": 1}
    assert scenario.one(e.AlertsHeld).by == ["maintenance/deploy"]
    scenario.receive(alert("B", status="resolved")).wait(3600)
    assert scenario.one(e.WindowClosed).window == "deploy"
    assert len(scenario.of(e.IncidentOpened)) == 2
    scenario.wait(7 * 86_400 - 3600).receive(alert("D"))
    assert scenario.last.dispositions == {"in_maintenance": 1}


def test_a_window_that_opens_later_stops_the_pages_of_what_it_matches() -> None:
    """The incident stays; nobody is told while the work goes on."""
    later = window(starts="2026-01-05T12:05:00", rrule="")
    scenario = Scenario(rules(maintenance=(later,))).receive(alert()).wait(301)
    assert scenario.one(e.DeliveryCancelled).reason == "in_maintenance"
    scenario.wait(3600)
    assert [one.notice.kind for one in scenario.of(e.DeliveryRequested)] == ["opened", "opened"]


def test_windows_may_belong_to_days_of_rest_only() -> None:
    """Working days come from data: a working Saturday, a holiday on a Monday (调休)."""
    calendar = Calendar(holidays=(date(2026, 1, 5),), workdays=(date(2026, 1, 10),))
    daily = window(rrule="FREQ=DAILY", days="rest")
    scenario = Scenario(rules(maintenance=(daily,), calendar=calendar))
    for _ in range(7):
        scenario.wait(86_400)
    opened = [(one.until_ms - 3_600_000 - NOON) // 86_400_000 for one in scenario.of(e.WindowOpened)]
    assert opened == [0, 6]


def test_rules_without_the_window_close_it_and_judge_again() -> None:
    """A new version of the rules holds at once, and nothing is forgotten."""
    scenario = Scenario(rules(maintenance=(window(),))).receive(alert())
    scenario.feed(r.Configured(scenario.at_ms, "user:li", rules().canonical()))
    clocks = (e.SlaClockStarted, e.SlaClockStarted)
    opened = (e.AlertsReleased, e.IncidentOpened, *clocks, e.DeliveryRequested, e.DeliveryDue)
    scenario.then(e.Configured, e.WindowClosed, *opened)


# --- flapping, hold-back, noise, rules ----------------------------------------------------------------------------


def test_an_alert_that_flaps_is_held_until_it_has_calmed() -> None:
    """nightingale#1761: one event at the start and one at the end, and the end is judged."""
    flaps = Flapping(window_s=1200, start_ratio=0.5, stop_ratio=0.25)
    scenario = Scenario(rules(flapping=flaps))
    for minute in range(14):
        scenario.receive(alert(status="resolved" if minute % 2 else "firing", starts_ms=NOON + 60_000 * minute)).wait(
            60
        )
    started = scenario.one(e.FlappingStarted)
    assert started.ratio >= 0.5
    before = len(scenario.of(e.IncidentReopened))
    scenario.receive(alert(starts_ms=scenario.at_ms))
    assert scenario.last.dispositions == {"flapping": 1}
    scenario.wait(1200)
    assert scenario.one(e.FlappingEnded).ratio < 0.25
    assert scenario.of(e.AlertsReleased)[-1].why == "ended"
    assert len(scenario.of(e.IncidentReopened)) + len(scenario.of(e.IncidentOpened)) == before + 2


def test_flapping_can_be_off() -> None:
    """Whoever does not want it has none."""
    scenario = Scenario(rules(flapping=Flapping(enabled=False)))
    for minute in range(30):
        scenario.receive(alert(status="resolved" if minute % 2 else "firing", starts_ms=NOON + 60_000 * minute)).wait(
            60
        )
    assert not scenario.of(e.FlappingStarted)


def test_a_transient_never_opens_and_what_lasts_does() -> None:
    """Hold-back: an alert has to last before it opens anything."""
    scenario = Scenario(rules(hold_back=(HoldBack(name="short", matchers=("alertname=~A|B",), for_s=120),)))
    scenario.receive(alert("A"), alert("B"), alert("C", service="db"))
    assert scenario.last.dispositions == {"noise": 2, "opened": 1}
    assert scenario.one(e.AlertsHeld).by == ["hold_back/short"]
    scenario.wait(60).receive(alert("A", status="resolved")).wait(59)
    assert len(scenario.of(e.IncidentOpened)) == 1
    scenario.wait(2)
    assert [one.title for one in scenario.of(e.IncidentOpened)] == ["C", "B"]
    scenario.receive(alert("A", starts_ms=scenario.at_ms))
    assert scenario.last.dispositions == {"noise": 1}


def test_known_noise_is_kept_and_pages_nobody_until_the_rule_goes() -> None:
    """R1.2: filtered by rule, visible all the same."""
    scenario = Scenario(rules(noise=(Noise(name="tests", matchers=("env=test",)),))).receive(alert(env="test"))
    assert scenario.last.dispositions == {"noise": 1}
    assert [one.held_by for one in scenario.core.live().alerts()] == [("noise/tests",)]
    scenario.feed(r.Configured(scenario.at_ms, "user:li", rules().canonical()))
    assert len(scenario.of(e.IncidentOpened)) == 1


def test_a_dropped_alert_is_counted_and_comes_back_when_the_rule_goes() -> None:
    """A rule about alerts may drop; the alert is known all the same, and hidden from the live view."""
    drop = AlertRule(name="mine", match="env=test", then=Then(drop=True))
    scenario = Scenario(rules(alert_rules=(drop,))).receive(alert(env="test"), alert())
    assert scenario.last.dispositions == {"dropped_by_rule": 1, "opened": 1}
    assert scenario.one(e.AlertsHeld).by == ["rule/mine"]
    assert len(list(scenario.core.live().alerts())) == 1
    scenario.feed(r.Configured(scenario.at_ms, "user:li", rules().canonical()))
    assert len(scenario.of(e.AlertsAttached)) == 1


def test_a_rule_that_relabels_decides_the_group_not_the_identity() -> None:
    """Grouping, severity and silences see the labels after the rules; the fingerprint is that of the sender's."""
    relabel = AlertRule(name="team", match="service=shop", then=Then(set={"service": "store"}, severity="info"))
    scenario = Scenario(rules(alert_rules=(relabel,))).receive(alert())
    plain = Scenario(rules()).receive(alert())
    opened, without = scenario.one(e.IncidentOpened), plain.one(e.IncidentOpened)
    assert (opened.service, opened.severity) == ("store", "info")
    assert opened.alerts[0].fingerprint == without.alerts[0].fingerprint
    scenario.receive(alert()).then()


# --- storms -------------------------------------------------------------------------------------------------------

STORM = Storm(alerts=10, factor=2, window_s=60, calm_windows=2)


def many(count: int, prefix: str = "s") -> list[Alert]:
    """Alerts of as many services."""
    return [alert(service=f"{prefix}{number}") for number in range(count)]


def test_a_storm_is_one_incident_that_takes_what_would_open_others() -> None:
    """Facts are kept: every alert is listed with the storm; what belongs to an open incident goes there."""
    scenario = Scenario(rules(storm=STORM)).receive(alert(service="s0")).receive(*many(12))
    assert scenario.last.dispositions == {"repeated": 1, "storm": 11}
    opened = scenario.of(e.IncidentOpened)
    assert [one.labels.get("storm") for one in opened] == [None, "default"]
    attached = sum(len(one.alerts) for one in scenario.of(e.AlertsAttached))
    assert len(opened[1].alerts) + attached == 11
    assert scenario.one(e.StormStarted).arrived == 12
    scenario.receive(alert("Other", service="s0"), alert("Down", outage="business"))
    assert scenario.last.dispositions == {"attached": 1, "opened": 1}


def test_a_storm_ends_by_itself_and_what_still_fires_is_judged_again() -> None:
    """Automatic end after calm windows; its incident resolves, the others open as if they came now."""
    scenario = Scenario(rules(storm=STORM)).receive(*many(12))
    scenario.receive(alert(service="s3", status="resolved")).wait(240)
    ended = scenario.one(e.StormEnded)
    assert (ended.incident, ended.absorbed) == ("INC-1", 12)
    assert [one.reason for one in scenario.of(e.AlertsResolved)] == ["sender", "storm_over"]
    assert len(scenario.of(e.IncidentOpened)) == 1 + 11
    assert scenario.of(e.IncidentResolved)[0].incident == "INC-1"
    assert not [one for one in scenario.core.live().alerts() if one.held]


def test_a_storm_incident_resolved_by_hand_goes_on_while_it_storms() -> None:
    """What comes next reopens it, and the end is the same."""
    scenario = Scenario(rules(storm=STORM)).receive(*many(12)).command(c.Resolve(incident="INC-1"))
    scenario.receive(*many(20, "t"))
    assert scenario.last.dispositions == {"storm": 20}
    assert scenario.one(e.IncidentReopened).incident == "INC-1"
    scenario.wait(240)
    assert len(scenario.of(e.IncidentOpened)) == 33


def test_a_usual_crowd_is_no_storm() -> None:
    """The usual number is learned: ten times a minute is nothing special where it is so all day."""
    scenario = Scenario(rules(storm=Storm(alerts=10, factor=3, window_s=60)))
    for minute in range(120):
        scenario.receive(*many(9, f"m{minute}-")).wait(60)
    assert not scenario.of(e.StormStarted)
    scenario.receive(*many(25, "x"))
    assert not scenario.of(e.StormStarted)
    scenario.receive(*many(9, "y"))
    assert len(scenario.of(e.StormStarted)) == 1


def test_new_rules_judge_what_a_storm_takes_once() -> None:
    """A window that goes with the old rules hands its alert to the storm, and nobody does so again."""
    first = rules(storm=STORM, maintenance=(window(matchers=("alertname=A",)),))
    scenario = Scenario(first).receive(*many(12)).receive(alert("A", service="new"))
    scenario.feed(r.Configured(scenario.at_ms, "user:li", rules(storm=STORM).canonical()))
    scenario.then(e.Configured, e.WindowClosed, e.AlertsReleased, e.AlertsAttached)


# --- together -----------------------------------------------------------------------------------------------------


def test_new_rules_judge_all_that_is_held_again() -> None:
    """alertmanager#4064: a reload forgets nothing and un-inhibits nothing that the new rules inhibit, too."""
    both = rules(inhibit=(INHIBIT,), noise=(Noise(name="n", matchers=("env=test",)),))
    scenario = Scenario(both).receive(down(), alert("S", severity="info", instance="a"), alert("T", env="test"))
    scenario.feed(r.Configured(scenario.at_ms, "user:li", rules(inhibit=(INHIBIT,)).canonical()))
    assert [one.title for one in scenario.of(e.IncidentOpened)] == ["NodeDown", "T"]
    assert scenario.one(e.AlertsReleased).disposition == "noise"
    held = [one for one in scenario.core.live().alerts() if one.held]
    assert [one.inhibited_by != () for one in held] == [True]
