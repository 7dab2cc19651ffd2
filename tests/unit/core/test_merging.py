"""What several reports of one alert come to, as Alertmanager merges them (`alert/alert.go`, `Merge`)."""

from __future__ import annotations

from schemas import events as e
from schemas.alerts import Alert
from schemas.live import AlertQuery, LiveAlert
from tests.scenario import NOON, PAGED, Scenario

RULES = PAGED.model_copy(update={"expiry_s": {"test": 300}})
LABELS = {"alertname": "A", "service": "shop"}
SECOND = 1000


def report(starts_s: int, ends_s: int | None = None, *, summary: str = "", status: str = "firing") -> Alert:
    """One report, in seconds after noon."""
    ends_ms = None if ends_s is None else NOON + SECOND * ends_s
    return Alert.of(
        LABELS,
        "firing" if status == "firing" else "resolved",
        NOON + SECOND * starts_s,
        ends_ms=ends_ms,
        annotations={"summary": summary},
    )


def seen(scenario: Scenario) -> LiveAlert:
    """The alert as the outer rooms see it."""
    (alert,) = scenario.core.live().alerts(AlertQuery(resolved=True))
    return alert


def test_the_earliest_start_and_the_newest_annotations_count() -> None:
    """Of two Prometheus servers that saw it begin, the first is believed; of two texts, the last."""
    scenario = Scenario(RULES).receive(report(0, summary="one"), report(-5, summary="two"), report(3, summary="three"))
    assert seen(scenario).starts_ms == NOON - 5 * SECOND
    assert seen(scenario).annotations == {"summary": "three"}


def test_a_stated_end_beats_one_that_silence_would_mean() -> None:
    """A sender that states an end is believed at once: the alert is over then, not at the end of `expiry_s`."""
    scenario = Scenario(RULES).receive(report(0)).receive(report(0, 20))
    assert (seen(scenario).ends_ms, seen(scenario).expires_ms) == (NOON + 20 * SECOND, NOON + 20 * SECOND)
    scenario.wait(21)
    assert scenario.one(e.AlertsResolved).reason == "timeout"


def test_the_later_of_two_stated_ends_counts() -> None:
    """A report that was overtaken does not bring the end nearer."""
    scenario = Scenario(RULES).receive(report(0, 60)).receive(report(0, 40))
    assert seen(scenario).expires_ms == NOON + 60 * SECOND
    scenario.receive(report(0, 90))
    assert seen(scenario).expires_ms == NOON + 90 * SECOND


def test_of_two_resolutions_the_later_end_counts() -> None:
    """Told twice that it is over, receivers hear of the later end and of the newest text."""
    scenario = Scenario(RULES).receive(report(0)).wait(10)
    scenario.receive(report(0, 5, status="resolved", summary="one"), report(0, 8, status="resolved", summary="two"))
    scenario.receive(report(0, 6, status="resolved", summary="three"))
    assert seen(scenario).ends_ms == NOON + 8 * SECOND
    assert seen(scenario).annotations == {"summary": "three"}
