"""Rules about alerts in the core: alerts dropped, held, changed or enriched, and those that join a related incident."""

from __future__ import annotations

import msgspec
import pytest

from schemas import events as e
from schemas import records as r
from schemas.alerts import labels_of
from schemas.config import Rules
from schemas.held import AlertsHeld, AlertsReleased
from tests.scenario import PAGED, Scenario, alert

TABLE = {"name": "services", "by": ["service"], "rows": [{"service": "shop", "owner": "li", "tier": "1"}]}


def _under(**changes: object) -> Rules:
    return Rules.model_validate(PAGED.model_dump() | changes)


def _rule(when: str, then: dict[str, object], name: str = "r") -> dict[str, object]:
    return {"name": name, "when": when, "then": then}


def _of(scenario: Scenario, kind: type) -> list[e.EventData]:
    return [event.data for event in scenario.events if isinstance(event.data, kind)]


def test_a_dropped_alert_opens_nothing_and_is_counted() -> None:
    """Its disposition is dropped_by_rule, with the rule's name; its repeats write nothing."""
    scenario = Scenario(_under(alert_rules=[_rule('labels.alertname == "Watchdog"', {"drop": True}, "dog")]))
    scenario.receive(alert("Watchdog"), alert("DiskFull"))
    (held,) = _of(scenario, AlertsHeld)
    assert isinstance(held, AlertsHeld)
    assert (held.disposition, held.by, held.rules_version) == ("dropped_by_rule", ["rule/dog"], 1)
    assert scenario.last.dispositions == {"dropped_by_rule": 1, "opened": 1}
    scenario.receive(alert("Watchdog"))
    assert not scenario.last.events
    assert scenario.last.dispositions == {"repeated": 1}


def test_a_held_alert_opens_its_incident_when_the_rules_let_it_pass() -> None:
    """Noise by rule is judged again when the rules change."""
    scenario = Scenario(_under(alert_rules=[_rule('severity == "critical"', {"hold": True})]))
    scenario.receive(alert())
    assert not _of(scenario, e.IncidentOpened)
    scenario.feed(r.Configured(scenario.at_ms, "user:li", PAGED.canonical()))
    (released,) = _of(scenario, AlertsReleased)
    assert isinstance(released, AlertsReleased)
    assert released.by == ["rule/r"]
    assert len(_of(scenario, e.IncidentOpened)) == 1


def test_a_rule_changes_labels_and_severity_before_anything_is_decided() -> None:
    """Grouping, priority and what incidents show follow the labels afterwards; the fingerprint is the sender's."""
    then = {
        "severity": "info",
        "set": {"service": "other"},
        "set_from": {"where": 'labels.pod + "@x"'},
        "remove": ["pod"],
    }
    scenario = Scenario(_under(alert_rules=[_rule('labels.service == "shop"', then)]))
    plain = alert(pod="p1")
    scenario.receive(plain)
    (opened,) = _of(scenario, e.IncidentOpened)
    assert isinstance(opened, e.IncidentOpened)
    (ref,) = opened.alerts
    assert dict(labels_of(bytes(ref.labels))) == {
        "alertname": "HighErrorRate", "service": "other", "severity": "critical", "where": "p1@x",
    }  # fmt: skip
    assert (opened.service, opened.severity, opened.priority) == ("other", "info", "P4")
    unchanged = Scenario(PAGED).receive(plain)
    (as_sent,) = _of(unchanged, e.IncidentOpened)
    assert isinstance(as_sent, e.IncidentOpened)
    assert ref.fingerprint == as_sent.alerts[0].fingerprint


def test_a_later_rule_sees_what_an_earlier_one_and_a_table_have_set() -> None:
    """Tables come first, then the rules in their order."""
    rules = [
        _rule('labels.owner == "li"', {"set": {"team": "a"}}, "first"),
        _rule('labels.team == "a" && labels.tier == "1"', {"severity": "warning"}, "second"),
    ]
    scenario = Scenario(_under(alert_rules=rules, enrichment=[TABLE])).receive(alert())
    (opened,) = _of(scenario, e.IncidentOpened)
    assert isinstance(opened, e.IncidentOpened)
    assert opened.severity == "warning"
    assert opened.labels["owner"] == "li"


