"""Stands where Alertmanager's acceptance suite expects its program: takes the same options, and runs Tocsin.

The suite reads the address from standard error, reloads by SIGHUP and ends by SIGTERM; both signals are passed on.
Tocsin itself is started by `tests.alertmanager.forker`, whose socket is in the environment.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path

LISTENS = re.compile(r"listens on http://(\S+)")
PASSED_ON = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


def options() -> argparse.Namespace:
    """What the suite gives. Of clustering and of feature flags nothing is passed on: Tocsin has neither."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--config.file", dest="config", type=Path, required=True)
    parser.add_argument("--storage.path", dest="folder", type=Path, required=True)
    parser.add_argument("--web.listen-address", dest="listen", required=True)
    parser.add_argument("--web.route-prefix", dest="prefix", default="")
    parser.add_argument("--dispatch.start-delay", dest="start_delay", default="0s")
    for ignored in ("--log.level", "--cluster.listen-address", "--cluster.settle-timeout", "--cluster.peer"):
        parser.add_argument(ignored)
    parser.add_argument("--enable-feature")
    return parser.parse_args()


def arguments(given: argparse.Namespace) -> list[str]:
    """Those of `tocsin serve` with the same alertmanager.yml, on a database in the storage path."""
    settings = given.folder / "tocsin.yaml"
    settings.write_text(json.dumps({"server": {"route_prefix": given.prefix}, "log_level": "warning"}))
    serve = ["serve", "--config", str(settings)]
    serve += ["--alertmanager-config", str(given.config), "--listen", given.listen]
    return [*serve, "--store", f"sqlite:///{given.folder}/tocsin.db"]


def main() -> int:
    """Run it until it ends; its exit code."""
    given = options()
    waiting: list[int] = []
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: waiting.append(number))
    reading, writing = os.pipe()
    with socket.socket(socket.AF_UNIX) as forker:
        forker.connect(os.environ["TOCSIN_FORKER"])
        socket.send_fds(forker, [json.dumps(arguments(given)).encode()], [writing, 2])
        os.close(writing)
        told = forker.makefile()
        tocsin = int(told.readline())
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: os.kill(tocsin, number))
        for number in waiting:
            os.kill(tocsin, number)
        with os.fdopen(reading) as output:
            for line in output:
                print(line, end="", flush=True)
                if found := LISTENS.search(line):
                    print(f'msg="Listening on" address={found[1]}', file=sys.stderr, flush=True)
        return int(told.readline() or 1)


if __name__ == "__main__":
    sys.exit(main())
