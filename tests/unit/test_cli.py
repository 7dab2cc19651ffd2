"""The command line, without a server: what it prints, and how it ends."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from engine.cli import app
from engine.cli.remote import Remote
from engine.runtime.embedded import EmbeddedRuntime
from engine.store import Store
from schemas.alerts import fingerprint
from schemas.commands import Acknowledge
from schemas.errors import CommandRejected, StoreUnavailable
from sources import PARSERS

LABELS = {"alertname": "HighErrorRatio", "service": "order-service", "severity": "critical"}


def _tocsin(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port where nobody listens: it is bound all the while."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A tocsin.yaml with one source and no channel, and a database that does not exist yet."""
    file = tmp_path / "tocsin.yaml"
    file.write_text(
        f"server: {{port: 0}}\nstore: {{url: 'sqlite:///{tmp_path}/tocsin.db'}}\n"
        "sources: {alertmanager: {format: alertmanager_v2, token: s3cret-token}}\n"
    )
    return file


@pytest.fixture
async def filled(config: Path, tmp_path: Path) -> Path:
    """The same after one alert has come three times and its incident was acknowledged."""
    store = Store.open(f"sqlite:///{tmp_path}/tocsin.db")
    runtime = EmbeddedRuntime(store, PARSERS)
    await runtime.start()
    body = json.dumps([{"labels": LABELS}]).encode()
    for _ in range(3):
        await runtime.receive("alertmanager", "alertmanager_v2", body)
    await runtime.command(Acknowledge(incident="INC-1"), actor="user:li", command_id="c1")
    await runtime.stop()
    store.close()
    return config


def test_help_names_every_group() -> None:
    """A newcomer who types `tocsin --help` sees all there is."""
    shown = _tocsin("--help").stdout
    for command in [
        "serve",
        "demo",
        "ingest",
        "log",
        "incidents",
        "explain",
        "config",
        "projections",
        "doctor",
        "users",
    ]:
        assert command in shown


def test_a_wrong_setting_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    """`config check` names file, line and key, without a traceback."""
    file = tmp_path / "tocsin.yaml"
    file.write_text("server:\n  prot: 1\n")
    result = _tocsin("config", "check", "--config", file)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"tocsin: {file}:2: server.prot: ")
    assert "Traceback" not in result.output


def test_wrong_usage_is_exit_code_2() -> None:
    """What the command line itself cannot understand is told apart from what went wrong."""
    assert _tocsin("explain", "oncall", "--at", "noon").exit_code == 2
    assert _tocsin("log", "no-such-command").exit_code == 2


def test_settings_are_shown_without_their_secrets(config: Path) -> None:
    """`config show` prints every setting in force, and no secret."""
    shown = _tocsin("config", "show", "-c", config)
    assert shown.exit_code == 0
    assert "alertmanager_v2" in shown.stdout
    assert "s3cret-token" not in shown.output
    assert "1 sources" in _tocsin("config", "check", "-c", config).stdout


def test_a_missing_database_is_said_and_not_made(config: Path, tmp_path: Path) -> None:
    """Reading commands make no database where there is none."""
    result = _tocsin("log", "tail", "-c", config)
    assert result.exit_code == 1
    assert result.stderr.startswith("tocsin: ")
    assert not (tmp_path / "tocsin.db").exists()


def test_the_log_is_tailed_exported_and_proven(filled: Path, tmp_path: Path) -> None:
    """`tail` ends with the newest event, `export` holds every event once, `verify` counts as many."""
    lines = _tocsin("log", "tail", "-n", "2", "-c", filled).stdout.splitlines()
    assert len(lines) == 2
    file = tmp_path / "log.jsonl"
    assert _tocsin("log", "export", file, "-c", filled).exit_code == 0
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert {"incident_opened", "incident_acknowledged"} <= {event["data"]["type"] for event in events}
    assert _tocsin("log", "verify", "-c", filled).stdout.startswith(
        f"{len(events)} events hold; head {events[-1]['hash']}"
    )
    again = _tocsin("log", "verify", "--decide-again", "-c", filled)
    assert "3 alerts received" in again.stdout
    only = _tocsin("log", "tail", "--json", "--subject", "incident/INC-1", "-c", filled).stdout.splitlines()
    assert {json.loads(line)["subject"] for line in only} == {"incident/INC-1"}


def test_an_altered_past_is_exit_code_1(filled: Path, tmp_path: Path) -> None:
    """`log verify` fails, and says where, after somebody who got past the database's own refusal changed a row."""
    store = Store.open(f"sqlite:///{tmp_path}/tocsin.db")
    with store.writing() as tx:
        tx.execute(text("DROP TRIGGER events_refuses_update"))
        tx.execute(text("UPDATE events SET actor = 'user:wang' WHERE type = 'incident_acknowledged'"))
    store.close()
    result = _tocsin("log", "verify", "-c", filled)
    assert result.exit_code == 1
    assert "does not hold" in result.stderr


