"""The Dockerfile by rules of our own, and its build steps that need no container, executed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.places import DEPLOY, ROOT, read_yaml, with_secrets
from tests.servers import free_port
from tests.servers.process import Process

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


class Step(NamedTuple):
    """One instruction of a Dockerfile, its continuation lines joined."""

    word: str
    rest: str


def _steps() -> list[Step]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [Step(word, rest) for word, _, rest in (line.strip().partition(" ") for line in lines if line.strip())]


STEPS = _steps()


def _rests(word: str) -> list[str]:
    return [step.rest for step in STEPS if step.word == word]


def test_base_images_are_pinned_and_name_no_registry() -> None:
    """Each stage stands on a short name with a tag that is no moving target."""
    images = [rest.split()[0] for rest in _rests("FROM")]
    assert len(images) == 2, "build and run"
    for image in images:
        name, _, tag = image.partition(":")
        assert re.fullmatch(r"[a-z]+", name)
        assert re.fullmatch(r"\d+\.\d+-slim-bookworm", tag), image


def test_the_image_does_not_run_as_root() -> None:
    """The last USER is a number other than 0, so that Kubernetes can see it (runAsNonRoot)."""
    last = [index for index, step in enumerate(STEPS) if step.word == "FROM"][-1]
    users = [step.rest for step in STEPS[last:] if step.word == "USER"]
    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_the_health_check_asks_whether_inputs_are_accepted() -> None:
    """It is a list (no shell), of a program that the image has, and its code is Python that asks /-/ready."""
    (check,) = _rests("HEALTHCHECK")
    command = json.loads(check.split("CMD", 1)[1])
    assert command[0] == "python"
    compile(command[-1], "health check", "exec")
    assert "/-/ready" in command[-1]


def test_commands_are_lists() -> None:
    """ENTRYPOINT and CMD are given without a shell, so that SIGTERM reaches Tocsin."""
    for word in ("ENTRYPOINT", "CMD"):
        (given,) = _rests(word)
        assert isinstance(json.loads(given), list)


def test_what_is_copied_exists_and_is_let_through() -> None:
    """Every source of a COPY is in the tree, and .dockerignore does not keep it from the build."""
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert ignored[ignored.index("*") - 1] != "!*"
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    copied = [name for rest in _rests("COPY") if "--from" not in rest for name in rest.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert any(fnmatch(name, pattern) for pattern in let_through), name
    assert let_through == set(copied), "nothing else goes to the build"


def test_every_package_is_copied() -> None:
    """The folders that setuptools packs are the folders that the build gets."""
    packages = {pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    folders = {rest.split()[-1] for rest in _rests("COPY") if (ROOT / rest.split()[0]).is_dir()}
    assert folders == packages


def test_pip_installs_what_the_lock_says() -> None:
    """Each pip install takes its versions from requirements.lock, or is of our own wheel and offline."""
    installs = [part for rest in _rests("RUN") for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    for install in installs:
        assert "--constraint requirements.lock" in install or "--no-index" in install


def test_what_is_needed_to_run_is_in_the_lock() -> None:
    """The Dockerfile's list of dependencies is that of pyproject.toml, each with exactly one version in the lock."""
    listed = subprocess.run(
        [sys.executable, str(DEPLOY / "runtime-requirements"), str(ROOT / "pyproject.toml")],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert listed == PROJECT["project"]["dependencies"]
    pins = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text("utf-8").split() if line)
    versions = {canonicalize_name(name.split("[")[0]): version for name, version in pins.items()}
    for line in listed:
        wanted = Requirement(line)
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), line


def test_debian_lists_are_removed_in_the_step_that_made_them() -> None:
    """An apt-get install neither leaves its lists in a layer nor brings what is merely recommended."""
    steps = [rest for rest in _rests("RUN") if "apt-get" in rest]
    assert steps
    for rest in steps:
        assert "--no-install-recommends" in rest
        assert "rm -rf /var/lib/apt/lists" in rest


def test_pg_dump_is_not_older_than_the_server() -> None:
    """pg_dump refuses a newer server: the client in the image is of the major version in the Compose file."""
    (client,) = re.findall(r"postgresql-client-(\d+)", " ".join(_rests("RUN")))
    server = read_yaml(ROOT / "docker-compose.yml")["services"]["postgres"]["image"]
    assert re.match(rf"postgres:{client}\b", server)


