"""Who is told, once, and what happens when a channel does not take it."""

from __future__ import annotations

from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.config import DeliveryPolicy, Receiver, Route, Rules
from tests.scenario import PAGED, Scenario, alert

ACK = c.Acknowledge(incident="INC-1")


def test_an_incident_pages_its_receiver_once() -> None:
    """One intent per page, logged before any attempt; repeats of the alert page nobody."""
    scenario = Scenario(PAGED).receive(alert(instance="10.0.0.1")).receive(alert(instance="10.0.0.1"))
    requested = scenario.one(e.DeliveryRequested)
    assert (requested.delivery, requested.receiver, requested.channels) == ("INC-1.1", "oncall", ["dingtalk", "email"])
    assert requested.notice.alerts == ["HighErrorRate @ 10.0.0.1"]
    assert requested.notice.url.endswith("/incidents/INC-1")
    assert scenario.one(e.DeliveryDue).channel == "dingtalk"


def test_a_confirmed_delivery_is_over() -> None:
    """The channel's own answer ends it, and is on record."""
    scenario = Scenario(PAGED).receive(alert()).answer("ok", vendor_code="0", vendor_message_id="m1")
    assert scenario.one(e.DeliverySucceeded).vendor_message_id == "m1"
    assert not scenario.core.pending_deliveries()


def test_a_passing_failure_is_tried_again_with_growing_waits() -> None:
    """2, 4, 8 seconds, or as long as the vendor asks; the identity stays."""
    scenario = Scenario(PAGED).receive(alert()).answer("retry", reason="500")
    assert not scenario.core.pending_deliveries()
    scenario.wait(2).answer("retry", reason="500")
    scenario.wait(3.999)
    assert not scenario.core.pending_deliveries()
    scenario.wait(0.001).answer("retry", reason="throttled", retry_after_s=500)
    scenario.wait(499)
    assert not scenario.core.pending_deliveries()
    scenario.wait(1)
    [pending] = scenario.core.pending_deliveries()
    assert (pending.delivery, pending.attempt, pending.channel) == ("INC-1.1", 4, "dingtalk")


def test_a_channel_that_never_takes_it_gives_way_to_the_next() -> None:
    """Permanent failure: the next channel at once. All failed: said so."""
    scenario = Scenario(PAGED).receive(alert()).answer("failed", reason="bad token", vendor_code="300001").wait(0)
    [pending] = scenario.core.pending_deliveries()
    assert (pending.channel, pending.attempt) == ("email", 2)
    scenario.answer("failed", reason="550").then(e.DeliveryFailed)


def test_attempts_per_channel_are_limited() -> None:
    """After its attempts a channel gives way, too."""
    rules = PAGED.model_copy(update={"delivery": DeliveryPolicy(attempts=2)})
    scenario = Scenario(rules).receive(alert()).answer("retry").wait(2).answer("retry").wait(0)
    assert scenario.core.pending_deliveries()[0].channel == "email"


def test_what_may_have_arrived_is_not_sent_again() -> None:
    """alertmanager#2222: nobody is paged twice for one thing; it is counted as unconfirmed."""
    scenario = Scenario(PAGED).receive(alert()).answer("unknown", reason="time-out")
    assert scenario.one(e.DeliveryUnconfirmed).reason == "time-out"
    assert not scenario.core.pending_deliveries()


def test_an_answer_to_an_old_attempt_changes_nothing() -> None:
    """A late or repeated answer is ignored."""
    scenario = Scenario(PAGED).receive(alert()).answer("retry")
    scenario.feed(r.Delivered(scenario.at_ms, "INC-1.1", 1, "ok"))
    scenario.then()
    scenario.feed(r.Delivered(scenario.at_ms, "INC-7.1", 1, "ok"))
    scenario.then()


def test_an_acknowledged_incident_pages_nobody_any_more() -> None:
    """A page that was not handed over yet is cancelled by the acknowledgement."""
    scenario = Scenario(PAGED).receive(alert()).command(ACK)
    assert scenario.one(e.DeliveryCancelled).reason == "acknowledged"
    scenario.feed(r.Attempting(scenario.at_ms, "INC-1.1", 1))
    scenario.then()


def test_an_attempt_begins_once() -> None:
    """Two outboxes cannot both begin the same attempt."""
    scenario = Scenario(PAGED).receive(alert())
    scenario.feed(r.Attempting(scenario.at_ms, "INC-1.1", 1))
    scenario.then(e.DeliveryStarted)
    scenario.feed(r.Attempting(scenario.at_ms, "INC-1.1", 1))
    scenario.then()
    assert scenario.core.pending_deliveries()[0].started


def test_the_resolution_is_told_to_whom_the_trouble_was_told() -> None:
    """One thread per incident; nobody hears the end of what he never heard of."""
    told = Scenario(PAGED).receive(alert()).answer("ok").receive(alert(status="resolved"))
    assert [request.notice.kind for request in told.of(e.DeliveryRequested)] == ["opened", "resolved"]
    untold = Scenario(PAGED).receive(alert()).receive(alert(status="resolved"))
    assert [request.notice.kind for request in untold.of(e.DeliveryRequested)] == ["opened"]
    assert untold.one(e.DeliveryCancelled).reason == "resolved"


def test_a_breach_and_a_higher_priority_page_again() -> None:
    """A higher severity re-pages; a breached promise is told."""
    scenario = Scenario(PAGED).receive(alert(severity="warning")).answer("ok").command(ACK)
    scenario.receive(alert("Worse"))
    assert scenario.of(e.DeliveryRequested)[-1].notice.kind == "raised"
    late = Scenario(PAGED).receive(alert()).answer("ok").wait(600)
    assert late.of(e.DeliveryRequested)[-1].notice.kind == "breached"


def test_routes_choose_by_priority_and_label() -> None:
    """R1.3: rules by urgency, blast radius and owner."""
    rules = Rules(
        receivers={name: Receiver(channels=("email",)) for name in ("dba", "boss", "rest")},
        routes=(
            Route(receiver="boss", priorities=("P1",), also=True),
            Route(receiver="dba", match={"team": "dba"}),
            Route(receiver="rest"),
        ),
    )
    scenario = Scenario(rules).receive(
        alert(team="dba", impact="1"), alert(service="b", team="dba"), alert(service="c")
    )
    told = [(request.notice.incident, request.receiver) for request in scenario.of(e.DeliveryRequested)]
    assert told == [("INC-1", "boss"), ("INC-1", "dba"), ("INC-2", "dba"), ("INC-3", "rest")]


def test_a_channel_can_be_proved_alive() -> None:
    """R1.8: a harmless message through one channel."""
    scenario = Scenario(PAGED).command(c.TestChannel(channel="email"))
    assert scenario.one(e.DeliveryRequested).notice.kind == "test"
    scenario.answer("ok")
    assert scenario.one(e.DeliverySucceeded).channel == "email"
