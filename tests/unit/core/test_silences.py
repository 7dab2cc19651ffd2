"""Silences: Alertmanager's semantics, and what becomes of the alerts that they hold."""

from __future__ import annotations

import pytest

from engine.core.silences import MOST_SILENCES
from schemas import commands as c
from schemas import events as e
from schemas.errors import CommandRejected
from schemas.live import AlertQuery
from schemas.matchers import parse_matchers
from schemas.silences import ExpireSilence, SetSilence, SilenceMatcher
from tests.scenario import NOON, PAGED, Scenario, alert

HOUR_MS = 3_600_000


def silence(
    text: str = "service=shop", *, start_s: int = 0, for_s: int = 3600, at_ms: int = NOON, id: str = ""
) -> SetSilence:
    """A silence that begins `start_s` after `at_ms`."""
    matchers = tuple(SilenceMatcher(name=one.name, op=one.op, value=one.value) for one in parse_matchers(text))
    starts_ms = at_ms + 1000 * start_s
    return SetSilence(id=id, matchers=matchers, starts_ms=starts_ms, ends_ms=starts_ms + 1000 * for_s, comment="test")


def ids(scenario: Scenario) -> list[str]:
    """The ids of the silences that were made, in order."""
    return [created.silence.id for created in scenario.of(e.SilenceCreated)]


def test_a_silenced_alert_opens_nothing_and_its_reason_is_logged_once() -> None:
    """R1.2, R1.3: one event says by which silence, repeats are counted only, nobody is paged."""
    scenario = Scenario(PAGED).command(silence())
    scenario.then(e.SilenceCreated, e.SilenceStarted)
    scenario.receive(alert("A"), alert("B")).then(e.AlertsHeld)
    held = scenario.one(e.AlertsHeld)
    assert (held.disposition, held.by, len(held.alerts), held.rules_version) == ("silenced", ids(scenario), 2, 1)
    assert scenario.last.dispositions == {"silenced": 2}
    scenario.receive(alert("A")).then()
    assert scenario.last.dispositions == {"repeated": 1}
    assert not scenario.of(e.DeliveryRequested)


@pytest.mark.parametrize("by_hand", [False, True])
def test_at_the_end_of_a_silence_what_still_fires_is_judged_again(by_hand: bool) -> None:
    """keep#5321: what is broken still pages, what healed meanwhile does not."""
    scenario = Scenario(PAGED).command(silence()).receive(alert("A"), alert("B"))
    scenario.receive(alert("B", status="resolved")).then(e.AlertsReleased)
    assert scenario.last.dispositions == {"resolved": 1}
    if by_hand:
        scenario.command(ExpireSilence(id=ids(scenario)[0]))
    else:
        scenario.wait(3601)
    released = scenario.of(e.AlertsReleased)
    assert [(one.why, len(one.fingerprints)) for one in released] == [("healed", 1), ("ended", 1)]
    assert scenario.one(e.SilenceExpired).by_hand is by_hand
    assert [ref.fingerprint for ref in scenario.one(e.IncidentOpened).alerts] == released[1].fingerprints
    assert scenario.one(e.DeliveryRequested).notice.kind == "opened"


def test_a_pending_silence_holds_from_its_start_on() -> None:
    """What came before it is not held by it."""
    scenario = Scenario(PAGED).command(silence(start_s=600))
    scenario.receive(alert()).wait(599)
    assert len(scenario.of(e.IncidentOpened)) == 1
    scenario.wait(2).receive(alert("Later"))
    assert scenario.last.dispositions == {"silenced": 1}
    assert scenario.core.live().silences()[0].state == "active"


