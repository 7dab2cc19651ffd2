"""What becomes of a received alert."""

from __future__ import annotations

import pytest

from schemas import events as e
from schemas import records as r
from schemas.config import Grouping, Rules
from tests.scenario import NOON, PAGED, Scenario, alert


def test_the_first_alert_of_a_group_opens_an_incident() -> None:
    """R1.2: a new alert is judged and becomes an incident with its clocks."""
    scenario = Scenario().receive(alert())
    scenario.then(e.IncidentOpened, e.SlaClockStarted, e.SlaClockStarted)
    opened = scenario.one(e.IncidentOpened)
    assert (opened.incident, opened.service, opened.priority, opened.title) == ("INC-1", "shop", "P2", "HighErrorRate")
    assert scenario.last.dispositions == {"opened": 1}


def test_a_repeat_writes_no_event() -> None:
    """R1.2: duplicates are counted, the log does not grow with them."""
    scenario = Scenario().receive(alert())
    scenario.receive(alert()).then()
    assert scenario.last.dispositions == {"repeated": 1}


def test_labels_in_another_order_are_the_same_alert() -> None:
    """The identity of an alert is its label set, however the sender writes it."""
    first = alert()
    swapped = dict(reversed(first.labels.items()))
    scenario = Scenario().receive(first)
    scenario.receive(type(first).of(swapped, "firing", NOON)).then()
    assert scenario.last.dispositions == {"repeated": 1}


def test_a_flood_of_one_group_is_one_incident() -> None:
    """Many alerts of one service in one body make one incident whose impact grows with their number."""
    scenario = Scenario().receive(*(alert(instance=f"10.0.0.{n}") for n in range(25)))
    opened = scenario.one(e.IncidentOpened)
    assert len(opened.alerts) == 25
    assert (opened.impact, opened.priority) == (1, "P1")
    assert scenario.last.dispositions == {"opened": 1, "attached": 24}


def test_alerts_of_two_groups_are_two_incidents() -> None:
    """Grouping labels tell incidents apart."""
    scenario = Scenario().receive(alert(), alert(service="redis"))
    assert [opened.service for opened in scenario.of(e.IncidentOpened)] == ["shop", "redis"]


def test_a_later_alert_joins_the_open_incident_and_a_worse_one_raises_it() -> None:
    """An incident takes what belongs to it; severity only rises."""
    scenario = Scenario().receive(alert(severity="warning"))
    scenario.receive(alert("Latency", severity="critical")).then(e.AlertsAttached, e.IncidentRaised)
    raised = scenario.one(e.IncidentRaised)
    assert (raised.severity, raised.priority) == ("critical", "P2")
    scenario.receive(alert("Info", severity="info")).then(e.AlertsAttached)


def test_when_every_alert_heals_the_incident_resolves_by_itself() -> None:
    """The incident ends with its last alert, not with its first."""
    scenario = Scenario().receive(alert("A"), alert("B"))
    scenario.receive(alert("A", status="resolved")).then(e.AlertsResolved)
    scenario.receive(alert("B", status="resolved"))
    scenario.then(e.AlertsResolved, e.IncidentResolved, e.SlaClockStopped, e.SlaClockStopped)
    assert scenario.one(e.IncidentResolved).automatic


def test_a_silent_sender_means_resolved_by_timeout() -> None:
    """An alert without a stated end expires, and the reason says so."""
    scenario = Scenario(Rules(expiry_s={"test": 300})).receive(alert())
    scenario.wait(200).receive(alert()).wait(299)
    assert not scenario.of(e.AlertsResolved)
    scenario.wait(2)
    assert scenario.one(e.AlertsResolved).reason == "timeout"
    assert scenario.one(e.IncidentResolved).automatic


def test_a_stated_end_in_the_future_is_the_expiry() -> None:
    """Prometheus states four resend delays ahead; that is when its silence means resolved."""
    timed = type(alert()).of(dict(alert().labels), "firing", NOON, ends_ms=NOON + 60_000)
    scenario = Scenario().receive(timed).wait(61)
    assert scenario.one(e.AlertsResolved).reason == "timeout"


def test_an_alert_that_fires_again_expires_again() -> None:
    """Its expiry timer rang while it was healed: the next episode has one of its own."""
    scenario = Scenario(Rules(expiry_s={"test": 300})).receive(alert()).wait(60).receive(alert(status="resolved"))
    scenario.wait(400).receive(alert(starts_ms=NOON + 400_000)).wait(301)
    assert scenario.of(e.AlertsResolved)[-1].reason == "timeout"
    assert len(scenario.of(e.IncidentResolved)) == 2


def test_firing_again_soon_reopens_and_late_opens_a_recurrence() -> None:
    """R1.4: the same trouble soon after is the same incident; later it is a new one that names the old."""
    scenario = Scenario().receive(alert()).wait(60).receive(alert(status="resolved"))
    scenario.wait(120).receive(alert(starts_ms=NOON + 180_000))
    assert scenario.one(e.IncidentReopened).incident == "INC-1"
    scenario.wait(60).receive(alert(status="resolved", starts_ms=NOON + 180_000))
    scenario.wait(3000).receive(alert(starts_ms=NOON + 3_300_000))
    assert scenario.of(e.IncidentOpened)[-1].recurrence_of == "INC-1"


