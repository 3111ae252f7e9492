"""The request id: in the answer, in the job, in every log line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from flask.testing import FlaskClient
from structlog.contextvars import get_contextvars
from structlog.testing import LogCapture

from headrace.core.jobs.queue import JobQueue
from tests.bench import Bench


@pytest.fixture
def logs() -> Iterator[LogCapture]:
    """With the processor that `configure_logging` uses."""
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture
    structlog.reset_defaults()


def test_an_answer_names_its_request(client: FlaskClient) -> None:
    first, second = (client.get("/healthz").headers["X-Request-Id"] for _request in range(2))

    assert len(first) == 32
    assert first != second


def test_the_callers_own_id_is_kept_in_answer_and_job(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/jobs", json={"prompt": "x"}, headers={"X-Request-Id": "mine-1"})

    assert response.headers["X-Request-Id"] == "mine-1"
    assert response.json is not None
    assert response.json["request_id"] == "mine-1"
    queue = JobQueue(bench.redis, bench.worker.settings)
    assert queue.get(response.json["id"]).request.request_id == "mine-1"


@pytest.mark.parametrize("bad", ["two words", "x" * 129, "<script>", "ü"])
def test_an_unusable_id_is_replaced(client: FlaskClient, bad: str) -> None:
    response = client.get("/healthz", headers={"X-Request-Id": bad})

    assert len(response.headers["X-Request-Id"]) == 32


def test_an_error_names_its_request_too(client: FlaskClient) -> None:
    response = client.post("/v1/jobs", json={}, headers={"X-Request-Id": "mine-2"})

    assert response.status_code == 400
    assert response.headers["X-Request-Id"] == "mine-2"


def test_one_line_is_logged_a_request_with_its_id_route_and_job(
    client: FlaskClient, logs: LogCapture
) -> None:
    response = client.post("/v1/jobs", json={"prompt": "x"}, headers={"X-Request-Id": "mine-3"})

    assert response.json is not None
    (line,) = [entry for entry in logs.entries if entry["event"] == "request answered"]
    assert line["request_id"] == "mine-3"
    assert line["job_id"] == response.json["id"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/jobs", 202)
    assert line["duration_ms"] >= 0


def test_probes_are_logged_for_those_who_debug_only(client: FlaskClient, logs: LogCapture) -> None:
    client.get("/healthz")

    assert [entry["log_level"] for entry in logs.entries] == ["debug"]


def test_nothing_of_a_request_stays_behind_it(client: FlaskClient) -> None:
    client.get("/healthz")

    assert get_contextvars() == {}


def test_a_refusal_is_logged_with_its_code_alone(client: FlaskClient, logs: LogCapture) -> None:
    client.post("/v1/jobs", json={"prompt": "x", "secret": 1})

    (line,) = [entry for entry in logs.entries if entry["event"] == "request answered"]
    assert line["error"] == "unknown_parameter"
    assert "secret" not in str(line)


def test_the_end_of_a_stream_is_logged(served: FlaskClient, logs: LogCapture) -> None:
    body = {"prompt": "x", "max_tokens": 3, "stream": True}
    served.post("/v1/completions", json=body, headers={"X-Request-Id": "mine-4"}).get_data()

    (line,) = [entry for entry in logs.entries if entry["event"] == "stream ended"]
    assert (line["request_id"], line["complete"]) == ("mine-4", True)
    assert line["duration_ms"] > 0


@pytest.mark.parametrize("query", ["", "?purge=true"])
def test_the_end_of_a_cancelled_job_is_logged_under_the_request_that_brought_it(
    client: FlaskClient, logs: LogCapture, query: str
) -> None:
    job = client.post("/v1/jobs", json={"prompt": "x"}, headers={"X-Request-Id": "brought"}).json
    assert job is not None

    client.delete(f"/v1/jobs/{job['id']}{query}", headers={"X-Request-Id": "cancels"})

    (line,) = [entry for entry in logs.entries if entry["event"] == "request finished"]
    assert (line["job_id"], line["request_id"]) == (job["id"], "brought")
    assert (line["state"], line["reason"]) == ("cancelled", "cancelled")


def test_a_job_that_cannot_be_read_is_cancelled_and_logged_without_its_request(
    client: FlaskClient, bench: Bench, logs: LogCapture
) -> None:
    job = client.post("/v1/jobs", json={"prompt": "x"}).json
    assert job is not None
    bench.redis.hset(f"rq:job:{job['id']}", "data", b"nothing that RQ wrote")

    assert client.delete(f"/v1/jobs/{job['id']}?purge=true").status_code == 204

    (line,) = [entry for entry in logs.entries if entry["event"] == "request finished"]
    assert (line["job_id"], line["request_id"]) == (job["id"], None)


def test_a_reader_that_goes_away_is_logged_as_such(served: FlaskClient, logs: LogCapture) -> None:
    body = {"prompt": "x", "max_tokens": 3, "stream": True}
    response = served.post("/v1/completions", json=body)
    next(iter(response.response))
    response.close()

    (line,) = [entry for entry in logs.entries if entry["event"] == "stream ended"]
    assert line["complete"] is False
