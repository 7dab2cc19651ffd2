"""The configuration is read once, its mistakes are named in plain words, and its secrets are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from engine.config import dump, load
from schemas.config import AppriseChannel, DingTalkChannel, Settings
from schemas.errors import ConfigError

WHOLE = """\
server:
  port: 9000
store:
  url: postgresql://tocsin@db/tocsin
  password_file: secrets/db
sources:
  prometheus: {format: alertmanager_v2, token_file: secrets/token}
channels:
  ops:
    type: dingtalk
    token: "4711"
    secret_file: secrets/sign
  mail:
    type: email
    host: smtp.example.org
    sender: tocsin@example.org
    to: [duty@example.org]
rules:
  receivers:
    duty: {channels: [ops, mail]}
  routes:
    - receiver: duty
      match: {severity: critical}
  language: en
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the secrets that WHOLE refers to."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/db").write_text("hunter2\n")
    (tmp_path / "secrets/token").write_text("t0ken\r\n")
    (tmp_path / "secrets/sign").write_text(" SEC \n")
    return tmp_path


def refused(folder: Path, text: str) -> ConfigError:
    """The error that `text` causes as a configuration file."""
    file = folder / "tocsin.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert error.value.file == str(file)
    assert str(error.value).startswith(str(file))
    return error.value


def test_a_whole_file_is_read_with_its_secrets(folder: Path) -> None:
    """Secret files are found beside the configuration, and lose their line end but nothing else."""
    (folder / "tocsin.yaml").write_text(WHOLE)
    settings = load(folder / "tocsin.yaml")
    assert settings.server.port == 9000
    assert settings.store.password == SecretStr("hunter2")
    assert settings.sources["prometheus"].token == SecretStr("t0ken")
    ops = settings.channels["ops"]
    assert isinstance(ops, DingTalkChannel)
    assert (ops.token, ops.secret) == (SecretStr("4711"), SecretStr(" SEC "))
    assert settings.rules.receivers["duty"].channels == ("ops", "mail")


