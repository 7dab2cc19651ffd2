"""Searching the live state: whatever is found in a hurry is what looking at each alert would find."""

from __future__ import annotations

import pytest

from schemas.live import AlertQuery
from schemas.matchers import matches, parse_matchers
from schemas.silences import SetSilence, SilenceMatcher
from tests.scenario import PAGED, Scenario, alert

ALERTS = 1500
"""More than are looked through at a time, so that rare ones are looked for all over."""


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Many alerts, a few of them silenced."""
    scenario = Scenario(PAGED)
    scenario.receive(*(alert(f"A{number % 3}", service=f"s{number % 100}", n=str(number)) for number in range(ALERTS)))
    quiet = SetSilence(matchers=(SilenceMatcher(name="service", value="s7"),), ends_ms=scenario.at_ms + 3_600_000)
    return scenario.command(quiet)


@pytest.mark.parametrize("text", ["", "alertname=A1", "service=s7", 'service=~"s4."', 'n=~".*99"', 'service!="s1"'])
@pytest.mark.parametrize("active", [True, False])
def test_a_search_finds_what_looking_at_each_finds(scenario: Scenario, text: str, active: bool) -> None:
    """Common or rare, all at once or page by page: the same alerts, each once, by fingerprint."""
    live, matchers = scenario.core.live(), parse_matchers(text)
    every = [one for one in live.alerts() if matches(matchers, one.labels) and (active or one.state == "suppressed")]
    wanted = [one.fingerprint for one in every]
    assert wanted == sorted(wanted)
    query = AlertQuery(matchers=matchers, active=active)
    assert [one.fingerprint for one in live.alerts(query)] == wanted
    pages: list[str] = []
    while True:
        page = AlertQuery(matchers=matchers, active=active, after=pages[-1] if pages else "")
        found = [one.fingerprint for one, _ in zip(live.alerts(page), range(40), strict=False)]
        if not found:
            break
        pages += found
    assert pages == wanted
