"""The Kustomize base and its overlays: valid by the schemas of Kubernetes, and every name in them leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from engine import config
from tests.deploy.places import DEPLOY, make_secrets, read_yaml, with_secrets

OVERLAYS = DEPLOY / "kubernetes" / "overlays"
FORMS = ("embedded", "cluster")
VERSIONS = ("1.29", "1.32")
"""Of Kubernetes: an old one that has all that is used (ReadWriteOncePod), and a present one."""
Manifest = dict[str, Any]


def _manifests(folder: Path) -> Iterator[Manifest]:
    """What a kustomization.yaml gathers, before Kustomize changes it."""
    for name in read_yaml(folder / "kustomization.yaml")["resources"]:
        path = folder / name
        if path.is_dir():
            yield from _manifests(path)
        else:
            yield from yaml.safe_load_all(path.read_text("utf-8"))


ALL = {form: list(_manifests(OVERLAYS / form)) for form in FORMS}
EACH = [(form, one) for form, found in ALL.items() for one in found]
NAMES = [f"{form}-{one['kind']}-{one['metadata']['name']}" for form, one in EACH]


def _kind(form: str, *kinds: str) -> list[Manifest]:
    return [one for one in ALL[form] if one["kind"] in kinds]


def _workloads(form: str) -> list[Manifest]:
    return _kind(form, "Deployment", "StatefulSet")


def _containers(workload: Manifest) -> list[Manifest]:
    pod = workload["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def _selects(selector: Manifest, labels: Manifest) -> bool:
    return bool(selector) and selector.items() <= labels.items()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("form", "manifest"), EACH, ids=NAMES)
def test_every_manifest_follows_the_schema(form: str, manifest: Manifest, version: str) -> None:
    """Kubernetes' own schema, strictly: no key that it does not know."""
    kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("form", FORMS)
