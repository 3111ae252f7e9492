from __future__ import annotations

import torch

from batcher.torch_engine.draw import Draw
from batcher.torch_engine.subset import Subset
from tests.unit.batcher.drawing import draw

CPU = torch.device("cpu")
NUMBERS = torch.tensor([[1.0], [2.0], [3.0]])
DRAWS = [draw(temperature=0.0), draw(), draw()]


def is_warm(one: Draw) -> bool:
    return not one.is_greedy


def test_some_rows_are_picked_and_put_back_where_they_were() -> None:
    warm = Subset(DRAWS, is_warm, CPU)
    assert (warm.rows, warm.draws, len(warm)) == ([1, 2], DRAWS[1:], 2)
    assert warm.of(NUMBERS).tolist() == [[2.0], [3.0]]
    assert warm.put(NUMBERS, -warm.of(NUMBERS)).tolist() == [[1.0], [-2.0], [-3.0]]
    assert NUMBERS.tolist() == [[1.0], [2.0], [3.0]]


def test_all_rows_are_the_tensor_itself() -> None:
    whole = Subset(DRAWS, lambda _draw: True, CPU)
    assert whole.of(NUMBERS) is NUMBERS
    assert whole.put(NUMBERS, -NUMBERS).tolist() == [[-1.0], [-2.0], [-3.0]]


def test_no_rows_leave_a_tensor_as_it_is() -> None:
    none = Subset(DRAWS, lambda _draw: False, CPU)
    assert not none
    assert none.of(NUMBERS).shape == (0, 1)
    assert torch.equal(none.put(NUMBERS, none.of(NUMBERS)), NUMBERS)
