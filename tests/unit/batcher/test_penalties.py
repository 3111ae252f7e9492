from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import RepetitionPenaltyLogitsProcessor

from batcher.torch_engine.penalties import penalise
from tests.unit.batcher.drawing import draw_after, sample_ids

VOCABULARY = 20
IDS = st.lists(st.integers(0, VOCABULARY - 1), max_size=12)


def some_logits(rows: int = 1) -> Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(3)) * 3


@settings(deadline=None)
@given(prompt=IDS, output=IDS, penalty=st.floats(0.1, 4))
def test_the_repetition_penalty_is_that_of_transformers(
    prompt: list[int], output: list[int], penalty: float
) -> None:
    ids = torch.tensor([prompt + output], dtype=torch.int64)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(ids, some_logits())
    scores = some_logits()
    penalise(scores, [draw_after(prompt, output, repetition_penalty=penalty)])
    torch.testing.assert_close(scores, expected)


@settings(deadline=None)
@given(prompt=IDS, output=IDS, presence=st.floats(-2, 2), frequency=st.floats(-2, 2))
def test_presence_and_frequency_heed_the_output_alone(
    prompt: list[int], output: list[int], presence: float, frequency: float
) -> None:
    counts = torch.bincount(torch.tensor(output, dtype=torch.int64), minlength=VOCABULARY)
    expected = some_logits() - presence * (counts > 0) - frequency * counts
    scores = some_logits()
    rules = {"presence_penalty": presence, "frequency_penalty": frequency}
    penalise(scores, [draw_after(prompt, output, **rules)])
    torch.testing.assert_close(scores, expected)


def test_the_repetition_penalty_comes_first() -> None:
    scores = torch.tensor([[4.0, -4.0, 1.0]])
    rules = {"repetition_penalty": 2.0, "presence_penalty": 1.0, "frequency_penalty": 0.5}
    penalise(scores, [draw_after([1], [0, 0], **rules)])
    assert scores.tolist() == [[4 / 2 - 1 - 2 * 0.5, -8.0, 1.0]]


def test_each_row_has_its_own_penalties() -> None:
    scores = torch.ones(4, 3)
    penalise(
        scores,
        [
            draw_after([0], [1]),
            draw_after([0], [1], repetition_penalty=2.0),
            draw_after([0], [1, 1], frequency_penalty=1.0),
            draw_after([], [], presence_penalty=1.0),
        ],
    )
    assert scores.tolist() == [[1, 1, 1], [0.5, 0.5, 1], [1, -1, 1], [1, 1, 1]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_greedy_rows_heed_penalties_beside_rows_without(dtype: torch.dtype) -> None:
    rows = torch.tensor([[5.0, 4.0, 0.0]] * 3, dtype=dtype)
    draws = [
        draw_after([0], [0], temperature=0.0),
        draw_after([0], [0], temperature=0.0, repetition_penalty=1.3),
        draw_after([0], [], temperature=0.0, presence_penalty=2.0),
    ]
    assert sample_ids(rows, draws) == [0, 1, 0]


def test_a_penalty_smaller_than_the_steps_of_bfloat16_counts() -> None:
    rows = torch.tensor([[64.0, 64.0]], dtype=torch.bfloat16)
    rules = {"temperature": 0.0, "frequency_penalty": 0.01}
    assert sample_ids(rows, [draw_after([], [0], **rules)]) == [1]