@pytest.mark.parametrize(
    ("when", "column"),
    [("severity == 1", 10), ("labels.a.matches('(')", 18), ("nope == 'x'", 1), ("labels.a", 1), ("severity ==", 12)],
)
def test_rules_that_cannot_be_taken_leave_the_old_ones_in_force(when: str, column: int) -> None:
    """The rejection names the place; what came before goes on."""
    scenario = Scenario(_under(alert_rules=[_rule("true", {"drop": True})]))
    bad = _under(alert_rules=[_rule(when, {"drop": True})])
    rejected = scenario.feed(r.Configured(scenario.at_ms, "user:li", bad.canonical())).rejected
    assert rejected is not None
    assert rejected.reason.startswith(f"rules.alert_rules.0.when: column {column}: ")
    scenario.receive(alert())
    assert scenario.last.dispositions == {"dropped_by_rule": 1}


def test_hits_of_rules_are_rolled_up() -> None:
    """Both rules that change alerts and those that drop them are counted by name."""
    rules = [_rule("true", {"set": {"a": "b"}}, "all"), _rule('labels.alertname == "A"', {"drop": True}, "drop")]
    scenario = Scenario(_under(alert_rules=rules)).receive(alert("A"), alert("B"))
    scenario.at_ms += 60_000
    scenario.feed(r.Tick(scenario.at_ms))
    (hits,) = _of(scenario, e.RulesHit)
    assert isinstance(hits, e.RulesHit)
    assert hits.hits == {"rule/all": 1, "rule/drop": 1}


# --- correlation ------------------------------------------------------------------------------------------------------

MAP = [{"service": "shop", "depends_on": ["payments"]}, {"service": "payments", "depends_on": ["redis"]}]


def _correlating(**rule: object) -> Scenario:
    return Scenario(_under(service_map=MAP, correlation=[{"name": "near", **rule}]))


def test_an_alert_of_a_neighbour_joins_the_open_incident_with_the_reason() -> None:
    """One incident instead of two; the event says by which rule and why, and later alerts of that group follow."""
    scenario = _correlating()
    scenario.receive(alert("DbDown", service="payments")).receive(alert("Errors", service="shop"))
    (attached,) = _of(scenario, e.AlertsAttached)
    assert isinstance(attached, e.AlertsAttached)
    assert (attached.incident, attached.rules_version) == ("INC-1", 1)
    assert attached.reason == "near: shop and payments are neighbours, open for 0 s"
    scenario.receive(alert("Slow", service="shop"))
    assert len(_of(scenario, e.IncidentOpened)) == 1


@pytest.mark.parametrize(
    ("rule", "labels", "minutes"),
    [
        ({}, {"service": "redis"}, 0),
        ({"within_s": 60}, {"service": "payments"}, 2),
        ({"labels": ["zone"]}, {"service": "payments"}, 0),
        ({"labels": ["zone"]}, {"service": "payments", "zone": "b"}, 0),
        ({"after_change_s": 600}, {"service": "payments"}, 0),
        ({}, {"service": "payments", "cluster": "other"}, 0),
        ({}, {"service": "payments", "outage": "database"}, 0),
    ],
    ids=["too far", "too late", "no label", "other label", "no change", "other scope", "an outage"],
)
def test_what_is_not_related_opens_its_own(rule: dict[str, object], labels: dict[str, str], minutes: int) -> None:
    """Distance, time, labels, changes and scope all have to agree; an outage is always an incident of its own."""
    scenario = _correlating(**rule).receive(alert(zone="a"))
    scenario.at_ms += minutes * 60_000
    scenario.receive(alert("Other", **labels))
    assert len(_of(scenario, e.IncidentOpened)) == 2


def test_a_reported_change_relates_what_it_touched() -> None:
    """A release of either service makes alerts just after it one trouble."""
    scenario = _correlating(after_change_s=600, hops=2)
    body = msgspec.json.encode({"title": "release 1.2", "service": "redis"})
    scenario.feed(r.Changed(scenario.at_ms, "ci", body))
    scenario.at_ms += 180_000
    scenario.receive(alert("CacheDown", service="redis")).receive(alert("Errors", service="shop"))
    (attached,) = _of(scenario, e.AlertsAttached)
    assert isinstance(attached, e.AlertsAttached)
    assert attached.reason == "near: shop is 2 edges from redis, redis was changed 3 min before, open for 0 s"


def test_a_core_from_a_snapshot_relates_as_the_first_did() -> None:
    """What is found by service follows from the state: a restart changes no decision."""
    scenario = _correlating().receive(alert("DbDown", service="payments"))
    scenario.core = type(scenario.core).from_snapshot(scenario.core.snapshot(), scenario.core._parsers)
    scenario.receive(alert("Errors", service="shop"))
    assert len(_of(scenario, e.AlertsAttached)) == 1
