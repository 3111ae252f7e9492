"""The monitor's HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from werkzeug.test import Client as WsgiClient

from headrace.core.connection import API_TIMEOUT_S, connect
from headrace.core.settings import Settings
from headrace.monitor.exporter import FleetCollector
from headrace.monitor.fleet import Fleet
from headrace.monitor.server import monitor_app


def client_of(url: str, settings: Settings) -> WsgiClient:
    registry = CollectorRegistry()
    registry.register(FleetCollector(Fleet(connect(url, API_TIMEOUT_S), settings)))
    return WsgiClient(monitor_app(registry))


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


def test_without_redis_there_are_no_figures_and_the_monitor_lives(
    settings: Settings, tmp_path: Path
) -> None:
    client = client_of(f"unix://{tmp_path}/nobody.sock", settings)

    response = client.get("/metrics")
    assert response.status_code == 503
    assert "headrace_" not in response.text
    assert client.get("/healthz").status_code == 200