def test_an_incident_whose_alerts_are_all_silenced_pages_nobody_until_they_are_not() -> None:
    """The incident stays; what waits to be sent is cancelled with the reason, and sent when the silence has ended."""
    scenario = Scenario(PAGED).receive(alert("A"), alert("B")).command(silence())
    assert scenario.one(e.DeliveryCancelled).reason == "silenced"
    assert scenario.one(e.SilenceStarted).incidents == ["INC-1"]
    scenario.wait(700)
    assert {one.kind for one in scenario.of(e.PageWithheld)} == {"breached"}
    assert len(scenario.of(e.DeliveryRequested)) == 1
    scenario.wait(3000)
    assert [one.notice.kind for one in scenario.of(e.DeliveryRequested)] == ["opened", "opened"]
    assert not scenario.of(e.AlertsResolved)


def test_an_incident_with_one_loud_alert_goes_on_paging() -> None:
    """Only where all that fires is silenced, nobody is told."""
    scenario = Scenario(PAGED).receive(alert("A"), alert("B")).command(silence("alertname=A"))
    assert not scenario.of(e.DeliveryCancelled)
    scenario.receive(alert("B", status="resolved"))
    assert scenario.one(e.DeliveryCancelled).reason == "silenced"


def test_an_acknowledged_incident_is_not_paged_when_its_silence_ends() -> None:
    """Somebody cares already."""
    scenario = Scenario(PAGED).receive(alert()).command(silence()).command(c.Acknowledge(incident="INC-1"))
    scenario.wait(3700)
    assert len(scenario.of(e.DeliveryRequested)) == 1


def test_two_silences_hold_until_the_last_of_them_ends() -> None:
    """An alert is judged again at each end; it is free at the last."""
    scenario = Scenario(PAGED).command(silence()).command(silence("alertname=A", for_s=7200)).receive(alert("A"))
    assert scenario.one(e.AlertsHeld).by == sorted(ids(scenario))
    scenario.wait(3601)
    again = scenario.of(e.AlertsHeld)[1]
    assert (again.again, again.by) == (True, [ids(scenario)[1]])
    scenario.wait(3600)
    assert len(scenario.of(e.IncidentOpened)) == 1


def test_the_end_of_a_silence_is_announced_in_time() -> None:
    """alertmanager#517: no surprise at the end; a silence shorter than the notice says nothing."""
    scenario = Scenario(PAGED).command(silence()).command(silence("x=y", for_s=300)).receive(alert())
    scenario.wait(2699)
    assert not scenario.of(e.SilenceExpiring)
    scenario.wait(2)
    expiring = scenario.one(e.SilenceExpiring)
    assert (expiring.silence, expiring.muted, expiring.ends_ms) == (ids(scenario)[0], 1, NOON + HOUR_MS)


def test_other_times_update_and_other_matchers_make_another() -> None:
    """What would alter the past of a silence ends it and makes a new one."""
    scenario = Scenario(PAGED).command(silence())
    first = ids(scenario)[0]
    scenario.wait(60).command(silence(for_s=7200, id=first)).then(e.SilenceUpdated)
    scenario.command(silence("service=db", id=first))
    scenario.then(e.SilenceExpired, e.SilenceCreated, e.SilenceStarted)
    assert scenario.of(e.SilenceCreated)[1].replaces == first
    assert [one.state for one in scenario.core.live().silences()] == ["expired", "active"]
    scenario.command(silence(id=ids(scenario)[1], at_ms=scenario.at_ms, for_s=60)).wait(61)
    assert len(ids(scenario)) == 3


def test_the_same_silence_again_changes_nothing() -> None:
    """A command that asks for what is so gives no event."""
    scenario = Scenario(PAGED).command(silence())
    scenario.command(silence(id=ids(scenario)[0])).then()
    scenario.command(ExpireSilence(id=ids(scenario)[0])).then(e.SilenceExpired)
    scenario.command(ExpireSilence(id=ids(scenario)[0])).then()


