"""What requests add to single logits, and ends that come too early."""

from __future__ import annotations

import pytest
import torch

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.sampler import Sampler
from headrace.core.types import Sampling
from tests.unit.batcher.drawing import draw, sample, sample_ids, sample_one

LOGITS = torch.tensor([1.0, 4.0, 3.0, 2.0])


def greedy(output: int, ends: tuple[int, ...] = (), **rules: object) -> Draw:
    return Draw(Sampling(9, temperature=0.0, **rules), range(output), 0, ends)  # type: ignore[arg-type]


@pytest.mark.parametrize(("bias", "token_id"), [(-2.0, 2), (-0.5, 1), (-100.0, 2)])
def test_a_bias_is_added_to_the_logit_of_its_id(bias: float, token_id: int) -> None:
    assert sample_one(LOGITS, greedy(0, logit_bias=((1, bias),))).id == token_id


def test_biases_come_before_the_penalties() -> None:
    rules = {"logit_bias": ((0, 9.0),), "repetition_penalty": 2.0}
    # (1 + 6) / 2 is less than 4, and 1 / 2 + 6 is more.
    assert sample_one(LOGITS, greedy(1, **rules)).id == 0
    assert sample_one(LOGITS, greedy(1, **rules | {"logit_bias": ((0, 6.0),)})).id == 1


def test_an_end_is_hidden_until_the_least_number_of_tokens_is_reached() -> None:
    chosen = [sample_one(LOGITS, greedy(count, ends=(1,), min_tokens=2)).id for count in range(4)]
    assert chosen == [2, 2, 1, 1]


def test_a_row_that_grows_finds_its_ends_again() -> None:
    ids = [0]
    growing = Draw(Sampling(9, temperature=0.0, min_tokens=2), ids, 0, (1,))
    sampler = Sampler()
    first = sampler(LOGITS[None], [growing])
    ids.append(2)
    second = sampler(LOGITS[None], [growing])
    assert [token.id for token in (*first, *second)] == [2, 1]


def test_neighbours_keep_their_own_logits_and_logprobs_are_the_models() -> None:
    rows = torch.stack([LOGITS] * 3)
    biased = greedy(0, logit_bias=((1, -100.0),), logprobs=1)
    tokens = sample(rows, [greedy(0), biased, draw(temperature=0.0)])
    assert [token.id for token in tokens] == [1, 2, 1]
    entry = tokens[1].logprobs
    assert entry is not None
    expected = LOGITS.log_softmax(-1)
    assert entry.logprob == pytest.approx(expected[2].item())
    assert entry.top[0][0] == 1


def test_ends_beyond_the_vocabulary_are_passed_over() -> None:
    assert sample_ids(LOGITS[None], [greedy(0, ends=(99, 1), min_tokens=1)]) == [2]
