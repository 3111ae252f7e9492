from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import RepetitionPenaltyLogitsProcessor

from batcher.torch_engine import penalties
from batcher.torch_engine.draw import Draw
from batcher.torch_engine.penalties import Penalties
from tests.unit.batcher.drawing import draw_after, make_rules, sample_ids

VOCABULARY = 20
IDS = st.lists(st.integers(0, VOCABULARY - 1), max_size=12)


def penalise(scores: Tensor, draws: Sequence[Draw]) -> None:
    Penalties(draws, scores.shape[-1], scores.device).apply(scores)


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


@pytest.mark.parametrize("spare", [1, 64])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    histories=st.lists(st.tuples(IDS, IDS), min_size=1, max_size=3),
    later=st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=3, max_size=3), max_size=12),
)
def test_rows_that_grow_are_penalised_as_if_they_had_come_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
    histories: list[tuple[list[int], list[int]]],
    later: list[list[int]],
    spare: int,
) -> None:
    monkeypatch.setattr(penalties, "_SPARE", spare)
    rules = {"repetition_penalty": 1.3, "presence_penalty": 0.4, "frequency_penalty": 0.2}
    rows = len(histories)
    growing_ids = [[*prompt, *output] for prompt, output in histories]
    draws = [
        Draw(make_rules(rules), ids, len(prompt))
        for ids, (prompt, _) in zip(growing_ids, histories, strict=True)
    ]
    growing = Penalties(draws, VOCABULARY, torch.device("cpu"))
    for ids in later:
        found, expected = some_logits(rows), some_logits(rows)
        growing.apply(found)
        penalise(expected, [draw_after(*history, **rules) for history in histories])
        assert torch.equal(found, expected)
        for ids_of_row, (_, output), token_id in zip(growing_ids, histories, ids, strict=False):
            output.append(token_id)
            ids_of_row.append(token_id)
