"""Rules that hold alerts: what is wrong with them is said with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import load
from schemas.errors import ConfigError

BAD = [
    ("noise: [{name: n, matchers: ['=x']}]", "rules.noise[0].matchers[0]", "bad matcher format"),
    ("noise: [{name: n, matchers: ['a=~\"(\"']}]", "rules.noise[0].matchers[0]", "bad regular expression|missing"),
    ("noise: [{name: n, matchers: []}]", "rules.noise[0].matchers", "at least 1 item"),
    ("noise: [{name: n, matchers: ['{}']}]", "rules.noise[0].matchers[0]", "at least one matcher"),
    ("noise: [{name: n, matchers: [a=b]}, {name: n, matchers: [a=b]}]", "rules.noise[1].name", "another 'n'"),
    (
        "inhibit: [{source_matchers: [a=b], target_matchers: [a=c], equals: [x]}]",
        "rules.inhibit[0].equals",
        "unknown key",
    ),
    ("hold_back: [{name: h, matchers: [a=b], for_s: 0}]", "rules.hold_back[0].for_s", "at least 1"),
    ("flapping: {start_ratio: 0.2, stop_ratio: 0.3}", "rules.flapping.stop_ratio", "less than start_ratio"),
    ("storm: {factor: 1}", "rules.storm.factor", "at least 2"),
]
WINDOW = "maintenance: [{name: m, matchers: [a=b], starts: '2026-01-05T12:00:00', duration_s: 60, %s}]"
WINDOWS = [
    ("rrule: FREQ=SECONDLY", "rules.maintenance[0].rrule", "expected FREQ"),
    ("rrule: FREQ=DAILY;INTERVAL=0", "rules.maintenance[0].rrule", "INTERVAL"),
    ("rrule: FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6", "rules.maintenance[0].rrule", "never happens"),
    ("rrule: FREQ=WEEKLY;BYDAY=XX", "rules.maintenance[0].rrule", "bad recurrence rule"),
    ("rrule: FREQ=DAILY;BYSECOND=1", "rules.maintenance[0].rrule", "BYSECOND is not read"),
    ("timezone: Mars/Olympus", "rules.maintenance[0].timezone", "no time zone"),
]


@pytest.mark.parametrize(
    ("rules", "key", "problem"), [*BAD, *((WINDOW % part, key, text) for part, key, text in WINDOWS)]
)
def test_a_bad_rule_is_refused_with_its_place(rules: str, key: str, problem: str, tmp_path: Path) -> None:
    """The file, the line and the key stand in the message, and what was expected."""
    file = tmp_path / "tocsin.yaml"
    file.write_text(f"log_level: info\nrules:\n  {rules}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=problem) as refused:
        load(file)
    assert (refused.value.file, refused.value.line, refused.value.key) == (str(file), 3, key)
