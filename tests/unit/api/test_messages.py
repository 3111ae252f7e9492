"""Conversations as official clients send them, and histories with tool turns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from headrace.core.card_store import CardStore
from tests.bench import Bench
from tests.fakes import CARD
from tests.unit.api.test_bad_input import CHAT, JOBS
from tests.unit.api.test_openapi import accepts

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "yes"}

KNOWS_TOOLS = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% for call in m.tool_calls or [] %}<{{ call.function.name }}"
    " a={{ call.function.arguments.a }}>{% endfor %}"
    "{{ ' #' ~ m.tool_call_id if m.role == 'tool' }}"
    "{{ ' @' ~ m.name if m.name }}{{ ' ~' ~ m.reasoning_content if m.reasoning_content }}\n"
    "{% endfor %}"
)


def prompt(client: FlaskClient, bench: Bench, *messages: dict[str, Any]) -> str:
    """What the model reads of a conversation."""
    answer = client.post(JOBS, json={"messages": messages, "max_tokens": 1})
    assert answer.status_code == 202, answer.text
    request = bench.queue.get(answer.headers["X-Headrace-Job-Id"]).request
    return str(CARD.tokenizer.decode(list(request.prompt_ids), skip_special_tokens=False))


HISTORIES: list[list[dict[str, Any]]] = [
    [USER | {"name": "ada"}],
    [{"role": "system", "content": "s", "name": "boss"}, USER],
    [USER, {"role": "assistant", "content": None}, USER],
    [USER, {"role": "assistant"}, USER],
    [USER, {"role": "assistant", "content": ""}, USER],
    [USER, {"role": "assistant", "content": []}, USER],
    [USER, ASSISTANT | {"refusal": None, "annotations": [], "audio": None}, USER],
    [USER, ASSISTANT | {"tool_calls": [], "function_call": None}, USER],
    [USER, {"role": "assistant", "refusal": "no"}, USER],
    [USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, USER],
    [USER, ASSISTANT | {"reasoning_content": "hm", "provider_specific_fields": {"a": 1}}, USER],
    [USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "2"}],
    [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL | {"index": 0}]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "2"}]},
        {"role": "tool", "tool_call_id": "c2", "name": "g", "content": ""},
        ASSISTANT,
    ],
    [USER, {"role": "assistant", "function_call": CALL["function"]}],
    [USER, {"role": "function", "name": "f", "content": "2"}],
    [USER | {"content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}],
]


@pytest.mark.parametrize("messages", HISTORIES)
def test_what_clients_send_back_is_taken(
    client: FlaskClient, messages: list[dict[str, Any]]
) -> None:
    document = client.get("/openapi.json").json
    assert document is not None

    assert accepts(document, CHAT, {"messages": messages})
    assert client.post(JOBS, json={"messages": messages}).status_code == 202


def test_an_answer_without_content_is_an_empty_one(client: FlaskClient, bench: Bench) -> None:
    empty = prompt(client, bench, USER, {"role": "assistant", "content": ""}, USER)
    assert prompt(client, bench, USER, {"role": "assistant", "content": None}, USER) == empty
    assert prompt(client, bench, USER, {"role": "assistant"}, USER) == empty


def test_a_template_that_knows_tools_gets_the_calls_taken_apart(
    client: FlaskClient, bench: Bench
) -> None:
    CardStore(bench.redis).put(replace(CARD, chat_template=KNOWS_TOOLS))
    asked = {"role": "assistant", "tool_calls": [CALL], "reasoning_content": "hm"}
    found = {"role": "tool", "tool_call_id": "c1", "content": "2"}

    read = prompt(client, bench, USER | {"name": "ada"}, asked, found)

    assert read == "user: hi @ada\nassistant: <f a=1> ~hm\ntool: 2 #c1\n"


def test_the_older_form_of_calls_becomes_the_newer(client: FlaskClient, bench: Bench) -> None:
    CardStore(bench.redis).put(replace(CARD, chat_template=KNOWS_TOOLS))
    asked = {"role": "assistant", "content": None, "function_call": CALL["function"]}
    found = {"role": "function", "name": "f", "content": "2"}

    read = prompt(client, bench, USER, asked, found)

    assert read == "user: hi\nassistant: <f a=1>\ntool: 2 # @f\n"


def test_a_template_that_knows_no_tools_drops_no_turn(client: FlaskClient, bench: Bench) -> None:
    asked = {"role": "assistant", "content": "wait", "tool_calls": [CALL]}
    found = {"role": "tool", "tool_call_id": "c1", "content": "2"}

    read = prompt(client, bench, USER, asked, found)

    call = '{"tool_calls": [{"name": "f", "arguments": {"a": 1}}]}'
    assert read == f"user: hi\nassistant: wait\n{call}\nuser: 2\nassistant: "


def test_arguments_that_are_no_json_stay_a_text(client: FlaskClient, bench: Bench) -> None:
    broken = CALL | {"function": {"name": "f", "arguments": '{"a": '}}
    read = prompt(client, bench, USER, {"role": "assistant", "tool_calls": [broken]})
    assert '"arguments": "{\\"a\\": "' in read


@pytest.mark.parametrize(
    ("message", "param", "words"),
    [
        ({"role": "user", "content": None}, "content", "needs a content"),
        ({"role": "system"}, "content", "needs a content"),
        ({"role": "tool", "tool_call_id": "c1"}, "content", "needs a content"),
        (USER | {"name": 5}, "name", "string"),
        (USER | {"mood": "good"}, "mood", "leave it out"),
        (ASSISTANT | {"prefix": True}, "prefix", "leave it out"),
        (ASSISTANT | {"audio": {"id": "x"}}, "audio", "leave it out"),
        (ASSISTANT | {"tool_calls": [{"id": "c1"}]}, "tool_calls.0.function", "has to be there"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "content", "'image_url'"),
        ({"role": "user", "content": ["hi"]}, "content", "only text parts"),
    ],
)
def test_what_a_message_cannot_be_is_refused_by_name(
    client: FlaskClient, bench: Bench, message: dict[str, Any], param: str, words: str
) -> None:
    response = client.post(CHAT, json={"messages": [USER, message]})

    assert response.status_code == 400
    assert response.json is not None
    error = response.json["error"]
    assert error["param"] == f"messages.1.{param}"
    assert words in error["message"]
    assert bench.queue.waiting() == 0
