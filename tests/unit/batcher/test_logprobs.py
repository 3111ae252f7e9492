from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headrace.core.types import TokenLogprobs
from tests.unit.batcher.drawing import draw, draw_after, sample, sample_one


def some_logits(vocabulary: int = 1000, rows: int = 1) -> Tensor:
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(3)) * 3


def by_formula(logits: Tensor, token_id: int, count: int) -> TokenLogprobs:
    logprobs = logits.float().log_softmax(-1).tolist()
    order = sorted(range(len(logprobs)), key=lambda id_: (-logprobs[id_], id_))
    top = tuple((id_, logprobs[id_]) for id_ in order[:count])
    return TokenLogprobs(token_id, logprobs[token_id], top)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_logprobs_are_those_of_a_softmax_in_float32(dtype: torch.dtype, count: int) -> None:
    logits = some_logits()[0].to(dtype)
    token = sample_one(logits, draw(logprobs=count))
    assert token.logprobs == by_formula(logits, token.id, count)


def test_who_does_not_ask_gets_none() -> None:
    tokens = sample(some_logits(rows=3), [draw(), draw(logprobs=0), draw()])
    assert [token.logprobs is None for token in tokens] == [True, False, True]


def test_each_row_gets_as_many_as_it_asked_for() -> None:
    rows = some_logits(rows=4)
    tokens = sample(rows, [draw(logprobs=count) for count in (3, 0, 7, 1)])
    assert [len(token.logprobs.top) for token in tokens if token.logprobs] == [3, 0, 7, 1]


def test_logprobs_are_the_models_own_before_any_rule() -> None:
    logits = some_logits()[0]
    likeliest = int(logits.argmax())
    rules: dict[str, Any] = {"temperature": 0.0, "repetition_penalty": 9.0, "logprobs": 2}
    token = sample_one(logits, draw_after([likeliest], [], **rules))
    assert token.id != likeliest
    assert token.logprobs == by_formula(logits, token.id, 2)


@settings(deadline=None)
@given(
    numbers=st.lists(st.integers(0, 3), min_size=1, max_size=300),
    count=st.integers(1, 20),
)
def test_equals_come_by_rising_id(numbers: list[int], count: int) -> None:
    logits = torch.tensor(numbers, dtype=torch.float32)
    token = sample_one(logits, draw(temperature=0.0, logprobs=count))
    assert token.logprobs == by_formula(logits, token.id, count)
    assert token.logprobs.top[0][0] == token.id


def test_the_best_of_a_whole_vocabulary_add_up_to_one() -> None:
    token = sample_one(some_logits(7)[0], draw(logprobs=20))
    assert token.logprobs is not None
    assert len(token.logprobs.top) == 7
    assert math.fsum(math.exp(logprob) for _, logprob in token.logprobs.top) == pytest.approx(1)


def test_a_row_that_fails_has_none_and_its_mates_have_theirs() -> None:
    rows = some_logits(rows=3)
    rows[1, 4] = torch.nan
    tokens = sample(rows, [draw(logprobs=2)] * 3)
    assert [token.is_failed for token in tokens] == [False, True, False]
    assert tokens[1].logprobs is None
    assert tokens[2].logprobs == by_formula(rows[2], tokens[2].id, 2)