def test_an_expired_silence_is_remembered_for_120_hours() -> None:
    """As Alertmanager keeps them; then it is unknown."""
    scenario = Scenario(PAGED).command(silence()).wait(3600 + 120 * 3600 - 1)
    assert len(scenario.core.live().silences()) == 1
    scenario.wait(2)
    assert not scenario.core.live().silences()
    assert scenario.rejected(ExpireSilence(id=ids(scenario)[0])).code == "not_found"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (silence(id="nobody"), "not_found"),
        (ExpireSilence(id="nobody"), "not_found"),
        (silence(start_s=-7200), "invalid"),
        (silence(for_s=0), "invalid"),
        (silence('a=~".*"'), "invalid"),
        (SetSilence(matchers=(SilenceMatcher(name="a", op="=~", value="("),), ends_ms=NOON + 1), "invalid"),
    ],
)
def test_what_is_no_silence_is_rejected(command: SetSilence | ExpireSilence, code: str) -> None:
    """Unknown ids, ends in the past, matchers that match nothing there is, bad expressions."""
    assert Scenario(PAGED).rejected(command).code == code


def test_silences_are_bounded() -> None:
    """A program in a loop fills no memory."""
    scenario = Scenario(PAGED)
    kept = scenario.command(silence()).core._state.silences
    kept.update({str(number): kept[ids(scenario)[0]] for number in range(MOST_SILENCES)})
    with pytest.raises(CommandRejected, match="no more are taken"):
        scenario.command(silence())


def test_the_id_of_a_silence_is_a_uuid_that_replay_gives_again() -> None:
    """Ids come from the command, not from dice."""
    made = [ids(Scenario(PAGED).command(silence(), command_id="one"))[0] for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0]) == 36
    assert made[0][14] == "8"


def test_the_live_view_tells_active_from_suppressed() -> None:
    """GET /api/v2/alerts shows silencedBy, for alerts in incidents too, and filters by it."""
    scenario = Scenario(PAGED).receive(alert("A"), alert("B")).command(silence("alertname=A")).receive(alert("C"))
    live = scenario.core.live()
    everything = list(live.alerts())
    assert [one.fingerprint for one in everything] == sorted(one.fingerprint for one in everything)
    assert {one.labels["alertname"]: one.state for one in everything} == {
        "A": "suppressed",
        "B": "active",
        "C": "active",
    }
    silenced = next(one for one in everything if one.state == "suppressed")
    assert (silenced.silenced_by, silenced.incident) == (tuple(ids(scenario)), "INC-1")
    loud = list(live.alerts(AlertQuery(silenced=False)))
    assert len(loud) == 2
    assert list(live.alerts(AlertQuery(silenced=False, after=loud[0].fingerprint))) == loud[1:]
    assert [one.labels["alertname"] for one in live.alerts(AlertQuery(matchers=parse_matchers("alertname=~A|X")))] == [
        "A"
    ]
    assert live.alert(silenced.fingerprint) == silenced
    scenario.receive(alert("A", status="resolved"))
    assert len(list(live.alerts())) == 2
    assert len(list(live.alerts(AlertQuery(resolved=True)))) == 3


def test_hits_are_counted_and_rolled_up() -> None:
    """Each silence knows how many alerts it has held, and the log says so within a minute."""
    scenario = Scenario(PAGED).command(silence()).receive(alert("A"), alert("B")).wait(61)
    assert scenario.one(e.RulesHit).hits == {ids(scenario)[0]: 2}
    assert scenario.core.live().silences()[0].hits == 2
    assert scenario.core.live().hits() == {ids(scenario)[0]: 2}


def test_an_alert_about_tocsin_is_silenced_by_nothing() -> None:
    """Whoever silences everything still learns that Tocsin is broken."""
    scenario = Scenario(PAGED).command(silence('service=~".+"'))
    decision = scenario.core.poison(scenario.records[-1], "ZeroDivisionError")
    assert any(isinstance(event.data, e.IncidentOpened) for event in decision.events)
    assert any(isinstance(event.data, e.DeliveryRequested) for event in decision.events)
