"""The manifests for Kubernetes are what its API takes, and fit the code and each other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from headrace.core.settings import Settings, load_settings
from headrace.core.unknown_variables import unknown_variables

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(path.name for path in FOLDER.iterdir())
KUSTOMIZATION = "kustomization.yaml"
Manifest = dict[str, Any]


def read(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


MANIFESTS = {
    f"{manifest['kind']} {manifest['metadata']['name']}": manifest
    for name in FILES
    if name != KUSTOMIZATION
    for manifest in read(name)
}


def of_kind(*kinds: str) -> Iterator[Manifest]:
    return (each for each in MANIFESTS.values() if each["kind"] in kinds)


def workloads() -> Iterator[Manifest]:
    return of_kind("Deployment", "StatefulSet")


def pods() -> Iterator[Manifest]:
    return (each["spec"]["template"]["spec"] for each in workloads())


def containers() -> Iterator[Manifest]:
    return (container for pod in pods() for container in pod["containers"])


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As every pod reads them."""
    for name, value in MANIFESTS["ConfigMap headrace-settings"]["data"].items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize("name", MANIFESTS)
@pytest.mark.parametrize("version", ["1.34", kubernetes_validate.latest_version()])
def test_the_api_takes_it(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_all_files_are_applied() -> None:
    (kustomization,) = read(KUSTOMIZATION)
    assert sorted([*kustomization["resources"], KUSTOMIZATION]) == FILES


def test_everything_is_in_the_namespace_that_is_made() -> None:
    (namespace,) = of_kind("Namespace")
    others = [each for each in MANIFESTS.values() if each is not namespace]
    assert {each["metadata"]["namespace"] for each in others} == {namespace["metadata"]["name"]}


def test_every_setting_is_one_of_ours(settings: Settings) -> None:
    assert list(unknown_variables(os.environ)) == []
    assert settings.scaler_fleet == "kubernetes"
    assert settings.scaler_max and settings.scaler_max > settings.scaler_min
    assert settings.scaler_window_s == 300


def test_settings_name_the_parts_that_there_are(settings: Settings) -> None:
    workers = MANIFESTS[f"StatefulSet {settings.scaler_statefulset}"]
    assert workers["metadata"]["namespace"] == settings.scaler_namespace
    redis = re.fullmatch(r"redis://([\w-]+):(\d+)/0", settings.redis_url or "")
    assert redis
    (port,) = MANIFESTS[f"Service {redis[1]}"]["spec"]["ports"]
    assert str(port["port"]) == redis[2]
    api = re.fullmatch(r"http://([\w-]+):(\d+)", settings.api_url or "")
    assert api
    (port,) = MANIFESTS[f"Service {api[1]}"]["spec"]["ports"]
    assert str(port["port"]) == api[2]
    for pod in pods():
        for container in pod["containers"]:
            if container["name"] != "redis":
                assert container["envFrom"] == [{"configMapRef": {"name": "headrace-settings"}}]


def test_the_number_of_workers_is_the_scalers_alone(settings: Settings) -> None:
    spec = MANIFESTS[f"StatefulSet {settings.scaler_statefulset}"]["spec"]
    assert "replicas" not in spec, "to apply the file again would change it"
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec.get("ordinals") is None, "numbers count from ordinal 0"
    assert "hostname" not in spec["template"]["spec"], "the pod's name says the number"


def test_selectors_find_their_pods() -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in workloads()]
    for workload, own in zip(workloads(), labels, strict=True):
        assert workload["spec"]["selector"]["matchLabels"].items() <= own.items()
        assert own["app.kubernetes.io/part-of"] == "headrace"
    for service in of_kind("Service"):
        assert sum(service["spec"]["selector"].items() <= own.items() for own in labels) == 1


def test_ports_are_those_that_are_listened_on(settings: Settings) -> None:
    ports = {
        container["name"]: port["containerPort"]
        for container in containers()
        for port in container.get("ports", ())
    }
    assert ports == {"redis": 6379, "api": settings.port, "monitor": settings.metrics_port}
    named = {port["name"] for container in containers() for port in container.get("ports", ())}
    for service in of_kind("Service"):
        for port in service["spec"].get("ports", ()):
            assert port["targetPort"] in named


def test_no_variable_of_a_service_is_taken_for_a_setting() -> None:
    assert all(pod["enableServiceLinks"] is False for pod in pods())
    # Other pods of the namespace may have links.
    assert "Service headrace" not in MANIFESTS


def test_what_runs_may_finish_before_a_pod_is_killed(settings: Settings) -> None:
    for pod in pods():
        assert pod["terminationGracePeriodSeconds"] > settings.drain_s + 5


def test_no_container_may_do_more_than_it_needs() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers():
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }


def test_only_the_scaler_can_speak_to_the_cluster() -> None:
    (account,) = of_kind("ServiceAccount")
    (role,) = of_kind("Role")
    (binding,) = of_kind("RoleBinding")
    name = account["metadata"]["name"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [name]
    for pod in pods():
        if pod.get("serviceAccountName") != name:
            assert pod["automountServiceAccountToken"] is False
    assert sum(pod.get("serviceAccountName") == name for pod in pods()) == 1


def test_our_images_are_those_of_the_dockerfile_and_run_as_its_user() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    targets = set(re.findall(r"^FROM runtime AS (\w+)$", dockerfile, re.MULTILINE))
    ours = [pod for pod in pods() if pod["containers"][0]["image"].startswith("headrace:")]
    assert {pod["containers"][0]["image"].partition(":")[2] for pod in ours} == targets
    for pod in ours:
        context = pod["securityContext"]
        assert f"USER {context['runAsUser']}:{context['runAsGroup']}" in dockerfile


def test_the_guide_names_what_there_is() -> None:
    guide = (ROOT / "docs" / "kubernetes.md").read_text()
    for command in re.findall(r"^    (kubectl .*)$", guide, re.MULTILINE):
        for kind, name in re.findall(r" (deploy|statefulset|svc)/(headrace-\w+)", command):
            kind = {"deploy": "Deployment", "statefulset": "StatefulSet", "svc": "Service"}[kind]
            assert f"{kind} {name}" in MANIFESTS
