"""Enrichment tables: rows from CSV and YAML, and every mistake with its file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import dump_rules, read_rules
from schemas.errors import ConfigError

RULES = "enrichment:\n  - {{name: s, by: [service], file: {file}{more}}}\n"


def _read(folder: Path, file: str, content: str, more: str = "") -> list[dict[str, str]]:
    (folder / file).write_text(content, "utf-8")
    rules = read_rules(RULES.format(file=file, more=more), "rules.yaml", folder)
    return [dict(row) for row in rules.enrichment[0].rows]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("s.csv", 'service,owner,tier\nshop,李,1\n\n"pay, ments",wang,\n'),
        ("s.tsv", "service\towner\ttier\nshop\t李\t1\npay, ments\twang\t\n"),
        ("s.yaml", "rows:\n  - {service: shop, owner: 李, tier: 1}\n  - {service: 'pay, ments', owner: wang}\n"),
    ],
)
def test_rows_are_read_from_each_kind_of_file(file: str, content: str, tmp_path: Path) -> None:
    """The same table, however it is written; empty cells add nothing."""
    rows = [{"service": "shop", "owner": "李", "tier": "1"}, {"service": "pay, ments", "owner": "wang"}]
    assert _read(tmp_path, file, content) == rows


@pytest.mark.parametrize(
    ("file", "content", "place", "problem"),
    [
        ("s.csv", "service,owner\nshop,li\npay,wang\nshop,wu\n", "s.csv:4: column 1", "shop stands on line 2 already"),
        ("s.csv", "service,owner\nshop,li,x\n", "s.csv:2: column 2", "3 columns, expected 2"),
        ("s.csv", "service,ower\nshop,li\n", "s.csv:1: column 2", "unknown column 'ower'"),
        ("s.csv", "owner\nli\n", "s.csv:1", "has no column 'service'"),
        ("s.csv", "service,owner\n,li\n", "s.csv:2: column 1", "has no service"),
        ("s.csv", "service,service\na,b\n", "s.csv:1: column 2", "is there twice"),
        ("s.yaml", "rows:\n  - {service: a, owner: x}\n  - {service: b, ower: y}\n", "s.yaml:3: column 1", "unknown"),
        ("s.yaml", "rows:\n  - {service: a, owner: [x]}\n", "s.yaml:2: owner", "expected a text"),
        ("s.yaml", "- a\n", "s.yaml:1", "expected lines of"),
    ],
)
def test_a_mistake_is_named_with_its_place(file: str, content: str, place: str, problem: str, tmp_path: Path) -> None:
    """File, line, and column or key."""
    with pytest.raises(ConfigError) as wrong:
        _read(tmp_path, file, content, ", adds: [owner]")
    assert str(wrong.value).startswith(f"{tmp_path}/{place}: ")
    assert problem in str(wrong.value)


def test_what_was_read_travels_inside_the_rules(tmp_path: Path) -> None:
    """Dumped and read again, without the file, the rules are the same."""
    (tmp_path / "s.csv").write_text("service,owner\nshop,li\n")
    rules = read_rules(RULES.format(file="s.csv", more=""), "rules.yaml", tmp_path)
    (tmp_path / "s.csv").unlink()
    assert read_rules(dump_rules(rules), "", None) == rules


def test_a_text_without_a_folder_may_name_no_file() -> None:
    """From the console no file of the server is read."""
    with pytest.raises(ConfigError, match=r"rules.enrichment\[0\].file: files are read by"):
        read_rules(RULES.format(file="/etc/hostname.csv", more=""), "", None)
