"""The command line against a running server: alerts in, incidents handled, everything proven afterwards."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine.cli import app
from schemas.alerts import fingerprint
from tests.servers.process import PATIENCE_S
from tests.servers.tocsin import wait_for_read_models

PASSWORD = "A-long 0ne!x"
LABELS = {"alertname": "HighErrorRatio", "service": "order-service", "severity": "critical"}
BODY = json.dumps([{"labels": LABELS, "annotations": {"summary": "错误率过高"}}])

Tocsin = Callable[..., Result]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """`tocsin serve` on a free port, and its configuration; one administrator, whose token is kept beside it."""
    folder = tmp_path_factory.mktemp("served")
    config = folder / "tocsin.yaml"
    config.write_text(
        f"server: {{port: 0}}\nstore: {{url: 'sqlite:///{folder}/tocsin.db'}}\n"
        "sources: {prometheus: {format: alertmanager_v2, token: s3cret-token}}\n"
        "channels: {hook: {type: webhook, url: 'http://127.0.0.1:9/'}}\n"
        "rules:\n  oncall:\n    people: {li: {contacts: [hook]}, wang: {contacts: [hook]}}\n    schedules:\n"
        "      main: {layers: [{name: weeks, people: [li, wang], starts: 2026-01-05T09:00:00}]}\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "serve", "--config", str(config)],
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert found, first + (folder / "log").read_text()
        yield config, found.group(0)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0


@pytest.fixture(scope="module")
def token(server: tuple[Path, str]) -> str:
    """An API token of an operator, made while the server runs."""
    config, _ = server
    run = CliRunner().invoke
    added = run(app, ["users", "add", "li", "--password-file", "-", "-c", str(config)], input=PASSWORD + "\n")
    assert added.exit_code == 0, added.output
    return run(app, ["users", "token", "li", "-c", str(config)]).stdout.strip()


@pytest.fixture
def tocsin(server: tuple[Path, str], token: str) -> Tocsin:
    """Run one command of the line against the server."""
    config, url = server
    environment = {"TOCSIN_CONFIG": str(config), "TOCSIN_URL": url, "TOCSIN_TOKEN": token}

    def run(*arguments: str, stdin: str | None = None, **changed: str) -> Result:
        if arguments[:1] == ("incidents",):
            wait_for_read_models(f"sqlite:///{config.parent}/tocsin.db")
        return CliRunner().invoke(app, list(arguments), input=stdin, env=environment | changed)

    return run


def test_an_incident_is_opened_handled_and_proven(tocsin: Tocsin) -> None:
    """A file of alerts becomes an incident, which is acknowledged, assigned, noted, resolved and closed by command."""
    ingested = tocsin("ingest", "-", stdin=BODY)
    assert ingested.stdout == "1 alerts received: 1 opened\n", ingested.output
    assert tocsin("ingest", "-", stdin=BODY).stdout == "1 alerts received: 1 repeated\n"
    listed = json.loads(tocsin("incidents", "list", "--state", "open", "--json").stdout)
    incident = listed[0]["incident"]
    assert "incident_acknowledged" in tocsin("incidents", "ack", incident).stdout
    assert tocsin("incidents", "ack", incident).stdout == f"{incident}: already so\n"
    assert "incident_assigned" in tocsin("incidents", "assign", incident, "王芳").stdout
    assert "note_added" in tocsin("incidents", "note", incident, "回滚中").stdout
    said = ("--module", "订单", "--problem-type", "capacity")
    assert "incident_classified" in tocsin("incidents", "classify", incident, *said).stdout
    assert incident in tocsin("incidents", "list", "--module", "订单").stdout
    assert incident not in tocsin("incidents", "list", "--module", "支付").stdout
    assert json.loads(tocsin("incidents", "counts", "--json").stdout) == [{"value": "订单", "total": 1, "open": 1}]
    assert "incident_resolved" in tocsin("incidents", "resolve", incident, "--solution", "rolled back").stdout
    assert "incident_closed" in tocsin("incidents", "close", incident).stdout
    shown = tocsin("incidents", "show", incident).stdout
    assert "王芳" in shown
    assert "incident_closed" in shown
    assert incident in tocsin("incidents", "list").stdout
    story = tocsin("explain", fingerprint(LABELS)).stdout
    assert story.index("incident_opened") < story.index("incident_acknowledged") < story.index("incident_closed")
    assert "decided again" in tocsin("log", "verify", "--decide-again").stdout


def test_two_incidents_are_merged(tocsin: Tocsin) -> None:
    """The first goes on in the second."""
    for service in ("cart", "coupons"):
        body = json.dumps([{"labels": {"alertname": "Slow", "service": service}}])
        assert tocsin("ingest", "-", "--source", "prometheus", stdin=body).exit_code == 0
    listed = json.loads(tocsin("incidents", "list", "--state", "triggered", "--json").stdout)
    names = {one["service"]: one["incident"] for one in listed}
    assert "incident_merged" in tocsin("incidents", "merge", names["cart"], names["coupons"]).stdout


def test_refusals_are_said_in_one_line(tocsin: Tocsin) -> None:
    """No such incident, a wrong API token, a wrong source token, a body that is none: exit code 1 and the reason."""
    for result, wanted in (
        (tocsin("incidents", "ack", "INC-999"), "INC-999"),
        (tocsin("incidents", "list", TOCSIN_TOKEN="wrong"), "token"),
        (tocsin("ingest", "-", "--token", "wrong", stdin=BODY), "token"),
        (tocsin("ingest", "-", stdin="this is no JSON"), ""),
    ):
        assert result.exit_code == 1, result.output
        assert result.stderr.startswith("tocsin: "), result.output
        assert result.stderr.count("\n") == 1
        assert wanted in result.stderr


def test_reading_commands_do_not_disturb_the_server(tocsin: Tocsin) -> None:
    """Doctor, the read models and the log are at hand while the server runs, and it goes on taking alerts."""
    doctor = tocsin("doctor", "--json")
    assert {finding["level"] for finding in json.loads(doctor.stdout)} <= {"ok", "warn"}, doctor.output
    assert tocsin("projections", "rebuild", "tickets").exit_code == 0
    assert tocsin("projections", "status").exit_code == 0
    assert tocsin("log", "tail", "-n", "3").exit_code == 0
    assert tocsin("ingest", "-", stdin=BODY).exit_code == 0


def test_who_is_on_call_is_asked_and_changed_on_the_command_line(tocsin: Tocsin) -> None:
    """R1.3: who and why, shifts, gaps (exit code 1), calendar; an override and its end, each by name of the user."""
    asked = tocsin("oncall", "who", "main", "--at", "2026-01-13T10:00", "--json")
    assert json.loads(asked.stdout)["oncall"]["main"]["person"] == "wang", asked.output
    assert "weeks" in tocsin("oncall", "who").stdout
    assert "wang" in tocsin("oncall", "schedule", "main", "--days", "30").stdout
    assert tocsin("oncall", "gaps").exit_code == 0
    assert tocsin("oncall", "ical", "main").stdout.startswith("BEGIN:VCALENDAR")
    made = tocsin("oncall", "override", "main", "li", "2099-01-01T00:00", "2099-01-02T00:00", "--reason", "x")
    assert "oncall_changed" in made.stdout, made.output
    assert "user:li" in tocsin("oncall", "changes").stdout
    assert "oncall_change_removed" in tocsin("oncall", "remove", made.stdout.split()[-1]).stdout
    both = [tocsin("oncall", "vacation", name, "2099-01-01T00:00", "2099-01-02T00:00") for name in ("li", "wang")]
    assert all(one.exit_code == 0 for one in both)
    assert tocsin("oncall", "swap", "main", "li", "wang", "2099-01-01T00:00", "2099-01-02T00:00").exit_code == 0
    assert tocsin("oncall", "who", "night").exit_code == 1
