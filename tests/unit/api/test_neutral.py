"""What clients send by default is taken; what cannot be done is refused once, and helpfully."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from api.neutral import HINTS
from api.neutral import NEUTRAL as TABLE
from tests.bench import Bench
from tests.unit.api.test_bad_input import CHAT, JOBS, TEXT, chat

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
PROMPT = {"prompt": "hello", "max_tokens": 3}

NEUTRAL: list[dict[str, Any]] = [
    {"n": 1},
    {"best_of": 1},
    {"modalities": ["text"]},
    {"top_logprobs": None},
    {"stream_options": {"include_obfuscation": False}},
    {"logprobs": False},
    {"presence_penalty": 0.0},
    {"frequency_penalty": 0},
    {"logit_bias": {}},
    {"logit_bias": None, "min_tokens": None, "ignore_eos": None, "stop_token_ids": None},
    {"min_tokens": 0, "ignore_eos": False, "stop_token_ids": [], "skip_special_tokens": True},
    {"skip_special_tokens": None},
    {"stream_options": {"continuous_usage_stats": True}},
    {"response_format": {"type": "text"}},
    {"store": False},
    {"store": True},
    {"user": "somebody"},
    {"metadata": {"team": "a"}},
    {"tools": None},
    {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
    {"tools": TOOLS, "tool_choice": "none"},
    {"functions": [{"name": "f"}], "function_call": "none"},
    {"max_tokens": None},
    {"max_tokens": -1},
    {"max_completion_tokens": -1},
    {"temperature": None},
    {"top_p": 0},
    {"top_k": -1, "repetition_penalty": 1, "min_p": 0},
    {"stop": None},
    {"stop": ""},
    {"stop": [""]},
    {"stop": []},
    *({"reasoning_effort": effort} for effort in ("none", "minimal", "low", "medium", "high")),
    *({"service_tier": tier} for tier in ("auto", "default", "flex", "priority")),
    {"verbosity": "low"},
    {"priority": 0},
    {"prediction": {"type": "content", "content": "hello"}},
    {"guided_json": None, "guided_regex": None, "guided_whatever": None},
    {"cache_prompt": True, "id_slot": -1, "mirostat": 0, "mirostat_tau": 5.0, "typical_p": 1.0},
    {"use_beam_search": False, "length_penalty": 1.0, "include_stop_str_in_output": False},
    {"audio": None, "web_search_options": None, "no_such_field": None},
    {"chat_template_kwargs": None},
    {"chat_template_kwargs": {}},
    {"chat_template_kwargs": {"enable_thinking": False, "other": [{"a": None}]}},
    {"chat_template_kwargs": {"tools": None, "add_generation_prompt": True, "documents": [{}]}},
]


@pytest.mark.parametrize("field", NEUTRAL)
def test_a_field_that_changes_nothing_is_taken(served: FlaskClient, field: dict[str, Any]) -> None:
    body = chat(**{"max_completion_tokens": 3} | field)
    assert served.post(CHAT, json=body).status_code == 200


def test_the_whole_table_is_taken_by_each_front_door(client: FlaskClient, bench: Bench) -> None:
    hints: dict[str, Any] = dict.fromkeys(HINTS, "any")
    for number in range(max(map(len, TABLE.values()))):
        values = {name: values[number] for name, values in TABLE.items() if number < len(values)}
        assert client.post(JOBS, json=PROMPT | values | hints).status_code == 202


def test_neutral_fields_leave_the_answer_as_it_is(served: FlaskClient) -> None:
    plain = {"prompt": "hello", "max_tokens": 4, "temperature": 0}
    hints = {"reasoning_effort": "high", "verbosity": "low", "stop": "", "top_k": -1, "top_p": 0}

    texts = [
        served.post(TEXT, json=body).json["choices"][0]["text"]  # type: ignore[index]
        for body in (plain, plain | hints)
    ]
    assert texts[0] == texts[1]


def test_no_probability_at_all_leaves_the_likeliest_token(
    client: FlaskClient, bench: Bench
) -> None:
    answer = client.post(JOBS, json=PROMPT | {"top_p": 0, "top_k": -1})
    assert answer.json is not None

    sampling = bench.queue.get(answer.json["id"]).request.sampling
    assert 0 < sampling.top_p < 1e-5
    assert sampling.top_k == 0


def test_a_limit_of_minus_one_is_none(client: FlaskClient, bench: Bench) -> None:
    ids = [
        client.post(JOBS, json={"prompt": "hello"} | limit).headers["X-Headrace-Job-Id"]
        for limit in ({}, {"max_tokens": -1}, {"max_tokens": None})
    ]
    assert len({bench.queue.get(job_id).request.sampling.max_tokens for job_id in ids}) == 1


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"tools": TOOLS}, "tools", 'tool_choice: "none"'),
        ({"tool_choice": "required", "tools": TOOLS}, "tools", "response_format"),
        ({"temprature": 1}, "temprature", "did you mean temperature?"),
        ({"zzz": 1}, "zzz", "leave it out"),
        ({"add_special_tokens": False}, "add_special_tokens", "leave it out"),
        ({"best_of": 2}, "best_of", "or send 1"),
        ({"guided_json": {"type": "object"}}, "guided_json", "leave it out"),
        ({"n_predict": 7}, "n_predict", "or send -1"),
        ({"mirostat": False}, "mirostat", "or send 0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words_that_say_what_to_do(
    client: FlaskClient, bench: Bench, fields: dict[str, Any], param: str, words: str
) -> None:
    response = client.post(CHAT, json=chat(**fields))

    assert response.status_code == 400
    assert response.json is not None
    error = response.json["error"]
    assert error["param"] == param
    assert words in error["message"]
    assert not error["message"].startswith("tool_choice")
    assert bench.queue.waiting() == 0


def test_one_refusal_names_all_fields_that_cannot_be_served(client: FlaskClient) -> None:
    response = client.post(CHAT, json=chat(best_of=2, tools=TOOLS, tool_choice="auto", zzz=1))

    assert response.json is not None
    error = response.json["error"]
    assert error["param"] == "best_of"
    assert all(f"{name}: " in error["message"] for name in ("best_of", "tools", "zzz"))
