"""A real Prometheus and a real Alertmanager, as Debian ships them, and a program whose health a test decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import httpx2
import yaml
from aiohttp import web

from tests.servers import free_port, require
from tests.servers.process import Process


class Exporter:
    """Something that Prometheus scrapes: `async with Exporter() as exporter`, then `exporter.broken = True`."""

    def __init__(self) -> None:
        self.broken = False
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        text = f'# TYPE checkout_broken gauge\ncheckout_broken{{service="checkout",namespace="mall"}} {self.broken:d}\n'
        return web.Response(text=text, content_type="text/plain")


RULE = {
    "alert": "CheckoutBroken",
    "expr": "checkout_broken == 1",
    "labels": {"severity": "critical"},
    "annotations": {"summary": "Nobody can pay ({{ $labels.instance }})"},
}


class _Server:
    """A server with a folder of its own: `async with` starts it, waits for `/-/ready`, and stops it by its pid."""

    def __init__(self, folder: Path, program: str, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        self.process = Process(program, (require(program), listen, *options), folder / f"{program}.log")

    async def __aenter__(self) -> Self:
        try:
            self.process.start()
            async with httpx2.AsyncClient() as client:

                async def ready() -> bool:
                    try:
                        return (await client.get(f"http://127.0.0.1:{self.port}/-/ready")).status_code == 200
                    except httpx2.TransportError:
                        return False

                await self.process.answers(ready)
        except BaseException:
            self.process.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.process.stop()


class Prometheus(_Server):
    """Scrapes one target and evaluates RULE every second; sends to one receiver of its v2 protocol."""

    def __init__(self, folder: Path, *, target: int, receiver: dict[str, Any]) -> None:
        """`target` is the port to scrape; `receiver` an entry of `alerting.alertmanagers`."""
        folder.mkdir(parents=True, exist_ok=True)
        rules, config = folder / "rules.yml", folder / "prometheus.yml"
        rules.write_text(yaml.safe_dump({"groups": [{"name": "shop", "interval": "1s", "rules": [RULE]}]}))
        settings = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "alerting": {"alertmanagers": [receiver]},
            "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
        }
        config.write_text(yaml.safe_dump(settings))
        options = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", "--log.level=warn")
        super().__init__(folder, "prometheus", *options)


class AlertmanagerBy(_Server):
    """An Alertmanager by a configuration file."""

    def __init__(self, folder: Path, config: Path, *, external_url: str) -> None:
        options = (f"--config.file={config}", f"--storage.path={folder / 'data'}", "--cluster.listen-address=")
        shown = (f"--web.external-url={external_url}", "--web.route-prefix=/", "--log.level=warn")
        super().__init__(folder, "prometheus-alertmanager", *options, *shown)


class Alertmanager(_Server):
    """Sends every group to one webhook, without waiting."""

    def __init__(self, folder: Path, *, hook: str, token: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "alertmanager.yml"
        authorization = {"authorization": {"type": "Bearer", "credentials": token}}
        webhook = {"url": hook, "send_resolved": True, "http_config": authorization}
        route = {"receiver": "tocsin", "group_by": ["service"], "group_wait": "0s", "group_interval": "1s"}
        receivers = [{"name": "tocsin", "webhook_configs": [webhook]}]
        config.write_text(yaml.safe_dump({"route": route | {"repeat_interval": "1h"}, "receivers": receivers}))
        options = (f"--config.file={config}", f"--storage.path={folder / 'data'}", "--cluster.listen-address=")
        super().__init__(folder, "prometheus-alertmanager", *options, "--log.level=warn")