def test_kustomize_renders_the_overlay(form: str) -> None:
    """`kubectl kustomize` gathers the same, names the ConfigMap by its content, and its result follows the schema."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which brings Kustomize, is not installed on this machine")
    command = [kubectl, "kustomize", str(OVERLAYS / form)]
    rendered = list(yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    for manifest in rendered:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
        assert manifest["metadata"].get("namespace") == "tocsin"
    (settings,) = [one for one in rendered if one["kind"] == "ConfigMap"]
    name = settings["metadata"]["name"]
    assert re.fullmatch(r"tocsin-config-[a-z0-9]+", name)
    assert len(rendered) == len(ALL[form]) + 1
    for workload in rendered:
        if workload["kind"] in ("Deployment", "StatefulSet"):
            volumes = workload["spec"]["template"]["spec"]["volumes"]
            assert name in [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
            assert all(re.fullmatch(r"tocsin:\d[\w.]*", one["image"]) for one in _containers(workload))


@pytest.mark.parametrize("form", FORMS)
def test_selectors_meet_pods(form: str) -> None:
    """What selects pods (sets, services, budgets, policies) selects those of exactly one of our sets."""
    pods = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in _workloads(form)}
    assert len(pods) == (1 if form == "embedded" else 2)
    for one in _kind(form, "Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment", "StatefulSet"):
        selector = one["spec"].get("selector") or one["spec"]["podSelector"]
        labels = selector.get("matchLabels", selector)
        found = [name for name, pod in pods.items() if _selects(labels, pod)]
        assert len(found) == 1, f"{one['kind']} {one['metadata']['name']}: {found}"
        if one["kind"] in ("Deployment", "StatefulSet"):
            assert found == [one["metadata"]["name"]]


@pytest.mark.parametrize("form", FORMS)
def test_ports_and_services_meet(form: str) -> None:
    """The port of Service, Ingress, NetworkPolicy and probes is the one that the web container names and listens on."""
    (web,) = [one for one in _workloads(form) if "web" in one["metadata"]["labels"].values()]
    (container,) = web["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    settings = yaml.safe_load((OVERLAYS / form / "tocsin.yaml").read_text("utf-8"))
    assert port["containerPort"] == settings["server"]["port"]
    service = {one["metadata"]["name"]: one for one in _kind(form, "Service")}["tocsin"]
    assert [one["targetPort"] for one in service["spec"]["ports"]] == [port["name"]]
    (ingress,) = _kind(form, "Ingress")
    rule = ingress["spec"]["rules"][0]
    root = rule["http"]["paths"][0]["backend"]["service"]
    assert root["name"] == "tocsin"
    assert root["port"]["name"] in [one["name"] for one in service["spec"]["ports"]]
    assert settings["rules"]["external_url"] == f"https://{rule['host']}"
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    policy = {one["metadata"]["name"]: one for one in _kind(form, "NetworkPolicy")}["tocsin-web"]
    assert [one["port"] for entry in policy["spec"]["ingress"] for one in entry["ports"]] == [port["name"]]
    paths = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {probe["port"] for probe in paths.values()} == {port["name"]}
    assert paths["readinessProbe"]["path"] == "/-/ready"
    assert paths["livenessProbe"]["path"] == "/-/healthy"


@pytest.mark.parametrize("form", FORMS)
def test_pods_have_no_more_rights_than_they_need(form: str) -> None:
    """The "restricted" profile of Kubernetes' pod security standards, a read-only root, and limits of memory."""
    for workload in _workloads(form):
        pod = workload["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        for container in _containers(workload):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("form", FORMS)
def test_every_mount_has_its_volume(form: str) -> None:
    """Each mount names a volume of the pod or a claim, each of these is mounted, and what must be written can be."""
    for workload in _workloads(form):
        spec = workload["spec"]
        volumes = {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
        claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        mounts = [mount for container in _containers(workload) for mount in container["volumeMounts"]]
        assert {mount["name"] for mount in mounts} == volumes | claims
        main = {mount["mountPath"] for mount in spec["template"]["spec"]["containers"][0]["volumeMounts"]}
        assert {"/tmp", "/var/lib/tocsin", "/etc/tocsin/tocsin.yaml", "/etc/tocsin/secrets"} <= main


@pytest.mark.parametrize("form", FORMS)
def test_the_configuration_is_mounted_and_taken(form: str, tmp_path: Path) -> None:
    """The mounted key is in the generated ConfigMap; our loader takes it with the secrets that the script makes."""
    (generated,) = read_yaml(OVERLAYS / form / "kustomization.yaml")["configMapGenerator"]
    for workload in _workloads(form):
        volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
        assert volumes["config"]["configMap"]["name"] == generated["name"]
        for container in _containers(workload):
            (mount,) = [one for one in container["volumeMounts"] if one["name"] == "config"]
            assert mount["subPath"] in generated["files"]
            assert mount["mountPath"] == f"/etc/tocsin/{mount['subPath']}"
    settings = config.load(with_secrets(OVERLAYS / form / "tocsin.yaml", tmp_path))
    assert settings.server.behind_tls_proxy
    assert settings.rules.routes
    assert (settings.cluster is None) == (form == "embedded")


def test_secrets_are_referenced_and_not_contained(tmp_path: Path) -> None:
    """No Secret is in the tree: the pods name one that is made from the folder of `deploy/make-secrets`."""
    assert not [one for form in FORMS for one in _kind(form, "Secret")]
    keys = {file.name for file in make_secrets(tmp_path / "secrets").iterdir()}
    for form in FORMS:
        text = (OVERLAYS / form / "tocsin.yaml").read_text("utf-8")
        assert set(re.findall(r"_file: secrets/([\w.]+)", text)) <= keys
        assert "--from-file=deploy/secrets" in (OVERLAYS / form / "kustomization.yaml").read_text("utf-8")
        for workload in _workloads(form):
            volumes = workload["spec"]["template"]["spec"]["volumes"]
            assert [one["secret"]["secretName"] for one in volumes if "secret" in one] == ["tocsin-secrets"]


def test_only_the_cluster_has_more_than_one_of_a_kind() -> None:
    """SQLite has one process; web and workers have several, spread over machines, and one of them may be away."""
    assert [one["spec"]["replicas"] for one in _workloads("embedded")] == [1]
    for workload in _workloads("cluster"):
        assert workload["spec"]["replicas"] >= 2
        assert workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
    budgets = {one["metadata"]["name"] for one in _kind("cluster", "PodDisruptionBudget")}
    assert budgets == {one["metadata"]["name"] for one in _workloads("cluster")}


def test_workers_are_no_more_than_partitions() -> None:
    """A worker without a partition has nothing to do."""
    settings = yaml.safe_load((OVERLAYS / "cluster" / "tocsin.yaml").read_text("utf-8"))
    (workers,) = [one for one in _workloads("cluster") if one["metadata"]["name"] == "tocsin-worker"]
    assert workers["spec"]["replicas"] <= settings["cluster"]["partitions"]
