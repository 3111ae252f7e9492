"""The OpenAI-compatible routes, on the wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.bench import Bench

CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "temperature": 0}
TEXT = {"prompt": "hello", "max_tokens": 3, "temperature": 0}


def chunks(body: str) -> list[dict[str, Any]]:
    """The events of a stream before its [DONE]."""
    events = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def test_a_chat_completion_answers_as_openai_does(served: FlaskClient) -> None:
    response = served.post("/v1/chat/completions", json=CHAT)

    assert response.status_code == 200
    answer = response.json
    assert answer is not None
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "tiny"
    assert answer["id"] == f"chatcmpl-{response.headers['X-Headrace-Job-Id']}"
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "user"}
    assert choice["finish_reason"] == "length"
    prompt_tokens = len("user: hello\nassistant: ")
    assert answer["usage"] == {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": 4,
        "total_tokens": prompt_tokens + 4,
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


def test_a_chat_streams_its_role_its_text_and_its_end(served: FlaskClient) -> None:
    response = served.post("/v1/chat/completions", json=CHAT | {"stream": True})

    assert response.mimetype == "text/event-stream"
    events = chunks(response.text)
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "user"
    assert [event["choices"][0]["finish_reason"] for event in events][-1] == "length"
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    assert len({event["id"] for event in events}) == 1


def test_a_completion_streams_its_text(served: FlaskClient) -> None:
    events = chunks(served.post("/v1/completions", json=TEXT | {"stream": True}).text)

    assert "".join(event["choices"][0]["text"] for event in events) == "hel"


def test_a_stream_reports_its_usage_where_asked(served: FlaskClient) -> None:
    body = TEXT | {"stream": True, "stream_options": {"include_usage": True}}
    *_events, last = chunks(served.post("/v1/completions", json=body).text)

    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def test_a_stream_whose_job_fails_ends_with_an_error(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/completions", json=TEXT | {"stream": True})
    bench.queue.cancel(response.headers["X-Headrace-Job-Id"])

    *_events, last = chunks(response.text)
    assert last["error"]["type"] == "job_failed"
    assert "cancelled" in last["error"]["message"]


def test_a_caller_whose_job_fails_gets_an_error_that_says_not_to_retry(
    client: FlaskClient, bench: Bench
) -> None:
    queue = client.application.extensions["headrace"].queue
    queue.submit = _submit_and(lambda job_id: queue.cancel(job_id), queue.submit)

    response = client.post("/v1/completions", json=TEXT)

    assert response.status_code == 500
    assert response.headers["x-should-retry"] == "false"
    assert response.json is not None
    assert response.json["error"]["type"] == "job_failed"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_a_caller_whose_deadline_passes_gets_a_time_out_that_says_not_to_retry(
    client: FlaskClient, bench: Bench, path: str
) -> None:
    queue = client.application.extensions["headrace"].queue
    queue.submit = _submit_and(lambda _job_id: bench.leases.sweep(), queue.submit)

    response = client.post(path, json=(CHAT if "chat" in path else TEXT) | {"deadline_s": 1e-6})

    assert response.status_code == 504
    assert response.headers["x-should-retry"] == "false"
    assert response.json is not None
    error = response.json["error"]
    assert (error["type"], error["code"]) == ("job_failed", "deadline_exceeded")
    assert error["job_id"] == response.headers["X-Headrace-Job-Id"]
    assert "its deadline passed" in error["message"]


def test_a_stream_whose_deadline_passes_says_so(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/completions", json=TEXT | {"stream": True, "deadline_s": 1e-6})
    bench.leases.sweep()

    *_events, last = chunks(response.text)
    job_id = response.headers["X-Headrace-Job-Id"]
    assert last["error"]["code"] == "deadline_exceeded"
    assert last["error"]["message"] == (
        f"job {job_id} expired: its deadline passed before a worker was free"
    )


def _submit_and(then: Callable[[str], object], submit: Callable[..., Any]) -> Any:
    def both(request: Any, **options: Any) -> Any:
        submitted = submit(request, **options)
        then(request.id)
        return submitted

    return both


def test_a_wait_that_ends_first_names_the_job_that_goes_on(
    client: FlaskClient, bench: Bench
) -> None:
    services = client.application.extensions["headrace"]
    patience = services.settings.model_copy(update={"max_wait_s": 0.05})
    client.application.extensions["headrace"] = type(services)(
        **{name: getattr(services, name) for name in services.__slots__} | {"settings": patience}
    )

    response = client.post("/v1/completions", json=TEXT)

    assert response.status_code == 504
    assert response.headers["x-should-retry"] == "false"
    assert response.json is not None
    assert bench.state(response.json["error"]["job_id"]) == "queued"


def test_the_model_is_listed(client: FlaskClient) -> None:
    listed = client.get("/v1/models").json

    assert listed is not None
    assert [model["id"] for model in listed["data"]] == ["tiny"]


def test_a_priority_can_be_given_here_as_well(client: FlaskClient, bench: Bench) -> None:
    body = TEXT | {"stream": True, "priority": "interactive"}
    response = client.post("/v1/completions", json=body)

    assert bench.queue.get(response.headers["X-Headrace-Job-Id"]).request.priority == "interactive"
