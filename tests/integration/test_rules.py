"""Rules changed while Tocsin serves: by the command line, the API and the console; tried, refused, kept, compared."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.integration.web_site import Installation, csrf_in, running
from tests.servers.process import PATIENCE_S
from tests.servers.tocsin import PASSWORD, Tocsin, webhook

DROP = "alert_rules:\n  - name: dog\n    when: labels.alertname == 'Watchdog'\n    then: {drop: true}\n"
BAD = DROP.replace("labels.alertname ==", "labels.alertname +")


async def _admin(tocsin: Tocsin) -> dict[str, str]:
    added = await tocsin.cli("users", "add", "boss", "--role", "admin", "--password-file", "-", stdin=PASSWORD + "\n")
    assert added.code == 0, added
    token = (await tocsin.cli("users", "token", "boss")).out.strip()
    return {"Authorization": f"Bearer {token}"}


async def test_rules_are_applied_without_a_restart_and_survive_one(tmp_path: Path) -> None:
    """Dry run, refusal, application, decisions by them, history; after a restart they hold until the file is edited."""
    tocsin = Tocsin(tmp_path)
    async with tocsin:
        headers = await _admin(tocsin)
        token = headers["Authorization"].split()[1]
        rules = tmp_path / "rules.yaml"
        rules.write_text(BAD)
        refused = await tocsin.cli("rules", "apply", str(rules), "--token", token)
        assert refused.code == 1
        assert f"{rules}:3: rules.alert_rules[0].when: column 1: gives string" in refused.err
        rules.write_text(DROP)
        tried = await tocsin.cli("rules", "apply", "--dry-run", str(rules), "--token", token)
        assert tried.code == 0, tried
        assert "+- name: dog" in tried.out
        assert "language" in tried.out
        assert "in force" not in tried.out
        applied = await tocsin.cli("rules", "apply", str(rules), "--token", token)
        assert "version 2 is in force" in applied.out, applied
        answer = await tocsin.send("alertmanager", webhook({"alertname": "Watchdog"}))
        assert answer.json()["dispositions"] == {"dropped_by_rule": 1}
        history = json.loads((await tocsin.cli("rules", "history", "--json")).out)
        assert [(one["version"], one["actor"]) for one in history] == [(2, "user:boss"), (1, "system")]
        assert "+  when: labels.alertname == 'Watchdog'" in history[0]["diff"]
        assert "language: en" in (await tocsin.cli("rules", "show", "1")).out
    async with tocsin:
        assert "dog" in (await tocsin.cli("rules", "show")).out
    tocsin.config.write_text(tocsin.config.read_text().replace("language: en", "language: zh"))
    async with tocsin:
        shown = (await tocsin.cli("rules", "show")).out
        assert "dog" not in shown
        assert shown.startswith("# version 3, system")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Tocsin in this process."""
    async with running(tmp_path) as site:
        yield site


async def _put(site: Installation, role: Any, body: str, path: str = "/api/v1/rules") -> httpx2.Response:
    browser = await site.browser(role)
    csrf = csrf_in((await browser.get("/account")).text)
    headers = {"X-CSRF-Token": csrf, "Content-Type": "application/yaml"}
    method = "POST" if "whatif" in path else "PUT"
    return await browser.request(method, path, content=body.encode(), headers=headers)


async def test_only_an_administrator_changes_rules(site: Installation) -> None:
    """Everybody may read them; an operator may not put others in force, nor try them."""
    assert (await _put(site, "operator", DROP)).status_code == 403
    viewer = await site.browser("viewer")
    current = (await viewer.get("/api/v1/rules")).json()
    assert current["version"] == 1
    assert yaml.safe_load(current["yaml"])["routes"] == [{"receiver": "oncall"}]


BAD_RULES: list[tuple[str, str, int | None]] = [
        (BAD, "rules.alert_rules[0].when", 3),
        ("alert_rules: 3", "rules.alert_rules", 1),
        ("a: [", "", 1),
        ("receivers: {x: {channels: [none]}}\n", "rules.receivers.x.channels", None),
        ("enrichment: [{name: t, by: [a], file: ../../etc/passwd.csv}]", "rules.enrichment[0].file", 1),
        ("inhibit:\n- {source_matchers: [a=b], target_matchers: [c=d]}\n- {source_matchers: [c=d], "
         "target_matchers: [a=b]}\n", "rules.inhibit[0]", 2),
        ("alert_rules:\n- {name: a, when: '" + "[1,2].all(x, " * 5 + "true" + ")" * 5 + "', then: {drop: true}}",
         "rules.alert_rules[0].when", 2),
    ]  # fmt: skip
