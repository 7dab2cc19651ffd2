"""docker-compose.yml: valid by its schema, and every name in it leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine import config, packs
from tests.deploy.places import DEPLOY, ROOT, make_secrets, read_yaml, with_secrets
from tests.servers import require

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = read_yaml(FILE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("tocsin:")}

PROGRAMS = {
    "apache/kafka": {"/opt/kafka/bin/kafka-broker-api-versions.sh"},
    "postgres": {"pg_isready"},
    "nginxinc/nginx-unprivileged": {"curl"},
    "axllent/mailpit": {"/mailpit"},
    "prom/prometheus": {"wget"},
    "prom/alertmanager": {"wget"},
    "redis": {"redis-cli"},
    "opensearchproject/opensearch": {"curl"},
}
"""What a health check may call: programs that the images have, as their own pages and build files say."""

LISTENS = {"kafka": 9092, "postgres": 5432, "mailpit": 1025, "prometheus": 9090, "alertmanager": 9093, "redis": 6379,
           "redis-exporter": 9121, "opensearch": 9200, "proxy": 8443, "tocsin": 8080, "localhost": 0}  # fmt: skip
"""The port on which each name of the inner network is spoken to."""


def _profile(name: str) -> dict[str, dict[str, Any]]:
    return {key: service for key, service in SERVICES.items() if name in service["profiles"]}


def test_the_file_follows_the_specification() -> None:
    """The JSON schema of the Compose specification finds nothing."""
    folder = Path(str(distribution("check-jsonschema").locate_file("check_jsonschema/builtin_schemas/vendor")))
    schema = json.loads((folder / "compose-spec.json").read_text("utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(COMPOSE)


@pytest.mark.parametrize("profile", ["embedded", "cluster"])
def test_docker_takes_the_file(profile: str) -> None:
    """`docker compose config` resolves the file, where the plugin is installed."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("the Compose plugin of Docker is not installed on this machine")
    command = [docker, "compose", "--file", str(FILE), "--profile", profile, "config", "--quiet"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("profile", ["embedded", "cluster"])
def test_what_a_service_waits_for_is_there(profile: str) -> None:
    """Every depends_on is a service of the same profile that can come to the condition."""
    services = _profile(profile)
    assert services
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, f"{name} waits for {needed}"
            checked = services[needed].get("healthcheck", {})
            if how["condition"] == "service_healthy":
                assert needed in OURS or checked.get("test"), f"{needed} has no health check"
                assert not checked.get("disable"), f"{needed} has no health check"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert services[needed]["restart"].startswith("on-failure"), f"{needed} never completes"


@pytest.mark.parametrize("profile", ["embedded", "cluster"])
def test_nothing_waits_in_a_ring(profile: str) -> None:
    """The services can be put into an order in which they start."""
    left = {name: set(service.get("depends_on", {})) for name, service in _profile(profile).items()}
    while left:
        free = {name for name, waits in left.items() if not waits & set(left)}
        assert free, f"in a ring: {sorted(left)}"
        left = {name: waits for name, waits in left.items() if name not in free}


def test_the_form_that_is_asked_for_has_its_parts() -> None:
    """Embedded is one process of ours and a proxy; the cluster has all that stands around it."""
    assert set(_profile("embedded")) == {"embedded", "proxy", "mailpit"}
    assert set(_profile("cluster")) == {
        "cluster-init", "web", "worker", "kafka", "postgres", "proxy", "mailpit", "rules", "prometheus",
        "alertmanager", "redis", "redis-exporter", "opensearch",
    }  # fmt: skip
    assert SERVICES["worker"]["deploy"]["replicas"] == SERVICES["web"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned(name: str) -> None:
    """Every image has a tag that names a version."""
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    assert image
    assert re.search(r"\d", tag), f"{name}: {tag}"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_bounded_watched_and_started_again(name: str) -> None:
    """Limits of memory and CPU, a restart policy, bounded logs, and a health check or the reason why there is none."""
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert service["restart"] in ("unless-stopped", "on-failure:5")
    assert service["logging"]["options"]["max-size"]
    check = service.get("healthcheck", {})
    if check.get("disable"):
        (line,) = [line for line in _lines_of(name) if "healthcheck: {disable: true}" in line]
        assert "#" in line, "say why"
    elif name not in OURS:  # ours is in the Dockerfile
        kind, program, *_ = check["test"]
        assert kind == "CMD", "without a shell"
        assert program in PROGRAMS[service["image"].rpartition(":")[0]]


def _lines_of(name: str) -> list[str]:
    text = FILE.read_text("utf-8")
    start = re.search(rf"^  {name}:", text, re.MULTILINE)
    assert start
    following = re.search(r"^  [a-z]", text[start.end() :], re.MULTILINE)
    return text[start.start() : start.end() + (following.start() if following else len(text))].splitlines()


def test_ours_have_no_more_rights_than_they_need() -> None:
    """No capabilities, no new privileges, a file system that cannot be written but for volumes and /tmp."""
    assert OURS
    for name in OURS | {"proxy"}:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert not service.get("privileged")


def test_ports_are_unique_and_only_the_proxy_is_published() -> None:
    """No two services want one port of the machine, and all but the proxy are reached from this machine only."""
    published: dict[str, str] = {}
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            port = re.sub(r"\$\{\w+:-(\d+)\}", r"\1", port)
            host = port.split(":")[-2]
            assert host not in published, f"{name} and {published[host]}"
            published[host] = name
            assert name == "proxy" or port.startswith("127.0.0.1:"), name
            assert "outside" in service["networks"], f"{name}: an internal network publishes nothing"
    assert "proxy" in published.values()


def test_volumes_networks_and_secrets_are_declared_and_used() -> None:
    """Each that a service names is declared, and none is declared in vain."""
    used: dict[str, set[str]] = {"volumes": set(), "networks": set(), "secrets": set()}
    for service in SERVICES.values():
        used["networks"] |= set(service["networks"])
        used["secrets"] |= {one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])}
        used["volumes"] |= {source for source, _, _ in _mounts(service) if not source.startswith("./")}
    for kind, names in used.items():
        assert names == set(COMPOSE[kind]), kind


