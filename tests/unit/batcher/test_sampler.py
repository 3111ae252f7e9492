from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.sampler import FAILED, Sampler
from tests.unit.batcher.drawing import (
    draw,
    draw_after,
    make_rules,
    sample,
    sample_ids,
    sample_one,
)

VOCABULARY = 1000
DRAWS = 40_000


def frequencies(logits: Tensor, **rules: Any) -> Tensor:
    """How often each id is drawn over many places of one seed."""
    rows = logits.expand(DRAWS, -1)
    ids = sample_ids(rows, [draw(place, **rules) for place in range(DRAWS)])
    return torch.bincount(torch.tensor(ids), minlength=logits.shape[-1]) / DRAWS


def reference(logits: Tensor, temperature: float, top_k: int, top_p: float, min_p: float) -> Tensor:
    """The distribution as transformers' own warpers shape it."""
    no_ids = torch.zeros(1, 0, dtype=torch.int64)
    scores = TemperatureLogitsWarper(temperature)(no_ids, logits[None])
    if top_k:
        scores = TopKLogitsWarper(top_k)(no_ids, scores)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(no_ids, scores)
    if min_p:
        scores = MinPLogitsWarper(min_p)(no_ids, scores)
    return scores.softmax(-1)[0]


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(50, generator=torch.Generator().manual_seed(3)) * 2


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "min_p"),
    [
        (1.0, 0, 1.0, 0.0),
        (0.5, 0, 1.0, 0.0),
        (2.0, 0, 1.0, 0.0),
        (1.0, 5, 1.0, 0.0),
        (1.0, 0, 0.7, 0.0),
        (0.8, 20, 0.9, 0.0),
        (1.0, 0, 1.0, 0.1),
        (1.5, 30, 0.95, 0.05),
        (1.5, 4, 0.95, 0.001),
        (1.0, 0, 0.3, 0.001),
    ],
)
def test_ids_come_as_often_as_the_rules_say(
    logits: Tensor, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    rules = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    expected = reference(logits, **rules)
    found = frequencies(logits, **rules)
    assert not found[expected == 0].any()
    tolerance = 5 * (expected * (1 - expected) / DRAWS).sqrt()
    assert ((found - expected).abs() <= tolerance).all()


def test_min_p_one_leaves_the_largest(logits: Tensor) -> None:
    draws = [draw(place, min_p=1.0) for place in range(50)]
    assert set(sample_ids(logits.expand(50, -1), draws)) == {logits.argmax().item()}


def test_temperature_zero_takes_the_largest(logits: Tensor) -> None:
    assert sample_ids(logits[None], [draw(temperature=0)]) == [logits.argmax().item()]


def test_a_tiny_temperature_takes_the_largest_too(logits: Tensor) -> None:
    draws = [draw(place, temperature=1e-40) for place in range(50)]
    assert set(sample_ids(logits.expand(50, -1), draws)) == {logits.argmax().item()}


def test_top_p_zero_leaves_the_largest(logits: Tensor) -> None:
    draws = [draw(place, top_p=0.0) for place in range(50)]
    assert set(sample_ids(logits.expand(50, -1), draws)) == {logits.argmax().item()}


RULES = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.0, 0.3, 1.0, 3.0]),
        "top_k": st.sampled_from([0, 1, 10, 64, 700]),
        "top_p": st.sampled_from([0.0, 0.5, 0.9, 0.9999, 1.0]),
        "min_p": st.sampled_from([0.0, 0.02, 0.5]),
        "seed": st.integers(0, 2**64),
        "repetition_penalty": st.sampled_from([1.0, 1.3]),
        "presence_penalty": st.sampled_from([0.0, 0.5]),
        "frequency_penalty": st.sampled_from([0.0, -0.4]),
        "logprobs": st.sampled_from([None, 0, 3]),
    }
)


