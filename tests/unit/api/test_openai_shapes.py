"""Whole answers and chunks of streams, of one choice and of several, on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.bench import Bench
from tests.unit.api.openai_calls import CHAT, TEXT, chunks, seeds


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


STREAM_OPTIONS = [
    {},
    {"include_usage": True},
    {"include_usage": True, "continuous_usage_stats": True},
]


@pytest.mark.parametrize("options", STREAM_OPTIONS)
@pytest.mark.parametrize("logprobs", [{}, {"logprobs": True}])
def test_each_choice_of_a_chat_ends_with_an_empty_delta_of_its_own(
    served: FlaskClient, options: dict[str, bool], logprobs: dict[str, bool]
) -> None:
    body = CHAT | logprobs | {"n": 3, "stream": True, "stream_options": options}
    choices = choices_of(served.post("/v1/chat/completions", json=body).text)

    for index in range(3):
        *pieces, last = [choice for choice in choices if choice["index"] == index]
        assert last == {"index": index, "delta": {}, "logprobs": None, "finish_reason": "length"}
        assert {piece["finish_reason"] for piece in pieces} == {None}


@pytest.mark.parametrize("options", STREAM_OPTIONS)
@pytest.mark.parametrize("logprobs", [{}, {"logprobs": 0}])
def test_each_choice_of_a_completion_ends_with_an_empty_text_of_its_own(
    served: FlaskClient, options: dict[str, bool], logprobs: dict[str, int]
) -> None:
    body = TEXT | logprobs | {"prompt": ["abc", "xyz"], "n": 2}
    body |= {"stream": True, "stream_options": options}
    choices = choices_of(served.post("/v1/completions", json=body).text)

    for index in range(4):
        *pieces, last = [choice for choice in choices if choice["index"] == index]
        assert last == {"index": index, "text": "", "logprobs": None, "finish_reason": "length"}
        assert {piece["finish_reason"] for piece in pieces} == {None}
        assert all(piece["text"] for piece in pieces)


def test_a_stop_string_ends_a_stream_with_its_reason_alone(served: FlaskClient) -> None:
    body = TEXT | {"stop": "l", "stream": True}
    choices = choices_of(served.post("/v1/completions", json=body).text)

    assert [choice["text"] for choice in choices][-1] == ""
    assert "".join(choice["text"] for choice in choices) == "he"
    assert [choice["finish_reason"] for choice in choices][-2:] == [None, "stop"]


def choices_of(body: str) -> list[dict[str, Any]]:
    return [choice for event in chunks(body) for choice in event["choices"]]


def test_a_stream_that_was_not_asked_says_nothing_of_usage(served: FlaskClient) -> None:
    events = chunks(served.post("/v1/completions", json=TEXT | {"stream": True}).text)

    assert not any("usage" in event for event in events)


def test_usage_of_a_job_that_was_purged_while_it_streamed_lacks_what_is_not_known(
    client: FlaskClient, bench: Bench
) -> None:
    body = TEXT | {"stream": True, "stream_options": {"include_usage": True}}
    response = client.post("/v1/completions", json=body)
    bench.turn(3)
    client.application.extensions["headrace"].queue.reports = _gone

    *_events, last = chunks(response.text)
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def _gone(job_ids: list[str]) -> list[None]:
    return [None] * len(job_ids)


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
    ends = [choice["index"] for choice in choices if choice["finish_reason"] == "length"]
    assert sorted(ends) == [0, 1]
