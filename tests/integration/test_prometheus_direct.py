"""Prometheus without an Alertmanager: Tocsin stands in its `alertmanagers` section."""

from __future__ import annotations

from pathlib import Path

from tests.servers.prometheus import Exporter, Prometheus
from tests.servers.tocsin import SOURCES, Tocsin


async def test_prometheus_itself_opens_and_resolves_incidents(tmp_path: Path) -> None:
    """Prometheus posts to `/api/v2/alerts` with a bearer token: the incident opens, and resolves when it heals."""
    async with Tocsin(tmp_path) as tocsin, Exporter() as exporter:
        await tocsin.token()
        receiver = {
            "static_configs": [{"targets": [f"127.0.0.1:{tocsin.port}"]}],
            "authorization": {"type": "Bearer", "credentials": SOURCES["prometheus"]["token"]},
        }
        async with Prometheus(tmp_path / "prometheus", target=exporter.port, receiver=receiver):
            exporter.broken = True
            incident = await tocsin.incident(state="triggered")
            assert "Nobody can pay" in incident["title"]
            exporter.broken = False
            resolved = await tocsin.incident(state="resolved")
            assert resolved["incident"] == incident["incident"]
        books = (await tocsin.api("/ledger"))["now"]
        verified = await tocsin.cli("log", "verify", "--decide-again")
    assert books["prometheus"]["opened"] == 1
    assert books["prometheus"]["resolved"] >= 1
    assert "invalid" not in books["prometheus"]
    assert verified.code == 0, verified