def test_a_firing_overtaken_by_its_own_resolution_stays_resolved() -> None:
    """Reordered deliveries do not leave a healed incident open for ever."""
    scenario = Scenario().receive(alert()).wait(60).receive(alert(status="resolved"))
    scenario.wait(5).receive(alert()).then()
    assert scenario.last.dispositions == {"repeated": 1}


def test_the_end_of_an_earlier_episode_does_not_end_the_present_one() -> None:
    """A late resolution of last time is not taken for one of this time."""
    scenario = Scenario().receive(alert(starts_ms=NOON + 600_000))
    scenario.receive(alert(status="resolved", starts_ms=NOON)).then()


def test_a_resolution_of_an_unknown_alert_opens_nothing() -> None:
    """keep#2481: no incident is created on a resolved alert."""
    scenario = Scenario().receive(alert(status="resolved")).then()
    assert scenario.last.dispositions == {"resolved": 1}


def test_firing_and_resolved_in_one_body_are_taken_in_order() -> None:
    """A body may tell a whole story."""
    scenario = Scenario().receive(alert(), alert(status="resolved"))
    assert scenario.one(e.IncidentResolved).automatic
    assert scenario.last.dispositions == {"opened": 1, "resolved": 1}


def test_an_unreadable_body_is_kept_and_counted() -> None:
    """What cannot be parsed is `invalid`, with its reason, and the body is in the journal."""
    scenario = Scenario()
    scenario.feed(r.Received(NOON, "prometheus", "nonsense", b"x"))
    scenario.then(e.PayloadRejected)
    assert scenario.last.dispositions == {"invalid": 1}


def test_counts_are_rolled_up_and_the_sums_agree() -> None:
    """The books balance: every alert has one disposition, in the log within a minute."""
    scenario = Scenario().receive(alert()).receive(alert()).receive(alert("B"), source="grafana").wait(61)
    rolled = scenario.one(e.IntakeRolledUp)
    assert rolled.received == 3
    assert rolled.by_source == {"prometheus": {"opened": 1, "repeated": 1}, "grafana": {"attached": 1}}
    assert scenario.core.books() == rolled.by_source


def test_incident_numbers_belong_to_their_scope() -> None:
    """The same scope numbers its incidents alike on every runtime."""
    scenario = Scenario(Rules(grouping=Grouping(by=("namespace", "service"))))
    scenario.receive(alert(namespace="pay"), alert(namespace="shop"), alert(namespace="pay", service="b"))
    assert [opened.incident for opened in scenario.of(e.IncidentOpened)] == ["INC-pay-1", "INC-shop-1", "INC-pay-2"]


def test_an_outage_is_an_incident_of_its_own() -> None:
    """Annex 3 judges outages, so they are not mixed with lesser trouble of the service."""
    scenario = Scenario().receive(alert(), alert("Down", outage="business"))
    assert [opened.outage for opened in scenario.of(e.IncidentOpened)] == [None, "business"]


@pytest.mark.parametrize("hours", [8, 24, 48])
def test_an_outage_past_a_line_of_annex_3_is_proposed_once(hours: int) -> None:
    """R12: 超过 8/24/48 小时, strictly longer, proposes 15/30/100 points."""
    scenario = Scenario(Rules(expiry_s={"test": 999_999})).receive(alert("Down", outage="database"))
    scenario.wait(3600 * hours)
    expected = {8: [], 24: ["一般.2"], 48: ["一般.2", "重大.2"]}[hours]
    assert [proposed.criterion for proposed in scenario.of(e.AccidentProposed)] == expected
    scenario.wait(1)
    added = {8: "一般.2", 24: "重大.2", 48: "特大.2"}[hours]
    assert [proposed.criterion for proposed in scenario.of(e.AccidentProposed)] == [*expected, added]


def test_a_healed_outage_is_not_proposed() -> None:
    """An outage that ended before the line is no accident of that level."""
    scenario = Scenario(Rules(expiry_s={"test": 90_000})).receive(alert("Down", outage="business"))
    scenario.wait(7 * 3600).receive(alert("Down", status="resolved", outage="business")).wait(48 * 3600)
    assert not scenario.of(e.AccidentProposed)


def test_a_rules_version_is_named_by_what_was_decided_under_it() -> None:
    """Each decision names the version of the rules."""
    scenario = Scenario(PAGED).receive(alert())
    assert scenario.one(e.IncidentOpened).rules_version == 1
    assert scenario.of(e.DeliveryRequested)[0].rules_version == 1


def test_the_same_rules_again_are_no_new_version() -> None:
    """A restart with an unchanged file changes nothing."""
    scenario = Scenario(PAGED)
    scenario.feed(r.Configured(NOON, "test", PAGED.canonical()))
    scenario.then()
