"""CPU per new alert with 10 to 10,000 rules of each kind in force: in the core, and over HTTP beside Alertmanager.

In the core: rules about alerts in CEL (one label and the severity), inhibition rules, silences, noise rules; none of
them is about the alerts that come, but for as many as 10 services have. Over HTTP: the same inhibition rules in the
configuration of Tocsin and of Alertmanager, which reads 100 routes as well. `most_by_least` says whether the number of
rules shows.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import msgspec
import yaml

from bench.client import Job
from bench.journals import RULES, received
from bench.measures.ingest import BODY, FAR, WARM, figures_of
from bench.meters import cpu_s, settle
from bench.servers import Alertmanager, Server, Tocsin, sink
from bench.session import Session
from bench.workload import Fleet
from engine.core import Core
from schemas.commands import COMMAND
from schemas.config import Rules
from schemas.events import DeliveryDue
from schemas.records import Attempting, Commanded, Configured, Delivered, Record
from sources import PARSERS

NEW = 4_000
"""Alerts that come while a number of rules is in force."""
SIZES = (10, 100, 1_000, 10_000)
KINDS = ("rules in CEL", "inhibition rules", "silences", "noise rules")


def run(session: Session) -> None:
    """Each kind at each size, in a process of its own; then both servers with inhibition rules."""
    sizes = SIZES[:3] if session.options.new_alerts < 16_000 else SIZES
    for kind in KINDS:
        means: list[float] = []
        for size in sizes:
            taken = [_apart(session.fleet(turn), kind, size) for turn in range(session.options.runs)]
            for cpu_us, ready_ms in taken:
                case = f"core, {size:,} {kind}"
                session.sample("rules", case, "tocsin", cpu_us_per_alert=cpu_us, ready_ms=ready_ms)
            means.append(statistics.median(cpu_us for cpu_us, _ in taken))
        session.sample("rules", f"core, {kind}", "tocsin", most_by_least=max(means) / min(means))
    with sink() as port:
        for turn in range(session.options.runs):
            for size in sizes:
                for kind_ in session.servers if turn % 2 == 0 else session.servers[::-1]:
                    with _inhibiting(kind_, size)(port) as server:
                        _over_http(session, server, turn, size)


# --- in the core ------------------------------------------------------------------------------------------------------


def _apart(fleet: Fleet, kind: str, size: int) -> tuple[float, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(cost, fleet, kind, size).result()


def cost(fleet: Fleet, kind: str, size: int) -> tuple[float, float]:
    """CPU µs per new alert with so many rules in force, and the CPU milliseconds of putting them in force."""
    core, at_ms = Core(PARSERS), 1000 * fleet.base_s
    more = {} if kind == "silences" else _rules(kind, size)
    body = Rules.model_validate(RULES.model_dump(by_alias=True) | more).canonical()
    began = time.process_time()
    core.handle(Configured(at_ms, "system", body))
    for number in range(size if kind == "silences" else 0):
        core.handle(_silence(number, at_ms))
    ready_ms = 1000 * (time.process_time() - began)
    warm = [received(one, at_ms + 1) for one in fleet.bodies(FAR, WARM, BODY)]
    new = [received(one, at_ms + 2) for one in fleet.bodies(0, NEW, BODY)]
    for record in warm:
        _take(core, record)
    gc.collect()
    cpu = time.process_time()
    for record in new:
        _take(core, record)
    return 1e6 * (time.process_time() - cpu) / NEW, ready_ms


def _rules(kind: str, size: int) -> dict[str, Any]:
    """So many rules of a kind, about services of which ten are the fleet's."""
    named = [(f"r{number}", _service(number)) for number in range(size)]
    match kind:
        case "rules in CEL":
            return {"alert_rules": [
                {"name": name, "when": f'labels.service == "{service}" && severity == "page"', "then": {"drop": True}}
                for name, service in named
            ]}  # fmt: skip
        case "inhibition rules":
            return {"inhibit": [{"name": name, **_inhibition(service)} for name, service in named]}
        case "noise rules":
            return {"noise": [{"name": name, "matchers": [f'service="{service}"', 'severity="page"']}
                              for name, service in named]}  # fmt: skip
    raise AssertionError(kind)


def _inhibition(service: str) -> dict[str, list[str]]:
    return {
        "source_matchers": [f'service="{service}"', 'alertname="NodeDown"'],
        "target_matchers": [f'service="{service}"', 'severity="warning"'],
        "equal": ["cluster"],
    }


def _service(number: int) -> str:
    return f"service-{number:05d}" if number < 10 else f"elsewhere-{number:05d}"


def _silence(number: int, at_ms: int) -> Record:
    command = {
        "type": "set_silence",
        "matchers": [{"name": "service", "value": _service(number)}, {"name": "severity", "value": "page"}],
        "starts_ms": at_ms, "ends_ms": at_ms + 86_400_000, "comment": "bench",
    }  # fmt: skip
    read = COMMAND.validate_python(command)
    return Commanded(at_ms, f"silence-{number}", "user:bench", COMMAND.dump_json(read))


def _take(core: Core, record: Record) -> None:
    for event in core.handle(record).events:
        if isinstance(due := event.data, DeliveryDue):
            core.handle(Attempting(record.at_ms, due.delivery, due.attempt))
            core.handle(Delivered(record.at_ms, due.delivery, due.attempt, "ok"))


# --- over HTTP --------------------------------------------------------------------------------------------------------


def _inhibiting(kind: type[Server], size: int) -> type[Server]:
    """The same server with so many inhibition rules in its configuration."""
    rules = [_inhibition(_service(number)) for number in range(size)]

    class Inhibiting(kind):  # type: ignore[valid-type,misc]
        """A server that reads inhibition rules as well."""

        def command(self) -> list[str]:
            """The command line of the server."""
            command: list[str] = super().command()
            if issubclass(kind, Tocsin):
                file = self.folder / "tocsin.yaml"
                settings = json.loads(file.read_text())
                settings["rules"]["inhibit"] = rules
            else:
                assert issubclass(kind, Alertmanager)
                file = self.folder / "alertmanager.yml"
                settings = json.loads(file.read_text())
                settings["inhibit_rules"] = rules
            file.write_text(yaml.safe_dump(settings))
            return command

    return Inhibiting


def _over_http(session: Session, server: Server, turn: int, size: int) -> None:
    job = Job(port=0, pid=0, fleet=session.fleet(turn), first=0, alerts=NEW, per_body=BODY, connections=4, at_most_s=60)
    server.load(msgspec.structs.replace(job, first=FAR, alerts=WARM))
    settle(server.pid)
    measured = server.load(job)
    settle(server.pid)
    figures = figures_of(measured, cpu_s(server.pid) - measured.cpu_before_s)
    session.sample("rules", f"HTTP, new, {size:,} inhibition rules", server.name, **figures)
