"""`tocsin packs coverage`: which promises of the contract are watched on this installation, and which lack data."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import httpx2
import typer

from engine import packs
from engine.cli.options import JsonOption, print_json, print_table
from engine.cli.packs import FolderOption
from schemas.errors import StoreUnavailable

TIMEOUT_S = 30.0

PrometheusOption = Annotated[
    str | None, typer.Option("--prometheus", help="ask this Prometheus what it has: http://127.0.0.1:9090")
]


def coverage(
    folder: FolderOption = packs.FOLDER, prometheus: PrometheusOption = None, as_json: JsonOption = False
) -> None:
    """Each promise of R2–R10, its indicators, and whether they are watched. 指标覆盖情况。"""
    found = packs.load_all(folder)
    promises = packs.load_promises(found, folder)
    if prometheus is None:
        rows = packs.covered(promises, found)
    else:
        with httpx2.Client(base_url=prometheus.rstrip("/"), timeout=TIMEOUT_S, trust_env=False) as asked:
            rows = packs.covered(promises, found, _series(asked, packs.promql(found)), _ruled(asked))
    if as_json:
        print_json([_plain(row) for row in rows])
        return
    print_table(
        ("requirement", "承诺", "promise", "indicators", "lacking"),
        ((r.promise.requirement, r.promise.title.zh, r.promise.title.en, _states(r), _lacking(r)) for r in rows),
    )


def _plain(row: packs.Coverage) -> dict[str, object]:
    promise = row.promise
    return {
        "id": promise.id,
        "requirement": promise.requirement,
        "title": promise.title.model_dump(),
        "otherwise": promise.otherwise.model_dump() if promise.otherwise else None,
        "indicators": [{"id": w.indicator.id, "state": w.state, "series": w.series} for w in row.watched],
    }


def _states(row: packs.Coverage) -> str:
    counted = Counter(watched.state for watched in row.watched)
    told = ", ".join(f"{number} {state}" for state, number in sorted(counted.items()))
    otherwise = row.promise.otherwise
    return "; ".join(filter(None, (told, f"{otherwise.zh} {otherwise.en}" if otherwise else "")))


def _lacking(row: packs.Coverage) -> str:
    return " ".join(w.indicator.id for w in row.watched if w.state in ("no data", "no rule", "no evaluator"))


def _series(asked: httpx2.Client, queries: Any) -> dict[str, int]:
    counts = {}
    for name, query in queries.items():
        result = _ask(asked, "/api/v1/query", query=f"count({query})")["result"]
        counts[name] = int(float(result[0]["value"][1])) if result else 0
    return counts


def _ruled(asked: httpx2.Client) -> frozenset[str]:
    groups = _ask(asked, "/api/v1/rules", type="alert")["groups"]
    return frozenset(rule.get("labels", {}).get("indicator", "") for group in groups for rule in group["rules"])


def _ask(asked: httpx2.Client, path: str, **params: str) -> Any:
    """The `data` of an answer; raises StoreUnavailable with what went wrong."""
    try:
        answer = asked.get(path, params=params)
        body = answer.json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as failed:
        raise StoreUnavailable(f"Prometheus gave no answer to {path}: {failed}") from failed
    if not isinstance(body, dict) or body.get("status") != "success":
        raise StoreUnavailable(f"Prometheus refused {path} ({answer.status_code}): {str(body)[:300]}")
    return body["data"]
