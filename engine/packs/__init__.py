"""Packs as files: read and checked with places, exported as rules for Prometheus, held beside the promises."""

from __future__ import annotations

from engine.packs.coverage import Coverage, Watched, covered, load_promises
from engine.packs.prometheus import alert_name, promql, rule_file
from engine.packs.reading import FOLDER, load, load_all, load_named, load_overrides, runbook_file

__all__ = [
    "FOLDER", "Coverage", "Watched", "alert_name", "covered", "load", "load_all", "load_named", "load_overrides",
    "load_promises", "promql", "rule_file", "runbook_file",
]  # fmt: skip
