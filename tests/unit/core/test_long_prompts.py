"""Prompts that take a tokenizer long, beside other threads of the process."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from math import inf

import pytest
from tokenizers import AddedToken, Tokenizer, normalizers

from headrace.core.errors import InvalidRequest
from headrace.core.model_card import ModelCard
from tests.fakes import CARD
from tests.hostile_bodies import REPEATED
from tests.tiny_models import make_tokenizer

MEGABYTE = 1_000_000


def card_of(tokenizer: Tokenizer, context_tokens: int = 10**9) -> ModelCard:
    return replace(CARD, tokenizer_json=tokenizer.to_str(), context_tokens=context_tokens)


@pytest.mark.parametrize("name", REPEATED)
def test_long_and_short_texts_have_the_ids_that_the_tokenizer_gives(name: str) -> None:
    tokenizer = make_tokenizer()
    for text in (REPEATED[name], 300 * REPEATED[name]):
        assert list(card_of(tokenizer).tokenize(text)) == tokenizer.encode(text).ids


def test_a_megabyte_lets_other_threads_run() -> None:
    card = card_of(make_tokenizer())
    card.tokenize("warm")
    worker = threading.Thread(target=card.tokenize, args=("aA" * (MEGABYTE // 2),))
    ticks = 0
    worker.start()
    while worker.is_alive():
        time.sleep(0.001)
        ticks += 1
    assert ticks > 20


def test_a_text_that_cannot_fit_is_refused_unread() -> None:
    card = card_of(make_tokenizer(), context_tokens=10)
    began = time.process_time()
    with pytest.raises(InvalidRequest, match="more than any 10 tokens have") as refused:
        card.tokenize("a" * MEGABYTE)
    assert time.process_time() - began < 0.1
    assert (refused.value.param, refused.value.code) == ("prompt", "context_length_exceeded")


def test_the_longest_prompt_is_as_many_of_the_longest_token() -> None:
    card = card_of(make_tokenizer(), context_tokens=10)
    longest = max(card.tokenizer.get_vocab(), key=len)
    assert card.longest_prompt == 10 * len(longest)


def test_no_length_is_too_long_where_a_token_may_stand_for_any() -> None:
    shortening, greedy = make_tokenizer(), make_tokenizer()
    shortening.normalizer = normalizers.NFKC()
    greedy.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    assert card_of(shortening).longest_prompt == inf
    assert card_of(greedy).longest_prompt == inf
