"""What the API counts of HTTP."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from api import access_log
from api.app import create_app
from headrace.core.connection import Client
from headrace.core.settings import Settings


def metrics(client: FlaskClient) -> str:
    return client.get("/metrics").text


def test_requests_are_counted_by_route_and_code(client: FlaskClient) -> None:
    for _request in range(2):
        client.post("/v1/jobs", json={"prompt": "x"})
    client.get("/v1/jobs/nobody")

    text = metrics(client)
    assert 'headrace_requests_total{code="202",route="/v1/jobs"} 2.0' in text
    assert 'headrace_requests_total{code="404",route="/v1/jobs/<job_id>"} 1.0' in text


def test_a_path_that_is_no_route_becomes_no_label(client: FlaskClient) -> None:
    client.get("/v1/secret-path")

    text = metrics(client)
    assert 'headrace_requests_total{code="404",route="unmatched"} 1.0' in text
    assert "secret-path" not in text


def test_lost_log_lines_are_counted(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "lost_lines", lambda: 3)
    for _request in range(2):
        client.get("/healthz")
    assert 'headrace_log_lines_lost_total{service="api"} 3.0' in metrics(client)


def test_refusals_are_counted_by_reason(client: FlaskClient, settings: Settings) -> None:
    client.post("/v1/jobs", json={"prompt": 5})
    client.post("/v1/jobs", json={"prompt": "x", "model": "other"})
    client.post("/v1/jobs", data=b"x" * (settings.max_body_bytes + 1))

    text = metrics(client)
    for reason in ("invalid_request", "unknown_model", "body_too_large"):
        assert f'headrace_rejected_total{{reason="{reason}"}} 1.0' in text


def test_a_missing_job_is_no_refusal(client: FlaskClient) -> None:
    client.get("/v1/jobs/nobody")

    assert 'reason="' not in metrics(client)


def test_tokenising_is_timed(client: FlaskClient) -> None:
    client.post("/v1/jobs", json={"prompt": "x"})

    assert "headrace_tokenize_seconds_count 1.0" in metrics(client)


def test_nothing_is_counted_where_metrics_are_off(settings: Settings, redis_url: str) -> None:
    off = settings.model_copy(update={"redis_url": redis_url, "metrics": False})
    client = create_app(off).test_client()
    client.get("/healthz")

    assert "headrace_requests" not in metrics(client)


def test_a_probe_that_finds_no_card_is_no_refusal(client: FlaskClient, redis: Client) -> None:
    redis.flushall()
    assert client.get("/readyz").status_code == 503

    assert 'reason="' not in metrics(client)
