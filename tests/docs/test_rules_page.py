"""docs/rules.md: each example is taken as it stands, and does to its alerts what stands below it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from engine.config import read_rules
from schemas import events as e
from schemas.alerts import Alert, labels_of
from schemas.config import Rules
from schemas.held import AlertsHeld
from tests.scenario import Scenario

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text("utf-8")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCES = FENCE.findall(PAGE)
FILES = {kind.split()[1]: text for kind, text in FENCES if kind.startswith("csv ")}
EXAMPLES = [
    (rules, outcome[1])
    for (kind, rules), outcome in itertools.pairwise(FENCES)
    if kind == "yaml rules.yaml" and outcome[0] == "text"
]


def _told(scenario: Scenario) -> str:
    """What became of the alert that came last: its disposition, and what says so."""
    for event in scenario.last.events:
        match event.data:
            case AlertsHeld(disposition=disposition, by=by):
                return f"{disposition} {' '.join(by)}"
            case e.AlertsAttached(reason=reason):
                return f"attached {reason}"
            case e.IncidentOpened() as opened:
                added = dict(labels_of(bytes(opened.alerts[0].labels)).items())
                return " ".join(["opened", opened.severity, *(f"{name}={value}" for name, value in added.items())])
    raise AssertionError("nothing became of it")


def test_every_example_has_its_outcome() -> None:
    """No rules on the page stand without alerts below them."""
    assert len(EXAMPLES) == sum(kind == "yaml rules.yaml" for kind, _ in FENCES) >= 5


@pytest.mark.parametrize(("text", "outcome"), EXAMPLES)
def test_an_example_does_what_the_page_says(text: str, outcome: str, tmp_path: Path) -> None:
    """Each alert gets the disposition, and the incident the words, that the page names."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, "utf-8")
    rules: Rules = read_rules(text, "rules.yaml", tmp_path)
    scenario = Scenario(rules)
    for line in outcome.splitlines():
        labels, _, expected = line.partition("→")
        pairs = dict(pair.split("=", 1) for pair in labels.split())
        scenario.receive(Alert.of(pairs, "firing", scenario.at_ms))
        told = _told(scenario)
        wanted = expected.split()
        if wanted[0] == "opened":
            assert set(wanted) <= set(told.split()), line
        else:
            assert told == expected.strip(), line