def test_explain_tells_the_whole_story_of_one_alert(filled: Path) -> None:
    """First it came, then its incident was opened, then it was repeated, then somebody acknowledged."""
    result = _tocsin("explain", fingerprint(LABELS), "--json", "-c", filled)
    story = json.loads(result.stdout)
    assert story["labels"] == LABELS
    told = [step["what"] for step in story["steps"]]
    wanted = ["received firing", "incident_opened", "repeated 2 x", "incident_acknowledged"]
    assert [what for what in told if what in wanted] == wanted
    assert "service=order-service" in _tocsin("explain", fingerprint(LABELS), "-c", filled).stdout
    unknown = _tocsin("explain", "0" * 16, "-c", filled)
    assert (unknown.exit_code, unknown.stdout) == (1, "")


def test_read_models_are_listed_and_rebuilt(filled: Path) -> None:
    """`projections status` shows how far each is behind; after `rebuild` that one is at the head."""
    assert _tocsin("projections", "rebuild", "tickets", "-c", filled).exit_code == 0
    found = {one["name"]: one for one in json.loads(_tocsin("projections", "status", "--json", "-c", filled).stdout)}
    events = len(_tocsin("log", "export", "-c", filled).stdout.splitlines())
    assert found["tickets"]["position"] == events - 1
    unknown = _tocsin("projections", "rebuild", "nonsense", "-c", filled)
    assert unknown.exit_code == 1
    assert "nonsense" in unknown.stderr


def test_doctor_finds_a_fresh_installation_in_order(config: Path) -> None:
    """Before the first start there are warnings with what to do, and no failure."""
    result = _tocsin("doctor", "--json", "-c", config)
    levels = {finding["check"]: finding["level"] for finding in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert (levels["database"], levels["channels"], levels["sources"]) == ("warn", "warn", "ok")


def test_doctor_reads_the_log_and_the_read_models(filled: Path) -> None:
    """With a database it proves the log and names the state of the read models."""
    result = _tocsin("doctor", "-c", filled)
    assert result.exit_code == 0
    assert "events hold" in result.stdout
    assert "read models" in result.stdout


def test_doctor_fails_on_a_port_that_somebody_else_has(config: Path) -> None:
    """A port in use by another program is a FAIL and exit code 1."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        config.write_text(config.read_text().replace("port: 0", f"port: {other.getsockname()[1]}"))
        result = _tocsin("doctor", "-c", config)
    assert result.exit_code == 1
    assert "FAIL  port" in result.stdout


def test_users_are_added_with_a_password_that_keeps_the_rules(config: Path) -> None:
    """A weak password is refused with the reason; a good one makes an account, once, whose token is printed."""
    weak = _tocsin("users", "add", "li", "--password-file", "-", "-c", config, stdin="12345\n")
    assert weak.exit_code == 1
    assert "characters" in weak.stderr
    added = _tocsin(
        "users", "add", "li", "--role", "admin", "--password-file", "-", "-c", config, stdin="A-long 0ne!x\n"
    )
    assert added.exit_code == 0, added.output
    again = _tocsin("users", "add", "li", "--password-file", "-", "-c", config, stdin="A-long 0ne!x\n")
    assert (again.exit_code, "already" in again.stderr) == (1, True)
    listed = json.loads(_tocsin("users", "list", "--json", "-c", config).stdout)
    assert listed == [{"name": "li", "role": "admin", "enabled": True}]
    assert len(_tocsin("users", "token", "li", "-c", config).stdout.strip()) > 30
    assert _tocsin("users", "token", "nobody", "-c", config).exit_code == 1


def test_a_server_that_does_not_answer_is_said_plainly(free_port: int, tmp_path: Path, config: Path) -> None:
    """Commands that need a running Tocsin say so in one line when there is none."""
    url = f"http://127.0.0.1:{free_port}"
    body = tmp_path / "alerts.json"
    body.write_text("[]")
    for arguments in (
        ("incidents", "--url", url, "-c", config, "ack", "INC-1"),
        ("incidents", "--url", url, "-c", config, "list"),
        ("ingest", body, "--url", url, "-c", config),
    ):
        result = _tocsin(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"tocsin: no answer from {url}")
    with pytest.raises(StoreUnavailable):
        Remote(url, None).get("/api/v1/incidents")


def test_ingest_wants_a_source_when_there_are_several(config: Path, tmp_path: Path) -> None:
    """Without `--source` it guesses only where there is but one; an empty file is refused before it is sent."""
    body = tmp_path / "alerts.json"
    body.write_text("")
    empty = _tocsin("ingest", body, "-c", config)
    assert (empty.exit_code, "empty" in empty.stderr) == (1, True)
    config.write_text(config.read_text().replace("sources: {", "sources: {other: {format: generic_json}, "))
    body.write_text("[]")
    unsure = _tocsin("ingest", body, "-c", config)
    assert unsure.exit_code == 1
    assert "alertmanager, other" in unsure.stderr or "other, alertmanager" in unsure.stderr


def test_an_address_that_is_none_is_refused() -> None:
    """A malformed --url is a refusal with its own code, not a traceback."""
    with pytest.raises((CommandRejected, StoreUnavailable)):
        Remote("http://[", None).get("/x")