@settings(max_examples=60, deadline=None)
@given(rules=st.lists(RULES, min_size=2, max_size=6), spread=st.sampled_from([0.5, 3.0]))
def test_what_a_row_draws_does_not_depend_on_its_mates(
    rules: list[dict[str, Any]], spread: float
) -> None:
    rows = torch.randn(len(rules), VOCABULARY, generator=torch.Generator().manual_seed(5)) * spread
    output = rows.topk(4).indices.flatten().tolist()
    draws = [draw_after([1, 2, 3], output, **rule) for rule in rules]
    alone = [sample_one(row, one) for row, one in zip(rows, draws, strict=True)]
    assert sample(rows, draws) == alone


def test_the_logits_are_left_as_they_are() -> None:
    rows = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(5))
    before = rows.clone()
    rules: dict[str, Any] = {"top_p": 0.5, "repetition_penalty": 1.5, "logprobs": 2}
    sample(rows, [draw_after([1, 2], [3], **rules)] * 3)
    assert torch.equal(rows, before)


def test_equal_logits_at_the_edge_of_top_k_all_stay() -> None:
    found = frequencies(torch.tensor([3.0, 2.0, 2.0, 0.0]), top_k=2)
    assert (found[:3] > 0).all()
    assert found[3] == 0


def test_a_flat_distribution_wider_than_the_sorted_head_is_cut_where_it_should() -> None:
    draws = [draw(place, top_p=0.9) for place in range(300)]
    ids = sample_ids(torch.arange(VOCABULARY).expand(300, -1) * 1e-3, draws)
    assert len(set(ids)) > 200
    assert min(ids) > 40


@pytest.mark.parametrize(
    "rules",
    [
        {"temperature": 0.0},
        {"temperature": 0.1},
        {"temperature": 0.0, "repetition_penalty": 1.1},
        {"temperature": 0.1, "top_p": 0.9, "top_k": 3, "min_p": 0.1, "frequency_penalty": 0.1},
        {"temperature": 0.0, "logprobs": 3},
    ],
)
def test_a_row_that_is_not_a_number_fails_alone(rules: dict[str, Any]) -> None:
    rows = torch.zeros(5, 8)
    rows[:, 3] = 5
    rows[1, 6] = torch.nan
    rows[2, 6] = torch.inf
    rows[3] = -torch.inf
    draws = [draw_after([3], [4], **rules)] * 5
    assert sample_ids(rows, draws) == [3, FAILED, FAILED, FAILED, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_ids_that_are_ruled_out_are_never_drawn(dtype: torch.dtype) -> None:
    rows = torch.full((200, 16), -torch.inf, dtype=dtype)
    rows[:, [2, 11]] = 1
    ids = sample_ids(rows, [draw(place) for place in range(200)])
    assert set(ids) == {2, 11}


def test_a_weight_that_is_no_normal_number_counts_as_none() -> None:
    logits = torch.tensor([0.0, 86.0, -1.0])
    ids = sample_ids(logits.expand(300, -1), [draw(place, temperature=0.5) for place in range(300)])
    assert set(ids) == {1}


def test_a_sampler_that_sees_rows_come_and_go_draws_as_a_new_one() -> None:
    rows = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(5)) * 3
    rules: dict[str, Any] = {"top_p": 0.9, "presence_penalty": 0.5, "logprobs": 1}
    ids = [[1, 2, 3 + row] for row in range(3)]
    draws = [Draw(make_rules({**rules, "seed": row}), ids[row], 2) for row in range(3)]
    sampler = Sampler()
    for rows_there in ([0, 1], [0, 1], [0, 1, 2], [2, 1], [2, 1], [0]):
        logits = rows[rows_there]
        tokens = sampler(logits, [draws[row] for row in rows_there])
        fresh = [draw_after(ids[row][:2], ids[row][2:], **rules, seed=row) for row in rows_there]
        assert tokens == sample(logits, fresh)
        for row, token in zip(rows_there, tokens, strict=True):
            ids[row].append(token.id)
