"""The OpenAI-compatible routes, on the wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from headrace.core.errors import JobNotFound
from headrace.core.jobs.job import Job
from headrace.core.roster import WorkerState
from headrace.core.types import EngineStats, Feature
from tests.bench import Bench
from tests.fakes import CARD

CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "temperature": 0}
TEXT = {"prompt": "hello", "max_tokens": 3, "temperature": 0}


def chunks(body: str) -> list[dict[str, Any]]:
    """The events of a stream before its [DONE]."""
    events = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


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
    *events, last = chunks(served.post("/v1/completions", json=body).text)

    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "total_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert {event["usage"] for event in events} == {None}


def test_a_stream_that_was_not_asked_says_nothing_of_usage(served: FlaskClient) -> None:
    events = chunks(served.post("/v1/completions", json=TEXT | {"stream": True}).text)

    assert not any("usage" in event for event in events)


def test_usage_of_a_job_that_was_purged_while_it_streamed_lacks_what_is_not_known(
    client: FlaskClient, bench: Bench
) -> None:
    body = TEXT | {"stream": True, "stream_options": {"include_usage": True}}
    response = client.post("/v1/completions", json=body)
    bench.turn(3)
    client.application.extensions["headrace"].queue.get = _gone

    *_events, last = chunks(response.text)
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def _gone(job_id: str) -> Job:
    raise JobNotFound(job_id)


# -- several choices -------------------------------------------------------------------------------


def seeds(bench: Bench, response: TestResponse) -> list[int]:
    job_ids = response.headers["X-Headrace-Job-Id"].split(", ")
    return [bench.queue.get(job_id).request.sampling.seed for job_id in job_ids]


def test_each_choice_is_a_job_of_its_own(served: FlaskClient, bench: Bench) -> None:
    response = served.post("/v1/chat/completions", json=CHAT | {"n": 3, "seed": 7})

    answer = response.json
    assert answer is not None
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in answer["choices"]} == {"user"}
    prompt_tokens = len("user: hello\nassistant: ")
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (
        prompt_tokens,
        3 * 4,
    )
    first, *others = seeds(bench, response)
    assert first == 7
    assert len({first, *others}) == 3


def test_the_seeds_of_choices_follow_from_the_requests_own(
    client: FlaskClient, bench: Bench
) -> None:
    def ask(**fields: Any) -> list[int]:
        body = TEXT | {"stream": True, "n": 3} | fields
        return seeds(bench, client.post("/v1/completions", json=body))

    assert ask(seed=7) == ask(seed=7)
    assert not set(ask(seed=7)) & set(ask(seed=8))
    assert not set(ask()) & set(ask())


def test_prompts_are_answered_in_their_order_with_their_choices_beside_each_other(
    served: FlaskClient,
) -> None:
    body = TEXT | {"prompt": ["abc", "xyz"], "n": 2}
    answer = served.post("/v1/completions", json=body).json

    assert answer is not None
    choices = [(choice["index"], choice["text"]) for choice in answer["choices"]]
    assert choices == [(0, "abc"), (1, "abc"), (2, "xyz"), (3, "xyz")]
    assert answer["usage"]["prompt_tokens"] == 6
    assert answer["usage"]["completion_tokens"] == 12


@pytest.mark.parametrize("is_one", [True, False])
def test_prompts_may_be_token_ids(served: FlaskClient, is_one: bool) -> None:
    ids = [*CARD.tokenize("abc")]
    answer = served.post(
        "/v1/completions", json=TEXT | {"prompt": ids if is_one else [ids, "xyz"]}
    ).json

    assert answer is not None
    texts = [choice["text"] for choice in answer["choices"]]
    assert texts == (["abc"] if is_one else ["abc", "xyz"])


def test_the_choices_of_a_stream_come_side_by_side(client: FlaskClient, bench: Bench) -> None:
    body = TEXT | {"prompt": ["abc", "xyz"], "stream": True}
    response = client.post("/v1/completions", json=body)
    bench.turn(4)

    choices = [event["choices"][0] for event in chunks(response.text)]
    texts = {
        index: "".join(choice["text"] for choice in choices if choice["index"] == index)
        for index in (0, 1)
    }
    assert texts == {0: "abc", 1: "xyz"}
    assert [choice["index"] for choice in choices[:2]] == [0, 1]
    ends = [choice["index"] for choice in choices if choice["finish_reason"] == "length"]
    assert sorted(ends) == [0, 1]


def test_a_failed_choice_ends_a_stream_and_no_other_job(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/completions", json=TEXT | {"n": 2, "stream": True})
    failed, other = response.headers["X-Headrace-Job-Id"].split(", ")
    bench.queue.cancel(failed)

    *_events, last = chunks(response.text)
    assert last["error"]["job_id"] == failed
    assert bench.state(other) == "queued"


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


# -- logprobs --------------------------------------------------------------------------------------


def test_a_chat_has_an_entry_for_each_token_where_it_asks_for_logprobs(
    served: FlaskClient,
) -> None:
    body = CHAT | {"logprobs": True, "top_logprobs": 1}
    answer = served.post("/v1/chat/completions", json=body).json

    assert answer is not None
    (choice,) = answer["choices"]
    content = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == "user"
    assert bytes(byte for entry in content for byte in entry["bytes"]) == b"user"
    assert [len(entry["top_logprobs"]) for entry in content] == [1, 1, 1, 1]


@pytest.mark.parametrize("route", ["chat/completions", "completions"])
def test_a_stream_brings_the_logprobs_that_a_whole_answer_has(
    served: FlaskClient, route: str
) -> None:
    asks: dict[str, Any] = {"logprobs": 1} if route == "completions" else {"logprobs": True}
    body = (TEXT if route == "completions" else CHAT) | asks
    whole = served.post(f"/v1/{route}", json=body).json
    events = chunks(served.post(f"/v1/{route}", json=body | {"stream": True}).text)

    assert whole is not None
    expected = whole["choices"][0]["logprobs"]
    pieces = [event["choices"][0]["logprobs"] for event in events]
    for name in ("content", "tokens", "token_logprobs", "text_offset", "top_logprobs"):
        entries = [entry for piece in pieces if piece for entry in piece.get(name, ())]
        assert entries == expected.get(name, [])


def test_who_asks_for_no_logprobs_gets_none(served: FlaskClient) -> None:
    answer = served.post("/v1/completions", json=TEXT).json

    assert answer is not None
    assert answer["choices"][0]["logprobs"] is None


# -- rules -----------------------------------------------------------------------------------------

SCHEMA = {"properties": {"a": {"type": "integer"}}, "type": "object"}


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({"min_p": 0.1}, {"min_p": 0.1}),
        ({"repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
        (
            {"presence_penalty": 1, "frequency_penalty": -0.5},
            {"presence_penalty": 1, "frequency_penalty": -0.5},
        ),
        ({"logprobs": True}, {"logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 5}, {"logprobs": 5}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            {"json_schema": json.dumps(SCHEMA)},
        ),
        (
            {"response_format": {"type": "json_object"}},
            {"json_schema": '{"type": "object", "additionalProperties": true}'},
        ),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
    ],
)
def test_what_a_caller_asks_for_is_what_the_engine_is_told(
    client: FlaskClient, bench: Bench, fields: dict[str, Any], rules: dict[str, Any]
) -> None:
    response = client.post("/v1/chat/completions", json=CHAT | {"stream": True} | fields)

    assert response.status_code == 200, response.json
    sampling = bench.queue.get(response.headers["X-Headrace-Job-Id"]).request.sampling
    assert {name: getattr(sampling, name) for name in rules} == rules


@pytest.mark.parametrize(
    ("fields", "features", "param"),
    [
        ({"response_format": {"type": "json_object"}}, [Feature.TOP_LOGPROBS], "response_format"),
        ({"logprobs": True, "top_logprobs": 2}, [Feature.JSON_SCHEMA], "logprobs"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_before_the_queue(
    client: FlaskClient,
    bench: Bench,
    fields: dict[str, Any],
    features: list[Feature],
    param: str,
) -> None:
    beat = WorkerState("w", "ready", 1, "Engine", EngineStats(), features=tuple(features))
    client.application.extensions["headrace"].roster.beat(beat)

    response = client.post("/v1/chat/completions", json=CHAT | fields)

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["param"] == param
    assert response.json["error"]["code"] == "unsupported_value"
    assert bench.queue.waiting() == 0


def test_a_developer_speaks_as_the_system(client: FlaskClient, bench: Bench) -> None:
    messages = [{"role": "developer", "content": "be brief"}, *CHAT["messages"]]
    response = client.post(
        "/v1/chat/completions", json=CHAT | {"messages": messages, "stream": True}
    )

    job = bench.queue.get(response.headers["X-Headrace-Job-Id"])
    prompt = CARD.tokenizer.decode(list(job.request.prompt_ids))
    assert prompt == "system: be brief\nuser: hello\nassistant: "


def test_a_stream_whose_job_fails_ends_with_an_error(client: FlaskClient, bench: Bench) -> None:
    response = client.post("/v1/completions", json=TEXT | {"stream": True})
    bench.queue.cancel(response.headers["X-Headrace-Job-Id"])

    *_events, last = chunks(response.text)
    assert last["error"]["type"] == "job_failed"
    assert "cancelled" in last["error"]["message"]


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


def test_the_model_is_listed(client: FlaskClient) -> None:
    listed = client.get("/v1/models").json

    assert listed is not None
    assert [model["id"] for model in listed["data"]] == ["tiny"]


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


def test_a_priority_can_be_given_here_as_well(client: FlaskClient, bench: Bench) -> None:
    body = TEXT | {"stream": True, "priority": "interactive"}
    response = client.post("/v1/completions", json=body)

    assert bench.queue.get(response.headers["X-Headrace-Job-Id"]).request.priority == "interactive"
