"""The monitor's HTTP."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from werkzeug.test import Client as WsgiClient

from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.connection import API_TIMEOUT_S, Client, connect
from headrace.core.readings.fleet import Fleet
from headrace.core.settings import Settings
from headrace.monitor.exporter import FleetCollector
from headrace.monitor.gate import Gate
from headrace.monitor.server import monitor_app


def client_of(url: str, settings: Settings) -> WsgiClient:
    registry = CollectorRegistry()
    redis = connect(url, API_TIMEOUT_S)
    registry.register(FleetCollector(Fleet(redis, settings)))
    return WsgiClient(monitor_app(registry, Gate(settings, ApiKeyStore(redis))))


@pytest.fixture
def client(redis_url: str, settings: Settings) -> WsgiClient:
    return client_of(redis_url, settings)


def test_metrics_are_prometheus_text(client: WsgiClient) -> None:
    response = client.get("/metrics")

    assert response.status_code == 200
    assert response.content_type.startswith("text/plain; version=")
    assert "headrace_queue_depth" in response.text


def test_the_monitor_says_that_it_lives(client: WsgiClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/elsewhere").status_code == 404


def test_without_redis_there_are_no_figures_of_the_fleet_and_the_monitor_lives(
    settings: Settings, tmp_path: Path
) -> None:
    client = client_of(f"unix://{tmp_path}/nobody.sock", settings)

    response = client.get("/metrics")
    assert response.status_code == 200
    assert set(re.findall("^# TYPE (headrace_\\w+)", response.text, re.M)) == {
        "headrace_build_info"
    }
    assert client.get("/healthz").status_code == 200


def test_beyond_loopback_metrics_want_an_administrators_key(
    redis_url: str, redis: Client, settings: Settings
) -> None:
    exposed = settings.model_copy(update={"host": "0.0.0.0"})
    assert client_of(redis_url, exposed).get("/metrics").status_code == 401
    allowing = exposed.model_copy(update={"allow_anonymous": True})
    assert client_of(redis_url, allowing).get("/metrics").status_code == 200

    statuses = {}
    for scope in Scope:
        text, _key = ApiKeyStore(redis).create(scope.value, frozenset({scope}))
        headers = {"Authorization": f"Bearer {text}"}
        statuses[scope] = client_of(redis_url, allowing).get("/metrics", headers=headers)
    assert {scope: answer.status_code for scope, answer in statuses.items()} == {
        Scope.SUBMIT: 401,
        Scope.READ: 401,
        Scope.FLEET: 401,
        Scope.ADMIN: 200,
    }
    assert "WWW-Authenticate" in statuses[Scope.READ].headers
    assert client_of(redis_url, allowing).get("/metrics").status_code == 401
    assert client_of(redis_url, exposed).get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8001"])
def test_a_name_of_another_site_reads_no_metrics(
    redis_url: str, settings: Settings, host: str
) -> None:
    answer = client_of(redis_url, settings).get("/metrics", headers={"Host": host})
    assert (answer.status_code, "HEADRACE_ALLOWED_HOSTS" in answer.text) == (401, True)

    allowing = settings.model_copy(update={"allowed_hosts": "monitor"})
    headers = {"Host": "monitor:8001"}
    assert client_of(redis_url, allowing).get("/metrics", headers=headers).status_code == 200


def test_on_this_machine_nobody_is_asked(redis_url: str, redis: Client, settings: Settings) -> None:
    ApiKeyStore(redis).create("alice", frozenset(Scope))
    assert client_of(redis_url, settings).get("/metrics").status_code == 200