def test_without_a_file_the_one_here_or_the_defaults_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No path means ./tocsin.yaml, and the defaults where there is none."""
    monkeypatch.chdir(folder)
    assert load(None) == Settings()
    (folder / "tocsin.yaml").write_text("log_level: debug\n")
    assert load(None).log_level == "debug"


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n", "~\n"])
def test_an_empty_file_means_the_defaults(folder: Path, text: str) -> None:
    """Nothing said, nothing changed."""
    (folder / "tocsin.yaml").write_text(text)
    assert load(folder / "tocsin.yaml") == Settings()


@pytest.mark.parametrize(
    ("text", "line", "key", "problem"),
    [
        ("server:\n  prot: 80\n", 2, "server.prot", "unknown key; did you mean port?"),
        ("servr: {}\n", 1, "servr", "unknown key; did you mean server?"),
        ("server: {zzz: 1}\n", 1, "server.zzz", "unknown key; known here: host, port,"),
        ("server:\n  port: many\n", 2, "server.port", "expected a whole number, got 'many'"),
        ("server:\n  port: 70000\n", 2, "server.port", "expected at most 65535, got 70000"),
        ("server: 80\n", 1, "server", "expected a section (lines of `key: value`), got 80"),
        ("log_level: loud\n", 1, "log_level", "expected 'debug', 'info', 'warning' or 'error', got 'loud'"),
        ("server:\n  behind_tls_proxy: maybe\n", 2, "server.behind_tls_proxy", "expected true or false, got 'maybe'"),
        ("sources:\n  a:\n    token: x\n", 2, "sources.a.format", "is required"),
        ("sources:\n  Big Name: {format: generic_json}\n", 2, "sources.Big Name", "lower-case letters"),
        ("channels:\n  a:\n    type: pager\n", 2, "channels.a", "must be 'email', 'dingtalk', "),
        ("channels:\n  a:\n    host: x\n", 2, "channels.a", "`type` is required"),
        (
            "channels:\n  a:\n    type: email\n    host: x\n    sender: y\n    to: [z]\n    prot: 25\n",
            7, "channels.a.prot", "did you mean port?",
        ),
        (
            "channels:\n  a:\n    type: email\n    host: x\n    sender: y\n    to: []\n",
            6, "channels.a.to", "expected at least 1 item(s)",
        ),
        (
            "channels:\n  a:\n    type: dingtalk\n    token: t\n    at_mobiles:\n      - 13800000000\n",
            6, "channels.a.at_mobiles[0]", "expected a text, got 13800000000: put it in quotes",
        ),
        ("channels:\n  a:\n    type: dingtalk\n", 2, "channels.a.token", "is required, or token_file"),
        ("channels:\n\n  a: {type: apprise}\n", 3, "channels.a.url", "is required, or url_file"),
        ("store:\n  password: x\n  password_file: y\n", 1, "store", "give password or password_file, not both"),
        ("store:\n  password_file: no/such\n", 2, "store.password_file", "No such file"),
        ("server:\n  host: 0.0.0.0\n", 2, "server.host", "set behind_tls_proxy: true"),
        ("rules:\n  timezone: Mars/Olympus\n", 2, "rules.timezone", "no time zone named 'Mars/Olympus'"),
        ("rules:\n  routes:\n    - receiver: x\n", 3, "rules.routes[0].receiver", "no receiver named 'x'"),
        (
            "rules:\n  receivers:\n    duty:\n      channels: [ops]\n",
            4, "rules.receivers.duty.channels", "no channel named 'ops'",
        ),
        ("anchors:\n  email: auditor\n", 2, "anchors.email", "no channel named 'auditor'"),
        (
            "channels:\n  ops: {type: dingtalk, token: t}\nanchors:\n  email: ops\n",
            4, "anchors.email", "channel 'ops' is of type dingtalk, expected one of type email",
        ),
        ("server:\n  port: 1\n  port: 2\n", 3, "server.port", "given twice, first on line 2"),
        ("server: {\n", 2, "", "not YAML"),
        ("server:\n\tport: 1\n", 2, "", "not YAML"),
        ("- server\n", 1, "", "expected lines of `key: value`"),
        ("a: &a\n  b: *a\n", 1, "a.b", "an alias that contains itself"),
        ("a: !!python/object:os.system x\n", 1, "a", "cannot be read"),
        ("? [a, b]\n: 1\n", 1, "", "expected a plain text as key"),
        ("log_level: info\n---\nlog_level: info\n", 2, "", "not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_key(folder: Path, text: str, line: int, key: str, problem: str) -> None:
    """Whatever is wrong, the error says where and what was expected."""
    error = refused(folder, text)
    assert problem in str(error)
    assert (error.line, error.key) == (line, key)


def test_several_mistakes_are_listed_in_the_order_of_the_file(folder: Path) -> None:
    """One error, one line per mistake; its attributes are those of the first."""
    error = refused(folder, "server:\n  prot: 1\nlog_level: loud\nchannels:\n  a: {type: dingtalk}\n")
    lines = str(error).splitlines()
    assert (error.line, error.key, len(lines)) == (2, "server.prot", 3)
    assert [f"tocsin.yaml:{number}: " in line for number, line in zip((2, 3, 5), lines, strict=True)] == [True] * 3


def test_every_missing_secret_file_is_named(folder: Path) -> None:
    """All of them at once, each with its path."""
    (folder / "secrets/token").unlink()
    (folder / "secrets/sign").write_text("\n")
    lines = str(refused(folder, WHOLE)).splitlines()
    assert len(lines) == 2
    assert "sources.prometheus.token_file: cannot read" in lines[0]
    assert "secrets/sign is empty" in lines[1]


def test_no_error_shows_a_secret(folder: Path) -> None:
    """A secret of the wrong type, or under a misspelt key, is not repeated."""
    for text in (
        "channels:\n  a: {type: dingtalk, token: 90210}\n",
        "store: {pasword: '90210'}\n",
        "store: postgresql://tocsin:90210@db/tocsin\n",
    ):
        assert "90210" not in str(refused(folder, text))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_proxy(folder: Path, host: str) -> None:
    """Only what other machines can reach has to be protected."""
    (folder / "tocsin.yaml").write_text(f"server: {{host: '{host}'}}\n")
    assert load(folder / "tocsin.yaml").server.host == host


def test_an_open_address_behind_a_proxy_is_fine(folder: Path) -> None:
    """Whoever says that a proxy speaks TLS in front may listen everywhere."""
    (folder / "tocsin.yaml").write_text("server: {host: 0.0.0.0, behind_tls_proxy: true}\n")
    assert load(folder / "tocsin.yaml").server.behind_tls_proxy


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a folder, and bytes that are no text are ConfigErrors too."""
    (tmp_path / "latin.yaml").write_bytes(b"log_level: \xff\n")
    for name, problem in (("none.yaml", "No such file"), (".", "directory"), ("latin.yaml", "UTF-8")):
        with pytest.raises(ConfigError, match=problem):
            load(tmp_path / name)


def test_the_dump_hides_every_secret(folder: Path) -> None:
    """Secrets given in place are stars, those from files are only the files' names, passwords in URLs are hidden."""
    (folder / "tocsin.yaml").write_text(WHOLE.replace("tocsin@db", "tocsin:hunter3@db"))
    shown = dump(load(folder / "tocsin.yaml"))
    for secret in ("hunter2", "hunter3", "t0ken", "4711", "SEC"):
        assert secret not in shown
    assert "token: '********'" in shown
    assert "password_file: secrets/db" in shown
    assert "postgresql://tocsin:********@db/tocsin" in shown


def test_the_dump_of_an_apprise_channel_hides_its_url() -> None:
    """An Apprise URL is a secret as a whole."""
    shown = dump(Settings(channels={"any": AppriseChannel(url=SecretStr("json://user:pass@host"))}))
    assert "url: '********'" in shown
    assert "pass" not in shown


def test_what_is_dumped_without_secrets_can_be_loaded(folder: Path) -> None:
    """The dump is a complete configuration."""
    (folder / "tocsin.yaml").write_text(dump(Settings()))
    assert load(folder / "tocsin.yaml") == Settings()


@given(text=st.one_of(st.text(max_size=60), st.text(alphabet="ab:-[]{}#&*!|>'\"?,%@ \n\t", max_size=40)))
def test_any_text_is_settings_or_one_kind_of_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """However odd the file, load answers or raises ConfigError."""
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    try:
        read: Settings | ConfigError = load(file)
    except ConfigError as error:
        read = error
    assert isinstance(read, Settings) or str(file) in str(read)
