"""The jobs API."""

from __future__ import annotations

import threading

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from tests.bench import Bench

PROMPT = {"prompt": "hello", "max_tokens": 3, "temperature": 0}


def submit(client: FlaskClient, **fields: object) -> str:
    response = client.post("/v1/jobs", json=PROMPT | fields)
    assert response.status_code == 202, response.json
    assert response.json is not None
    assert response.headers["Location"] == f"/v1/jobs/{response.json['id']}"
    return str(response.json["id"])


def test_a_job_is_accepted_and_can_be_polled_until_it_is_done(
    client: FlaskClient, bench: Bench
) -> None:
    job_id = submit(client)
    waiting = client.get(f"/v1/jobs/{job_id}").json
    assert waiting is not None
    assert (waiting["status"], waiting["position"], waiting["prompt_tokens"]) == ("queued", 0, 5)
    assert waiting["result"] is None

    bench.turn(3)

    done = client.get(f"/v1/jobs/{job_id}").json
    assert done is not None
    assert done["status"] == "succeeded"
    assert done["result"] == {"text": "hel", "finish_reason": "length"}
    assert done["usage"]["completion_tokens"] == 3
    assert (done["attempts"], done["worker"], done["error"]) == (1, "worker-1", None)


def test_the_stages_in_the_answer_partition_accepted_to_committed(
    client: FlaskClient, bench: Bench
) -> None:
    job_id = submit(client)
    bench.turn(3)

    job = client.get(f"/v1/jobs/{job_id}").json
    assert job is not None
    timings = job["timings"]
    assert set(timings["stages_ms"]) == {"queue_wait", "prefill", "decode", "commit"}
    life_ms = (timings["committed_at"] - timings["accepted_at"]) * 1000
    assert sum(timings["stages_ms"].values()) == pytest.approx(life_ms, abs=0.01)
    assert timings["total_ms"] == pytest.approx(life_ms, abs=0.01)
    assert timings["tokenize_ms"] > 0
    assert set(timings["engine_ms"]) == {"prefill", "decode"}


def test_a_waiting_poll_answers_as_soon_as_the_job_is_done(
    client: FlaskClient, bench: Bench
) -> None:
    job_id = submit(client)
    worker = threading.Timer(0.05, bench.turn, [3])
    worker.start()

    job = client.get(f"/v1/jobs/{job_id}?wait=60").json

    worker.join()
    assert job is not None
    assert job["status"] == "succeeded"


def test_a_waiting_poll_whose_time_is_over_shows_the_job_as_it_stands(client: FlaskClient) -> None:
    job_id = submit(client)

    job = client.get(f"/v1/jobs/{job_id}?wait=0.05").json
    assert job is not None
    assert job["status"] == "queued"


def test_a_conversation_can_be_a_job(client: FlaskClient, bench: Bench) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    response = client.post("/v1/jobs", json=body)
    assert response.json is not None

    bench.turn(4)
    job = client.get(response.headers["Location"]).json
    assert job is not None
    assert job["result"]["text"] == "user"


def test_jobs_are_listed_newest_first(client: FlaskClient, bench: Bench) -> None:
    first, second = submit(client), submit(client, priority="interactive")

    listed = client.get("/v1/jobs").json
    assert listed is not None
    assert [(job["id"], job["priority"]) for job in listed["data"]] == [
        (second, "interactive"),
        (first, "default"),
    ]
    bench.turn(3)
    running = client.get("/v1/jobs?state=queued").json
    assert running is not None
    assert running["data"] == []


def test_a_waiting_job_can_be_cancelled(client: FlaskClient, bench: Bench) -> None:
    job_id = submit(client)

    with capture_logs() as logs:
        cancelled = client.delete(f"/v1/jobs/{job_id}").json
        client.delete(f"/v1/jobs/{job_id}")

    finished = [line["job_id"] for line in logs if line["event"] == "request finished"]
    assert finished == [job_id]
    assert cancelled is not None
    assert cancelled["status"] == "cancelled"
    bench.turn(1)
    assert bench.worker.running == {}


def test_a_full_queue_answers_429_and_when_to_retry(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = client.application.extensions["headrace"]
    settings = services.settings.model_copy(update={"queue_max_jobs": 1})
    monkeypatch.setattr(services.queue, "settings", settings)
    submit(client)

    response = client.post("/v1/jobs", json=PROMPT)

    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
