"""Packs: those of the tree are in order, and what is wrong in one is named with its place (R2, R3)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from engine import packs
from engine.cli import app
from engine.runtime.metrics import RuntimeMetrics
from schemas.errors import ConfigError
from schemas.events import EVENT_TYPES

PACKS = packs.load_all()
GOOD = """\
id: mine
title: {zh: 我的, en: Mine}
system: mine
indicators:
  - id: mine.load
    title: {zh: 负载, en: Load}
    source: prometheus
    query: node_load1
    unit: count
    op: '>'
    warn: 4
    crit: 8
    hold: 5m
    runbook: mine
    requirement: R2
"""


def _folder(tmp_path: Path, text: str) -> Path:
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "mine.md").write_text("# Mine\n")
    (tmp_path / "mine.yaml").write_text(text)
    return tmp_path


def test_every_pack_of_the_tree_is_in_order() -> None:
    """No id is there twice, none is looked at less often than every 30 s (R2)."""
    assert {pack.id for pack in PACKS} >= {"tocsin", "redis"}
    ids = [indicator.id for pack in PACKS for indicator in pack.indicators]
    assert len(ids) == len(set(ids))
    assert max(indicator.interval_s for pack in PACKS for indicator in pack.indicators) <= 30


def test_every_runbook_is_used_and_says_it_in_both_languages() -> None:
    """Each has meaning, five checks with a command each, mitigation and escalation, in Chinese and in English."""
    there = {file.stem for file in (packs.FOLDER / "runbooks").glob("*.md")}
    assert there == {indicator.runbook for pack in PACKS for indicator in pack.indicators}
    for name in there:
        text = packs.runbook_file(packs.FOLDER, name).read_text("utf-8")
        _, chinese, english = re.split(r"^## (?:中文|English)$", text, flags=re.MULTILINE)
        for section, heads in (
            (chinese, ("含义", "前五项检查", "止损", "升级")),
            (english, ("Meaning", "First five checks", "Mitigation", "Escalation")),
        ):
            assert re.findall(r"^\*\*(.+?)\*\*", section, re.MULTILINE) == list(heads), name
            assert len(re.findall(r"^\d\. .+[:：] ?`.+`$", section, re.MULTILINE)) == 5, name


def test_tocsin_is_watched_by_events_that_there_are() -> None:
    """Each type of event that a query of Tocsin's own pack counts is one of the log's, each runtime metric is shown."""
    (own,) = [pack for pack in PACKS if pack.id == "tocsin"]
    queries = "\n".join(indicator.query for indicator in own.indicators)
    assert set(re.findall(r'type="(\w+)"', queries)) <= set(EVENT_TYPES)
    from_web = {"tocsin_alerts", "tocsin_open_incidents"}
    shown = {family.name for family in RuntimeMetrics().registry.collect()}
    named = {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(r"tocsin_\w+", queries)}
    assert named <= shown | from_web


def test_a_pack_of_ones_own_is_read(tmp_path: Path) -> None:
    """Durations become seconds, the milder level comes first, what is left out has its default."""
    (pack,) = packs.load_all(_folder(tmp_path, GOOD))
    (indicator,) = pack.indicators
    assert (indicator.hold, indicator.interval_s) == (300, 15)
    assert list(indicator.thresholds.items()) == [("warning", 4), ("critical", 8)]


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "problem"),
    [
        ("    hold: 5m", "    hold: soon", 13, "indicators[0].hold", "expected a duration like 30s"),
        ("    hold: 5m", "    hold: 300", 13, "indicators[0].hold", "expected a duration like 30s"),
        ("    hold: 5m", "    interval_s: 31", 13, "indicators[0].interval_s", "expected at most 30"),
        ("    hold: 5m", "    holds: 5m", 13, "indicators[0].holds", "did you mean hold?"),
        ("    hold: 5m", "    labels: {pack: x}", 13, "indicators[0].labels.pack", "is set by the pack itself"),
        ("    hold: 5m", "    labels: {a-b: x}", 13, "indicators[0].labels", "is no name of a label"),
        ("    crit: 8", "    crit: 3", 12, "indicators[0].crit", "beyond warn, in the direction of >"),
        ("    crit: 8", "    crit: .nan", 12, "indicators[0].crit", "finite"),
        ("    warn: 4\n    crit: 8\n", "", 5, "indicators[0].crit", "at least one of warn and crit"),
        ("    runbook: mine", "    runbook: other", 14, "indicators[0].runbook", "there is no "),
        ("    runbook: mine", "    runbook: ../mine", 14, "indicators[0].runbook", "lower-case letters"),
        ("    requirement: R2", "    requirement: two", 15, "indicators[0].requirement", "like R3 or R1.8"),
        ("zh: 负载, en: Load", "zh: 负载", 6, "indicators[0].title.en", "is required"),
        ("en: Load", "en: 'Load {{ x }}'", 6, "indicators[0].title.en", "without {{"),
        ("id: mine.load", "id: load", 5, "indicators[0].id", "begins with mine."),
        ("id: mine\n", "id: yours\n", 5, "indicators[0].id", "begins with yours."),
        ("op: '>'", "op: '=>'", 10, "indicators[0].op", "expected '>'"),
        ("source: prometheus", "source: composite", 8, "indicators[0].query", "like {redis.hit_pct} < 60"),
    ],
)
def test_a_bad_pack_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, line: int, key: str, problem: str
) -> None:
    """Whatever is wrong, the error says where and what was expected."""
    assert old in GOOD
    with pytest.raises(ConfigError) as refused:
        packs.load_all(_folder(tmp_path, GOOD.replace(old, new, 1)))
    assert problem in str(refused.value)
    assert (refused.value.line, refused.value.key) == (line, key)


def test_the_indicator_that_the_page_shows_is_valid(tmp_path: Path) -> None:
    """docs/packs.md explains the format by an indicator that is taken as it stands."""
    page = (packs.FOLDER.parent / "docs" / "packs.md").read_text("utf-8")
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    folder = _folder(tmp_path, "id: redis\ntitle: {zh: 缓存, en: Cache}\nsystem: redis\n" + shown)
    (folder / "mine.yaml").rename(folder / "redis.yaml")
    (folder / "runbooks" / "redis-memory.md").write_text("# Memory\n")
    assert packs.load_all(folder)[0].indicators[0].labels == {"service": "cache"}


def test_an_indicator_given_twice_is_refused(tmp_path: Path) -> None:
    """The second of two equal ids is the one that is named."""
    twice = GOOD + GOOD[GOOD.index("  - id") :]
    with pytest.raises(ConfigError, match=r"indicators\[1\]\.id: mine\.load is given twice"):
        packs.load_all(_folder(tmp_path, twice))


def test_a_pack_without_indicators_is_refused(tmp_path: Path) -> None:
    """An empty pack would watch nothing and look as if it did."""
    empty = GOOD[: GOOD.index("indicators:")] + "indicators: []\n"
    with pytest.raises(ConfigError, match="indicators: expected at least 1 item"):
        packs.load_all(_folder(tmp_path, empty))


def test_a_pack_is_called_like_its_file(tmp_path: Path) -> None:
    """A copied file that kept the old id is refused."""
    folder = _folder(tmp_path, GOOD)
    (folder / "mine.yaml").rename(folder / "yours.yaml")
    with pytest.raises(ConfigError, match="expected yours, as the file is called"):
        packs.load_all(folder)


def test_the_rules_carry_level_requirement_and_runbook(tmp_path: Path) -> None:
    """One alert for each level, with what Tocsin needs to judge it and people to act on it."""
    (pack,) = packs.load_all(_folder(tmp_path, GOOD.replace("    hold", "    labels: {team: ops}\n    hold")))
    (group,) = yaml.safe_load(packs.rule_file(pack))["groups"]
    assert group["interval"] == "15s"
    assert [(rule["alert"], rule["expr"], rule["for"]) for rule in group["rules"]] == [
        ("MineLoad", "(node_load1) > 4", "300s"),
        ("MineLoad", "(node_load1) > 8", "300s"),
    ]
    assert group["rules"][1]["labels"] == {
        "team": "ops", "severity": "critical", "pack": "mine", "indicator": "mine.load", "requirement": "R2",
    }  # fmt: skip
    assert group["rules"][1]["annotations"]["summary"] == "我的：负载"
    assert group["rules"][1]["annotations"]["runbook"] == "mine"


def test_the_command_line_shows_and_refuses() -> None:
    """`packs list` and `show` name what there is; an unknown pack is one clear line and exit code 1."""
    listed = CliRunner().invoke(app, ["packs", "list", "--json"])
    assert {pack["id"]: pack["indicators"] for pack in json.loads(listed.stdout)} == {
        pack.id: len(pack.indicators) for pack in PACKS
    }
    shown = CliRunner().invoke(app, ["packs", "show", "redis"])
    assert "内存使用率" in shown.stdout
    assert "> 92" in shown.stdout
    unknown = CliRunner().invoke(app, ["packs", "rules", "rediss"])
    assert unknown.exit_code == 1
    assert "no pack is called rediss; there are: cache, db, dm" in unknown.stderr


def test_what_the_requirements_list_is_watched_in_both_languages() -> None:
    """Every requirement from R2 to R10 has promises, each with indicators or a word on what is lacking (R2–R10)."""
    promises = packs.load_promises(PACKS)
    assert {promise.requirement for promise in promises} == {
        "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10.1", "R10.2", "R10.3", "R10.4",
    }  # fmt: skip
    named = {name for promise in promises for name in promise.indicators}
    shipped = {indicator.id for pack in PACKS if pack.id != "tocsin" for indicator in pack.indicators}
    assert shipped <= named
    assert len(shipped) >= 159
    assert {p.id for p in promises if not p.indicators} == {"r2.inspection", "r2.topology", "r10.3.inspections"}


def test_coverage_says_what_lacks_rule_or_data() -> None:
    """A promise without Prometheus is exported only; with it, an indicator needs its rule and at least one series."""
    promises = packs.load_promises(PACKS)
    states = {w.indicator.id: w.state for row in packs.covered(promises, PACKS) for w in row.watched}
    assert states["redis.up"] == states["cache.penetration"] == "exported"
    assert states["pg.blocked"] == states["cache.breakdown"] == "no evaluator"
    asked = packs.covered(
        promises, PACKS, {"redis.up": 2, "redis.cpu_pct": 0}, frozenset({"redis.up", "redis.cpu_pct"})
    )
    states = {w.indicator.id: w.state for row in asked for w in row.watched}
    assert (states["redis.up"], states["redis.cpu_pct"], states["redis.mem_pct"]) == ("watched", "no data", "no rule")


def test_a_promise_of_an_unknown_indicator_is_refused(tmp_path: Path) -> None:
    """A promise that names an indicator which no pack has is refused with its place."""
    folder = _folder(tmp_path, GOOD)
    (folder / "promises").mkdir()
    promised = "promises:\n  - {id: a, requirement: R2, title: {zh: 一, en: One}, indicators: [mine.other]}\n"
    (folder / "promises" / "promises.yaml").write_text(promised)
    with pytest.raises(ConfigError, match=r"no pack has an indicator mine\.other"):
        packs.load_promises(packs.load_all(folder), folder)


def test_a_composite_of_what_prometheus_lacks_is_left_out_and_named() -> None:
    """What the export cannot carry is said in the head of the file."""
    (cache,) = [pack for pack in PACKS if pack.id == "cache"]
    text = packs.rule_file(cache)
    assert "# Not for Prometheus: cache.breakdown" in text
    assert [rule["alert"] for rule in yaml.safe_load(text)["groups"][0]["rules"]] == [
        "CachePenetration", "CacheAvalanche",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("{indicator: mine.other, match: {a: b}, warn: 1}", r"overrides\[0\]\.indicator: no pack has an indicator"),
        ("{indicator: mine.load, match: {a: b}, warn: 9}", "beyond warn, in the direction of >"),
        ("{indicator: mine.load, match: {a-b: c}, warn: 1}", "names of labels with values"),
        ("{indicator: mine.load, match: {}, warn: 1}", "at least 1"),
        ("{indicator: mine.load, match: {a: b}, hold: soon}", "expected a duration like 30s"),
    ],
)
def test_a_bad_override_is_refused(tmp_path: Path, override: str, problem: str) -> None:
    """Thresholds that contradict each other, unknown indicators and unusable labels are named with their place."""
    folder = _folder(tmp_path, GOOD)
    file = folder / "overrides.yml"
    file.write_text(f"overrides:\n  - {override}\n")
    with pytest.raises(ConfigError, match=problem):
        packs.load_overrides(file, packs.load_all(folder))
