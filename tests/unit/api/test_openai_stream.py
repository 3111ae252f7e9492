"""Chunks of a stream: a prepared one is the same as one that is written as a whole."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient

from api.event_stream import KEEP_ALIVE
from api.openai_shapes import Chat, Completion, Shape
from api.openai_stream import Frame
from headrace.core.events import TokenEvent
from headrace.core.jobs.handover import Submitted
from tests.bench import Bench
from tests.fakes import make_request
from tests.unit.api.openai_calls import CHAT, TEXT, chunks

TEXTS = ["a", ' "quoted" \\ / \n', "käse \U0001f9c0", "\x00", '", "index": 7', "{}%s"]


def shape(kind: type[Shape], model: str, includes_usage: bool) -> Shape:
    requests = [make_request(job_id, model=model) for job_id in ("a", "b")]
    submitted = [Submitted(request.id, accepted=12.5) for request in requests]
    return kind(requests, submitted, n=2, includes_usage=includes_usage)


@pytest.mark.parametrize("kind", [Chat, Completion])
@pytest.mark.parametrize("model", ["model", "\x00", '{"text": "\x00"}'])
@pytest.mark.parametrize("includes_usage", [False, True])
def test_a_prepared_chunk_is_the_one_of_its_event(
    kind: type[Shape], model: str, includes_usage: bool
) -> None:
    both = shape(kind, model, includes_usage)

    for index in (0, 1):
        frame = Frame(both, index)
        for text in TEXTS:
            chunk = both.piece(index, TokenEvent("1-0", (7,), text))
            assert frame.around(text) == f"data: {json.dumps(chunk)}\n\n"


def test_what_came_together_is_one_block(client: FlaskClient, bench: Bench) -> None:
    body = TEXT | {"prompt": ["abc", "xyz"], "stream": True}
    response = client.post("/v1/completions", json=body, buffered=False)
    blocks = iter(response.response)
    opening = next(blocks)
    bench.turn(4)

    everything = [opening, *blocks]
    assert [block.count(b"data: ") for block in everything[-2:]] == [8, 1]
    assert everything[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("route", ["chat/completions", "completions"])
def test_the_headers_come_at_once_and_the_first_chunk_with_the_first_token(
    client: FlaskClient, bench: Bench, route: str
) -> None:
    body = (TEXT if route == "completions" else CHAT) | {"stream": True}
    response = client.post(f"/v1/{route}", json=body, buffered=False)
    blocks = iter(response.response)
    assert next(blocks) == KEEP_ALIVE.encode()
    bench.turn(4)

    first, done = [block for block in blocks if block != KEEP_ALIVE.encode()]
    opening = {"role": "assistant", "content": ""}
    pieces = [event["choices"][0] for event in chunks((first + done).decode())]
    if route == "completions":
        assert pieces[0]["text"] != ""
    else:
        assert pieces[0]["delta"] == opening
        assert pieces[1]["delta"]["content"] != ""


def test_each_chunk_may_say_what_the_answer_has_used_so_far(
    client: FlaskClient, bench: Bench
) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    body = TEXT | {"stream": True, "stream_options": options}
    response = client.post("/v1/completions", json=body)
    bench.turn(4)

    used = [event["usage"]["completion_tokens"] for event in chunks(response.text)]
    assert used == sorted(used)
    assert used[-1] == TEXT["max_tokens"]


def test_nothing_comes_behind_the_choice_that_failed(client: FlaskClient, bench: Bench) -> None:
    body = TEXT | {"prompt": ["abc", "xyz"], "stream": True}
    response = client.post("/v1/completions", json=body)
    first, second = response.headers["X-Headrace-Job-Id"].split(", ")
    bench.turn(1)
    bench.queue.cancel(first)
    bench.queue.cancel(second)

    *_chunks, error, done = response.text.removesuffix("\n\n").split("\n\n")
    assert "cancelled" in json.loads(error.removeprefix("data: "))["error"]["message"]
    assert done == "data: [DONE]"
    assert response.text.count('"error"') == 1