# --- the build itself ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, made from what the Dockerfile copies and from nothing else."""
    source = tmp_path_factory.mktemp("source")
    for rest in _rests("COPY"):
        if "--from" not in rest:
            for name in rest.split()[:-1]:
                _copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(source / "dist"), "."], cwd=source, check=True)
    (made,) = (source / "dist").glob("tocsin-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a new environment that holds the wheel.

    Third-party packages are those of this environment: what the lock gives is there already.
    """
    room = tmp_path_factory.mktemp("environment")
    venv.create(room, symlinks=True)
    (site,) = room.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True)
    third_party = Path(pytest.__file__).resolve().parents[1]
    (site / "third-party.pth").write_text(f"{third_party}\n")
    script = room / "bin" / "tocsin"
    script.write_text(f"#!{room}/bin/python\nfrom engine.cli import app\napp()\n")
    script.chmod(0o755)
    return room / "bin"


def _copy(path: Path, to: Path) -> None:
    """Files that git would take: what lies about beside them does not belong to the build."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", str(path)],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert listed, path
    for name in listed:
        target = to.parents[len(path.relative_to(ROOT).parts) - 1] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            target.write_bytes((ROOT / name).read_bytes())


def _run(installed: Path, *command: str) -> str:
    environment = {"PATH": f"{installed}:/usr/bin:/bin", "HOME": str(installed), "LANG": "C.UTF-8"}
    ran = subprocess.run(
        [str(installed / command[0]), *command[1:]],
        cwd=installed, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_wheel_runs_by_itself(installed: Path) -> None:
    """`tocsin --version` answers from the wheel, whose modules are not those of the tree."""
    assert re.match(r"tocsin \d+\.\d+\.\d+ \(core \d+, database schema \d+\)$", _run(installed, "tocsin", "--version"))
    place = _run(installed, "python", "-c", "import engine; print(engine.__file__)")
    assert str(installed.parent) in place


def test_the_wheel_has_every_file_that_is_not_python(wheel: Path) -> None:
    """Templates, texts, styles, packs and runbooks that the tree has are in the wheel."""
    with zipfile.ZipFile(wheel) as packed:
        inside = set(packed.namelist())
    kinds = {".j2", ".html", ".css", ".js", ".svg", ".yaml", ".yml", ".md", ".sql", ".json", ".txt"}
    rooms = {pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", *rooms], capture_output=True, text=True, check=True)
    wanted = {name for name in listed.stdout.split() if Path(name).suffix in kinds}
    assert len(wanted) > 40
    assert not wanted - inside


def test_the_packs_come_along(installed: Path) -> None:
    """The rules that the Compose file's Prometheus reads are written by the wheel alone."""
    assert "TocsinUp" in _run(installed, "tocsin", "packs", "rules", "tocsin")


async def test_the_wheel_serves_with_the_configuration_of_deploy(installed: Path, tmp_path: Path) -> None:
    """`tocsin serve` on deploy/embedded/tocsin.yaml is ready, shows its pages with their styles, and takes an alert."""
    config = with_secrets(DEPLOY / "embedded" / "tocsin.yaml", tmp_path)
    port = free_port()
    text = config.read_text("utf-8")
    moved = {"host: 0.0.0.0": "host: 127.0.0.1", "port: 8080": f"port: {port}",
             "/var/lib/tocsin/": f"{tmp_path}/", "/srv/archive": f"{tmp_path}/archive"}  # fmt: skip
    for old, new in moved.items():
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    token = (tmp_path / "secrets" / "script.token").read_text().strip()
    serve = [str(installed / "tocsin"), "serve", "--config", str(config)]
    process = Process("tocsin serve, from the wheel", ["/usr/bin/env", "--chdir", str(tmp_path), *serve],
                      tmp_path / "tocsin.log")  # fmt: skip
    process.start()
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/-/ready")).status_code == 200
                except httpx2.TransportError:
                    return False

            await process.answers(ready)
            page = await client.get("/login")
            assert page.status_code == 200
            for asset in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
                assert (await client.get(asset)).status_code == 200, asset
            body = json.dumps([{"labels": {"alertname": "A"}, "title": "a"}])
            headers = {"Authorization": f"Bearer {token}"}
            assert (await client.post("/hooks/script", content=body, headers=headers)).status_code == 200
    finally:
        process.stop()
    assert process.exit_code == 0, process.tail()
    assert os.path.exists(tmp_path / "tocsin.db")
