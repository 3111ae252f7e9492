"""Entries of tokens are shown as far as the text goes, for all kinds of tokenizers and endings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.shown_tokens import ShownTokens
from batcher.generation import Generation
from headrace.core.model_card import ModelCard
from headrace.core.types import FinishReason, TokenLogprobs
from tests.fakes import CARD
from tests.tokenizers_of_kinds import KINDS
from tests.unit.batcher.driving import a_request

CARDS = {
    kind: replace(CARD, tokenizer_json=tokenizer.to_str(), eos_token_ids=())
    for kind, tokenizer in KINDS.items()
}
A, B, FULL_STOP = (CARD.tokenize(letter)[0] for letter in "ab.")


def shown(
    card: ModelCard,
    prompt: list[int],
    ids: list[int],
    cuts: list[int] | None = None,
    **rules: Any,
) -> tuple[str, list[int], Generation]:
    """Text, shown ids and generation of an output that a stream brings in pieces."""
    request = a_request("a", prompt, len(ids), logprobs=0, **rules)
    generation, tokens = Generation(request, card), ShownTokens(card, request)
    text, piece = "", ""
    named: list[int] = []
    entries: list[TokenLogprobs] = []
    for place, token_id in enumerate(ids):
        delta = generation.accept(token_id, TokenLogprobs(token_id, -0.5))
        piece += delta.text
        entries += delta.logprobs or ()
        if delta.is_last or cuts is None or place in cuts:
            found = tokens.take(entries, piece, delta.is_last)
            named += [entry.token_id for _begin, entry in found]
            text, piece, entries = text + piece, "", []
            assert all(begin <= len(text) for begin, _entry in found)
        if delta.is_last:
            break
    return text, named, generation


@st.composite
def outputs(draw: st.DrawFn) -> tuple[str, list[int], list[int], list[int]]:
    kind = draw(st.sampled_from(sorted(KINDS)))
    ids = st.integers(0, KINDS[kind].get_vocab_size() - 1)
    prompt = draw(st.lists(ids, min_size=1, max_size=4))
    return kind, prompt, draw(st.lists(ids, min_size=1, max_size=12)), draw(st.lists(ids))


@given(outputs())
def test_an_output_that_is_not_cut_shows_all_its_tokens(
    found: tuple[str, list[int], list[int], list[int]],
) -> None:
    kind, prompt, ids, cuts = found
    for stop in ((), ("no such text",)):
        text, named, generation = shown(CARDS[kind], prompt, ids, cuts, stop=stop)
        assert named == generation.ids[len(prompt) :] == ids
        assert text == shown(CARDS[kind], prompt, ids)[0]


@given(outputs(), st.integers(0, 30), st.integers(1, 3))
def test_a_stop_string_cuts_text_and_tokens_at_one_place(
    found: tuple[str, list[int], list[int], list[int]], begin: int, length: int
) -> None:
    kind, prompt, ids, cuts = found
    whole = shown(CARDS[kind], prompt, ids)[0]
    stop = whole[begin : begin + length]
    text, named, generation = shown(CARDS[kind], prompt, ids, cuts, stop=(stop,) if stop else ())
    assert named == ids[: len(named)]
    if generation.finish_reason is FinishReason.LENGTH:
        assert named == ids
        return
    before = shown(CARDS[kind], prompt, named)[0] if named else ""
    assert before.startswith(text) or text.startswith(before.rstrip("\ufffd"))
    assert named == shown(CARDS[kind], prompt, ids, stop=(stop,))[1]


@pytest.mark.parametrize("stop", [(), ("x",)])
def test_the_end_of_a_sequence_is_shown_where_it_is_an_ordinary_token_too(
    stop: tuple[str, ...],
) -> None:
    text, named, _generation = shown(
        CARD, [A], [A, B, FULL_STOP, A], stop_token_ids=(FULL_STOP,), stop=stop
    )
    assert (text, named) == ("ab", [A, B, FULL_STOP])


def test_what_a_held_text_turns_out_to_be_is_shown_in_the_end() -> None:
    assert shown(CARD, [A], [A, B, B], stop=("bbx",))[:2] == ("abb", [A, B, B])
    assert shown(CARD, [A], [A, B, B], stop=("bb",))[:2] == ("a", [A])