"""Syntax of CEL, type, YAML, channel, file of the server, circle of inhibition, bomb: each with its key and line."""


async def test_bad_rules_are_refused_with_their_place(site: Installation) -> None:
    """400 with key and line; the version in force stays what it was."""
    for body, key, line in BAD_RULES:
        answer = await _put(site, "admin", body)
        assert answer.status_code == 400, answer.text
        told = answer.json()
        assert (told["code"], told["key"], told["line"]) == ("invalid", key, line), told
    viewer = await site.browser("viewer")
    assert (await viewer.get("/api/v1/rules")).json()["version"] == 1


async def test_the_console_tries_compares_and_applies_rules(site: Installation) -> None:
    """An administrator sees the place of an error, the diff, what the rules would have made of the past."""
    await site.fire({"alertname": "Watchdog", "service": "a"}, {"alertname": "DiskFull", "service": "b"})
    browser = await site.browser("admin", "en")

    async def ask(verb: str, text: str) -> httpx2.Response:
        page = await browser.get("/rules")
        fields = {"csrf": csrf_in(page.text), "text": text, "verb": verb, "days": "1"}
        return await browser.post("/rules", data=fields, timeout=PATIENCE_S)

    wrong = await ask("try", BAD)
    assert wrong.status_code == 400
    assert "rules.alert_rules[0].when" in wrong.text
    assert "the old rules stay in force" in wrong.text
    compared = await ask("whatif", DROP)
    assert compared.status_code == 200
    assert "+alert_rules:" in compared.text
    assert 'id="verdict">safe' in compared.text
    applied = await ask("apply", DROP)
    assert applied.headers["location"] == "/rules?said=rules_applied"
    shown = await browser.get("/rules?said=rules_applied")
    assert "version 2" in shown.text
    assert "admin" in shown.text
    noise = await browser.get("/noise")
    assert noise.status_code == 200


async def test_the_api_says_what_rules_would_have_made_of_the_past(site: Installation) -> None:
    """A confirmed incident that they would drop makes them not safe."""
    await site.fire({"alertname": "Watchdog", "service": "a", "severity": "critical"})
    browser = await site.browser("operator")
    page = await browser.get("/incidents/INC-1")
    form = {"csrf": csrf_in(page.text)}
    assert (await browser.post("/incidents/INC-1/acknowledge", data=form)).status_code == 303
    found = (await _put(site, "admin", DROP, "/api/v1/rules/whatif?days=1")).json()
    assert (found["actual"]["incidents"], found["candidate"]["incidents"]) == (1, 0)
    assert [harm["fate"] for harm in found["harmed"]] == ["lost"]
    assert found["safe"] is False


async def test_why_a_receiver_was_told_and_was_not(site: Installation) -> None:
    """The chain for an alert, an incident and a receiver, with rule and version; links lead there from the incident."""
    await _put(site, "admin", "receivers: {oncall: {channels: [mail]}, boss: {channels: [mail]}}\n" + DROP
               + "routes:\n- {receiver: boss, match: {service: pay}}\n- {receiver: oncall}\n")  # fmt: skip
    await site.fire({"alertname": "Watchdog"}, {"alertname": "DiskFull", "service": "shop", "severity": "critical"})
    browser = await site.browser("viewer", "en")

    async def why(subject: str) -> Any:
        return (await browser.get("/api/v1/explain", params={"subject": subject})).json()

    boss, oncall = await why("boss"), await why("oncall")
    assert not boss["steps"]
    reasons = {(one["title"], one["reason"], one["rule"], one["rules_version"]) for one in boss["not_told"]}
    assert reasons == {
        ("Watchdog", "dropped_by_rule", "rule/dog", 2),
        ("DiskFull is bad", "told to oncall instead", "routes[1]", 2),
    }
    (asked,) = [step for step in oncall["steps"] if step["type"] == "delivery_requested"]
    assert (asked["rule"], asked["rules_version"], asked["incident"]) == ("routes[1]", 2, "INC-1")
    incident = await why("INC-1")
    assert incident["steps"][0]["type"] == "incident_opened"
    assert (await why("nobody"))["what"] == "receiver"
    shown = await browser.get("/incidents/INC-1")
    assert "/explain?subject=oncall" in shown.text
    page = await browser.get("/explain?subject=boss")
    assert "rule/dog" in page.text
    assert "told to oncall instead" in page.text
    alert = (await why("INC-1"))["steps"][0]
    assert alert["rules_version"] == 2
    assert (await browser.get("/explain?subject=0000000000000000")).status_code == 200
