"""One request's ids, text and end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tokenizers import Tokenizer

from batcher.generation import Generation
from headrace.core.model_card import ModelCard
from headrace.core.types import FinishReason
from tests.fakes import CARD, make_card
from tests.tokenizers_of_kinds import KINDS, ids_of
from tests.unit.batcher.driving import a_request

A, FULL_STOP, TURN = *CARD.tokenize("a"), *CARD.tokenize("."), CARD.eos_token_ids[0]


def card_of(tokenizer: Tokenizer, *ends: int) -> ModelCard:
    return replace(make_card(), tokenizer_json=tokenizer.to_str(), eos_token_ids=ends)


def plain_end() -> ModelCard:
    """A card whose end of sequence is an added token that is not special."""
    fields = json.loads(CARD.tokenizer_json)
    for token in fields["added_tokens"]:
        token["special"] = False
    return replace(CARD, tokenizer_json=json.dumps(fields))


@pytest.mark.parametrize(
    ("card", "end"),
    [
        (CARD, TURN),
        (plain_end(), TURN),
        (replace(CARD, eos_token_ids=(FULL_STOP, TURN)), FULL_STOP),
    ],
    ids=["special", "added, but not special", "ordinary"],
)
def test_an_end_of_sequence_has_no_text_and_counts(card: ModelCard, end: int) -> None:
    generation = Generation(a_request("r", [A, end, A]), card)
    first, last = generation.accept(A), generation.accept(end)
    assert (first.text, last.text) == ("a", "")
    assert last.token_ids == (end,)
    assert last.finish_reason is FinishReason.STOP
    assert generation.output_tokens == 2


def test_an_end_of_sequence_releases_what_was_held_and_completes_no_stop_string() -> None:
    card = replace(CARD, eos_token_ids=(FULL_STOP,))
    generation = Generation(a_request("r", [A], stop=("a.",)), card)
    assert generation.accept(A).text == ""
    assert generation.accept(FULL_STOP).text == "a"


@pytest.mark.parametrize("kind", ["llama 2", "metaspace first", "metaspace always", "gemma"])
def test_the_text_goes_on_where_the_prompt_ends(kind: str) -> None:
    tokenizer = KINDS[kind]
    card = card_of(tokenizer)
    prompt = tokenizer.encode("once upon a").ids
    time, blanks, word = ids_of(tokenizer, ["▁time", "▁▁▁▁", "x"])
    generation = Generation(a_request("r", prompt), card)
    text = "".join(generation.accept(token_id).text for token_id in (time, blanks, word))
    assert text == " time    x"


def test_a_resumed_output_goes_on_as_if_it_had_never_stopped() -> None:
    tokenizer = KINDS["llama 2"]
    ids = ids_of(tokenizer, ["▁time", "東", "▁▁", "é", "▁water", "🙂"])
    request = a_request("r", tokenizer.encode("once").ids, max_tokens=len(ids))
    whole = Generation(request, card_of(tokenizer))
    texts = [whole.accept(token_id).text for token_id in ids]
    assert "".join(texts) == " time東  é water🙂"
    for place in range(1, len(ids)):
        resumed = Generation(request, card_of(tokenizer), ids[:place])
        assert [resumed.accept(token_id).text for token_id in ids[place:]] == texts[place:]
