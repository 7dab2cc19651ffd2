"""R1.8: channels are proven alive; one that fails its budget is an incident of its own, and is tried last meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import commands as c
from schemas import events as e
from schemas import records as r
from schemas.channel_care import ChannelCare, ChannelFailing, ChannelRecovered
from schemas.config import DeliveryPolicy, Receiver, Route, Rules
from tests.scenario import PAGED, Scenario, alert

CARE = ChannelCare(in_a_row=2, again_s=60)


def rules(care: ChannelCare = CARE, **delivery: Any) -> Rules:
    return PAGED.model_copy(update={"channel_care": care, "delivery": DeliveryPolicy(**delivery)})


def failed_twice(**how: Any) -> Scenario:
    """An incident whose page DingTalk refuses twice, and e-mail takes."""
    scenario = Scenario(rules(**how)).receive(alert()).answer("retry", reason="HTTP 500")
    return scenario.wait(2).answer("failed", reason="robot disabled").wait(0).answer("ok")


def test_a_channel_that_fails_its_budget_opens_an_incident_about_tocsin() -> None:
    """Two failed attempts in a row: logged with the reason, and an incident that pages by the routes as any other."""
    scenario = failed_twice()
    failing = scenario.one(ChannelFailing)
    assert (failing.channel, failing.in_a_row, failing.failed, failing.of) == ("dingtalk", 2, 2, 2)
    assert failing.reason == "robot disabled"
    opened = scenario.of(e.IncidentOpened)[-1]
    assert (opened.service, opened.origin) == ("tocsin", "internal")
    assert opened.title == "channel dingtalk does not take messages: robot disabled"
    assert opened.labels["channel"] == "dingtalk"


def test_routing_avoids_a_failing_channel_and_says_so() -> None:
    """While it fails it stands last in the failover order of each new message; the event names what was avoided."""
    scenario = failed_twice()
    scenario.receive(alert(service="another"))
    requested = scenario.of(e.DeliveryRequested)[-1]
    assert (requested.channels, requested.avoided) == (["email", "dingtalk"], ["dingtalk"])


def test_a_failing_channel_is_asked_again_until_it_takes_a_message() -> None:
    """A test message every minute; the first that is taken ends the incident's alert, and the old order holds again."""
    scenario = failed_twice().answer("ok")
    scenario.wait(60)
    probe = scenario.of(e.DeliveryRequested)[-1]
    assert (probe.notice.kind, probe.channels, probe.avoided) == ("test", ["dingtalk"], [])
    scenario.answer("failed", reason="still disabled").wait(60)
    assert not scenario.of(ChannelRecovered)
    assert len([one for one in scenario.of(e.DeliveryRequested) if one.notice.kind == "test"]) == 2
    scenario.answer("ok")
    assert scenario.one(ChannelRecovered).channel == "dingtalk"
    assert len(scenario.of(ChannelFailing)) == 1
    assert scenario.of(e.AlertsResolved)
    scenario.receive(alert(service="another"))
    assert scenario.of(e.DeliveryRequested)[-1].channels == ["dingtalk", "email"]


def test_channels_are_proven_alive_at_the_stated_times() -> None:
    """One test message a day for each channel that the rules name, none for the others, none twice at a time."""
    scenario = Scenario(rules(ChannelCare(probe_every_s={"email": 86_400})))
    scenario.wait(86_400)
    assert scenario.one(e.DeliveryRequested).channels == ["email"]
    scenario.wait(86_400)
    assert len(scenario.of(e.DeliveryRequested)) == 1
    scenario.answer("ok").wait(86_400)
    assert len(scenario.of(e.DeliveryRequested)) == 2


def test_new_rules_replace_the_plan() -> None:
    """A channel that is no longer to be proven gets no more test messages."""
    scenario = Scenario(rules(ChannelCare(probe_every_s={"email": 86_400})))
    scenario.feed(r.Configured(scenario.at_ms, "test", rules(ChannelCare()).canonical()))
    scenario.wait(200_000)
    assert not scenario.of(e.DeliveryRequested)


@pytest.mark.parametrize(("answers", "fails"), [("+-+-+-+-", True), ("+++-+++-", False)])
def test_a_share_of_failures_uses_up_the_budget_too(answers: str, fails: bool) -> None:
    """Four of the latest attempts failed, though never two in a row."""
    only_mail = Rules(
        receivers={"oncall": Receiver(channels=("email",))}, routes=(Route(receiver="oncall"),),
        channel_care=ChannelCare(of_latest=4),
    )  # fmt: skip
    scenario = Scenario(only_mail)
    for number, answer in enumerate(answers):
        scenario.receive(alert(service=f"s{number}")).answer("ok" if answer == "+" else "unknown")
    assert bool(scenario.of(ChannelFailing)) == fails


def test_without_a_budget_nothing_is_counted() -> None:
    """The defaults decide as releases before did, so that old logs are decided again to the same events."""
    scenario = failed_twice(care=ChannelCare())
    assert not scenario.of(ChannelFailing)
    assert len(scenario.of(e.IncidentOpened)) == 1


def test_waits_are_spread_by_the_attempts_name_and_the_same_at_each_replay() -> None:
    """Up to a fifth longer than 2 s, never shorter; another delivery waits another time."""
    waits = set()
    for number in range(1, 9):
        scenario = Scenario(rules(ChannelCare(), jitter_pct=20))
        for other in range(number):
            scenario.receive(alert(service=f"s{other}")).command(c.Acknowledge(incident=f"INC-{other + 1}"))
        scenario.receive(alert(service="last")).answer("retry")
        due_ms = scenario.of(e.DeliveryRetryScheduled)[-1].due_ms - scenario.at_ms
        assert 2000 <= due_ms <= 2400
        waits.add(due_ms)
    assert len(waits) > 4


def test_after_its_deadline_a_message_goes_to_the_next_channel() -> None:
    """P1 waits 30 s for its channel, whether that refuses or does not come to it; what has begun is let run."""
    late = Scenario(rules(deadline_s={"P1": 30})).receive(alert(severity="critical", impact="1"))
    late.wait(29)
    assert late.core.pending_deliveries()[0].channel == "dingtalk"
    late.wait(1)
    assert late.one(e.DeliveryRetryScheduled).next_channel == "email"
    late.wait(0)
    assert late.core.pending_deliveries()[0].channel == "email"
    late.wait(100)
    assert len(late.of(e.DeliveryRetryScheduled)) == 1  # there is no further channel
