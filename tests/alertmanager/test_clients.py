"""Unmodified clients with a token, and below a path: `amtool`, and Prometheus itself."""

from __future__ import annotations

import json
from pathlib import Path

from tests.alertmanager.pair import CONFIG, Server
from tests.servers import require
from tests.servers.process import eventually
from tests.servers.prometheus import Exporter, Prometheus
from tests.servers.tocsin import Tocsin

ADD = ("silence", "add", "service=checkout", "--comment=known", "--duration=2h", "--author=li")


async def test_amtool_shows_a_token_by_its_http_configuration(tmp_path: Path) -> None:
    """As Bearer credential or as the password of Basic: silences and alerts are taken; without it nothing is told."""
    amtool = require("amtool")
    async with Tocsin(tmp_path / "tocsin") as tocsin:
        token = await tocsin.token()
        server = Server(tocsin.port, tmp_path / "home")
        refused = await server.amtool(amtool, "silence", "query")
        assert refused.code == 1
        assert "401" in refused.err
        ways = {"authorization": {"credentials": token}, "basic_auth": {"username": "li", "password": token}}
        for way, credential in ways.items():
            config = tmp_path / f"{way}.yml"
            config.write_text(json.dumps({way: credential}))
            shown = f"--http.config.file={config}"
            for command in (ADD, ("alert", "add", "Slow", f"way={way}")):
                done = await server.amtool(amtool, shown, *command)
                assert done.code == 0, done
        listed = await server.amtool(amtool, shown, "silence", "query", "-o", "json")
        alerts = await server.amtool(amtool, shown, "alert", "query", "-o", "json")
    assert [one["createdBy"] for one in json.loads(listed.out)] == ["li", "li"]
    assert {one["labels"]["way"] for one in json.loads(alerts.out)} == set(ways)


async def test_prometheus_sends_below_a_path_without_a_token(tmp_path: Path) -> None:
    """Prometheus whose Alertmanager had a route prefix and no password needs no change: its alert is grouped here."""
    prefix, config = "/am", tmp_path / "alertmanager.yml"
    config.write_text(CONFIG)
    options = ("--alertmanager-config", str(config))
    server = {"route_prefix": prefix}
    async with (
        Tocsin(tmp_path / "tocsin", options=options, sources={}, server=server) as tocsin,
        Exporter() as exporter,
    ):
        client = Server(tocsin.port, tmp_path / "home")
        receiver = {"static_configs": [{"targets": [f"127.0.0.1:{tocsin.port}"]}], "path_prefix": prefix}
        async with Prometheus(tmp_path / "prometheus", target=exporter.port, receiver=receiver):
            exporter.broken = True

            async def grouped() -> list[str]:
                _, groups = await client.ask("GET", f"{prefix}/api/v2/alerts/groups")
                return [alert["labels"]["alertname"] for group in groups for alert in group["alerts"]]

            assert await eventually(grouped, "the alert of Prometheus in a group") == ["CheckoutBroken"]
            exporter.broken = False

            async def over() -> bool:
                return await client.ask("GET", f"{prefix}/api/v2/alerts") == (200, [])

            await eventually(over, "the end of the alert")
