"""`tocsin config import`, and what `tocsin serve` is given instead of settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine.cli import app
from engine.cli.overrides import Given, with_given
from schemas.config import Settings
from schemas.errors import ConfigError

FILE = """\
route: {receiver: team, group_wait: 500ms}
receivers:
  - name: team
    webhook_configs: [{url: 'http://127.0.0.1:9/hook-secret'}]
    opsgenie_configs: [{api_key: k}]
"""


@pytest.fixture
def alertmanager(tmp_path: Path) -> Path:
    """An alertmanager.yml with a secret, and with something that is not honoured."""
    file = tmp_path / "alertmanager.yml"
    file.write_text(FILE)
    return file


def _tocsin(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_it_is_written_for_its_owner_alone_and_can_be_checked(alertmanager: Path, tmp_path: Path) -> None:
    """The file holds secrets; what is left out is said; nothing is overwritten."""
    written = tmp_path / "tocsin.yaml"
    ran = _tocsin("config", "import", alertmanager, "--output", written)
    assert ran.exit_code == 0, ran.output
    assert f"tocsin: warning: {alertmanager}:5: receivers[0].opsgenie_configs: Tocsin has no such channel" in ran.output
    assert written.stat().st_mode & 0o777 == 0o600
    assert "hook-secret" in written.read_text()
    assert _tocsin("config", "check", "--config", written).exit_code == 0
    again = _tocsin("config", "import", alertmanager, "--output", written)
    assert (again.exit_code, "cannot be written" in again.output) == (1, True)


def test_what_is_printed_hides_secrets(alertmanager: Path) -> None:
    """On the terminal the URL of a webhook is a secret as everywhere."""
    ran = _tocsin("config", "import", alertmanager)
    assert ran.exit_code == 0
    assert "group_wait: 500ms" in ran.output
    assert "hook-secret" not in ran.output


def test_serve_takes_the_place_of_settings(alertmanager: Path) -> None:
    """Address, store and console can be given; Prometheus needs no token then."""
    given = Given(alertmanager, "127.0.0.1:9093", "sqlite:///x.db", "http://am.example")
    settings = with_given(Settings(), given)
    assert (settings.server.host, settings.server.port, settings.store.url) == ("127.0.0.1", 9093, "sqlite:///x.db")
    assert settings.rules.external_url == "http://am.example"
    assert settings.rules.dispatch.route is not None
    assert [(source.format, source.token) for source in settings.sources.values()] == [("alertmanager_v2", None)]


@pytest.mark.parametrize("listen", ["9093", "localhost:http", "0.0.0.0:9093"])
def test_an_address_that_cannot_be_is_refused(listen: str) -> None:
    """No port, or open to the network without TLS in front."""
    with pytest.raises(ConfigError) as wrong:
        with_given(Settings(), Given(listen=listen))
    assert wrong.value.key == "--listen"
