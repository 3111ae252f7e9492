"""The OpenAI-compatible routes, on the wire."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from headrace.core.jobs.handover import Outcome
from headrace.core.jobs.job import Report
from headrace.core.jobs.rq_adapter import DISCONNECTED
from headrace.core.types import Room
from tests.bench import Bench
from tests.unit.api.openai_calls import CHAT, TEXT, chunks


def be_impatient(client: FlaskClient) -> None:
    """Lets the app wait for a moment only."""
    services = client.application.extensions["headrace"]
    patience = services.settings.model_copy(update={"max_wait_s": 0.05})
    client.application.extensions["headrace"] = replace(services, settings=patience)


def test_a_chat_completion_answers_as_openai_does(served: FlaskClient) -> None:
    response = served.post("/v1/chat/completions", json=CHAT)

    assert response.status_code == 200
    answer = response.json
    assert answer is not None
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "tiny"
    assert answer["id"] == f"chatcmpl-{response.headers['X-Headrace-Job-Id']}"
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "user", "refusal": None}
    assert choice["finish_reason"] == "length"
    prompt_tokens = len("user: hello\nassistant: ")
    assert answer["usage"] == {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": 4,
        "total_tokens": prompt_tokens + 4,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def test_a_completion_answers_as_openai_does(served: FlaskClient) -> None:
    answer = served.post("/v1/completions", json=TEXT).json

    assert answer is not None
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == "hel"


def test_a_stop_string_ends_an_answer_before_it(served: FlaskClient) -> None:
    answer = served.post("/v1/completions", json=TEXT | {"stop": "el", "max_tokens": 5}).json

    assert answer is not None
    assert answer["choices"][0]["text"] == "h"
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_a_stream_whose_job_fails_ends_with_an_error(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/completions", json=TEXT | {"stream": True})
    bench.queue.cancel(response.headers["X-Headrace-Job-Id"])

    *_events, last = chunks(response.text)
    assert last["error"]["type"] == "job_failed"
    assert "cancelled" in last["error"]["message"]


def test_a_failed_choice_ends_a_stream_and_no_other_job(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/completions", json=TEXT | {"n": 2, "stream": True})
    failed, other = response.headers["X-Headrace-Job-Id"].split(", ")
    bench.queue.cancel(failed)

    *_events, last = chunks(response.text)
    assert last["error"]["job_id"] == failed
    assert bench.state(other) == "queued"


def test_a_caller_whose_job_fails_gets_an_error_that_says_not_to_retry(
    client: FlaskClient, bench: Bench
) -> None:
    services = client.application.extensions["headrace"]
    services.admission.submit = _submit_and(services.queue.cancel, services.admission.submit)

    response = client.post("/v1/completions", json=TEXT)

    assert response.status_code == 500
    assert response.headers["x-should-retry"] == "false"
    assert response.json is not None
    assert response.json["error"]["type"] == "job_failed"


def test_an_answer_whose_caller_hung_up_counts_as_no_failure_of_the_server(
    client: FlaskClient, bench: Bench
) -> None:
    admission = client.application.extensions["headrace"].admission
    leave = partial(bench.queue.cancel, reason=DISCONNECTED)
    admission.submit = _submit_and(leave, admission.submit)

    response = client.post("/v1/completions", json=TEXT)

    assert response.status_code == 499
    assert response.json is not None
    assert response.json["error"]["code"] == "caller_disconnected"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_a_caller_whose_deadline_passes_gets_a_time_out_that_says_not_to_retry(
    client: FlaskClient, bench: Bench, path: str
) -> None:
    admission = client.application.extensions["headrace"].admission
    admission.submit = _submit_and(lambda _job_id: bench.leases.sweep(), admission.submit)

    response = client.post(path, json=(CHAT if "chat" in path else TEXT) | {"deadline_s": 1e-6})

    assert response.status_code == 504
    assert response.headers["x-should-retry"] == "false"
    assert response.json is not None
    error = response.json["error"]
    assert (error["type"], error["code"]) == ("job_failed", "deadline_exceeded")
    assert error["job_id"] == response.headers["X-Headrace-Job-Id"]
    assert "its time was over before a worker was free" in error["message"]


def test_a_stream_whose_deadline_passes_says_so(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/completions", json=TEXT | {"stream": True, "deadline_s": 1e-6})
    bench.leases.sweep()

    *_events, last = chunks(response.text)
    job_id = response.headers["X-Headrace-Job-Id"]
    assert last["error"]["code"] == "deadline_exceeded"
    assert last["error"]["message"] == (
        f"job {job_id} expired: its time was over before a worker was free"
    )


def _break_schema(bench: Bench) -> None:
    [claim] = bench.queue.claim("worker-1", Room(1, 10_000)).claims
    breaks = "the answer breaks its json_schema: it is no JSON"
    outcome = Outcome(claim, Report(), 0, reason="schema_violation", error=breaks)
    bench.queue.finish("worker-1", [outcome])


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_an_answer_that_breaks_its_schema_is_an_error_of_its_own_that_says_not_to_retry(
    client: FlaskClient, bench: Bench, path: str
) -> None:
    admission = client.application.extensions["headrace"].admission
    admission.submit = _submit_and(lambda _job_id: _break_schema(bench), admission.submit)

    response = client.post(path, json=CHAT if "chat" in path else TEXT)

    assert response.status_code == 422
    assert response.headers["x-should-retry"] == "false"
    assert response.json is not None
    error = response.json["error"]
    assert (error["type"], error["code"]) == ("job_failed", "schema_violation")
    assert error["message"].endswith("the answer breaks its json_schema: it is no JSON")


def test_a_stream_whose_answer_breaks_its_schema_says_so(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/completions", json=TEXT | {"stream": True})
    _break_schema(bench)

    *_events, last = chunks(response.text)
    assert last["error"]["code"] == "schema_violation"
    assert "the answer breaks its json_schema: it is no JSON" in last["error"]["message"]


def test_a_job_whose_answer_breaks_its_schema_says_so_at_each_door(
    client: FlaskClient, bench: Bench
) -> None:
    submitted = client.post("/v1/jobs", json={"prompt": "hello"}).json
    assert submitted is not None
    path = f"/v1/jobs/{submitted['id']}"
    _break_schema(bench)

    job = client.get(path).json
    assert job is not None
    assert (job["status"], job["reason"]) == ("failed", "schema_violation")
    assert "breaks its json_schema" in job["error"]
    assert '"reason": "schema_violation"' in client.get(f"{path}/stream").text


@pytest.mark.parametrize("options", [{}, {"include_usage": True}])
def test_a_deadline_that_passes_in_mid_stream_is_told_as_that(
    client: FlaskClient, bench: Bench, options: dict[str, bool]
) -> None:
    body = TEXT | {"stream": True, "stream_options": options, "deadline_s": 60, "n": 2}
    response = client.post("/v1/completions", json=body)
    bench.turn(1)
    bench.clock.sleep(100)
    bench.turn(1)

    first, *_events, last = chunks(response.text)
    job_id = response.headers["X-Headrace-Job-Id"].split(", ")[0]
    assert first["choices"][0]["text"] == "h"
    assert last["error"] == {
        "message": f"job {job_id} expired: the deadline passed while it ran",
        "type": "job_failed",
        "param": None,
        "code": "deadline_exceeded",
        "job_id": job_id,
    }
    view = client.get(f"/v1/jobs/{job_id}").json
    assert view is not None
    assert (view["status"], view["reason"]) == ("expired", "expired")
    assert view["error"] == "the deadline passed while it ran"


def test_who_waits_for_a_whole_answer_hears_of_the_deadline_as_a_stream_does(
    client: FlaskClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_past_the_deadline(_job_id: str) -> None:
        bench.turn(1)
        bench.clock.sleep(100)
        bench.turn(1)

    admission = client.application.extensions["headrace"].admission
    monkeypatch.setattr(admission, "submit", _submit_and(run_past_the_deadline, admission.submit))
    response = client.post("/v1/completions", json=TEXT | {"deadline_s": 60})

    assert response.status_code == 504
    assert response.json is not None
    error = response.json["error"]
    assert error["code"] == "deadline_exceeded"
    assert error["message"].endswith("expired: the deadline passed while it ran")


def _submit_and(then: Callable[[str], object], submit: Callable[..., Any]) -> Any:
    def both(*arguments: Any, **options: Any) -> Any:
        submitted = submit(*arguments, **options)
        then(submitted[0].job_id)
        return submitted

    return both


def test_a_wait_that_ends_first_names_the_job_that_goes_on(
    client: FlaskClient, bench: Bench
) -> None:
    be_impatient(client)
    response = client.post("/v1/completions", json=TEXT)

    assert response.status_code == 504
    assert response.headers["x-should-retry"] == "false"
    assert response.json is not None
    assert bench.state(response.json["error"]["job_id"]) == "queued"


def test_an_answer_that_is_not_done_in_time_names_all_of_its_jobs(
    client: FlaskClient, bench: Bench
) -> None:
    be_impatient(client)
    response = client.post("/v1/completions", json=TEXT | {"n": 2})

    assert response.status_code == 504
    job_ids = response.headers["X-Headrace-Job-Id"].split(", ")
    assert [bench.state(job_id) for job_id in job_ids] == ["queued", "queued"]
    assert response.json is not None
    assert response.json["error"]["job_id"] == job_ids[0]


def test_the_model_is_listed(client: FlaskClient) -> None:
    listed = client.get("/v1/models").json

    assert listed is not None
    assert [model["id"] for model in listed["data"]] == ["tiny"]


def test_a_model_was_created_when_it_was_first_seen(client: FlaskClient) -> None:
    listed, one = client.get("/v1/models").json, client.get("/v1/models/tiny").json

    assert listed is not None
    assert one is not None
    assert one["created"] == listed["data"][0]["created"]
    assert abs(one["created"] - time.time()) < 60


def test_a_model_can_be_asked_for_by_its_name(client: FlaskClient) -> None:
    model = client.get("/v1/models/tiny").json

    assert model is not None
    assert (model["id"], model["object"]) == ("tiny", "model")


@pytest.mark.parametrize("name", ["gpt-9", "somebody/gpt-9"])
def test_another_model_is_not_found(client: FlaskClient, name: str) -> None:
    response = client.get(f"/v1/models/{name}")

    assert response.status_code == 404
    assert response.json is not None
    assert response.json["error"]["code"] == "model_not_found"
