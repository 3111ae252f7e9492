from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from batcher.torch_engine.sampler import FAILED, Draw, sample, uniform
from headrace.core.types import Sampling

VOCABULARY = 1000
DRAWS = 40_000


def draw(place: int = 0, **rules: Any) -> Draw:
    return Draw.of(Sampling(max_tokens=1, **{"temperature": 1.0, **rules}), place)


def frequencies(logits: Tensor, **rules: Any) -> Tensor:
    """How often each id is drawn over many places of one seed."""
    rows = logits.expand(DRAWS, -1)
    ids = sample(rows, [draw(place, **rules) for place in range(DRAWS)])
    return torch.bincount(ids, minlength=logits.shape[-1]) / DRAWS


def reference(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """The distribution as transformers' own warpers shape it."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    no_ids = torch.zeros(1, 0, dtype=torch.int64)
    scores = TemperatureLogitsWarper(temperature)(no_ids, logits[None])
    if top_k:
        scores = TopKLogitsWarper(top_k)(no_ids, scores)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(no_ids, scores)
    return scores.softmax(-1)[0]


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(50, generator=torch.Generator().manual_seed(3)) * 2


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 0, 1.0), (0.5, 0, 1.0), (2.0, 0, 1.0), (1.0, 5, 1.0), (1.0, 0, 0.7), (0.8, 20, 0.9)],
)
def test_ids_come_as_often_as_the_rules_say(
    logits: Tensor, temperature: float, top_k: int, top_p: float
) -> None:
    expected = reference(logits, temperature, top_k, top_p)
    found = frequencies(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    assert not found[expected == 0].any()
    tolerance = 5 * (expected * (1 - expected) / DRAWS).sqrt()
    assert ((found - expected).abs() <= tolerance).all()


def test_temperature_zero_takes_the_largest(logits: Tensor) -> None:
    assert sample(logits[None], [draw(temperature=0)]).item() == logits.argmax().item()


def test_a_tiny_temperature_takes_the_largest_too(logits: Tensor) -> None:
    draws = [draw(place, temperature=1e-40) for place in range(50)]
    assert set(sample(logits.expand(50, -1), draws).tolist()) == {logits.argmax().item()}


def test_top_p_zero_leaves_the_largest(logits: Tensor) -> None:
    draws = [draw(place, top_p=0.0) for place in range(50)]
    assert set(sample(logits.expand(50, -1), draws).tolist()) == {logits.argmax().item()}


def test_a_draw_does_not_depend_on_the_mates_of_a_row() -> None:
    rows = torch.randn(6, VOCABULARY, generator=torch.Generator().manual_seed(5))
    rules: list[dict[str, Any]] = [
        {"temperature": 0.0},
        {"seed": 1},
        {"seed": 2, "top_k": 10},
        {"seed": 3, "top_p": 0.5},
        {"seed": 4, "top_p": 0.999, "top_k": 900},
        {"seed": 5, "temperature": 3.0},
    ]
    draws = [draw(9, **rule) for rule in rules]
    together = sample(rows, draws).tolist()
    alone = [sample(rows[n : n + 1], draws[n : n + 1]).item() for n in range(6)]
    assert together == alone


def test_equal_logits_at_the_edge_of_top_k_all_stay() -> None:
    found = frequencies(torch.tensor([3.0, 2.0, 2.0, 0.0]), top_k=2)
    assert (found[:3] > 0).all()
    assert found[3] == 0


def test_a_flat_distribution_wider_than_the_sorted_head_is_cut_where_it_should() -> None:
    draws = [draw(place, top_p=0.9) for place in range(300)]
    ids = sample(torch.arange(VOCABULARY).expand(300, -1) * 1e-3, draws)
    assert ids.unique().numel() > 200
    assert ids.min().item() > 40


def test_a_row_that_is_not_a_number_fails_alone() -> None:
    rows = torch.zeros(5, 8)
    rows[:, 3] = 5
    rows[1, 6] = torch.nan
    rows[2, 6] = torch.inf
    rows[3] = -torch.inf
    for temperature in (0.0, 0.1):
        ids = sample(rows, [draw(temperature=temperature)] * 5)
        assert ids.tolist() == [3, FAILED, FAILED, FAILED, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_ids_that_are_ruled_out_are_never_drawn(dtype: torch.dtype) -> None:
    rows = torch.full((200, 16), -torch.inf, dtype=dtype)
    rows[:, [2, 11]] = 1
    ids = sample(rows, [draw(place) for place in range(200)])
    assert set(ids.tolist()) == {2, 11}


def test_uniform_numbers_are_spread_evenly_over_places_and_seeds() -> None:
    for numbers in ([uniform(1, n) for n in range(10_000)], [uniform(n, 0) for n in range(10_000)]):
        counts = torch.histc(torch.tensor(numbers), bins=10, min=0, max=1)
        assert ((counts - 1000).abs() < 150).all()
        assert min(numbers) >= 0 and max(numbers) < 1


def test_a_uniform_number_is_the_same_in_every_process() -> None:
    assert uniform(42, 7) == uniform(42, 7)
    assert uniform(42, 7) != uniform(42, 8)
    assert uniform(42, 7) != uniform(43, 7)
    assert uniform(-1, 0) == uniform(2**64 - 1, 0)
