"""Logprobs in OpenAI's two forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.openai_logprobs import ChatLogprobs, CompletionLogprobs, NoLogprobs
from headrace.core.types import TokenLogprobs
from tests.fakes import CARD, EOS, make_request
from tests.tokenizers_of_kinds import KINDS, ids_of
from tests.unit.api.openai_calls import CHAT, TEXT, chunks

E, FIRST_BYTE, SECOND_BYTE = *CARD.tokenize("e"), *CARD.tokenize("ü")
END = CARD.eos_token_ids[0]


def test_a_chat_names_each_token_its_bytes_and_its_alternatives() -> None:
    written = ChatLogprobs(CARD, make_request()).write(
        [TokenLogprobs(E, -0.5, ((E, -0.5), (END, -1.0)))], "e", False
    )

    own = {"token": "e", "logprob": -0.5, "bytes": [101]}
    end = {"token": EOS, "logprob": -1.0, "bytes": list(EOS.encode())}
    assert written == {"content": [own | {"top_logprobs": [own, end]}], "refusal": None}


def test_a_part_of_a_character_is_shown_as_bytes() -> None:
    written = ChatLogprobs(CARD, make_request()).write([TokenLogprobs(FIRST_BYTE, -0.5)], "", False)

    assert written is not None
    (token,) = written["content"]
    assert (token["token"], token["bytes"]) == ("bytes:\\xc3", [0xC3])


def test_a_completion_has_a_list_of_each_kind() -> None:
    entries = [TokenLogprobs(E, -0.5, ((END, -0.1),)), TokenLogprobs(END, -0.2, ((END, -0.2),))]
    assert CompletionLogprobs(CARD, make_request()).write(entries, "e", is_over=True) == {
        "tokens": ["e", EOS],
        "token_logprobs": [-0.5, -0.2],
        "top_logprobs": [{EOS: -0.1, "e": -0.5}, {EOS: -0.2}],
        "text_offset": [0, 1],
    }


def test_offsets_count_the_characters_of_the_text_through_all_pieces_of_a_stream() -> None:
    writer = CompletionLogprobs(CARD, make_request())
    offsets = []
    for token_id in (E, FIRST_BYTE, SECOND_BYTE, END, E):
        written = writer.write([TokenLogprobs(token_id, -0.5)], "", False)
        assert written is not None
        offsets += written["text_offset"]
        assert written["top_logprobs"] is None

    assert offsets == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("kind", ["llama 2", "gemma", "metaspace first", "metaspace and bytes"])
def test_the_first_token_of_a_sentencepiece_model_keeps_its_space(kind: str) -> None:
    tokenizer = KINDS[kind]
    card = replace(CARD, tokenizer_json=tokenizer.to_str())
    prompt, (time, full_stop) = ids_of(tokenizer, ["▁the"]), ids_of(tokenizer, ["▁time", "."])
    request = replace(make_request(), prompt_ids=tuple(prompt))
    entries = [TokenLogprobs(time, -0.5, ((time, -0.5),)), TokenLogprobs(full_stop, -0.5)]

    completion = CompletionLogprobs(card, request).write(entries, " time.", is_over=True)
    chat = ChatLogprobs(card, request).write(entries, " time.", is_over=True)

    assert completion["tokens"] == [" time", "."]
    assert completion["text_offset"] == [0, 5]
    assert completion["top_logprobs"][0] == {" time": -0.5}
    assert [entry["token"] for entry in chat["content"]] == [" time", "."]
    assert bytes(byte for entry in chat["content"] for byte in entry["bytes"]) == b" time."


def test_where_no_token_came_or_nobody_asked_nothing_is_written() -> None:
    assert ChatLogprobs(CARD, make_request()).write([], "", True) is None
    assert CompletionLogprobs(CARD, make_request()).write([], "", True) is None
    assert NoLogprobs().write([TokenLogprobs(E, -0.5)], "e", True) is None


# -- on the wire ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize("route", ["chat/completions", "completions"])
@pytest.mark.parametrize(
    ("stop", "text"), [("er", "us"), ("ser", "u"), ("se", "u"), ("rx", "user")]
)
def test_logprobs_end_where_a_stop_string_ends_the_text(
    served: FlaskClient, route: str, stop: str, text: str
) -> None:
    is_chat = route != "completions"
    asks: dict[str, Any] = {"logprobs": True, "top_logprobs": 1} if is_chat else {"logprobs": 1}
    body = (
        (CHAT if is_chat else TEXT | {"prompt": "user"})
        | {"max_tokens": 4}
        | asks
        | {"stop": [stop]}
    )
    whole = served.post(f"/v1/{route}", json=body).json
    events = chunks(served.post(f"/v1/{route}", json=body | {"stream": True}).text)

    assert whole is not None
    choice = whole["choices"][0]
    assert (choice["message"]["content"] if is_chat else choice["text"]) == text
    for pieces in ([choice["logprobs"]], [event["choices"][0]["logprobs"] for event in events]):
        assert tokens_of(pieces) == list(text)


def tokens_of(pieces: list[Any]) -> list[str]:
    """The texts of the tokens of either form."""
    shown = [piece for piece in pieces if piece]
    named = [token for piece in shown for token in piece.get("tokens", ())]
    return named + [entry["token"] for piece in shown for entry in piece.get("content", ())]


def test_an_entry_of_a_stream_comes_with_its_text_or_behind_it(served: FlaskClient) -> None:
    body = CHAT | {"logprobs": True, "stop": ["erx"], "stream": True}
    events = chunks(served.post("/v1/chat/completions", json=body).text)

    text, tokens = "", ""
    for event in events:
        choice = event["choices"][0]
        text += choice["delta"].get("content", "")
        tokens += "".join(tokens_of([choice["logprobs"]]))
        assert text.startswith(tokens)
    assert tokens == text == "user"


def test_who_asks_for_no_logprobs_gets_none(served: FlaskClient) -> None:
    answer = served.post("/v1/completions", json=TEXT).json

    assert answer is not None
    assert answer["choices"][0]["logprobs"] is None
