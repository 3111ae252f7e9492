"""Rows under a grammar draw what it allows, whatever else their rules say."""

from __future__ import annotations

import json

import pytest
import torch

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.grammar import Grammar, GrammarCompiler
from batcher.torch_engine.sampler import Sampler
from headrace.core.types import Sampling
from tests.fakes import CARD

COMPILER = GrammarCompiler(CARD, CARD.vocabulary_size)
END = CARD.eos_token_ids[0]
WIDTH = CARD.vocabulary_size


def grammar(*values: object) -> Grammar:
    return COMPILER.compile(json.dumps({"enum": list(values)}))


def a_draw(
    held: Grammar | None, temperature: float = 0.0, output: int = 0, **rules: object
) -> Draw:
    sampling = Sampling(9, temperature, **rules)  # type: ignore[arg-type]
    return Draw(sampling, range(output), 0, (END,), held)


def texts(draws: list[Draw], logits: torch.Tensor) -> list[str]:
    return [CARD.tokenizer.decode([token.id]) for token in Sampler()(logits, draws)]


@pytest.fixture
def logits() -> torch.Tensor:
    """The same row for all: z is likeliest, then y, and so on."""
    row = torch.zeros(WIDTH)
    for rank, character in enumerate("abcdefghijklmnopqrstuvwxyz", start=1):
        row[CARD.tokenize(character)[0]] = float(rank)
    return row.repeat(4, 1)


def test_each_row_heeds_its_own_grammar(logits: torch.Tensor) -> None:
    draws = [a_draw(grammar(True)), a_draw(None), a_draw(grammar(None)), a_draw(grammar(1))]
    assert texts(draws, logits) == ["t", "z", "n", "1"]


@pytest.mark.parametrize("temperature", [0.0, 0.7, 5.0])
def test_the_likeliest_of_what_is_allowed_is_drawn(
    logits: torch.Tensor, temperature: float
) -> None:
    held = grammar("ab", "cd")
    held.advance(CARD.tokenize('"'))
    draws = [a_draw(held.copy(), temperature, seed=seed, top_k=1) for seed in range(4)]
    assert texts(draws, logits) == ["c"] * 4


def test_a_ban_of_all_that_is_allowed_bans_nothing(logits: torch.Tensor) -> None:
    bias = ((CARD.tokenize("1")[0], -100.0),)
    assert texts([a_draw(grammar(1), logit_bias=bias)], logits[:1]) == ["1"]


def test_a_row_that_goes_on_is_held_at_its_new_place(logits: torch.Tensor) -> None:
    held, sampler = grammar("zoo"), Sampler()
    draws = [a_draw(held)]
    drawn = []
    for _step in range(6):
        [token] = sampler(logits[:1], draws)
        held.advance([token.id])
        drawn.append(token.id)
    assert drawn == [*CARD.tokenize('"zoo"'), END]


def test_a_least_number_of_tokens_lengthens_what_may_be_longer(logits: torch.Tensor) -> None:
    logits[0, END] = 99.0
    held = COMPILER.compile('{"type": "integer"}')
    held.advance(CARD.tokenize("12"))
    assert texts([a_draw(held, output=2, min_tokens=5)], logits[:1]) != [""]
    [token] = Sampler()(logits[:1], [a_draw(held, output=5, min_tokens=5)])
    assert token.id == END


def test_a_least_number_of_tokens_does_not_lengthen_what_is_over(logits: torch.Tensor) -> None:
    held = grammar(1)
    held.advance(CARD.tokenize("1"))
    [token] = Sampler()(logits[:1], [a_draw(held, output=1, min_tokens=5)])
    assert token.id == END


@pytest.mark.parametrize("wider", [0, 7, 64])
def test_ids_that_the_tokenizer_does_not_know_are_never_drawn(wider: int) -> None:
    logits = torch.zeros(1, WIDTH + wider)
    logits[:, WIDTH:] = 99.0
    assert texts([a_draw(grammar(1))], logits) == ["1"]
