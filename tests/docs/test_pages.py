"""The pages in Markdown: links lead somewhere, and what they show is taken by the program."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from typer.testing import CliRunner

from engine import config
from engine.cli import app
from schemas.alerts import Rejected
from schemas.errors import InvalidPayload
from scripts import make_config_doc
from sources import PARSERS
from tests.servers import require

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md"))
    if ".venv" not in page.parts
)
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NOW_MS = 1_772_352_000_000 + 3_600_000
"""2026-03-01T09:00:00Z: after every moment on the page."""

FENCES = [(page, *found) for page in PAGES for found in FENCE.findall(page.read_text("utf-8"))]
COMMAND = re.compile(r"(?:^|[`\s/])(?:\.venv/bin/)?tocsin((?: [a-z][a-z-]*)+)", re.MULTILINE)


def _name(page: object) -> str:
    return str(page.relative_to(ROOT)) if isinstance(page, Path) else ""


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the tree finds it, and every anchor its heading."""
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_named_file_is_there(page: Path) -> None:
    """A path into one of the folders, in backquotes, leads to a file or folder of the tree."""
    folders = "schemas|engine|detectors|projections|notifiers|sources|web|demo|tests|docs|scripts|bench"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", FENCE.sub("", page.read_text("utf-8")))
    assert not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("text", [text for _, kind, text in FENCES if kind.startswith("yaml tocsin.yaml")])
def test_every_tocsin_yaml_is_valid(text: str, tmp_path: Path) -> None:
    """What a page shows as tocsin.yaml is taken as it stands; the files that hold its secrets are made for the test."""
    for file in re.findall(r"\w+_file: (\S+?)[,}\s]", text):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("a-secret\n")
    (tmp_path / "tocsin.yaml").write_text(text)
    settings = config.load(tmp_path / "tocsin.yaml")
    assert settings.sources
    assert settings.rules.routes


def test_the_readme_shows_a_tocsin_yaml() -> None:
    """The snippet that the test above is about is there."""
    assert any(page.name == "README.md" and kind.startswith("yaml tocsin.yaml") for page, kind, _ in FENCES)


@pytest.mark.parametrize("text", [text for _, kind, text in FENCES if kind.startswith("yaml")])
def test_every_yaml_can_be_read(text: str) -> None:
    """Snippets for Prometheus and Alertmanager are YAML sections, too."""
    assert isinstance(yaml.safe_load(text), dict)


@pytest.mark.parametrize(
    ("file", "checker"),
    [("prometheus.yml", ("promtool", "check", "config")), ("alertmanager.yml", ("amtool", "check-config"))],
)
def test_the_snippets_for_senders_are_accepted_by_their_programs(
    file: str, checker: tuple[str, ...], tmp_path: Path
) -> None:
    """Debian's own checkers find nothing wrong with what the README says to Prometheus and to Alertmanager."""
    (snippet,) = [text for page, kind, text in FENCES if page.name == "README.md" and kind == f"yaml {file}"]
    (tmp_path / "secrets").mkdir()
    for sender in ("prometheus", "alertmanager"):
        (tmp_path / "secrets" / f"{sender}.token").write_text("a-token")
    (tmp_path / file).write_text(snippet)
    program, *arguments = checker
    checked = subprocess.run(
        [require(program), *arguments, str(tmp_path / file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


BODIES = [(kind.removeprefix("json "), text) for _, kind, text in FENCES if kind.startswith("json ")]


@pytest.mark.parametrize(("format", "body"), BODIES)
def test_every_example_body_is_understood(format: str, body: str) -> None:
    """A body that a page shows is read by the parser of its format, every item of it."""
    alerts = PARSERS[format](body.encode(), NOW_MS)
    assert alerts
    assert not [alert for alert in alerts if isinstance(alert, Rejected)]


def test_every_format_has_an_example() -> None:
    """docs/formats.md shows a body of each format that there is."""
    assert {name for name, _ in BODIES} == set(PARSERS)


def test_every_other_json_can_be_read() -> None:
    """JSON without a format is an answer or a part of one, and valid."""
    plain = [text for _, kind, text in FENCES if kind == "json"]
    assert plain
    for text in plain:
        json.loads(text)


def test_the_problem_in_the_example_answer_is_ours() -> None:
    """The example answer names a problem in the very words of the parser."""
    (answer,) = [json.loads(text) for page, kind, text in FENCES if kind == "json" and page.name == "formats.md"]
    body = json.dumps([{"title": "a"}, {"title": "b"}, {"labels": {}}]).encode()
    rejected = [item for item in PARSERS["generic_json"](body, NOW_MS) if isinstance(item, Rejected)]
    assert answer["problems"] == [f"{item.place}: {item.reason}" for item in rejected]
    assert answer["received"] == sum(answer["dispositions"].values())


@pytest.mark.parametrize("body", [b"{", b"[1", b'"text"'])
def test_a_body_that_is_no_json_is_refused_by_every_format(body: bytes) -> None:
    """What the page says about status 400 begins with InvalidPayload in each parser."""
    for parse in PARSERS.values():
        with pytest.raises(InvalidPayload):
            parse(body, NOW_MS)


def _commands() -> list[str]:
    """Every `tocsin …` that a page names, without arguments and options."""
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    return sorted({found.strip() for found in COMMAND.findall(text)})


@pytest.mark.parametrize("command", _commands())
def test_every_named_command_is_there(command: str) -> None:
    """`tocsin COMMAND --help` answers for every command that a page names."""
    words = command.split()
    groups = {group.name for group in app.registered_groups}
    depth = 2 if words[0] in groups else 1
    result = CliRunner().invoke(app, [*words[:depth], "--help"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("target", sorted({word for page in PAGES for word in re.findall(
    r"`make ([a-z]+)`|^make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)}))  # fmt: skip
def test_every_named_make_target_is_there(target: tuple[str, str]) -> None:
    """Every `make TARGET` that a page names is a target of the Makefile."""
    name = target[0] or target[1]
    assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_the_readme_is_short() -> None:
    """The README is read in one go: 200 lines at most."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 200


def test_every_key_of_the_configuration_is_explained_once() -> None:
    """Each key has a meaning, in the schema or in the script, and no meaning outlives its key."""
    assert make_config_doc.unexplained() == []


def test_the_page_of_the_configuration_is_up_to_date() -> None:
    """docs/configuration.md is what `python -m scripts.make_config_doc` writes."""
    assert make_config_doc.PAGE.read_text("utf-8") == make_config_doc.page()