def _mounts(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    parts = [(*mount.split(":"), "")[:3] for mount in service.get("volumes", [])]
    return [(source, target, mode) for source, target, mode in parts]


def test_every_mounted_file_is_there_and_cannot_be_written() -> None:
    """Files of the tree are mounted read-only, and exist."""
    files = {mount for service in SERVICES.values() for mount in _mounts(service) if mount[0].startswith("./")}
    assert len(files) >= 5
    for source, _, mode in files:
        assert (ROOT / source).is_file(), source
        assert mode == "ro", source


def test_every_secret_is_a_file_that_the_script_makes(tmp_path: Path) -> None:
    """`deploy/make-secrets` makes each file, for nobody else on the machine, and leaves it alone the second time."""
    folder = make_secrets(tmp_path / "secrets")
    names = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    made = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(made) == names
    assert folder.stat().st_mode & 0o077 == 0
    assert len(set(made.values())) == len(made)
    make_secrets(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == made


def test_no_secret_is_in_an_environment() -> None:
    """No variable of a service holds a password, token or key: files do."""
    for service in SERVICES.values():
        for variable in service.get("environment", {}):
            assert variable.endswith("_FILE") or not re.search("password|token|secret|key", variable.lower()), variable


def test_the_writable_folders_of_ours_belong_to_its_user() -> None:
    """Volumes of our services are mounted where the image has a folder of the user that it runs as."""
    made = re.findall(r"(/(?:var|srv)/[\w/]+)", (ROOT / "Dockerfile").read_text("utf-8").split("install --dir", 1)[1])
    for name in OURS:
        for source, target, _ in _mounts(SERVICES[name]):
            assert source.startswith("./") or target in made, f"{name}: {target}"


# --- what is mounted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["embedded", "cluster"])
def test_the_configuration_is_taken(form: str, tmp_path: Path) -> None:
    """Our own loader takes each tocsin.yaml, and it finds each of its secrets where the Compose file puts it."""
    file = DEPLOY / form / "tocsin.yaml"
    settings = config.load(with_secrets(file, tmp_path))
    assert settings.sources
    assert settings.rules.routes
    assert settings.server.port == LISTENS["tocsin"]
    wanted = set(re.findall(r"_file: (secrets/[\w.]+)", file.read_text("utf-8")))
    for name in ("embedded",) if form == "embedded" else ("web", "worker"):
        given = {secret["target"] for secret in SERVICES[name]["secrets"]}
        assert {f"/etc/tocsin/{path}" for path in wanted} == given
    assert settings.store.archive is not None
    assert str(settings.store.archive) in {target for _, target, _ in _mounts(SERVICES[name])}


@pytest.mark.parametrize("form", ["embedded", "cluster"])
def test_the_proxy_takes_as_much_as_tocsin(form: str, tmp_path: Path) -> None:
    """The proxies' limits of a body are Tocsin's own: what is above is 413 to the sender, who then gives up."""
    settings = config.load(with_secrets(DEPLOY / form / "tocsin.yaml", tmp_path))
    (limit,) = re.findall(r"client_max_body_size (\d+)m;", (DEPLOY / "nginx" / "nginx.conf").read_text("utf-8"))
    assert int(limit) * 2**20 == settings.server.max_body_bytes
    ingress = read_yaml(DEPLOY / "kubernetes" / "base" / "ingress.yaml")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{limit}m"


ADDRESS = re.compile(r"(?<![\w.@-])([a-z][a-z-]*):(\d{2,5})\b")
CONFIGS = sorted(path for path in DEPLOY.glob("*/*") if path.suffix in (".yaml", ".yml", ".conf"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda path: path.name)
def test_every_address_is_a_service(file: Path) -> None:
    """A name with a port in one of the files is a service of the network, or localhost, on the port it listens on."""
    text = re.sub(r"#.*", "", file.read_text("utf-8"))
    for host, port in ADDRESS.findall(text):
        assert host in LISTENS, f"{host}:{port}"
        assert int(port) == LISTENS[host] or host == "localhost", f"{host}:{port}"


def _moved(file: Path, folder: Path, places: dict[str, str]) -> Path:
    """A copy of a file in which paths of the container are those of a test."""
    text = file.read_text("utf-8")
    for old, new in places.items():
        assert old in text, old
        text = text.replace(old, new)
    moved = folder / file.name
    moved.write_text(text, "utf-8")
    return moved


def _check(*command: str) -> str:
    ran = subprocess.run([require(command[0]), *command[1:]], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_prometheus_takes_its_configuration_and_the_rules(tmp_path: Path) -> None:
    """Prometheus's own checker takes the file together with the rules of the packs that the Compose file names."""
    (named,) = re.findall(r"for pack in ([a-z ]+);", SERVICES["rules"]["command"][0])
    rules = tmp_path / "rules"
    rules.mkdir()
    for pack in named.split():
        (rules / f"{pack}.yml").write_text(packs.rule_file(packs.load_named(pack)), "utf-8")
    file = _moved(DEPLOY / "prometheus" / "prometheus.yml", tmp_path, {"/etc/prometheus/rules/": f"{rules}/"})
    assert _check("promtool", "check", "config", str(file)).count("rules found") == len(named.split())


def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    """Alertmanager's own checker takes the file, and the alert about Tocsin itself also goes past Tocsin."""
    secrets = make_secrets(tmp_path / "secrets")
    file = _moved(DEPLOY / "alertmanager" / "alertmanager.yml", tmp_path, {"/run/secrets/": f"{secrets}/"})
    _check("amtool", "check-config", str(file))
    route = ("amtool", "config", "routes", "test", f"--config.file={file}")
    assert _check(*route, "alertname=TocsinUp").strip() == "mail,tocsin"
    assert _check(*route, "alertname=Anything").strip() == "tocsin"
