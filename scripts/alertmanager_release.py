"""The current Alertmanager, its `amtool` and its own acceptance suites, built by the ordinary go client into `var/`.

`.venv/bin/python -m scripts.alertmanager_release` builds what is missing and prints the folder. The release's source is
copied from go's module cache into that folder, for its suites are programs that are run from a folder of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "v0.34.2"
"""Of the module; the list of acceptance tests in docs/alertmanager.md is that of this version."""
MODULE = "github.com/prometheus/alertmanager"
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var/alertmanager" / VERSION
SUITES = {"api_v2.test": "./test/with_api_v2/acceptance", "cli.test": "./test/cli/acceptance"}
PROGRAMS = ("alertmanager", "amtool")
BUILD_S = 1500
QUICK = ("-gcflags=all=-N -l", "-ldflags=-s -w -X github.com/prometheus/common/version.Version=" + VERSION[1:])
"""A quarter less work for the compiler; for tests only, as the programs are slower."""


def go() -> str:
    """The go client. Raises RuntimeError where there is none."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise RuntimeError("go is not installed")
    return found


def source() -> Path:
    """The release's source with a stand-in for its web pages, which `go build` embeds and no tag carries."""
    copy = FOLDER / "source"
    if not copy.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        downloaded = json.loads(_run([go(), "mod", "download", "-json", f"{MODULE}@{VERSION}"], FOLDER))
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            fresh = Path(folder) / "source"
            shutil.copytree(downloaded["Dir"], fresh)
            for path in (fresh, *fresh.rglob("*")):  # go keeps its modules read-only
                path.chmod(path.stat().st_mode | 0o200)
            pages = fresh / "ui/app/dist"
            pages.mkdir(parents=True, exist_ok=True)
            (pages / "index.html").write_text("<!doctype html>\n")
            fresh.rename(copy)
    return copy


def build() -> Path:
    """The folder with PROGRAMS and SUITES, built once. Raises RuntimeError with go's own words."""
    if all((FOLDER / name).exists() for name in (*PROGRAMS, *SUITES)):
        return FOLDER
    tree = source()
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        built = Path(folder)
        _run([go(), "build", *QUICK, "-o", f"{built}/", *(f"./cmd/{name}" for name in PROGRAMS)], tree)
        for name, package in SUITES.items():
            _run([go(), "test", "-c", *QUICK, "-o", str(built / name), package], tree)
        for name in (*PROGRAMS, *SUITES):
            (built / name).rename(FOLDER / name)
    return FOLDER


def build_fast(target: Path) -> Path:
    """Alertmanager alone as its makers build it, for measurements; raises RuntimeError with go's own words."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _run([go(), "build", QUICK[1].replace("-s -w ", ""), "-o", str(target), "./cmd/alertmanager"], source())
    return target


def _run(command: list[str], folder: Path) -> str:
    quiet = os.environ | {"GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_S, env=quiet)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])}: {done.stderr.strip()[-500:]}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(build())
    except (OSError, RuntimeError, subprocess.SubprocessError) as failed:
        sys.exit(f"{MODULE} {VERSION} could not be built: {failed}")
