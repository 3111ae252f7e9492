from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from batcher.torch_engine.cutoff import Cuts
from batcher.torch_engine.draw import Draw
from tests.unit.batcher.drawing import draw

VOCABULARY = 5000
ROUNDING = 1e-6


def cut_off(weights: Tensor, draws: Sequence[Draw]) -> None:
    Cuts(draws, weights.shape[-1], weights.device).apply(weights)


def least_kept(weights: list[float], top_k: int, top_p: float, min_p: float) -> float:
    """The rules one after another, on a sorted list."""
    ordered = sorted(weights, reverse=True)
    if top_k:
        ordered = [weight for weight in ordered if weight >= ordered[top_k - 1]]
    total, reached, least = sum(ordered), 0.0, ordered[0]
    for weight in ordered:
        if reached >= top_p * total and top_p < 1:
            break
        least, reached = weight, reached + weight
    return max(least, min_p)


@settings(max_examples=60, deadline=None)
@given(
    spread=st.sampled_from([0.1, 1.0, 4.0]),
    top_k=st.sampled_from([0, 1, 3, 50, 64, 65, 500, 3000]),
    top_p=st.floats(0, 1),
    min_p=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_a_row_keeps_what_the_rules_in_turn_keep(
    spread: float, top_k: int, top_p: float, min_p: float, seed: int
) -> None:
    numbers = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * spread
    numbers = numbers.bfloat16().float()  # As a model in bf16 has them: many are equal.
    weights = (numbers - numbers.max()).exp()
    before = weights.clone()
    cut_off(weights, [draw(top_k=top_k, top_p=top_p, min_p=min_p)])
    numbers_kept = []
    for share in (top_p, top_p * (1 - ROUNDING), top_p * (1 + ROUNDING)):
        least = least_kept(before[0].tolist(), top_k, share, min_p)
        numbers_kept.append((before >= least).sum().item())
    kept = (weights > 0).sum().item()
    assert kept in numbers_kept
    assert torch.equal(weights, before.masked_fill(before < before[0].topk(kept).values[-1], 0))


def test_rows_without_limits_are_left_alone() -> None:
    weights = torch.tensor([[1.0, 0.5, 0.1], [1.0, 0.5, 0.1]])
    cut_off(weights, [draw(), draw(top_k=2)])
    assert weights.tolist() == [pytest.approx([1.0, 0.5, 0.1]), pytest.approx([1.0, 0.5, 0.0])]
