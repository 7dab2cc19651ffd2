"""Run the demo: start everything, show what happens, and stop all of it again, however the run ends."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from demo import view
from demo.faulty_shop import PERIOD_S, STORY, state_at
from demo.peers import Outbox, peers
from demo.stack import PREFERRED_PORT, PROGRAMS, SHOP, Addresses, Stack, fetch, free_ports, program
from schemas.errors import ConfigError

REFRESH_S = 1.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(Exception):
    """Somebody asked the demo to end."""


def run(folder: Path, *, for_s: float | None, live: bool) -> None:
    """Run until Ctrl-C, SIGTERM or SIGHUP, or for `for_s` seconds. Raises ConfigError when something is missing."""
    for name in PROGRAMS:
        program(name)
    folder = folder.absolute()
    with _alone(folder), _signals_end_it():
        outbox = Outbox(folder / "outbox")
        with peers(outbox) as (mail, robot):
            stack = Stack(folder, addresses(mail, robot))
            try:
                stack.write_configuration()
                stack.start()
                _watch(stack, outbox, for_s=for_s, live=live)
            except (_Stopped, KeyboardInterrupt):
                pass
            finally:
                _ignore_signals()  # a second Ctrl-C shall not interrupt the stopping of what was started
                stack.stop()


def addresses(mail: int, robot: int) -> Addresses:
    """Free ports for everything that the demo starts."""
    services = [service for service, count in SHOP.items() for _ in range(count)]
    tocsin, prometheus, alertmanager, *rest = free_ports(3 + len(services), PREFERRED_PORT)
    return Addresses(tocsin, prometheus, alertmanager, mail, robot, list(zip(services, rest, strict=True)))


def _watch(stack: Stack, outbox: Outbox, *, for_s: float | None, live: bool) -> None:
    began_s = time.monotonic()
    link = view.set_up_link(stack.log_of("tocsin"))
    steps = view.first_steps(stack.addresses, link, _short(stack.folder))
    console = Console()
    last = view.Figures()

    def reading() -> view.Figures:
        nonlocal last
        metrics = fetch(f"http://127.0.0.1:{stack.addresses.tocsin}/metrics")
        if metrics is not None:
            mails, messages = outbox.count("eml"), outbox.count("json")
            last = view.figures_of(metrics.decode(), mails=mails, robot_messages=messages)
        return last

    def due() -> Iterator[float]:
        while for_s is None or time.monotonic() - began_s < for_s:
            ended = stack.ended()
            if ended:
                raise ConfigError(f"{ended} has ended by itself:\n{stack.log_of(ended)[-2000:]}")
            yield time.monotonic() - began_s
            time.sleep(REFRESH_S)

    if live:
        with Live(console=console, auto_refresh=False) as shown:
            for elapsed_s in due():
                shown.update(view.screen(reading(), steps, elapsed_s, _story(elapsed_s)), refresh=True)
    else:
        _print_plainly(steps, due(), reading)


def _print_plainly(steps: list[str], due: Iterator[float], reading: Callable[[], view.Figures]) -> None:
    """One line whenever a figure has changed."""
    print("\n".join(steps), flush=True)
    shown = ""
    for elapsed_s in due:
        line = reading().line()
        if line != shown:
            print(f"{elapsed_s:6.0f} s  {line}", flush=True)
            shown = line


def _story(elapsed_s: float) -> str:
    """What the shop suffers from now, and what comes next."""
    wrong = [service for service in SHOP if state_at(service, elapsed_s).service]
    if wrong:
        return f"商城故障 the shop suffers: {', '.join(wrong)}"
    next_s = min((trouble.begin_s - elapsed_s % PERIOD_S) % PERIOD_S for trouble in STORY)
    return f"商城正常 the shop is well; next trouble in {next_s:.0f} s"


def _short(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """An empty folder that no other demo uses. Only a folder that an earlier demo has marked is emptied."""
    mark = folder / "demo.pid"
    if folder.is_dir() and any(folder.iterdir()):
        if not mark.is_file():
            raise ConfigError(f"{folder} is not empty and not a demo's folder: give another with --folder")
        pid = mark.read_text().strip()
        if pid.isdigit() and int(pid) != os.getpid() and _is_demo(int(pid)):
            raise ConfigError(f"a demo is running already (process {pid}) in {folder}")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(str(os.getpid()))
    try:
        yield
    finally:
        mark.write_text("")


def _is_demo(pid: int) -> bool:
    try:
        return b"demo" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _signals_end_it() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        _ignore_signals()
        raise _Stopped

    before = {number: signal.signal(number, end) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
