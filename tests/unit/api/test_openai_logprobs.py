"""Logprobs in OpenAI's two forms."""

from __future__ import annotations

from api.openai_logprobs import ChatLogprobs, CompletionLogprobs, NoLogprobs
from headrace.core.types import TokenLogprobs
from tests.fakes import CARD, EOS

E, FIRST_BYTE, SECOND_BYTE = *CARD.tokenize("e"), *CARD.tokenize("ü")
END = CARD.eos_token_ids[0]


def test_a_chat_names_each_token_its_bytes_and_its_alternatives() -> None:
    written = ChatLogprobs(CARD).write([TokenLogprobs(E, -0.5, ((E, -0.5), (END, -1.0)))])

    own = {"token": "e", "logprob": -0.5, "bytes": [101]}
    end = {"token": EOS, "logprob": -1.0, "bytes": list(EOS.encode())}
    assert written == {"content": [own | {"top_logprobs": [own, end]}], "refusal": None}


def test_a_part_of_a_character_is_shown_as_bytes() -> None:
    written = ChatLogprobs(CARD).write([TokenLogprobs(FIRST_BYTE, -0.5)])

    assert written is not None
    (token,) = written["content"]
    assert (token["token"], token["bytes"]) == ("bytes:\\xc3", [0xC3])


def test_a_completion_has_a_list_of_each_kind() -> None:
    entries = [TokenLogprobs(E, -0.5, ((END, -0.1),)), TokenLogprobs(END, -0.2, ((END, -0.2),))]
    assert CompletionLogprobs(CARD).write(entries) == {
        "tokens": ["e", EOS],
        "token_logprobs": [-0.5, -0.2],
        "top_logprobs": [{EOS: -0.1, "e": -0.5}, {EOS: -0.2}],
        "text_offset": [0, 1],
    }


def test_offsets_count_the_characters_of_the_text_through_all_pieces_of_a_stream() -> None:
    writer = CompletionLogprobs(CARD)
    offsets = []
    for token_id in (E, FIRST_BYTE, SECOND_BYTE, END, E):
        written = writer.write([TokenLogprobs(token_id, -0.5)])
        assert written is not None
        offsets += written["text_offset"]
        assert written["top_logprobs"] is None

    assert offsets == [0, 1, 1, 2, 2]


def test_where_no_token_came_or_nobody_asked_nothing_is_written() -> None:
    assert ChatLogprobs(CARD).write([]) is None
    assert CompletionLogprobs(CARD).write([]) is None
    assert NoLogprobs().write([TokenLogprobs(E, -0.5)]) is None
