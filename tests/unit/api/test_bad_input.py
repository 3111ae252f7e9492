"""Whatever a caller sends: a 4xx that names the field, and never a job."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from headrace.core.card_store import CardStore
from tests.bench import Bench
from tests.fakes import CARD, make_request

CHAT, TEXT, JOBS = "/v1/chat/completions", "/v1/completions", "/v1/jobs"
RESPONSE_SCHEMA = "response_format.json_schema.schema"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def chat(**fields: Any) -> dict[str, Any]:
    return HELLO | fields


def schema(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def nested(levels: int) -> dict[str, Any]:
    return {"items": nested(levels - 1)} if levels else {}


BODIES: list[tuple[str, Any, str]] = [
    (CHAT, {}, "messages"),
    (CHAT, [], "body"),
    (CHAT, "hello", "body"),
    (CHAT, None, "body"),
    (CHAT, {"messages": []}, "messages"),
    (CHAT, {"messages": "hello"}, "messages"),
    (CHAT, {"messages": [{"role": "user"}]}, "messages.0.content"),
    (CHAT, {"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
    (CHAT, {"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "messages.0.content",
    ),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": {}}]}]},
        "messages.0.content",
    ),
    (CHAT, chat(max_tokens=0), "max_tokens"),
    (CHAT, chat(max_tokens="12"), "max_tokens"),
    (CHAT, chat(max_tokens=1.5), "max_tokens"),
    (CHAT, chat(max_tokens=True), "max_tokens"),
    (CHAT, chat(max_completion_tokens=0), "max_completion_tokens"),
    (CHAT, chat(min_tokens=-1), "min_tokens"),
    (CHAT, chat(min_tokens="3"), "min_tokens"),
    (CHAT, chat(ignore_eos=1), "ignore_eos"),
    (CHAT, chat(skip_special_tokens="no"), "skip_special_tokens"),
    (CHAT, chat(stop_token_ids=7), "stop_token_ids"),
    (CHAT, chat(stop_token_ids=[-1]), "stop_token_ids.0"),
    (CHAT, chat(stop_token_ids=["7"]), "stop_token_ids.0"),
    (CHAT, chat(stop_token_ids=[1] * 257), "stop_token_ids"),
    (CHAT, chat(logit_bias=[]), "logit_bias"),
    (CHAT, chat(logit_bias={"x": 1}), "logit_bias.x.[key]"),
    (CHAT, chat(logit_bias={"-1": 1}), "logit_bias.-1.[key]"),
    (CHAT, chat(logit_bias={"7": 100.5}), "logit_bias.7"),
    (CHAT, chat(logit_bias={"7": None}), "logit_bias.7"),
    (CHAT, chat(logit_bias={str(number): 1 for number in range(1025)}), "logit_bias"),
    (CHAT, chat(max_tokens=10_000), "max_tokens"),
    (CHAT, chat(temperature=-0.1), "temperature"),
    (CHAT, chat(temperature="hot"), "temperature"),
    (CHAT, chat(top_p=1.1), "top_p"),
    (CHAT, chat(top_p=-0.1), "top_p"),
    (CHAT, chat(top_k=-2), "top_k"),
    (CHAT, chat(max_tokens=-2), "max_tokens"),
    (CHAT, chat(stop=["a", 5]), "stop.1"),
    (CHAT, chat(seed=2**70), "seed"),
    (CHAT, chat(stop=["a"] * 5), "stop"),
    (CHAT, chat(stop=5), "stop"),
    (CHAT, chat(stream="yes"), "stream"),
    (CHAT, chat(stream_options={"include_usage": 1}), "stream_options.include_usage"),
    (CHAT, chat(n=0), "n"),
    (CHAT, chat(n=17), "n"),
    (CHAT, chat(n=True), "n"),
    (CHAT, chat(logprobs=1), "logprobs"),
    (CHAT, chat(top_logprobs=2), "top_logprobs"),
    (CHAT, chat(logprobs=True, top_logprobs=21), "top_logprobs"),
    (CHAT, chat(min_p=1.5), "min_p"),
    (CHAT, chat(repetition_penalty=0), "repetition_penalty"),
    (CHAT, chat(presence_penalty=3), "presence_penalty"),
    (CHAT, chat(frequency_penalty="a"), "frequency_penalty"),
    (CHAT, chat(audio={"voice": "alloy"}), "audio"),
    (CHAT, chat(modalities=["text", "audio"]), "modalities"),
    (
        CHAT,
        chat(stream_options={"include_obfuscation": True}),
        "stream_options.include_obfuscation",
    ),
    (CHAT, chat(tools=[{"type": "function"}]), "tools"),
    (CHAT, chat(tool_choice="auto", tools=[{"type": "function"}]), "tools"),
    (CHAT, chat(tool_choice={"type": "function"}, tools=[{"type": "function"}]), "tools"),
    (CHAT, chat(tool_choice="none", tools="all"), "tools"),
    (CHAT, chat(function_call={"name": "f"}, functions=[{"name": "f"}]), "functions"),
    (CHAT, chat(tool_choice="required"), "tool_choice"),
    (CHAT, chat(response_format={"type": "xml"}), "response_format.type"),
    (CHAT, chat(response_format={"type": "json_schema"}), "response_format"),
    (CHAT, chat(response_format=schema(5)), RESPONSE_SCHEMA),
    (CHAT, chat(response_format=schema(nested(65))), RESPONSE_SCHEMA),
    (CHAT, chat(response_format=schema({"type": "nothing"})), RESPONSE_SCHEMA),
    (JOBS, {"prompt": "x", "response_format": schema({"required": "x"})}, RESPONSE_SCHEMA),
    *(
        (CHAT, chat(chat_template_kwargs=kwargs), "chat_template_kwargs")
        for kwargs in (
            *list[Any]([5, True, "enable_thinking", ["enable_thinking"]]),
            *({"messages": []}, {"tools": [{}]}, {"chat_template": "{{ 1 }}"}, {"tokenize": True}),
            *({"add_generation_prompt": False}, {"add_generation_prompt": 1}),
            *({"continue_final_message": True}, {"documents": "x"}, {"documents": ["x"]}),
        )
    ),
    (TEXT, {"prompt": "x", "chat_template_kwargs": {"a": 1}}, "chat_template_kwargs"),
    (JOBS, {"prompt": "x", "chat_template_kwargs": {"a": 1}}, "chat_template_kwargs"),
    (JOBS, HELLO | {"chat_template_kwargs": "a"}, "chat_template_kwargs"),
    (CHAT, chat(temprature=0.5), "temprature"),
    (CHAT, chat(model=5), "model"),
    (CHAT, {"messages": [{"role": "user", "content": "x" * 500}]}, "messages"),
    (TEXT, {}, "prompt"),
    (TEXT, {"prompt": ""}, "prompt"),
    (TEXT, {"prompt": 5}, "prompt"),
    (TEXT, {"prompt": []}, "prompt"),
    (TEXT, {"prompt": ["x", ""]}, "prompt"),
    (TEXT, {"prompt": ["x", 5]}, "prompt"),
    (TEXT, {"prompt": [True]}, "prompt"),
    (TEXT, {"prompt": [-1]}, "prompt"),
    (TEXT, {"prompt": [[1], []]}, "prompt"),
    (TEXT, {"prompt": [1_000_000]}, "prompt"),
    (TEXT, {"prompt": ["x"] * 65}, "prompt"),
    (TEXT, {"prompt": ["x"] * 5, "n": 13}, "prompt"),
    (TEXT, {"prompt": "x", "logprobs": 6}, "logprobs"),
    (TEXT, {"prompt": "x", "logprobs": True}, "logprobs"),
    (TEXT, {"prompt": "x", "echo": True}, "echo"),
    (TEXT, {"prompt": "x", "suffix": "y"}, "suffix"),
    (TEXT, {"prompt": "x", "best_of": 2}, "best_of"),
    (TEXT, {"prompt": "x" * 500}, "prompt"),
    (TEXT, {"prompt": "half a pair: \ud800"}, "prompt"),
    (TEXT, {"prompt": "x", "messages": []}, "messages"),
    (JOBS, {}, "prompt"),
    (JOBS, {"prompt": ""}, "prompt"),
    (JOBS, {"prompt": []}, "prompt"),
    (JOBS, {"prompt": [-1]}, "prompt"),
    (JOBS, {"prompt": [True]}, "prompt"),
    (JOBS, {"prompt": [1, "a"]}, "prompt"),
    (JOBS, {"prompt": [[1]]}, "prompt"),
    (JOBS, {"prompt": [2**70]}, "prompt"),
    (JOBS, {"prompt": "\ud800"}, "prompt"),
    (JOBS, {"prompt": "x", **HELLO}, "prompt"),
    (JOBS, {"prompt": "x", "priority": "urgent"}, "priority"),
    (JOBS, {"prompt": "x", "priority": 1}, "priority"),
    (JOBS, {"prompt": "x", "deadline_s": 0}, "deadline_s"),
    (JOBS, {"prompt": "x", "stream": True}, "stream"),
    (JOBS, {"prompt": "x", "n": 2}, "n"),
    (JOBS, {"prompt": "x", "logprobs": 0}, "logprobs"),
    (JOBS, {"prompt": "x", "on_disconnect": "explode"}, "on_disconnect"),
]


@pytest.mark.parametrize(("path", "body", "param"), BODIES)
def test_a_bad_body_is_refused_by_the_name_of_its_field(
    client: FlaskClient, bench: Bench, path: str, body: Any, param: str
) -> None:
    response = client.post(path, json=body)

    assert response.status_code == 400, response.json
    assert response.json is not None
    error = response.json["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert bench.queue.waiting() == 0


RAW_BODIES = [
    b"",
    b"{",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf\xef\xbb\xbf{}",
    '{"prompt": "käse"}'.encode("latin-1"),
    json.dumps({"prompt": "x"}).encode("utf-16"),
    b'{"prompt": "x", "temperature": NaN}',
    b'{"seed": ' + b"9" * 10_000 + b"}",
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", RAW_BODIES)
def test_a_body_that_is_not_json_in_utf_8_is_refused(client: FlaskClient, body: bytes) -> None:
    response = client.post(TEXT, data=body)

    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["param"] == "body"


HALF = "a \ud83d b"
HALVES = [
    (CHAT, {"messages": [{"role": "user", "content": HALF}]}, "messages.0.content"),
    (CHAT, {"messages": [{"role": HALF, "content": "x"}]}, "messages.0.role"),
    (CHAT, {"messages": [{"role": "user", "content": "x", "name": HALF}]}, "messages.0.name"),
    (
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": HALF}]}]},
        "messages.0.content.0.text",
    ),
    (CHAT, chat(stop=["x", HALF]), "stop.1"),
    (CHAT, chat(stop="\udc00\ud800"), "stop"),
    (CHAT, chat(user=HALF), "user"),
    (CHAT, chat(model=HALF), "model"),
    (CHAT, chat(metadata={"team": HALF}), "metadata.team"),
    (CHAT, chat(metadata={HALF: "team"}), "metadata.a \\ud83d b"),
    (CHAT, chat(chat_template_kwargs={"documents": [{"text": HALF}]}), "chat_template_kwargs.docu"),
    (CHAT, chat(chat_template_kwargs={HALF: 1}), "chat_template_kwargs.a \\ud83d b"),
    (CHAT, chat(tools=[{"function": {"description": HALF}}]), "tools.0.function.description"),
    (CHAT, chat(response_format=schema({"properties": {HALF: {}}})), RESPONSE_SCHEMA),
    (CHAT, chat(response_format=schema({"enum": [HALF]})), f"{RESPONSE_SCHEMA}.enum.0"),
    (CHAT, {HALF: 1}, "a \\ud83d b"),
    (CHAT, HALF, "body"),
    (CHAT, [HALF], "0"),
    (TEXT, {"prompt": ["x", HALF]}, "prompt.1"),
    (TEXT, {"prompt": "x", "user": HALF}, "user"),
    (JOBS, {"messages": [{"role": "user", "content": HALF}]}, "messages.0.content"),
    (JOBS, {"prompt": "x", "stop": [HALF]}, "stop.0"),
    ("/v1/dead/nobody/replay", {"force": HALF}, "force"),
]


@pytest.mark.parametrize(("path", "body", "param"), HALVES)
def test_half_a_surrogate_pair_is_refused_by_its_place(
    client: FlaskClient, bench: Bench, path: str, body: Any, param: str
) -> None:
    response = client.post(path, data=json.dumps(body))

    assert response.status_code == 400, response.json
    assert response.json is not None
    assert response.json["error"]["param"].startswith(param)
    assert response.json["error"]["type"] == "invalid_request_error"
    assert bench.queue.waiting() == 0


def test_a_whole_surrogate_pair_is_one_character(served: FlaskClient) -> None:
    body = json.dumps(chat(max_tokens=3, user="🙂") | {"stop": ["🙂"]})

    assert "\\ud83d\\ude42" in body
    assert served.post(CHAT, data=body).status_code == 200


@pytest.mark.parametrize(
    "fields", [b'{"prompt": "x"}', '{"prompt": "käse"}'.encode(), b' \n{"prompt": "x"}']
)
def test_a_byte_order_mark_before_a_body_is_taken(client: FlaskClient, fields: bytes) -> None:
    assert client.post(JOBS, data=b"\xef\xbb\xbf" + fields).status_code == 202


@pytest.mark.parametrize("path", [CHAT, TEXT, JOBS])
def test_a_body_of_three_megabytes_is_refused(client: FlaskClient, path: str) -> None:
    response = client.post(path, json={"prompt": "x" * 3_000_000})

    assert response.status_code == 413
    assert response.json is not None
    assert response.json["error"]["param"] == "body"


def test_a_chunked_body_is_not_cut_but_refused(client: FlaskClient) -> None:
    body = b'{"prompt": "x"}' + b" " * 2_000_000 + b"garbage"
    response = client.post(
        TEXT,
        input_stream=io.BytesIO(body),
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )

    assert response.status_code == 413


def test_an_unknown_model_is_not_found(client: FlaskClient) -> None:
    response = client.post(CHAT, json=chat(model="gpt-9"))

    assert response.status_code == 404
    assert response.json is not None
    assert response.json["error"]["code"] == "model_not_found"
    assert "tiny" in response.json["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/jobs?wait=60"),
        ("GET", "/v1/jobs?status=failed"),
        ("GET", "/v1/jobs/job-1?purge=true"),
        ("PATCH", "/v1/jobs/job-1?priority=batch"),
        ("DELETE", "/v1/jobs/job-1?purged=true"),
        ("GET", "/v1/dead?state=failed"),
        ("GET", "/v1/dead/job-1?limit=1"),
        ("POST", "/v1/dead/job-1/replay?force=true"),
        ("DELETE", "/v1/dead/job-1?older_than_s=60"),
        ("DELETE", "/v1/dead?older_than_s=0&reason=refused"),
        ("POST", "/v1/chat/completions?stream=true"),
        ("POST", "/v1/completions?stream=true"),
        ("POST", "/v1/chat/completions?api-version=1&max_tokens=3"),
        ("POST", "/v1/chat/completions?wait=3"),
        ("GET", "/v1/models?model=tiny"),
        ("GET", "/v1/jobs?limit=1&limit=2"),
    ],
)
def test_an_unknown_query_parameter_is_refused_by_its_name(
    client: FlaskClient, bench: Bench, method: str, path: str
) -> None:
    bench.submit(make_request())

    response = client.open(path, method=method, json=chat() if "chat" in path else {"prompt": "x"})

    assert response.status_code == 400
    assert response.json is not None
    error = response.json["error"]
    assert error["param"] == path.rpartition("?")[2].rpartition("&")[2].partition("=")[0]
    assert error["param"] in error["message"]
    assert bench.queue.waiting() == 1


@pytest.mark.parametrize(
    "query",
    ["api-version=2024-10-21", "api-version=", "beta=true", "api-version=1&api-version=2", "a=%00"],
)
def test_a_query_parameter_that_changes_no_answer_is_taken(served: FlaskClient, query: str) -> None:
    answers = [
        served.post(f"{CHAT}?{query}", json=chat(max_tokens=2)),
        served.post(f"{TEXT}?{query}", json={"prompt": "x", "max_tokens": 2}),
        served.get(f"/v1/models?{query}"),
        served.get(f"/v1/models/tiny?{query}"),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4


@pytest.mark.parametrize("path", ["/v1/jobs?limit=3&", "/v1/dead?", "/v1/fleet?"])
def test_the_version_that_azures_clients_name_is_taken_everywhere(
    client: FlaskClient, path: str
) -> None:
    assert client.get(f"{path}api-version=2024-10-21").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/responses"),
        ("POST", "/v1/embeddings"),
        ("POST", "/chat/completions"),
        ("GET", "/v1/chat/completions/chatcmpl-1"),
        ("POST", "/v1/v1/chat/completions"),
    ],
)
def test_an_address_that_there_is_not_is_answered_with_those_that_there_are(
    client: FlaskClient, method: str, path: str
) -> None:
    response = client.open(path, method=method, json=chat())

    assert response.status_code == 404
    assert response.json is not None
    error = response.json["error"]
    assert (error["code"], error["type"]) == ("unknown_url", "invalid_request_error")
    assert error["message"].startswith(f"{method} {path}: no such address; there are ")
    for address in ("POST /v1/chat/completions", "POST /v1/completions", "GET /v1/models"):
        assert address in error["message"]
    assert "GET /v1/jobs/{job_id}" in error["message"]
    assert "/docs" not in error["message"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/chat/completions", "OPTIONS, POST"),
        ("/v1/jobs/job-1", "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ],
)
def test_a_method_that_an_address_does_not_take_is_refused_with_those_that_it_takes(
    client: FlaskClient, path: str, allowed: str
) -> None:
    response = client.put(path)

    assert response.status_code == 405
    assert response.headers["Allow"] == allowed
    assert response.json is not None
    assert response.json["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/jobs/nobody", 404),
        ("/v1/jobs/a:dependents", 404),
        ("/v1/nothing", 404),
        ("/v1/jobs?limit=many", 400),
        ("/v1/jobs?limit=0", 400),
        ("/v1/jobs?limit=1.5", 400),
        ("/v1/jobs?limit=1001", 400),
        ("/v1/jobs?state=sleeping", 400),
        ("/v1/jobs?state=", 400),
        ("/v1/jobs?after=elsewhere", 400),
        ("/v1/jobs/nobody?wait=591", 400),
        ("/v1/jobs/nobody?wait=-1", 400),
        ("/v1/jobs/nobody?wait=nan", 400),
        ("/v1/chat/completions", 405),
    ],
)
def test_a_bad_address_is_refused_in_the_same_shape(
    client: FlaskClient, path: str, status: int
) -> None:
    response = client.get(path)

    assert response.status_code == status
    assert response.json is not None
    assert response.json["error"]["message"]


TEMPLATES = [
    "{{ raise_exception('no') }}",
    "{{ 1 / 0 }}",
    "{{ messages + 1 }}",
    "{{ messages[0].content.nothing.more }}",
    "{{ ''.__class__ }}{{ messages.clear() }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ 'x' * 10 ** 9 }}",
    "{{ '\\ud800' }}",
    "{% for %}",
]


@pytest.mark.parametrize("path", [CHAT, JOBS])
@pytest.mark.parametrize("template", TEMPLATES)
def test_whatever_a_chat_template_does_is_a_refusal(
    client: FlaskClient, bench: Bench, path: str, template: str
) -> None:
    CardStore(bench.redis).put(replace(CARD, chat_template=template))

    response = client.post(path, json=HELLO)

    assert response.status_code == 400
    assert response.json is not None
    error = response.json["error"]
    assert error["param"] == "messages"
    assert error["message"].startswith("the model's chat template refuses: ")
    assert bench.queue.waiting() == 0
