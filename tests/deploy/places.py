"""Where the files are, and the secrets that they need, made as `deploy/make-secrets` makes them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def read_yaml(file: Path) -> Any:
    """One YAML document."""
    return yaml.safe_load(file.read_text("utf-8"))


def make_secrets(folder: Path) -> Path:
    """The folder with everything that is secret, as the script for it leaves it."""
    subprocess.run([str(DEPLOY / "make-secrets"), str(folder)], check=True, capture_output=True)
    return folder


def with_secrets(config: Path, folder: Path) -> Path:
    """A copy of a tocsin.yaml in `folder`, with the secrets where it looks for them: beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    make_secrets(folder / "secrets")
    return Path(shutil.copy(config, folder / "tocsin.yaml"))
