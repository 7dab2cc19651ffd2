"""The demo's processes: Tocsin, the shop, Prometheus, Alertmanager; each started once and stopped by its own pid."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from schemas.errors import ConfigError

ASSETS = Path(__file__).resolve().parent
SHOP = {"order-service": 3, "payment-service": 2, "search-gateway": 2, "redis": 1}
"""How many instances each service of the shop has."""
PREFERRED_PORT = 8080
STOP_WAIT_S = 10.0
START_WAIT_S = 60.0
PROGRAMS = ("prometheus", "prometheus-alertmanager")


@dataclass(frozen=True)
class Addresses:
    """Where everything listens, all on 127.0.0.1."""

    tocsin: int
    prometheus: int
    alertmanager: int
    mail: int
    robot: int
    shop: Sequence[tuple[str, int]]


@dataclass
class Stack:
    """Everything that the demo has started, in that order. `folder` holds configurations, logs and databases."""

    folder: Path
    addresses: Addresses
    _running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    def write_configuration(self) -> None:
        """Fill in the templates. Tokens are drawn anew for each run and kept in files that only the owner reads."""
        at = self.addresses
        tokens = {name: self._token_file(name) for name in ("alertmanager", "prometheus", "links")}
        shop = "\n".join(
            f"      - targets: ['127.0.0.1:{port}']\n        labels: {{namespace: mall, service: {service}}}"
            for service, port in at.shop
        )
        values = {
            "folder": self.folder, "port": at.tocsin, "mail_port": at.mail, "robot_port": at.robot,
            "token_file": tokens["alertmanager"], "second_token_file": tokens["prometheus"],
            "link_key_file": tokens["links"],
            "tocsin": f"127.0.0.1:{at.tocsin}", "tocsin_hook": f"http://127.0.0.1:{at.tocsin}/hooks/alertmanager",
            "alertmanager": f"127.0.0.1:{at.alertmanager}", "rules": self.folder / "rules.yml",
            "pack": self.folder / "tocsin.rules.yml", "shop": shop,
        }  # fmt: skip
        for name in ("tocsin.yaml", "prometheus.yml", "alertmanager.yml"):
            filled = Template((ASSETS / name).read_text("utf-8")).substitute(values)
            (self.folder / name).write_text(filled, "utf-8")
        shutil.copyfile(ASSETS / "rules.yml", self.folder / "rules.yml")
        (self.folder / "tocsin.rules.yml").write_bytes(exported("tocsin"))

    def start(self) -> None:
        """Start the four, and wait until Tocsin answers. Raises ConfigError when one ends at once."""
        at, folder = self.addresses, self.folder
        self._start("tocsin", sys.executable, "-m", "engine.cli", "serve", "--config", str(folder / "tocsin.yaml"))
        self._await_tocsin()
        shop = [argument for service, port in at.shop for argument in ("--instance", f"{service}={port}")]
        self._start("shop", sys.executable, "-m", "demo.faulty_shop", *shop)
        self._start(
            "alertmanager",
            program("prometheus-alertmanager"),
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{at.alertmanager}",
            "--cluster.listen-address=",
            "--log.level=warn",
        )
        self._start(
            "prometheus",
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{at.prometheus}",
            "--log.level=warn",
        )

    def ended(self) -> str | None:
        """The name of a process that has ended by itself, or None while all run."""
        return next((name for name, process in self._running if process.poll() is not None), None)

    def log_of(self, name: str) -> str:
        """What a process has written so far."""
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def stop(self) -> None:
        """Stop everything that was started, last first: politely, then after STOP_WAIT_S by force."""
        running, self._running = self._running[::-1], []
        for _, process in running:
            process.terminate()
        until = time.monotonic() + STOP_WAIT_S
        for _, process in running:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _token_file(self, name: str) -> Path:
        file = self.folder / f"{name}.token"
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
        return file

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            # A session of its own: Ctrl-C reaches the demo alone, which then stops the others in order.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._running.append((name, process))

    def _await_tocsin(self) -> None:
        until = time.monotonic() + START_WAIT_S
        while time.monotonic() < until:
            if self.ended():
                break
            if fetch(f"http://127.0.0.1:{self.addresses.tocsin}/metrics") is not None:
                return
            time.sleep(0.1)
        raise ConfigError(f"Tocsin did not start:\n{self.log_of('tocsin')[-2000:]}")


def program(name: str) -> str:
    """The path of a Debian program. Raises ConfigError that says how to get it."""
    path = shutil.which(name)
    if path is None:
        raise ConfigError(f"{name} is not installed: run `scripts/install demo` (or `apt-get install {name}`)")
    return path


def exported(pack: str) -> bytes:
    """The rules of a pack, by the command line as everybody gets them. Raises ConfigError when it refuses."""
    command = (sys.executable, "-m", "engine.cli", "packs", "rules", pack)
    ran = subprocess.run(command, capture_output=True, check=False, timeout=START_WAIT_S)
    if ran.returncode:
        raise ConfigError(f"no rules of the pack {pack}: {ran.stderr.decode(errors='replace').strip()}")
    return ran.stdout


def fetch(url: str, timeout_s: float = 2.0) -> bytes | None:
    """The body of a local page, or None while nobody answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # own addresses only
            return bytes(answer.read())
    except (OSError, urllib.error.URLError):
        return None


def free_ports(count: int, preferred: int | None = None) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now; the first is `preferred` if it is free."""
    held: list[socket.socket] = []
    try:
        for wish in [preferred or 0] + [0] * (count - 1):
            listener = socket.socket()
            held.append(listener)
            try:
                listener.bind(("127.0.0.1", wish))
            except OSError:
                listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in held]
    finally:
        for listener in held:
            listener.close()
